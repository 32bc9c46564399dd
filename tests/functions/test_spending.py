"""POST consumptions: the response, the stored entry, and retries with the key."""

from dataclasses import replace
from datetime import timedelta

import pytest

from prepaid.store.catalog import CatalogCache, first_catalog
from prepaid.use_cases.administering import replace_catalog
from tests.support.api import BALANCE, CONSUME
from tests.support.contract import routes
from tests.support.gateway_events import REQUEST_ID, caller, http_event
from tests.support.handlers import Clock
from tests.support.in_process import FUNCTION_OF, Service, unknown_route
from tests.support.store_driver import NOW, claim_keys, lines, types
from tests.support.template import is_page
from tests.support.wire import Wire


def test_every_route_of_the_contract_is_tested_here() -> None:
    assert {route for route in FUNCTION_OF if not is_page(route)} == set(routes())


def test_a_consumption_returns_its_draws(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=100)
    answer = service(CONSUME, json={"feature": "ai_service", "quantity": 103}, key="first")
    assert answer.status == 201
    assert answer.body == {
        "id": "con_000000000003",
        "entry": 3,
        "feature": "ai_service",
        "quantity": 103,
        "credits": 3,
        "quota": 100,
        "draws": [
            {"source": "quota", "feature": "ai_service", "units": 100},
            {"source": "lot", "lot": "lot_000000000002", "credits": 3, "expires_at": "2027-06-17T03:00:00.000Z"},
        ],
        "balance": {"available": 97, "quota_remaining": 0},
        "created_at": "2026-06-16T13:00:00.000Z",
    }
    assert "idempotent-replayed" not in answer.headers


def test_quantity_is_one_by_default(service: Service) -> None:
    service.open(credits=2)
    answer = service(CONSUME, json={"feature": "sticker"})
    assert (answer.body["quantity"], answer.body["credits"], answer.body["quota"]) == (1, 1, 0)


def test_description_customer_and_reference_are_kept(service: Service) -> None:
    service.open(credits=2)
    labels = {"description": "banho e tosa 🐶", "customer": "Zoé", "reference": "os-17"}
    service(CONSUME, json={"feature": "sticker", **labels}, by=caller("grooming-app"))
    line = lines(service.stored())[-1]
    assert labels.items() <= line.items()
    assert line["actor"] == "grooming-app"


def test_the_actor_is_the_subject_when_the_token_names_no_client(service: Service) -> None:
    service.open(credits=2)
    service.spend(by={"sub": "user-7"})
    assert lines(service.stored())[-1]["actor"] == "user-7"


def test_a_retry_gets_the_same_bytes_and_the_replay_header(service: Service, clock: Clock) -> None:
    service.open(credits=5)
    first = service.spend(3, key="same")
    service.spend(2)
    clock.now += timedelta(hours=30)
    before = service.stored()
    again = service.spend(3, key="same")
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers == {**first.headers, "idempotent-replayed": "true"}
    assert service.stored() == before


def test_requests_are_compared_by_content_not_by_bytes(service: Service) -> None:
    service.open(credits=5)
    first = service(CONSUME, body='{"feature":"sticker","quantity":1}', key="same")
    again = service(
        CONSUME,
        body=b'{ "quantity": 1,\n "feature": "sticker", "customer": null }',
        key="same",
        by=caller("another-instance"),
        headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    )
    assert again.text == first.text
    assert again.headers["idempotent-replayed"] == "true"


def test_a_key_reused_for_another_request_is_rejected(service: Service) -> None:
    service.open(credits=5)
    service.spend(1, key="same")
    before = service.stored()
    for other in (
        {"feature": "sticker", "quantity": 2},
        {"feature": "ai_service"},
        {"feature": "sticker", "customer": "A"},
    ):
        answer = service(CONSUME, json=other, key="same")
        assert (answer.status, answer.code) == (409, "idempotency_key_reused")
    assert service.stored() == before


def test_a_key_belongs_to_its_account(service: Service) -> None:
    service.open("acme", credits=5)
    service.open("zoo", credits=5)
    assert service.spend(1, account="acme", key="same").body["entry"] == 3
    answer = service.spend(2, account="zoo", key="same")
    assert answer.status == 201
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.parametrize("key", ["!", "~" * 255, "a/b?c=d&e#f", "'\"<>"])
def test_every_visible_ascii_character_is_valid_in_a_key(service: Service, key: str) -> None:
    service.open(credits=5)
    assert service.spend(key=key).status == 201
    assert f"CLAIM#acme#{key}" in claim_keys(service.stored())
    assert service.spend(key=key).headers["idempotent-replayed"] == "true"


def test_a_refusal_states_the_shortfall_and_both_remedies(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=10)
    before = service.stored()
    answer = service.spend(200, "ai_service")
    assert answer.status == 402
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body == {
        "type": "urn:prepaid:problem:insufficient_credits",
        "title": "Insufficient credits",
        "status": 402,
        "detail": "Credits needed: 100. Credits available: 10.",
        "code": "insufficient_credits",
        "request_id": REQUEST_ID,
        "needed": 100,
        "available": 10,
        "quota_remaining": 100,
        "renews_at": "2026-07-01T03:00:00.000Z",
        "suggested_pack": "credits-100",
    }
    assert service.stored() == before


def test_a_refusal_names_no_renewal_for_other_features(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True)
    refused = service.spend(5_000).body
    assert (refused["needed"], refused["quota_remaining"]) == (5_000, 0)
    assert refused["renews_at"] is None
    assert refused["suggested_pack"] is None


def test_a_refused_key_may_succeed_after_a_top_up(service: Service) -> None:
    service.open()
    assert service.spend(5, key="same").status == 402
    service.give(5)
    answer = service.spend(5, key="same")
    assert answer.status == 201
    assert "idempotent-replayed" not in answer.headers


def test_a_retry_of_the_last_debit_gets_its_response(service: Service) -> None:
    service.open(credits=1)
    first = service.spend(1, key="last")
    assert service.spend(1, key="other").status == 402
    assert service.spend(1, key="last").text == first.text


def test_an_expired_lot_is_not_spent(service: Service, clock: Clock) -> None:
    """The next debit records its expiry."""
    service.open()
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    service.give(5, expires_at="2026-06-16T15:00:00Z")
    clock.now += timedelta(hours=1)
    assert service.spend(6).body["available"] == 5
    assert service.spend(5).status == 201
    assert types(service.stored()) == ["plan_change", "grant", "grant", "expiry", "consumption"]


def test_an_unknown_path_is_not_found(service: Service) -> None:
    answer = unknown_route(service.functions["consume"], http_event("GET /v1/nothing"))
    assert (answer.status, answer.code) == (404, "not_found")


def test_a_debit_is_one_query_and_one_transaction(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=9)
    service.spend()
    with Wire.tapped(service.table.client) as wire:
        assert service.spend(101, "ai_service").status == 201
        assert wire.calls == ["Query", "TransactWriteItems"]
        wire.forget()
        assert service.spend(900).status == 402
        assert wire.calls == ["Query", "GetItem"]
        wire.forget()
        service(BALANCE)
        assert wire.calls == ["Query"]


def test_a_new_price_reaches_warm_functions_in_half_a_minute(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    time = [100.0]
    service.functions.change("consume", catalog=CatalogCache(lambda: time[0]))
    service.open(credits=9)
    service.spend()
    # Another function changes the catalog: each function has its own process and its own copy.
    sticker, *others = first_catalog().features
    dearer = replace(first_catalog(), features=(replace(sticker, price=4), *others))
    replace_catalog(service.table, dearer, expected_version=1, now=NOW)
    assert service.spend().body["credits"] == 1
    time[0] += 30
    assert service.spend().body["credits"] == 4
