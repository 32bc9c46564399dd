"""Verifies the service's webhook deliveries, signed as in Standard Webhooks (https://www.standardwebhooks.com)."""

import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from prepaid_client.errors import WebhookRejected


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event of an account. A repeated delivery has the same id; deliveries may be out of order.

    type: such as prepaid.entry.consumption or prepaid.alert.credits_low. subject: the account. data: the figures; its
    `entry` increases with each entry of the account.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: Mapping[str, Any]


def unwrap(body: bytes, headers: Mapping[str, str], secrets: str | Iterable[str]) -> Event:
    """The event of a delivery that is signed with one of the secrets, and not older than five minutes.

    body: the bytes as they arrived, because the signature covers them. secrets: `whsec_…`; during a rotation, the new
    and the old one. Raises WebhookRejected: then respond with 400 and do nothing.
    """
    lower_headers = {name.lower(): value for name, value in headers.items()}
    candidates = [secrets] if isinstance(secrets, str) else list(secrets)
    if not any(_is_signed(body, lower_headers, secret) for secret in candidates):
        raise WebhookRejected("the delivery isn't signed with one of the secrets, or is too old")
    try:
        event = msgspec.json.decode(body, type=Event)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WebhookRejected("the delivery is signed, but isn't an event") from error
    if event.id != lower_headers["webhook-id"]:
        raise WebhookRejected("the delivery's webhook-id is not its event's id")
    return event


def _is_signed(body: bytes, headers: dict[str, str], secret: str) -> bool:
    """Whether the signature is right. Raises ValueError for a secret that isn't one."""
    try:
        webhook = Webhook(secret)
    except (binascii.Error, EmptyWebhookSecretError) as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    try:
        webhook.verify(body, headers, json_parse=False)
    except Exception:  # noqa: BLE001 - for malformed headers, the library raises arbitrary errors besides its own
        return False
    return True
