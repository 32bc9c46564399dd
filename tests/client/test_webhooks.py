"""`unwrap` accepts what the published library signs, and nothing else."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from prepaid_client import WebhookRejected, unwrap

NEW, OLD, OTHER = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"n", b"o", b"x"))
EVENT = {
    "specversion": "1.0",
    "id": "evt_7f3c",
    "source": "prepaid/shop",
    "type": "prepaid.entry.consumption",
    "subject": "petshop-1",
    "time": "2026-11-26T17:02:11.123Z",
    "data": {"account": "petshop-1", "entry": 42, "credits": -1},
}
BODY = json.dumps(EVENT).encode()


def signed(body: bytes = BODY, secret: str = NEW, *, id: str = "evt_7f3c", age: int = 0) -> dict[str, str]:  # noqa: A002
    """The headers of a delivery, signed by the library that receivers use."""
    at = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "Webhook-Id": id,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign(id, at, body.decode(errors="replace")),
    }


def test_a_signed_delivery_is_an_event() -> None:
    event = unwrap(BODY, signed(), NEW)

    assert (event.id, event.type, event.subject) == ("evt_7f3c", "prepaid.entry.consumption", "petshop-1")
    assert event.time == datetime(2026, 11, 26, 17, 2, 11, 123_000, tzinfo=UTC)
    assert event.data["entry"] == 42


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_both_secrets_of_a_rotation_are_accepted(secret: str) -> None:
    assert unwrap(BODY, signed(secret=secret), [NEW, OLD]).id == "evt_7f3c"


def test_one_of_several_signatures_is_enough() -> None:
    headers = signed()
    headers["Webhook-Signature"] = f"{signed(secret=OLD)['Webhook-Signature']} v2,abc {headers['Webhook-Signature']}"

    assert unwrap(BODY, headers, NEW).id == "evt_7f3c"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, signed(secret=OTHER)),
        (BODY + b" ", signed()),
        (BODY, signed(age=301)),
        (BODY, signed(age=-86_400)),
        (BODY, {}),
        (BODY, {**signed(), "Webhook-Signature": "garbage"}),
        (BODY, {**signed(), "Webhook-Signature": "v1,?"}),
        (BODY, {**signed(), "Webhook-Signature": "v1,é"}),
        (BODY, {**signed(), "Webhook-Timestamp": "nan"}),
        (BODY, {**signed(), "Webhook-Timestamp": "9" * 400}),
        (BODY, {**signed(), "Webhook-Id": "evt_other"}),
        (b"\xff", signed(b"\xff")),
    ],
    ids=[
        "another secret",
        "another body",
        "too old",
        "too new",
        "no headers",
        "no signature",
        "no base64",
        "no ascii",
        "no number",
        "no time",
        "another id",
        "no utf-8",
    ],
)
def test_everything_else_is_rejected(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookRejected, match="isn't signed"):
        unwrap(body, headers, [NEW, OLD])


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b"{", json.dumps({**EVENT, "time": "soon"}).encode()], ids=str)
def test_a_signed_text_that_is_no_event_is_rejected(body: bytes) -> None:
    with pytest.raises(WebhookRejected, match="isn't an event"):
        unwrap(body, signed(body), NEW)


def test_the_header_names_the_event_in_the_body() -> None:
    with pytest.raises(WebhookRejected, match="is not its event's id"):
        unwrap(BODY, signed(id="evt_other"), NEW)


@pytest.mark.parametrize("secrets", ["", "whsec_", ["whsec_"], "whsec_a"])
def test_a_receiver_without_a_secret_is_told_so(secrets: Any) -> None:
    with pytest.raises(ValueError, match="a webhook secret is"):
        unwrap(BODY, signed(), secrets)


def test_no_secret_at_all_accepts_nothing() -> None:
    with pytest.raises(WebhookRejected):
        unwrap(BODY, signed(), [])
