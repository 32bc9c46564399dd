"""Reversals over the API: whole and partial, of consumptions and captures, each unit at most once."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import REVERSE
from tests.support.gateway_events import caller
from tests.support.handlers import Clock
from tests.support.in_process import Service

LOT = {"source": "lot", "lot": "lot_000000000002", "expires_at": "2027-06-17T03:00:00.000Z"}


@pytest.fixture
def shop(service: Service) -> Service:
    service.open(plan="individual", ai_enabled=True, credits=10)
    return service


def test_a_reversal_returns_the_units_drawn_last(shop: Service) -> None:
    charge = shop.spend(104, "ai_service").body["id"]

    answer = shop.reverse(charge, 5)

    assert (answer.status, answer.replayed) == (201, False)
    assert answer.body == {
        "id": "rev_000000000004",
        "entry": 4,
        "reversed_entry": 3,
        "feature": "ai_service",
        "quantity": 5,
        "credits": 4,
        "quota": 1,
        "owed": 0,
        "draws": [{"source": "quota", "feature": "ai_service", "units": -1}, LOT | {"credits": -4}],
        "lot": None,
        "reason": "the job failed",
        "balance": {"available": 10, "quota_remaining": 1},
        "created_at": "2026-06-16T13:00:00.000Z",
    }


def test_no_unit_is_returned_twice(shop: Service) -> None:
    charge = shop.spend(6).body["id"]

    answers = [shop.reverse(charge, quantity) for quantity in (2, 5, 3, None, None, 1)]

    assert [answer.status for answer in answers] == [201, 409, 201, 201, 409, 409]
    assert [answer.code for answer in answers if answer.status == 409] == ["already_reversed"] * 3
    assert [answer.body["reversible"] for answer in answers if answer.status == 409] == [4, 0, 0]
    assert shop.balance()["credits"]["available"] == 10


def test_a_retry_gets_the_original_response(shop: Service) -> None:
    charge = shop.spend(6).body["id"]
    first = shop.reverse(charge, key="k")

    again = shop.reverse(charge, key="k")

    assert (again.status, again.text, again.replayed) == (201, first.text, True)
    assert shop.balance()["credits"]["available"] == 10
    assert shop.reverse(charge, 1, key="k").code == "idempotency_key_reused"
    assert shop.reverse("con_000000000099", key="k").code == "idempotency_key_reused"


def test_a_capture_is_reversed_by_its_id(shop: Service) -> None:
    hold = shop.hold(104, "ai_service", more={"customer": "customer-118", "reference": "job-1"}).body["id"]
    capture = shop.capture(hold, 102).body["id"]

    answer = shop.reverse(capture)

    assert (answer.status, answer.body["credits"], answer.body["quota"]) == (201, 2, 100)
    entry = shop.history()[0]
    assert (entry["customer"], entry["reference"], entry["description"]) == ("customer-118", "job-1", "the job failed")


def test_a_captures_quota_returns_in_the_period_of_its_hold(service: Service, clock: Clock) -> None:
    service.open(plan="individual", ai_enabled=True, quota_anchor_day=17)
    hold = service.hold(3, "ai_service", more={"ttl_seconds": 86_400}).body["id"]
    clock.now += timedelta(hours=20)
    capture = service.capture(hold).body["id"]
    service.spend(5, "ai_service")

    answer = service.reverse(capture)

    assert (answer.status, answer.body["quota"], answer.body["quantity"]) == (201, 0, 3)
    assert service.balance()["quotas"][0]["used"] == 5


def test_after_the_lots_end_credits_return_for_a_week(service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-06-20T00:00:00Z")
    charge = service.spend(3).body["id"]
    clock.now += timedelta(days=30)

    answer = service.reverse(charge)

    assert answer.body["lot"] == "lot_000000000005"
    [lot] = service.balance()["credits"]["lots"]
    assert (lot["lot"], lot["kind"], lot["remaining"]) == ("lot_000000000005", "promotion", 3)
    assert lot["expires_at"] == "2026-07-23T13:00:00.000Z"
    clock.now += timedelta(days=7)
    assert service.balance()["credits"]["available"] == 0


@pytest.mark.parametrize("name", ["gra_000000000002", "rev_000000000004", "con_000000000002", "con_000000000004"])
def test_only_a_charge_can_be_reversed(shop: Service, name: str) -> None:
    shop.reverse(shop.spend(3).body["id"], 1)

    answer = shop.reverse(name)

    assert (answer.status, answer.code) == (404, "consumption_not_found")


@pytest.mark.parametrize("name", ["con_000000000099", "con_3", "", "lot_000000000002", "hold_000000000003"])
def test_an_entry_that_is_not_there_is_not_reversed(shop: Service, name: str) -> None:
    shop.hold(3)

    assert shop.reverse(name).code == "consumption_not_found"


@pytest.mark.parametrize("member", [{"quantity": 0}, {"quantity": -1}, {"quantity": 10_001}, {"reason": ""}])
def test_a_wrong_reversal_is_refused(shop: Service, member: dict[str, Any]) -> None:
    charge = shop.spend(3).body["id"]

    answer = shop(REVERSE, id=charge, json={"quantity": 1, "reason": "r", **member})

    assert (answer.status, [error["field"] for error in answer.body["errors"]]) == (422, list(member))


def test_a_strangers_account_looks_like_a_missing_one(shop: Service) -> None:
    charge = shop.spend(3).body["id"]
    body = {"reason": "r"}

    strange = shop(REVERSE, "acme", json=body, id=charge, by=caller(account="zoo"))
    missing = shop(REVERSE, "nobody", json=body, id=charge)

    assert (strange.status, strange.code) == (missing.status, missing.code) == (404, "account_not_found")
