"""Stripe's events, reduced to what this service reads: which events concern a purchase, and which purchase."""

import re
from dataclasses import dataclass
from typing import Any

from prepaid.core.ids import PURCHASE_ID
from prepaid.payments.errors import WebhookRejected

# Events of a checkout session. The same change of a session can arrive in several events.
FAILED_EVENT = "checkout.session.async_payment_failed"
SESSION_EVENTS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        FAILED_EVENT,
        "checkout.session.expired",
    }
)
# Events of a payment after it was made. charge.refund* are the names of refund.* in older API versions.
MONEY_EVENTS = frozenset(
    {
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.refunded",
        "charge.refund.updated",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
# Ids become keys of the table and parts of URLs and log lines.
ID = re.compile(r"[!-~]{1,255}", re.ASCII)
# Other systems that use the same Stripe account write metadata too; this service never writes a longer value.
MAX_METADATA_BYTES = 700
# The metadata with which a session refers to its purchase. Amounts are never read from metadata.
METADATA_ACCOUNT, METADATA_PURCHASE = "prepaid_account", "prepaid_purchase"
# The stack that made the session: several stacks may share one Stripe account.
METADATA_STACK = "prepaid_stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The part of a Stripe event that this service uses: the object that it concerns, never that object's values.

    session, account, purchase, stack: of a checkout session's event, as it was then.
    payment: of a refund's, charge's or dispute's event.
    connected_account: in which it happened; None for the Stripe account that this service sells in.
    """

    id: str
    type: str
    session: str | None
    account: str | None
    purchase: str | None
    payment: str | None
    stack: str | None = None
    connected_account: str | None = None


def event_of(event: Any) -> Event:
    """The event in a parsed JSON value. Raises WebhookRejected when the value isn't an event."""
    event_id, event_type = _id(event, "id"), _text(event, "type")
    if event_id is None or event_type is None:
        raise WebhookRejected("The body is not an event.")
    subject = _part(_part(event, "data"), "object")
    metadata = _part(subject, "metadata")
    return Event(
        id=event_id,
        type=event_type,
        session=_id(subject, "id"),
        account=metadata_value(metadata, METADATA_ACCOUNT),
        # The reference can't be edited at Stripe: a session that lost its metadata is still known by it.
        purchase=metadata_value(metadata, METADATA_PURCHASE) or reference_of(subject),
        payment=_id(subject, "payment_intent"),
        stack=metadata_value(metadata, METADATA_STACK),
        # https://docs.stripe.com/connect/webhooks: only events of connected accounts name their account.
        connected_account=_text(event, "account") or None,
    )


def metadata_value(metadata: Any, name: str) -> str | None:
    """One of this service's values in an object's metadata; None when it is missing or not a possible value."""
    text = _part(metadata, name)
    if not isinstance(text, str) or not text.isprintable() or len(text.encode()) > MAX_METADATA_BYTES:
        return None
    return text or None


def reference_of(session: Any) -> str | None:
    """The purchase in a session's client_reference_id; None when that isn't a purchase's id."""
    text = _text(session, "client_reference_id")
    return text if text is not None and PURCHASE_ID.fullmatch(text) else None


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _id(value: Any, name: str) -> str | None:
    text = _text(value, name)
    return text if text is not None and ID.fullmatch(text) else None


def _text(value: Any, name: str) -> str | None:
    text = _part(value, name)
    return text if isinstance(text, str) else None
