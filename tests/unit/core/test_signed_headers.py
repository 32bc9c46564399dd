"""Signatures of outgoing webhooks, checked with the published library."""

import base64
import json
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from prepaid.core.webhook_signature import signed_headers, signing_keys

NEW, OLD = (f"whsec_{base64.b64encode(bytes([digit]) * 32).decode()}" for digit in (1, 2))
BODY = '{"type":"prepaid.entry.consumption","data":{"account":"caf\\u00e9"}}'
NOW = 1_795_000_000


def now() -> int:
    """The library refuses timestamps that are more than five minutes away."""
    return int(time.time())


def secret(*secrets: str) -> str:
    return json.dumps({"secrets": secrets})


@pytest.mark.parametrize("verified_with", [NEW, OLD])
def test_during_a_rotation_either_secret_verifies(verified_with: str) -> None:
    headers = signed_headers("evt_1", now(), BODY, signing_keys(secret(NEW, OLD)))

    assert Webhook(verified_with).verify(BODY, headers) == json.loads(BODY)


def test_another_secret_does_not_verify() -> None:
    headers = signed_headers("evt_1", now(), BODY, signing_keys(secret(NEW)))

    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_a_changed_id_time_or_body_does_not_verify(changed: str) -> None:
    headers = signed_headers("evt_1", now(), BODY, signing_keys(secret(NEW)))
    others = {"webhook-id": "evt_2", "webhook-timestamp": str(now() + 1)}
    body = BODY.replace("consumption", "grant") if changed == "body" else BODY

    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(body, headers | {name: others[name] for name in others if name == changed})


def test_a_signature_never_changes() -> None:
    headers = signed_headers("evt_1", NOW, BODY, signing_keys(secret(NEW)))

    assert headers == {
        "webhook-id": "evt_1",
        "webhook-timestamp": "1795000000",
        "webhook-signature": "v1,ZaTJR/F/ICD6eXUgz7Di/wbz7scxe3BWOKOBtyQLtWQ=",
    }


@pytest.mark.parametrize(
    "text",
    [
        '{"secrets": []}',
        '{"secrets": [], "unused": "6d1f"}',
        "{}",
        "[]",
        "null",
        "whsec_",
        '{"secrets": "whsec_AQEB"}',
        '{"secrets": [17]}',
        secret("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),
        secret("whsec_not base64 at all, but long enough for it"),
        secret(f"whsec_{base64.b64encode(bytes(23)).decode()}"),
        secret(f"whsec_{base64.b64encode(bytes(65)).decode()}"),
        secret(NEW, "whsec_"),
    ],
)
def test_an_unusable_secret_is_refused_and_not_named(text: str) -> None:
    with pytest.raises(ValueError, match="the secret must be") as refused:
        signing_keys(text)

    assert refused.value.__cause__ is None
    assert "AQEB" not in str(refused.value)
