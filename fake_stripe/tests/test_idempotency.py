"""Idempotency-Key: one effect, the original response for a retry, an error for a different request."""

import threading
import time
from typing import Any

import pytest
import stripe

from fake_stripe.server import RunningFake
from fake_stripe.tests.support import KEY, Clock, Controls, Sdk

FORM = "application/x-www-form-urlencoded"


def post(controls: Controls, body: bytes, key: str, path: str = "/v1/customers") -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key, "Content-Type": FORM}
    return controls.request("POST", path, body, headers)


def customers(sdk: Sdk) -> list[str]:
    return [customer.id for customer in sdk.client.v1.customers.list().data]


def test_a_retry_gets_the_original_response_marked_as_replayed(sdk: Sdk, controls: Controls) -> None:
    first = post(controls, b"name=A", "k1")
    second = post(controls, b"name=A", "k1")

    assert (second[0], second[2]) == (first[0], first[2])
    assert "idempotent-replayed" not in first[1]
    assert second[1]["idempotent-replayed"] == "true"
    assert second[1]["original-request"] == first[1]["request-id"]
    assert second[1]["request-id"] != first[1]["request-id"]
    assert len(customers(sdk)) == 1


def test_a_retry_through_the_sdk_creates_no_second_session(sdk: Sdk) -> None:
    params: Any = {
        "mode": "payment",
        "success_url": "https://shop.example/",
        "line_items": [
            {"quantity": 1, "price_data": {"currency": "brl", "unit_amount": 900, "product_data": {"name": "x"}}}
        ],
    }
    sessions = [
        sdk.client.v1.checkout.sessions.create(params=params, options={"idempotency_key": "purchase-1"})
        for _ in range(3)
    ]

    assert len({session.id for session in sessions}) == 1
    assert len(sdk.client.v1.checkout.sessions.list().data) == 1


def test_a_retry_gets_the_original_state_of_a_changed_object(sdk: Sdk, controls: Controls) -> None:
    _, _, body = post(controls, b"name=A", "k1")
    sdk.client.v1.customers.update(customers(sdk)[0], params={"name": "B"})

    assert post(controls, b"name=A", "k1")[2] == body


def test_a_key_reused_for_other_parameters_is_rejected(sdk: Sdk) -> None:
    create = sdk.client.v1.customers.create
    create(params={"name": "A"}, options={"idempotency_key": "k1"})

    with pytest.raises(stripe.IdempotencyError, match="same parameters") as refusal:
        create(params={"name": "B"}, options={"idempotency_key": "k1"})

    assert refusal.value.http_status == 400
    assert len(customers(sdk)) == 1


def test_a_key_reused_for_another_endpoint_is_rejected(sdk: Sdk) -> None:
    sdk.client.v1.customers.create(params={"name": "A"}, options={"idempotency_key": "k1"})

    with pytest.raises(stripe.IdempotencyError, match="/v1/customers"):
        sdk.client.v1.products.create(params={"name": "A"}, options={"idempotency_key": "k1"})


def test_a_retry_during_the_first_request_is_a_conflict(sdk: Sdk, controls: Controls, fake: RunningFake) -> None:
    controls.post("api", next=1, delay_seconds=0.5)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(post(controls, b"name=A", "k1")[0]))
    thread.start()
    deadline = time.monotonic() + 5
    while fake.api.faults._left and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)

    status, _, body = post(controls, b"name=A", "k1")
    thread.join()

    assert (status, answers) == (409, [200])
    assert b"idempotency_key_in_use" in body
    assert len(customers(sdk)) == 1


def test_many_concurrent_retries_have_one_effect(sdk: Sdk, controls: Controls) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(post(controls, b"name=A", "k1")[0])) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(answers) <= {200, 409}
    assert 200 in answers
    assert len(customers(sdk)) == 1


def test_a_rejected_request_does_not_use_up_the_key(sdk: Sdk, controls: Controls) -> None:
    refused = post(controls, b"name=A&nonsense=1", "k1")[0]

    accepted = post(controls, b"name=A", "k1")[0]

    assert (refused, accepted) == (400, 200)


def test_keys_are_kept_for_exactly_a_day(sdk: Sdk, controls: Controls, clock: Clock) -> None:
    post(controls, b"name=A", "k1")
    clock.at += 86_399
    replayed = post(controls, b"name=A", "k1")[1]
    clock.at += 1
    fresh = post(controls, b"name=A", "k1")[1]

    assert ("idempotent-replayed" in replayed, "idempotent-replayed" in fresh) == (True, False)
    assert len(customers(sdk)) == 2


def test_a_retry_gets_a_response_that_was_lost(sdk: Sdk, controls: Controls) -> None:
    controls.post("api", next=1, drop_answer=True)
    create = sdk.client.v1.customers.create

    with pytest.raises(stripe.APIConnectionError):
        create(params={"name": "A"}, options={"idempotency_key": "k1"})
    found = create(params={"name": "A"}, options={"idempotency_key": "k1"})

    assert customers(sdk) == [found.id]


def test_an_injected_api_failure_has_no_effect(sdk: Sdk, controls: Controls) -> None:
    controls.post("api", next=2, status=503)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            sdk.client.v1.customers.create(params={"name": "A"})

    assert customers(sdk) == []


def test_a_key_has_at_most_255_characters(sdk: Sdk, controls: Controls) -> None:
    assert (post(controls, b"name=A", "k" * 255)[0], post(controls, b"name=A", "k" * 256)[0]) == (200, 400)
