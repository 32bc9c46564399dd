"""Signatures of outgoing webhooks, as Standard Webhooks defines them (https://www.standardwebhooks.com)."""

import base64
import hmac
import json
from collections.abc import Sequence
from hashlib import sha256

SECRET_PREFIX = "whsec_"  # noqa: S105 - it marks a secret and is none
# Standard Webhooks asks for 24 to 64 bytes.
LEAST_BYTES, MOST_BYTES = 24, 64


def signing_keys(text: str) -> tuple[bytes, ...]:
    """The keys in the webhook's secret, `{"secrets": ["whsec_...", "..."]}`; several during a rotation.

    Raises ValueError, which names no secret, unless there is at least one and each is `whsec_` and base64 of 24 to 64
    bytes.
    """
    try:
        secrets = json.loads(text)["secrets"]
        keys = tuple(_key(secret) for secret in secrets)
    except (KeyError, TypeError, ValueError):
        keys = ()
    if not keys or not all(LEAST_BYTES <= len(key) <= MOST_BYTES for key in keys):
        raise ValueError('the secret must be {"secrets": ["whsec_..."]}, each with base64 of 24 to 64 bytes') from None
    return keys


def signed_headers(event_id: str, timestamp: int, body: str, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers that prove that this service sent the event.

    event_id: without dots. timestamp: of this attempt, in seconds.
    """
    message = f"{event_id}.{timestamp}.{body}".encode()
    signatures = (base64.b64encode(hmac.new(key, message, sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: object) -> bytes:
    if not isinstance(secret, str) or not secret.startswith(SECRET_PREFIX):
        raise ValueError
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
