"""Webhooks: the official SDK accepts their signatures, each arrives at least once, and every setting works."""

import hashlib
import hmac
import json
import threading
import time

import pytest
import stripe

from fake_stripe.api import Request
from fake_stripe.server import RunningFake
from fake_stripe.tests.support import SECRET, Controls, Receiver, Sdk


def accepted(request: Request, secret: str = SECRET, tolerance: int = 300) -> bool:
    try:
        stripe.Webhook.construct_event(request.body, request.headers.get("stripe-signature"), secret, tolerance)
    except stripe.SignatureVerificationError:
        return False
    return True


def customers(sdk: Sdk, count: int) -> None:
    for number in range(count):
        sdk.client.v1.customers.create(params={"name": f"C{number}"})


def names(endpoint: Receiver) -> list[str]:
    return [event["data"]["object"]["name"] for event in endpoint.events()]


def outcomes(controls: Controls) -> list[tuple[int, str, int | None]]:
    return [
        (attempt["attempt"], attempt["outcome"], attempt["status"])
        for attempt in controls.get("deliveries")["deliveries"]
    ]


def test_the_sdk_accepts_the_signature_and_reads_the_event(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/pay")
    controls.drain()

    event = stripe.Webhook.construct_event(endpoint.got[-1].body, endpoint.got[-1].headers["stripe-signature"], SECRET)

    assert event.type == "checkout.session.completed"
    assert event.data.object["id"] == session.id
    assert event.api_version == "2026-10-28.endive"
    assert endpoint.got[-1].headers["content-type"] == "application/json; charset=utf-8"


def test_the_signature_matches_stripes_documented_scheme(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    customers(sdk, 1)
    controls.drain()

    header = dict(part.split("=") for part in endpoint.got[0].headers["stripe-signature"].split(","))
    signed = header["t"].encode() + b"." + endpoint.got[0].body
    assert header["v1"] == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert abs(int(header["t"]) - time.time()) < 60


def test_the_sdk_rejects_a_changed_body(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    customers(sdk, 1)
    controls.drain()
    request = endpoint.got[0]

    changed = Request("POST", "/", request.headers, request.body.replace(b"C0", b"C1"))

    assert (accepted(request), accepted(changed)) == (True, False)


def test_the_events_of_a_payment_arrive_in_order(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/confirm", method="pix")
    controls.post(f"sessions/{session.id}/pay")
    controls.drain()

    assert endpoint.types() == [event.type for event in sdk.events()]
    assert endpoint.types()[-1] == "checkout.session.async_payment_succeeded"


def test_a_failed_delivery_is_retried_until_it_is_accepted(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    endpoint.statuses = [500, 302]
    customers(sdk, 1)
    controls.drain()

    assert outcomes(controls) == [(1, "failed", 500), (2, "failed", 302), (3, "delivered", 200)]
    assert len({request.body for request in endpoint.got}) == 1
    assert all(accepted(request) for request in endpoint.got)


def test_a_delivery_stops_after_the_last_retry(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    endpoint.statuses = [500] * 10
    customers(sdk, 1)
    controls.drain()

    assert [outcome for _, outcome, _ in outcomes(controls)] == ["failed", "failed", "failed", "gave_up"]


def test_an_unreachable_endpoint_fails_the_attempt(sdk: Sdk, controls: Controls) -> None:
    controls.post("webhooks", url="http://127.0.0.1:9/nobody", retry_seconds=[])
    customers(sdk, 1)
    controls.drain()

    [attempt] = controls.get("deliveries")["deliveries"]
    assert (attempt["outcome"], attempt["status"]) == ("gave_up", None)
    assert attempt["error"]


def test_an_event_shows_whether_it_was_delivered(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    endpoint.statuses = [500] * 4
    customers(sdk, 1)
    controls.drain()
    customers(sdk, 1)
    controls.drain()

    assert [event.pending_webhooks for event in sdk.events()] == [1, 0]
    assert endpoint.events()[0]["pending_webhooks"] == 1


def test_only_the_next_events_are_duplicated(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/duplicate", next=2, copies=2)
    customers(sdk, 3)
    controls.drain()

    assert names(endpoint) == ["C0"] * 3 + ["C1"] * 3 + ["C2"]
    assert len({event["id"] for event in endpoint.events()}) == 3


def test_duplicates_can_arrive_at_the_same_time(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    endpoint.gate = threading.Event()
    controls.post("webhooks", concurrency=4)
    controls.post("webhooks/duplicate", next=1, copies=3)
    customers(sdk, 1)
    deadline = time.monotonic() + 5
    while len(endpoint.got) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)

    together = len(endpoint.got)
    endpoint.gate.set()
    controls.drain()

    assert together == 4


def test_only_the_next_events_are_lost(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/lose", next=2)
    customers(sdk, 3)
    controls.drain()

    assert names(endpoint) == ["C2"]
    assert [outcome for _, outcome, _ in outcomes(controls)] == ["lost", "lost", "delivered"]
    assert len(sdk.events("customer.created")) == 3


def test_held_events_arrive_in_reverse_order(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/reorder", hold=3)
    customers(sdk, 2)
    controls.post("drain", timeout_seconds=0.1)
    before = names(endpoint)
    customers(sdk, 1)
    customers(sdk, 1)
    controls.drain()

    assert before == []
    assert names(endpoint) == ["C0", "C1", "C0", "C0"]
    assert [event["id"] for event in endpoint.events()][:3] == [event.id for event in sdk.events()[:3]][::-1]


def test_held_events_can_be_released_early(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/reorder", hold=5)
    customers(sdk, 2)
    controls.post("webhooks/release")
    customers(sdk, 1)
    controls.drain()

    assert names(endpoint) == ["C1", "C0", "C0"]


def test_a_delivery_waits_for_the_configured_delay(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks", delay_seconds=0.3)
    started = time.monotonic()
    customers(sdk, 1)
    early = controls.post("drain", timeout_seconds=0.1)
    controls.drain()

    assert (early["drained"], early["queued"]) == (False, 1)
    assert time.monotonic() - started >= 0.3
    assert names(endpoint) == ["C0"]


def test_stopped_deliveries_continue_after_the_start(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/stop")
    customers(sdk, 2)
    waiting = controls.post("drain", timeout_seconds=5)
    before = names(endpoint)
    controls.post("webhooks/start")
    controls.drain()

    assert (waiting["drained"], waiting["queued"], before) == (False, 2, [])
    assert names(endpoint) == ["C0", "C1"]


def test_events_queued_while_stopped_can_be_discarded(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/stop")
    customers(sdk, 2)
    answer = controls.post("webhooks/start", discard=True)
    customers(sdk, 1)
    controls.drain()

    assert answer["discarded"] == 2
    assert len(endpoint.got) == 1
    assert len(sdk.events("customer.created")) == 3


def test_an_event_is_redelivered_by_its_id(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    customers(sdk, 2)
    controls.drain()
    first = sdk.events()[0]

    controls.post(f"events/{first.id}/redeliver")
    controls.drain()

    assert names(endpoint) == ["C0", "C1", "C0"]
    assert endpoint.got[2].body == endpoint.got[0].body


def test_all_events_are_redelivered_in_either_order(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/lose", next=2)
    customers(sdk, 2)
    sdk.client.v1.checkout.sessions.expire(sdk.session().id)
    controls.drain()
    endpoint.got.clear()

    controls.post("events/redeliver", types="customer.created")
    controls.post("events/redeliver", reverse=True, types="customer.created")
    controls.drain()

    assert names(endpoint) == ["C0", "C1", "C1", "C0"]


def test_the_sdk_rejects_another_secret(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks", sign_with="other")
    customers(sdk, 1)
    controls.drain()

    assert not accepted(endpoint.got[0])


def test_an_unsigned_event_has_no_header(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks", sign_with="none")
    customers(sdk, 1)
    controls.drain()

    assert "stripe-signature" not in endpoint.got[0].headers


def test_a_rotated_secret_signs_next_to_or_instead_of_the_old(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks/rotate", secret="whsec_new")
    acceptances = []
    for used in ("current", "previous", "both"):
        controls.post("webhooks", sign_with=used)
        customers(sdk, 1)
        controls.drain()
        acceptances.append((accepted(endpoint.got[-1], "whsec_new"), accepted(endpoint.got[-1], SECRET)))

    assert acceptances == [(True, False), (False, True), (True, True)]


def test_signatures_can_be_old_or_from_the_future(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    for offset in (-3600, 3600):
        controls.post("webhooks", timestamp_offset_seconds=offset)
        customers(sdk, 1)
        controls.drain()

    ages = [
        time.time() - int(request.headers["stripe-signature"].split(",")[0].removeprefix("t="))
        for request in endpoint.got
    ]
    assert not accepted(endpoint.got[0])
    assert ages == pytest.approx([3600, -3600], abs=60)


def test_events_can_have_an_old_api_version(
    sdk: Sdk, controls: Controls, endpoint: Receiver, fake: RunningFake
) -> None:
    before = fake.state.api_version
    controls.post("webhooks", api_version="2020-08-27")
    customers(sdk, 1)
    controls.drain()
    controls.post("webhooks", api_version=before)

    assert endpoint.events()[0]["api_version"] == "2020-08-27"


@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff\xfe", b"", b'{"id": 1'])
def test_raw_bytes_are_signed_and_sent_unchanged(
    fake: RunningFake, controls: Controls, endpoint: Receiver, body: bytes
) -> None:
    endpoint.statuses = [400]

    status, _, answer = controls.request("POST", "/_control/webhooks/raw", body)

    assert (status, json.loads(answer)["status"]) == (200, 400)
    assert endpoint.got[0].body == body
    timestamp = endpoint.got[0].headers["stripe-signature"].split(",")[0].removeprefix("t=")
    expected = hmac.new(SECRET.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert endpoint.got[0].headers["stripe-signature"].endswith(f"v1={expected}")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("webhooks", {"sign_with": "nobody"}),
        ("webhooks", {"url": "file:///etc/passwd"}),
        ("webhooks", {"concurrency": 0}),
        ("webhooks", {"retry_seconds": ["x"]}),
        ("webhooks", {"running": "perhaps"}),
        ("webhooks", {"nonsense": 1}),
        ("webhooks/lose", {"next": -1}),
        ("webhooks/lose", {"next": True}),
        ("webhooks/duplicate", {"next": 1, "copies": 101}),
        ("drain", {"timeout_seconds": -1}),
    ],
)
def test_an_invalid_control_parameter_changes_nothing(
    fake: RunningFake, controls: Controls, path: str, params: dict[str, object]
) -> None:
    before = controls.get("webhooks")

    controls.post(path, expect=400, **params)

    assert controls.get("webhooks") == before


def test_no_event_is_sent_without_an_endpoint(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    controls.post("webhooks", url="")
    customers(sdk, 1)
    controls.drain()

    assert (endpoint.got, outcomes(controls)) == ([], [])
    assert len(sdk.events("customer.created")) == 1


def test_a_reset_forgets_everything(sdk: Sdk, controls: Controls, endpoint: Receiver) -> None:
    customers(sdk, 1)
    controls.drain()
    controls.post("webhooks/stop")

    controls.post("reset")

    assert controls.get("state")["objects"] == {}
    assert controls.get("deliveries")["deliveries"] == []
    assert controls.get("webhooks")["running"] is True
