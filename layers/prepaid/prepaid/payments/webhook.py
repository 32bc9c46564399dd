"""From a delivery's raw bytes to an event that is provably Stripe's and recent.

https://docs.stripe.com/webhooks#verify-manually
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stripe import SignatureVerificationError, WebhookSignature

from prepaid.payments.errors import WebhookRejected

# Checked before the SDK sees the header: its own parser raises whatever a strange header makes it raise.
HEADER = re.compile(r"t=([0-9]{1,12})(?:,v[0-9]{1,2}=[0-9a-f]{1,128}){1,8}", re.ASCII)


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


def verified_event(
    raw: bytes, signature: str, secrets: Sequence[str], *, now: datetime, tolerance_seconds: int
) -> Event:
    """The event in a delivery. `secrets`: the current one and, while it is being rotated, the previous one.

    Raises WebhookRejected for whatever isn't a recent event signed with one of them.
    """
    header = HEADER.fullmatch(signature)
    if not header:
        raise WebhookRejected("The Stripe-Signature header is missing or malformed.")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise WebhookRejected("The body is not UTF-8.") from None
    if not any(_is_signed(text, signature, secret) for secret in secrets):
        raise WebhookRejected("The signature does not match the body.")
    # Both bounds are ours: the SDK knows no upper one and takes its own clock. Checked after the signature, so that
    # only Stripe learns anything from the difference.
    if abs(now.timestamp() - int(header[1])) > tolerance_seconds:
        raise WebhookRejected("The signature's time is too far from now.")
    return _event_from(text)


def _is_signed(text: str, signature: str, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(text, signature, secret))
    except SignatureVerificationError:
        return False


def _event_from(text: str) -> Event:
    try:
        event: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise WebhookRejected("The body is not JSON.") from None
    return event_of(event)


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
        account=pointer(metadata, METADATA_ACCOUNT),
        purchase=pointer(metadata, METADATA_PURCHASE),
        payment=_id(about, "payment_intent"),
    )


def pointer(metadata: Any, name: str) -> str | None:
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
