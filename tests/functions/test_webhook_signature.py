"""Which deliveries are accepted: raw bytes that were signed just now with the current or the previous secret."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from prepaid.payments.secrets import webhook_secrets_from
from tests.support.api import Answer
from tests.support.handlers import START, Clock, Output
from tests.support.in_process import Service
from tests.support.stripe_purchases import (
    CURRENT_SECRET,
    OTHER_SECRET,
    PREVIOUS_SECRET,
    deliver,
    mac,
    signed,
)

# An event that the service ignores, so that only the signature matters. Not only ASCII, and not formatted as Python
# does.
BODY = '{\n  "id": "evt_1", "type": "customer.created",\n"data": {"object": {"name": "Zoé 🐶"}}\n}'.encode()
NOW = int(START.timestamp())
TOLERANCE = 300
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _nothing_written(service: Service) -> Iterator[None]:
    yield
    assert service.stored() == {}


def rejected(answer: Answer) -> bool:
    assert (answer.status, answer.code) == (400, "invalid_webhook"), answer
    return True


@pytest.mark.parametrize("secret", [CURRENT_SECRET, PREVIOUS_SECRET])
@pytest.mark.parametrize("base64", [True, False])
def test_a_signed_event_is_accepted(service: Service, secret: str, base64: bool) -> None:
    answer = deliver(service, BODY, signed(BODY, START, secret=secret), base64=base64)
    assert (answer.status, answer.body) == (200, {"received": True})


def test_a_signature_with_another_secret_is_rejected(service: Service) -> None:
    assert rejected(deliver(service, BODY, signed(BODY, START, secret=OTHER_SECRET)))
    assert rejected(deliver(service, BODY, signed(BODY, START, secret="")))


def test_rejected_deliveries_are_counted_for_the_alarm(service: Service, output: Output) -> None:
    deliver(service, BODY, signed(BODY, START))
    assert output.metric("WebhooksRejected") == []

    deliver(service, BODY, signed(BODY, START, secret=OTHER_SECRET))
    deliver(service, BODY, None)

    assert output.metric("WebhooksRejected") == [1, 1]


def test_a_rejection_does_not_reveal_the_number_of_secrets(service: Service) -> None:
    unsigned = deliver(service, BODY, f"t={NOW},v1={'0' * 64}")
    assert deliver(service, BODY, signed(BODY, START, secret=OTHER_SECRET)) == unsigned


@pytest.mark.parametrize(
    "secret", ['{"api_key": "rk", "webhook_secrets": []}', '{"api_key": "rk", "webhook_secrets": [""]}']
)
def test_without_a_secret_no_delivery_is_accepted(service: Service, secret: str) -> None:
    """Stripe repeats it until somebody has stored one."""
    before = service.stored()
    service.functions.change("purchase_webhook", webhook_secrets=lambda _deadline: webhook_secrets_from(secret))

    answers = [deliver(service, BODY, signed(BODY, START, secret=key), may_fail=True) for key in ("", CURRENT_SECRET)]

    assert [(answer.status, answer.code) for answer in answers] == [(503, "payments_not_configured")] * 2
    assert service.stored() == before


@pytest.mark.parametrize("header", ["stripe-signature", "Stripe-Signature", "STRIPE-SIGNATURE"])
def test_the_headers_name_matches_in_any_case(service: Service, header: str) -> None:
    assert deliver(service, BODY, signed(BODY, START), header=header).status == 200


@pytest.mark.parametrize("offset", [-TOLERANCE, -1, 0, 1, TOLERANCE])
def test_a_recent_signature_is_accepted(service: Service, offset: int) -> None:
    assert deliver(service, BODY, signed(BODY, START + offset * SECOND)).status == 200


@pytest.mark.parametrize("offset", [-(10**9), -TOLERANCE - 1, TOLERANCE + 1, 10**9])
@pytest.mark.parametrize("secret", [CURRENT_SECRET, PREVIOUS_SECRET])
def test_a_signature_too_old_or_too_new_is_rejected(service: Service, offset: int, secret: str) -> None:
    assert rejected(deliver(service, BODY, signed(BODY, START + offset * SECOND, secret=secret)))


def test_the_age_is_compared_in_milliseconds(service: Service, clock: Clock) -> None:
    signature = signed(BODY, START)
    clock.now = START + TOLERANCE * SECOND
    assert deliver(service, BODY, signature).status == 200
    clock.now += timedelta(milliseconds=1)
    assert rejected(deliver(service, BODY, signature))


def test_the_tolerance_is_a_setting(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.functions.change("purchase_webhook", webhook_tolerance_seconds=10)
    assert deliver(service, BODY, signed(BODY, START - 10 * SECOND)).status == 200
    assert rejected(deliver(service, BODY, signed(BODY, START - 11 * SECOND)))
    assert rejected(deliver(service, BODY, signed(BODY, START + 11 * SECOND)))


def test_the_time_is_part_of_the_signature(service: Service) -> None:
    assert rejected(deliver(service, BODY, f"t={NOW + 1},v1={mac(BODY, NOW, CURRENT_SECRET)}"))


def test_no_bit_of_the_body_can_be_changed(service: Service) -> None:
    signature = signed(BODY, START)
    for place in range(len(BODY)):
        changed = bytearray(BODY)
        changed[place] ^= 1 << place % 8
        assert rejected(deliver(service, bytes(changed), signature, base64=True))
    for changed_length in (BODY[:-1], BODY + b"\n", b"\xef\xbb\xbf" + BODY, b""):
        assert rejected(deliver(service, changed_length, signature, base64=True))


def test_no_bit_of_the_signature_can_be_changed(service: Service) -> None:
    signature = signed(BODY, START)
    for place in range(len(signature)):
        changed = signature[:place] + chr(ord(signature[place]) ^ 1 << place % 8) + signature[place + 1 :]
        assert rejected(deliver(service, BODY, changed))


def test_one_right_signature_of_several_is_enough(service: Service) -> None:
    right, wrong = mac(BODY, NOW, CURRENT_SECRET), "0" * 64
    for header in (
        f"t={NOW},v1={wrong},v1={right}",
        f"t={NOW},v1={right},v0={wrong}",
        f"t={NOW},v0={wrong},v1={right}",
    ):
        assert deliver(service, BODY, header).status == 200


RIGHT = mac(BODY, NOW, CURRENT_SECRET)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "nonsense",
        RIGHT,
        f"v1={RIGHT}",
        f"t={NOW}",
        f"t={NOW},",
        f"t={NOW},v1=",
        f"t=,v1={RIGHT}",
        f"t={NOW},v0={RIGHT}",
        f"t={NOW},v2={RIGHT}",
        f"t={NOW},V1={RIGHT}",
        f"T={NOW},v1={RIGHT}",
        f"t={NOW};v1={RIGHT}",
        f"t={NOW}, v1={RIGHT}",
        f" t={NOW},v1={RIGHT}",
        f"t={NOW},v1={RIGHT} ",
        f"t={NOW},v1={RIGHT}\n",
        f"t={NOW},v1={RIGHT.upper()}",
        f"t={NOW},v1={RIGHT[:-1]}",
        f"t={NOW},v1={RIGHT}0",
        f"t={NOW},t={NOW},v1={RIGHT}",
        f"t={NOW},v1={RIGHT},t={NOW}",
        f"t=1,t={NOW},v1={RIGHT}",
        f"t={NOW - 1_000_000},v1={RIGHT},t={NOW}",
        f"v1={RIGHT},t={NOW}",
        f"t={NOW}.0,v1={RIGHT}",
        f"t=+{NOW},v1={RIGHT}",
        f"t=-{NOW},v1={RIGHT}",
        f"t={NOW}000,v1={RIGHT}",
        f"t={'9' * 400},v1={RIGHT}",
        f"t=１{NOW},v1={RIGHT}",
        f"t=nan,v1={RIGHT}",
        f"t={NOW},v1=é{RIGHT}",
        f"t={NOW},v1=\ud800",
        f"t={NOW},v1",
        "t,v1",
        "=,=",
        ",",
        "\x00",
        f"t={NOW}" + f",v1={'0' * 64}" * 5_000,
        f"t={NOW},v1={RIGHT},t={NOW},v1={RIGHT}",
    ],
    ids=lambda header: ascii(header)[:40],
)
def test_malformed_headers_are_rejected(service: Service, header: str | None) -> None:
    assert rejected(deliver(service, BODY, header))


def sign_and_deliver(service: Service, body: bytes, *, may_fail: bool = False) -> Answer:
    return deliver(service, body, signed(body, START), base64=True, may_fail=may_fail)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"{}",
        b"null",
        b"1",
        b"-1.5e9",
        b"true",
        b'"event"',
        b"NaN",
        b"nonsense",
        b"{",
        b'{"id": "evt_1"}',
        b'{"type": "customer.created"}',
        b'{"id": 1, "type": "customer.created"}',
        b'{"id": "evt_1", "type": null}',
        b'{"id": ["evt_1"], "type": "customer.created"}',
        b'[{"id": "evt_1", "type": "customer.created"}]',
        b"\xff\xfe",
        b'{"id": "\xff", "type": "customer.created"}',
        b"\xef\xbb\xbf" + BODY,
        '{"id": "evt_1", "type": "customer.created"}'.encode("utf-16"),
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"1" * 60_000,
        b"\x00" * 100,
    ],
    ids=lambda body: ascii(body)[:40],
)
def test_a_signed_body_that_is_no_event_is_rejected(service: Service, body: bytes) -> None:
    assert rejected(sign_and_deliver(service, body))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b"x" * 65_536], ids=lambda body: ascii(body)[:20])
def test_an_unsigned_body_that_is_no_event_is_rejected(service: Service, body: bytes) -> None:
    for header in (None, "", "t=1,v1=0", f"t={NOW},v1={'0' * 64}"):
        assert rejected(deliver(service, body, header, base64=True))


def test_a_delivery_may_be_longer_than_other_bodies(service: Service) -> None:
    assert sign_and_deliver(service, BODY.ljust(1024 * 1024)).status == 200


def test_a_huge_delivery_is_rejected_unread(service: Service) -> None:
    body = BODY.ljust(1024 * 1024 + 1)
    answer = sign_and_deliver(service, body)
    assert (answer.status, answer.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    "kind",
    [
        "customer.created",
        "charge.refunded",
        "checkout.session.nonsense",
        "",
        "é",
        "x" * 1_000,
        "CHECKOUT.SESSION.COMPLETED",
    ],
    ids=lambda kind: kind[:30],
)
def test_unknown_event_types_are_acknowledged(service: Service, kind: str) -> None:
    for data in ({}, {"data": None}, {"data": {"object": 1}}, {"data": {"object": {"id": "cs_1"}}}):
        answer = sign_and_deliver(service, json.dumps({"id": "evt_1", "type": kind, **data}).encode())
        assert (answer.status, answer.body) == (200, {"received": True})


ODD_OBJECTS: list[Any] = [
    {},
    {"id": None},
    {"id": ""},
    {"id": "."},
    {"id": "../../v1/charges"},
    {"id": "a/b?c=d#e"},
    {"id": "cs_\ud800"},
    {"id": "cs_\x00"},
    {"id": "é" * 500},
    {"id": "x" * 60_000},
]


@pytest.mark.parametrize("thing", ODD_OBJECTS, ids=lambda thing: ascii(thing)[:30])
@pytest.mark.usefixtures("fake")
def test_a_session_event_about_another_object_is_handled(service: Service, thing: Any) -> None:
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": thing}}
    assert sign_and_deliver(service, json.dumps(event).encode()).status in {200, 400}


@pytest.mark.parametrize("event_id", ["", "\ud800", "\x00", "x" * 60_000, "é"], ids=lambda text: ascii(text)[:10])
@pytest.mark.parametrize("kind", ["customer.created", "checkout.session.completed"])
@pytest.mark.usefixtures("fake")
def test_an_event_with_an_odd_id_is_handled(service: Service, event_id: str, kind: str) -> None:
    event = {"id": event_id, "type": kind, "data": {"object": {"id": "cs_nobody_knows"}}}
    assert sign_and_deliver(service, json.dumps(event).encode()).status in {200, 400}
