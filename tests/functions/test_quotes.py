"""POST quotes: what a consumption would draw, or what is missing."""

from datetime import timedelta

import pytest

from tests.support.api import GET_CATALOG, PUT_CATALOG, QUOTE
from tests.support.gateway_events import ADMIN
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront
from tests.support.wire import Wire

AS_OF = "2026-06-16T13:00:00.000Z"


def test_a_quote_returns_what_a_consumption_would_draw(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=9)
    before = service.stored()

    quoted = service.quote(103, "ai_service")

    assert quoted.status == 200
    assert quoted.body == {
        "account": "acme",
        "as_of": AS_OF,
        "feature": "ai_service",
        "quantity": 103,
        "affordable": True,
        "credits": 3,
        "quota": 100,
        "draws": [
            {"source": "quota", "feature": "ai_service", "units": 100},
            {"source": "lot", "lot": "lot_000000000002", "credits": 3, "expires_at": "2027-06-17T03:00:00.000Z"},
        ],
        "missing": 0,
    }
    assert service.stored() == before
    assert service.spend(103, "ai_service").body["draws"] == quoted.body["draws"]


def test_a_quote_states_what_is_missing_and_both_remedies(service: Service) -> None:
    service.open(plan="individual", ai_enabled=True, credits=9)

    quoted = service.quote(200, "ai_service")

    assert quoted.body == {
        "account": "acme",
        "as_of": AS_OF,
        "feature": "ai_service",
        "quantity": 200,
        "affordable": False,
        "credits": 100,
        "quota": 100,
        "draws": [],
        "missing": 91,
        "suggested_pack": "credits-100",
        "renews_at": "2026-07-01T03:00:00.000Z",
    }
    refused = service.spend(200, "ai_service").body
    assert (refused["suggested_pack"], refused["renews_at"]) == ("credits-100", "2026-07-01T03:00:00.000Z")
    assert refused["needed"] - refused["available"] == 91


def test_no_pack_is_suggested_when_none_is_large_enough(service: Service) -> None:
    service.open(credits=1)

    quoted = service.quote(10_000).body

    assert (quoted["missing"], quoted["suggested_pack"], quoted["renews_at"]) == (9_999, None, None)


def test_quantity_is_one_by_default(service: Service) -> None:
    service.open(credits=1)

    assert service(QUOTE, json={"feature": "sticker"}).body["quantity"] == 1


def test_a_quote_draws_on_no_expired_lot(service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    service.give(3, expires_at="2026-06-16T15:00:00Z")
    clock.now += timedelta(hours=1)
    before = service.stored()

    quoted = service.quote(4).body

    assert (quoted["affordable"], quoted["missing"]) == (False, 1)
    assert service.quote(3).body["draws"][0]["lot"] == "lot_000000000003"
    assert service.stored() == before


def test_a_retired_and_an_unknown_feature_are_refused_as_a_debit_is(service: Service) -> None:
    service.open(credits=5)
    catalog = service(GET_CATALOG).body
    catalog["features"] = [feature for feature in catalog["features"] if feature["id"] != "sticker"]
    del catalog["version"]
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": "1"}, by=ADMIN).status == 200

    for feature, code in (("sticker", "feature_retired"), ("unheard", "invalid_request")):
        quoted, charged = service.quote(1, feature), service.spend(1, feature)
        assert (quoted.status, quoted.code) == (charged.status, charged.code) == (422, code)
        assert quoted.body == charged.body


@pytest.mark.parametrize("member", ["description", "customer", "reference", "idempotency_key"])
def test_a_quote_takes_no_texts(service: Service, member: str) -> None:
    service.open(credits=5)

    answer = service(QUOTE, json={"feature": "sticker", member: "x"})

    assert (answer.status, answer.fields) == (422, [member])


def test_a_quote_is_one_query(service: Service) -> None:
    service.open(credits=5)
    service.quote()

    with Wire.tapped(service.table.client) as wire:
        assert service.quote().body["affordable"]
        assert not service.quote(6).body["affordable"]

    assert wire.calls == ["Query", "Query"]


def test_a_suggested_pack_covers_what_is_owed_too(storefront: Storefront, service: Service) -> None:
    """30 credits are missing and 80 owed: after a pack of 100, which settles the debt first, 20 would be there."""
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    service.spend(80)
    storefront.deliver_all(storefront.refund(purchase))
    assert service.balance()["credits"]["owed"] == 80

    quoted, refused = service.quote(30).body, service.spend(30)

    assert (quoted["affordable"], quoted["missing"], quoted["suggested_pack"]) == (False, 30, "credits-500")
    assert (refused.status, refused.body["suggested_pack"]) == (402, "credits-500")
    assert service.quote(20).body["suggested_pack"] == "credits-100"
