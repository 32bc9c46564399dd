"""Verifies a webhook delivery: from its raw bytes to an event that Stripe signed recently.

https://docs.stripe.com/webhooks#verify-manually
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stripe import SignatureVerificationError, WebhookSignature

from prepaid.payments.errors import WebhookRejected
from prepaid.payments.events import Event, event_of

# Checked before the SDK parses the header, because its parser raises arbitrary exceptions for a malformed one.
HEADER = re.compile(r"t=([0-9]{1,12})(?:,v[0-9]{1,2}=[0-9a-f]{1,128}){1,8}", re.ASCII)


def verified_event(
    raw: bytes, signature: str, secrets: Sequence[str], *, now: datetime, tolerance_seconds: int
) -> Event:
    """The event in a delivery. secrets: the current one and, during a rotation, the previous one.

    Raises WebhookRejected unless the delivery is a recent event, signed with one of the secrets.
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
    # Checked here because the SDK has no upper bound and uses its own clock. Checked after the signature, so that the
    # response reveals nothing to anyone but Stripe.
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
