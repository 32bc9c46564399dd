"""Stripe's events, as far as this service reads them: which ones concern a purchase, and which purchase."""

import re
from dataclasses import dataclass
from typing import Any

from prepaid.payments.errors import WebhookRejected

# What a checkout session can announce; the session is what happens once, not the event.
FAILED_EVENT = "checkout.session.async_payment_failed"
SESSION_EVENTS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        FAILED_EVENT,
        "checkout.session.expired",
    }
)
# What can happen to money that was paid. The charge.refund* ones are how older API versions say refund.*.
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
# Ids become keys of the table, parts of addresses and log lines.
ID = re.compile(r"[!-~]{1,255}", re.ASCII)
# Metadata is anybody's who sells through the same Stripe account; more than this is none of ours.
MAX_METADATA_BYTES = 700
# The pointers that a session we make carries back to its purchase. Never more: no amount is read from them.
METADATA_ACCOUNT, METADATA_PURCHASE = "prepaid_account", "prepaid_purchase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The part of a Stripe event that we look at: what it is about, never what it claims of it.

    session, account, purchase: of a checkout session's event. payment: of a refund's, charge's or dispute's.
    """

    id: str
    type: str
    session: str | None
    account: str | None
    purchase: str | None
    payment: str | None


def event_of(event: Any) -> Event:
    """The event in a parsed JSON value. Raises WebhookRejected when it is none."""
    event_id, event_type = _id(event, "id"), _text(event, "type")
    if event_id is None or event_type is None:
        raise WebhookRejected("The body is not an event.")
    about = _part(_part(event, "data"), "object")
    metadata = _part(about, "metadata")
    return Event(
        id=event_id,
        type=event_type,
        session=_id(about, "id"),
        account=metadata_value(metadata, METADATA_ACCOUNT),
        purchase=metadata_value(metadata, METADATA_PURCHASE),
        payment=_id(about, "payment_intent"),
    )


def metadata_value(metadata: Any, name: str) -> str | None:
    """One of our pointers in an object's metadata, if it could be one."""
    text = _part(metadata, name)
    if not isinstance(text, str) or not text.isprintable() or len(text.encode()) > MAX_METADATA_BYTES:
        return None
    return text or None


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _id(value: Any, name: str) -> str | None:
    text = _text(value, name)
    return text if text is not None and ID.fullmatch(text) else None


def _text(value: Any, name: str) -> str | None:
    text = _part(value, name)
    return text if isinstance(text, str) else None
