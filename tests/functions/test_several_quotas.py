"""Rule 7: a plan with quotas of several features, as clients and managers see it."""

import pytest

from tests.support.api import CODE, GET_CATALOG, HISTORY, PUT_CATALOG
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.page_visits import entered

RENEWS = "2026-07-01T03:00:00.000Z"


@pytest.fixture
def shop(service: Service) -> Service:
    """Account acme on a plan with 20 stickers and 300 AI services, of which 5 and 7 are used."""
    catalog = service(GET_CATALOG).body
    version = catalog.pop("version")
    for plan in catalog["plans"]:
        if plan["id"] == "trio":
            plan["quotas"] = {"ai_service": 300, "sticker": 20}
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": str(version)}).status == 200
    service.open(plan="trio", ai_enabled=True, credits=2)
    service.spend(5)
    service.spend(7, "ai_service")
    return service


def test_a_balance_shows_each_quota_in_the_catalogs_order(shop: Service) -> None:
    assert shop.balance()["quotas"] == [
        {"feature": "sticker", "limit": 20, "used": 5, "remaining": 15, "renews_at": RENEWS},
        {"feature": "ai_service", "limit": 300, "used": 7, "remaining": 293, "renews_at": RENEWS},
    ]
    assert {name: found["units_left"] for name, found in shop.balance()["features"].items()} == {
        "sticker": 17,
        "ai_service": 295,
    }


def test_a_refusal_is_about_the_requested_feature(shop: Service) -> None:
    refused = shop.spend(18).body

    assert (refused["needed"], refused["available"], refused["quota_remaining"]) == (3, 2, 15)
    assert refused["renews_at"] == RENEWS


def test_a_consumption_states_what_is_left_of_its_feature(shop: Service) -> None:
    answer = shop.spend(3).body

    assert (answer["quota"], answer["credits"], answer["balance"]["quota_remaining"]) == (3, 0, 12)
    assert answer["draws"] == [{"source": "quota", "feature": "sticker", "units": 3}]


def test_the_history_states_each_quotas_renewal(shop: Service, clock: Clock) -> None:
    clock.now = clock.now.replace(month=7, day=2)
    shop.spend(1)

    renewal, spent = shop(HISTORY).body["entries"][1], shop(HISTORY).body["entries"][0]

    assert (renewal["type"], renewal["quota"], renewal["quota_remaining"]) == ("quota_renewal", 12, 320)
    assert sorted(renewal["quotas"], key=lambda moved: moved["feature"]) == [
        {"feature": "ai_service", "units": 7},
        {"feature": "sticker", "units": 5},
    ]
    assert (spent["quotas"], spent["quota_remaining"]) == ([{"feature": "sticker", "units": -1}], 19)


def test_the_page_has_a_bar_for_each_quota(shop: Service) -> None:
    shop.set_code(CODE)

    page = entered(shop).open("/portal")

    assert page.html.count('class="bar-used"') == 2
    assert "5 de 20" in page.text
    assert "7 de 300" in page.text
