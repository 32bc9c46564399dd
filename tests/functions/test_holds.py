"""Holds over the API: reserve, capture or release, and the responses about a hold that has ended."""

from datetime import timedelta
from typing import Any

import pytest

from prepaid.core.holding import MAX_HELD_LOTS
from tests.support.api import CAPTURE, HOLD, PATCH_ACCOUNT, PLACE_HOLD, RELEASE
from tests.support.gateway_events import caller
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.store_driver import StoreDriver, lines, types
from tests.support.stripe_purchases import Storefront

TEXTS = {"description": "a drawing", "customer": "customer-118", "reference": "job-1"}


@pytest.fixture
def shop(service: Service) -> Service:
    service.open(plan="individual", ai_enabled=True, credits=10)
    return service


def test_a_hold_reserves_what_a_consumption_would_spend(shop: Service) -> None:
    answer = shop.hold(102, "ai_service", more={"ttl_seconds": 60, **TEXTS})

    lot = {"source": "lot", "lot": "lot_000000000002", "credits": 2, "expires_at": "2027-06-17T03:00:00.000Z"}
    assert (answer.status, answer.replayed) == (201, False)
    assert answer.body == {
        "id": "hold_000000000003",
        "entry": 3,
        "feature": "ai_service",
        "quantity": 102,
        "credits": 2,
        "quota": 100,
        "draws": [{"source": "quota", "feature": "ai_service", "units": 100}, lot],
        "lapses_at": "2026-06-16T13:01:00.000Z",
        "balance": {"available": 8, "quota_remaining": 0},
        "created_at": "2026-06-16T13:00:00.000Z",
    }
    balance = shop.balance()
    assert (balance["credits"]["available"], balance["credits"]["held"]) == (8, 2)
    assert balance["quotas"][0]["remaining"] == 0


def test_a_capture_of_less_returns_the_rest(shop: Service) -> None:
    hold = shop.hold(102, "ai_service", more=TEXTS).body["id"]

    answer = shop.capture(hold, 30)

    lot = {"source": "lot", "lot": "lot_000000000002", "credits": -2, "expires_at": "2027-06-17T03:00:00.000Z"}
    assert (answer.status, answer.replayed) == (200, False)
    assert answer.body == {
        "id": "cap_000000000004",
        "entry": 4,
        "hold": hold,
        "feature": "ai_service",
        "quantity": 30,
        "credits": 0,
        "quota": 30,
        "draws": [{"source": "quota", "feature": "ai_service", "units": 30}],
        "returned": [{"source": "quota", "feature": "ai_service", "units": -70}, lot],
        "expired": [],
        "balance": {"available": 10, "quota_remaining": 70},
        "created_at": "2026-06-16T13:00:00.000Z",
    }
    capture = shop.history()[0]
    assert {name: capture[name] for name in TEXTS} == TEXTS
    assert (capture["type"], capture["credits"], capture["quota"], capture["source"]) == ("capture", 2, 70, "quota")
    assert shop.balance()["credits"]["held"] == 0


def test_a_release_returns_all(shop: Service) -> None:
    hold = shop.hold(7).body["id"]

    answer = shop.release(hold)

    lot = {"source": "lot", "lot": "lot_000000000002", "credits": -7, "expires_at": "2027-06-17T03:00:00.000Z"}
    assert answer.status == 200
    assert answer.body == {
        "id": "rel_000000000004",
        "entry": 4,
        "hold": hold,
        "feature": "sticker",
        "quantity": 7,
        "returned": [lot],
        "expired": [],
        "balance": {"available": 10, "quota_remaining": 100},
        "created_at": "2026-06-16T13:00:00.000Z",
    }


@pytest.mark.parametrize("which", ["hold", "capture", "release"])
def test_a_retry_gets_the_original_response(shop: Service, which: str) -> None:
    if which == "hold":
        first, again = shop.hold(3, key="k"), shop.hold(3, key="k")
    else:
        hold = shop.hold(3).body["id"]
        ask = shop.capture if which == "capture" else shop.release
        first, again = ask(hold, key="k"), ask(hold, key="k")

    assert (again.status, again.text, again.replayed) == (first.status, first.text, True)
    assert shop.balance()["credits"]["available"] + shop.balance()["credits"]["held"] in (7, 10)


def test_a_key_works_for_one_request_only(shop: Service) -> None:
    hold = shop.hold(3, key="hold").body["id"]
    shop.capture(hold, 2, key="capture")

    assert shop.hold(4, key="hold").code == "idempotency_key_reused"
    assert shop.capture(hold, 1, key="capture").code == "idempotency_key_reused"
    assert shop.release(hold, key="capture").code == "idempotency_key_reused"
    assert shop.spend(key="hold").code == "idempotency_key_reused"
    assert shop.capture("hold_000000000099", 2, key="capture").code == "idempotency_key_reused"


@pytest.mark.parametrize("ask", ["capture", "release"])
def test_an_ended_hold_states_how_it_ended(shop: Service, clock: Clock, ask: str) -> None:
    captured, released, lapsed = (shop.hold(2, more={"ttl_seconds": 900}).body["id"] for _ in range(3))
    capture = shop.capture(captured).body["id"]
    shop.release(released)
    clock.now += timedelta(minutes=15)

    answers = [getattr(shop, ask)(hold) for hold in (captured, released, lapsed)]

    assert [(answer.status, answer.code) for answer in answers] == [
        (409, "already_captured"),
        (409, "hold_released"),
        (409, "hold_lapsed"),
    ]
    assert answers[0].body["capture"] == capture
    assert answers[2].body["lapsed_at"] == "2026-06-16T13:15:00.000Z"
    assert [shop(HOLD, id=hold).body["state"] for hold in (captured, released, lapsed)] == [
        "captured",
        "released",
        "lapsed",
    ]


def test_how_a_hold_ended_is_found_behind_many_entries(shop: Service, clock: Clock) -> None:
    holds = [shop.hold(1).body["id"] for _ in range(4)]
    shop.spend()
    shop.release(holds[1])
    shop.spend()
    shop.capture(holds[0])
    clock.now += timedelta(hours=1)
    for _ in range(3):
        shop.spend()

    states = [shop(HOLD, id=hold).body for hold in holds]

    assert [state["state"] for state in states] == ["captured", "released", "lapsed", "lapsed"]
    assert [state["capture"] for state in states] == ["cap_000000000010", None, None, None]
    assert types(shop.stored()).count("release") == 2


def test_a_lapse_frees_credits_without_a_timer(shop: Service, clock: Clock) -> None:
    hold = shop.hold(10).body["id"]
    assert shop.spend().status == 402
    clock.now += timedelta(minutes=15)

    assert shop.balance()["credits"] | {"lots": []} == shop.balance()["credits"] | {
        "available": 10,
        "held": 0,
        "lots": [],
    }
    assert shop(HOLD, id=hold).body["state"] == "lapsed"
    assert shop.spend(10).status == 201
    assert types(shop.stored())[-2:] == ["release", "consumption"]


def test_a_lapsed_hold_is_charged_as_a_debit_with_the_same_key(shop: Service, clock: Clock) -> None:
    hold = shop.hold(3).body["id"]
    clock.now += timedelta(minutes=15)

    assert shop.capture(hold, key="job-1").code == "hold_lapsed"
    assert shop.spend(3, key="job-1").status == 201


def test_the_hundred_and_first_hold_is_refused(service: Service) -> None:
    service.open(credits=500)
    holds = [service.hold().body["id"] for _ in range(100)]

    refused = service.hold()

    assert (refused.status, refused.code) == (409, "too_many_holds")
    assert refused.body["detail"] == "The account has 100 holds already. Capture or release some."
    service.release(holds[50])
    assert service.hold().status == 201


def test_holds_of_too_many_lots_are_refused_for_the_lots(storefront: Storefront, service: Service) -> None:
    """An account has more than 500 lots only when a purchase comes on top."""
    StoreDriver(service.table).open_with_lots(MAX_HELD_LOTS, "zoo")
    hold = service.hold(MAX_HELD_LOTS, account="zoo").body["id"]
    purchase = storefront.sell(account="zoo")
    storefront.deliver_all(storefront.pay(purchase))

    refused = service.hold(account="zoo")

    assert (refused.status, refused.code) == (409, "too_many_holds")
    assert refused.body["detail"].endswith("credits of more than 500 lots. Capture or release some.")
    service.capture(hold, account="zoo")
    assert service.hold(account="zoo").status == 201


def test_a_hold_keeps_its_quota_across_a_plan_change(shop: Service) -> None:
    captured, released = (shop.hold(quantity, "ai_service").body["id"] for quantity in (3, 2))
    assert shop(PATCH_ACCOUNT, json={"plan": "none"}).status == 200
    assert shop.balance()["quotas"] == []

    capture, release = shop.capture(captured, 2).body, shop.release(released).body
    shop(PATCH_ACCOUNT, json={"plan": "individual"})

    assert capture["draws"] == [{"source": "quota", "feature": "ai_service", "units": 2}]
    assert capture["returned"] == [{"source": "quota", "feature": "ai_service", "units": -1}]
    assert release["returned"] == [{"source": "quota", "feature": "ai_service", "units": -2}]
    assert [(capture["credits"], capture["balance"]["available"]), shop.balance()["quotas"][0]["used"]] == [(0, 10), 2]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("ttl_seconds", 0),
        ("ttl_seconds", 86_401),
        ("ttl_seconds", -1),
        ("ttl_seconds", 1.5),
        ("quantity", 0),
        ("quantity", 10_001),
        ("feature", "films"),
    ],
)
def test_a_wrong_hold_is_refused(shop: Service, member: str, value: Any) -> None:
    answer = shop(PLACE_HOLD, json={"feature": "sticker", "quantity": 1, member: value})

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert [error["field"] for error in answer.body["errors"]] == [member]


@pytest.mark.parametrize("quantity", [-1, 4, 10_001, "1", True, 1.5])
def test_a_wrong_quantity_of_a_capture_is_refused(shop: Service, quantity: Any) -> None:
    hold = shop.hold(3).body["id"]

    answer = shop(CAPTURE, id=hold, json={"quantity": quantity})

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert shop.balance()["credits"]["held"] == 3


def test_a_capture_of_nothing_is_a_capture(shop: Service) -> None:
    hold = shop.hold(3).body["id"]

    answer = shop.capture(hold, 0)

    assert (answer.status, answer.body["quantity"], answer.body["draws"]) == (200, 0, [])
    assert shop.release(hold).code == "already_captured"


def test_only_a_hold_of_this_account_is_ended(shop: Service) -> None:
    shop.open("zoo", credits=10)
    hold, consumption = shop.hold(3).body["id"], shop.spend().body["id"]
    names = ("hold_000000000099", consumption, f"con_{hold[5:]}", f"hold_{consumption[4:]}", "hold_1", hold.upper())

    for name in names:
        for answer in (shop.capture(name), shop.release(name), shop(HOLD, id=name)):
            assert (answer.status, answer.code) == (404, "hold_not_found")
    for answer in (shop.capture(hold, account="zoo"), shop.release(hold, account="zoo")):
        assert (answer.status, answer.code) == (404, "hold_not_found")
    assert shop.balance()["credits"]["held"] == 3


@pytest.mark.parametrize("route", [PLACE_HOLD, CAPTURE, RELEASE, HOLD])
def test_a_strangers_account_looks_like_a_missing_one(shop: Service, route: str) -> None:
    path = {} if route == PLACE_HOLD else {"id": shop.hold().body["id"]}
    body = {PLACE_HOLD: {"feature": "sticker"}, CAPTURE: {}}.get(route)

    strange = shop(route, "acme", json=body, by=caller(account="zoo"), **path)
    missing = shop(route, "nobody", json=body, **path)

    assert (strange.status, strange.code) == (missing.status, missing.code) == (404, "account_not_found")


def test_what_a_hold_reserved_of_an_ended_lot_is_spent_or_lost(service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-06-16T13:10:00Z")
    service.give(10)
    first, second = (service.hold(quantity).body["id"] for quantity in (4, 3))
    clock.now += timedelta(minutes=10)

    captured, released = service.capture(first, 3).body, service.release(second).body

    assert [(draw["lot"], draw["credits"]) for draw in captured["draws"]] == [("lot_000000000002", 3)]
    assert [(draw["lot"], draw["credits"]) for draw in captured["expired"]] == [("lot_000000000002", 1)]
    assert [(draw["lot"], draw["credits"]) for draw in released["expired"]] == [("lot_000000000002", 1)]
    assert [(draw["lot"], draw["credits"]) for draw in released["returned"]] == [("lot_000000000003", -2)]
    assert service.balance()["credits"]["available"] == 10
    assert lines(service.stored())[-1]["type"] == "release"
