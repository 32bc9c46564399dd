"""Rule 19: an administrator takes back what remains of a grant."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import VOID
from tests.support.gateway_events import caller
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.store_driver import lines, types
from tests.support.stripe_purchases import Storefront

GRANT_ID = "gra_000000000002"


@pytest.fixture
def granted(service: Service) -> Service:
    """500,000 credits instead of 50,000, by entry 2."""
    service.open()
    assert service.give(500_000)["id"] == GRANT_ID
    return service


def test_a_wrong_grant_is_taken_back(granted: Service) -> None:
    answer = granted.void(GRANT_ID, credits=450_000)

    assert (answer.status, answer.replayed) == (201, False)
    assert answer.body == {
        "id": "voi_000000000003",
        "entry": 3,
        "grant": GRANT_ID,
        "lot": "lot_000000000002",
        "credits": 450_000,
        "remaining": 50_000,
        "reason": "a mistake",
        "balance": {"available": 50_000, "quota_remaining": 0},
        "created_at": "2026-06-16T13:00:00.000Z",
    }
    assert granted.balance()["credits"]["available"] == 50_000


def test_without_a_number_all_that_remains_is_taken_back(granted: Service) -> None:
    granted.spend(200)

    answer = granted.void(GRANT_ID)

    assert (answer.body["credits"], answer.body["remaining"]) == (499_800, 0)
    credits = granted.balance()["credits"]
    assert (credits["available"], credits["owed"], credits["lots"]) == (0, 0, [])


def test_a_grant_is_voided_in_several_parts(granted: Service) -> None:
    answers = [granted.void(GRANT_ID, credits=credits) for credits in (1, 2, None)]

    assert [answer.body["remaining"] for answer in answers] == [499_999, 499_997, 0]
    assert types(granted.stored()) == ["plan_change", "grant", "void", "void", "void"]


def test_a_grant_is_found_by_the_lot_that_balance_and_history_show(granted: Service) -> None:
    [lot] = granted.balance()["credits"]["lots"]

    assert granted.void(lot["lot"], credits=1, key="k").body["grant"] == GRANT_ID
    assert granted.void(GRANT_ID, credits=1, key="k").replayed


@pytest.mark.parametrize(("credits", "left"), [(500_001, 500_000), (1_000_000_000, 500_000)])
def test_a_void_of_too_much_states_what_remains(granted: Service, credits: int, left: int) -> None:
    before = granted.stored()

    answer = granted.void(GRANT_ID, credits=credits)

    assert (answer.status, answer.code, answer.body["remaining"]) == (409, "exceeds_remaining", left)
    assert answer.body["detail"] == f"Credits that remain of this grant: {left}."
    assert granted.stored() == before


@pytest.mark.parametrize("credits", [None, 1])
def test_nothing_is_voided_once_nothing_remains(granted: Service, credits: int | None) -> None:
    granted.void(GRANT_ID)
    before = granted.stored()

    answer = granted.void(GRANT_ID, credits=credits)

    assert (answer.status, answer.code, answer.body["remaining"]) == (409, "exceeds_remaining", 0)
    assert answer.body["detail"].startswith("Nothing remains")
    assert granted.stored() == before


@pytest.mark.parametrize("swept", [False, True])
def test_an_expired_grant_has_nothing_to_void(service: Service, clock: Clock, swept: bool) -> None:
    service.open(credits=5)
    grant = service.give(7, valid_months=1)["id"]
    clock.now += timedelta(days=40)
    if swept:
        service.spend(1)
    before = service.stored()

    answer = service.void(grant)

    assert (answer.status, answer.code, answer.body["remaining"]) == (409, "exceeds_remaining", 0)
    assert service.stored() == before


def test_a_retry_gets_the_original_response_whatever_came_since(granted: Service, clock: Clock) -> None:
    first = granted.void(GRANT_ID, key="the-key")
    granted.give(3)
    clock.now += timedelta(days=800)
    before = granted.stored()

    again = granted.void(GRANT_ID, key="the-key")

    assert (again.status, again.text, again.replayed) == (201, first.text, True)
    assert granted.stored() == before


def test_a_key_is_for_one_void(granted: Service) -> None:
    granted.give(3)
    granted.void(GRANT_ID, credits=5, key="the-key")
    before = granted.stored()

    others = [
        granted.void(GRANT_ID, credits=6, key="the-key"),
        granted.void(GRANT_ID, key="the-key"),
        granted.void("gra_000000000003", credits=1, key="the-key"),
        granted.void("gra_000000000099", credits=5, key="the-key"),
        granted.void("nonsense", credits=5, key="the-key"),
        granted(VOID, json={"credits": 5, "reason": "another reason"}, id=GRANT_ID, key="the-key"),
        granted.spend(1, key="the-key"),
    ]

    assert [(answer.status, answer.code) for answer in others] == [(409, "idempotency_key_reused")] * len(others)
    assert granted.stored() == before


def test_a_refused_void_does_not_use_up_its_key(granted: Service) -> None:
    assert granted.void(GRANT_ID, credits=500_001, key="the-key").status == 409
    assert granted.void("gra_000000000099", key="the-key").status == 404

    assert (granted.void(GRANT_ID, credits=5, key="the-key").status, granted.spend(1).status) == (201, 201)


@pytest.mark.parametrize(
    "id_",
    [
        "gra_000000000001",
        "gra_000000000003",
        "gra_000000000004",
        "gra_000000000000",
        "lot_000000000003",
        "con_000000000002",
        "con_000000000003",
        "pur_01a218a078c1f32f66f9",
        "gra_2",
        "gra_0000000000002",
        "GRA_000000000002",
        "gra_00000000000２",
        "gra_000000000002 ",
        "2",
        "é",
        "ENTRY#000000000002",
    ],
)
def test_an_unknown_grant_is_not_found(granted: Service, id_: str) -> None:
    granted.spend(1)
    before = granted.stored()

    answer = granted.void(id_)

    assert (answer.status, answer.code) == (404, "grant_not_found")
    assert granted.stored() == before


def test_another_accounts_grant_is_not_found(granted: Service) -> None:
    granted.open("other")

    answer = granted.void(GRANT_ID, "other")

    assert (answer.status, answer.code) == (404, "grant_not_found")
    assert granted.balance()["credits"]["available"] == 500_000


@pytest.mark.parametrize("id_", [GRANT_ID, "nonsense"])
def test_an_unknown_account_and_a_strangers_look_alike(granted: Service, id_: str) -> None:
    unknown = granted.void(id_, "nobody")
    strangers = granted.void(id_, by=caller(account="other", scope="prepaid/admin"))

    assert (unknown.status, unknown.code) == (404, "account_not_found")
    assert strangers.text == unknown.text


@pytest.mark.parametrize("spent", [0, 100])
def test_bought_credits_are_refunded_and_not_voided(service: Service, storefront: Storefront, spent: int) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    lot = service.balance()["credits"]["lots"][0]["lot"]
    if spent:
        service.spend(spent)
    before = service.stored()

    answer = service.void(lot)

    assert (answer.status, answer.code) == (409, "purchase_not_voidable")
    assert "Refund the payment at Stripe" in answer.body["detail"]
    assert service.stored() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"credits": 0, "reason": "r"}, "credits"),
        ({"credits": -1, "reason": "r"}, "credits"),
        ({"credits": 1.5, "reason": "r"}, "credits"),
        ({"credits": "1", "reason": "r"}, "credits"),
        ({"credits": True, "reason": "r"}, "credits"),
        ({"credits": 1_000_000_001, "reason": "r"}, "credits"),
        ({"credits": 1}, "reason"),
        ({"credits": 1, "reason": ""}, "reason"),
        ({"reason": "r", "kind": "promotion"}, "kind"),
    ],
)
def test_a_malformed_void_is_rejected(granted: Service, body: dict[str, Any], field: str) -> None:
    before = granted.stored()

    answer = granted(VOID, json=body, id=GRANT_ID)

    assert (answer.status, answer.fields) == (422, [field])
    assert granted.stored() == before


def test_the_history_shows_a_void_with_its_lot_and_reason(granted: Service) -> None:
    granted.void(GRANT_ID, credits=5)

    [shown] = granted.history(type="void")

    assert shown | {"at": "", "draws": []} == {
        "entry": 3,
        "at": "",
        "type": "void",
        "credits": -5,
        "quota": 0,
        "quotas": [],
        "owed": 0,
        "feature": None,
        "quantity": None,
        "description": "a mistake",
        "customer": None,
        "reference": None,
        "source": "credits",
        "balance_after": 499_995,
        "quota_remaining": 0,
        "draws": [],
        "expired": [],
        "returned": [],
        "reverses": None,
        "holds": [],
        "lot": "lot_000000000002",
        "purchase": None,
        "actor": "admin-client",
        "erased": False,
    }
    assert [draw["credits"] for draw in shown["draws"]] == [5]
    assert [line["type"] for line in lines(granted.stored())][-1] == "void"


def test_a_void_in_a_csv_names_its_lot(granted: Service) -> None:
    granted.void(GRANT_ID, credits=5)

    text = granted("GET /v1/accounts/{account}/history", headers={"accept": "text/csv"}).text

    assert "void,-5,0,0,,,a mistake,,,credits,499995,0,lot_000000000002,,admin-client" in text


def test_a_void_and_a_new_grant_correct_a_wrong_expiry(service: Service) -> None:
    service.open()
    wrong = service.give(20, valid_months=120)
    service.spend(3)

    voided = service.void(wrong["id"])
    service.give(voided.body["credits"], valid_months=1)

    [lot] = service.balance()["credits"]["lots"]
    assert (lot["remaining"], lot["expires_at"]) == (17, "2026-07-17T03:00:00.000Z")
