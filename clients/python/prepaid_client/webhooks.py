"""Deliveries of the service to your webhook, signed as Standard Webhooks (https://www.standardwebhooks.com)."""

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
    """Something that happened to an account. A repeated delivery has the same id; deliveries may be out of order.

    type: such as prepaid.entry.consumption or prepaid.alert.credits_low. subject: the account. data: the figures; its
    `entry` grows with each entry of the account.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: Mapping[str, Any]


def unwrap(body: bytes, headers: Mapping[str, str], secrets: str | Iterable[str]) -> Event:
    """The event of a delivery that is signed with one of the secrets, and not older than five minutes.

    body: the bytes as they arrived, because the signature covers them. secrets: `whsec_…`; during a rotation the
    new and the old one. Raises WebhookRejected: answer with 400 and do nothing.
    """
    names = {name.lower(): value for name, value in headers.items()}
    tried = [secrets] if isinstance(secrets, str) else list(secrets)
    if not any(_is_signed(body, names, secret) for secret in tried):
        raise WebhookRejected("the delivery isn't signed with one of the secrets, or is too old")
    try:
        event = msgspec.json.decode(body, type=Event)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise WebhookRejected("the delivery is signed, but isn't an event") from error
    if event.id != names["webhook-id"]:
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
    except Exception:  # noqa: BLE001 - besides its own error the library raises whatever garbage causes
        return False
    return True
