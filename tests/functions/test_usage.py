"""What an account used in any span: by feature, by source, by civil day or month."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from prepaid.store.dynamodb import Table
from tests.support.api import PATCH_ACCOUNT, STATEMENT, USAGE
from tests.support.functions import Deployment
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.store_driver import FakeTime, StoreDriver
from tests.support.whole_table import WholeTable

JUNE, JULY = datetime(2026, 6, 10, tzinfo=UTC), datetime(2026, 7, 10, tzinfo=UTC)


@pytest.fixture
def shop(service: Service, clock: Clock) -> Service:
    """June: 2 stickers before midnight of the 16th in Sao Paulo, 3 after; July: AI services from quota and credits."""
    service.open(credits=500, plan="individual", ai_enabled=True)
    for at, quantity, feature in (
        ("2026-06-17T02:59:59.999Z", 2, "sticker"),
        ("2026-06-17T03:00:00Z", 3, "sticker"),
        ("2026-07-05T12:00:00Z", 103, "ai_service"),
        ("2026-07-06T12:00:00Z", 4, "ai_service"),
    ):
        clock.now = datetime.fromisoformat(at)
        assert service.spend(quantity, feature).status == 201
    return service


def usage(service: Service, **query: str) -> Any:
    answer = service(USAGE, query=query)
    assert answer.status == 200, answer
    return answer.body


def use(feature: str, source: str, units: int, credits: int = 0) -> dict[str, Any]:
    return {"feature": feature, "source": source, "units": units, "credits": credits}


def test_use_is_by_month_by_default(shop: Service) -> None:
    assert usage(shop) == {
        "account": "acme",
        "time_zone": "America/Sao_Paulo",
        "by": "month",
        "totals": [
            use("ai_service", "quota", 100),
            use("ai_service", "credits", 7, 7),
            use("sticker", "credits", 5, 5),
        ],
        "periods": [
            {"period": "2026-06", "uses": [use("sticker", "credits", 5, 5)]},
            {"period": "2026-07", "uses": [use("ai_service", "quota", 100), use("ai_service", "credits", 7, 7)]},
        ],
        "next_from": None,
    }


def test_days_are_civil_days_of_the_accounts_zone(shop: Service) -> None:
    body = usage(shop, by="day")
    shop(PATCH_ACCOUNT, json={"time_zone": "UTC"})

    assert {period["period"]: period["uses"][-1]["units"] for period in body["periods"]} == {
        "2026-06-16": 2,
        "2026-06-17": 3,
        "2026-07-05": 3,
        "2026-07-06": 4,
    }
    assert [period["period"] for period in usage(shop, by="day")["periods"]][:2] == ["2026-06-17", "2026-07-05"]


@pytest.mark.parametrize(
    ("query", "units"),
    [
        ({"from": "2026-06-17"}, [3, 107]),
        ({"to": "2026-06-17"}, [2]),
        ({"from": "2026-06-17", "to": "2026-07-06"}, [3, 103]),
        ({"from": "2026-06-17T03:00:00.001Z"}, [107]),
        ({"from": "2026-07-05T12:00:00Z", "to": "2026-07-06T12:00:00Z"}, [103]),
        ({"from": "2026-08-01"}, []),
        ({"to": "2020-01-01"}, []),
        ({"from": "2026-07-06", "to": "2026-06-17"}, []),
    ],
)
def test_a_span_has_its_own_use_only(shop: Service, query: dict[str, str], units: list[int]) -> None:
    body = usage(shop, **query)

    assert [sum(use["units"] for use in period["uses"]) for period in body["periods"]] == units


def test_a_month_has_the_use_of_its_statement(shop: Service) -> None:
    statement = shop(STATEMENT, month="2026-07").body["uses"]

    [july] = usage(shop, **{"from": "2026-07-01", "to": "2026-08-01"})["periods"]

    assert statement == [{"feature": "ai_service", "units": 107, "quota_units": 100, "credits": 7}]
    assert july["uses"] == [use("ai_service", "quota", 100), use("ai_service", "credits", 7, 7)]


def test_a_late_reversal_takes_back_what_each_source_paid(shop: Service, clock: Clock) -> None:
    charge = shop.history()[1]["entry"]
    clock.now = datetime.fromisoformat("2026-08-20T12:00:00Z")
    shop.spend(1, "ai_service")

    answer = shop.reverse(f"con_{charge:012d}")

    assert (answer.body["quota"], answer.body["credits"]) == (0, 3)
    body = usage(shop)
    assert body["periods"][-1]["uses"] == [use("ai_service", "quota", -99), use("ai_service", "credits", -3, -3)]
    assert body["totals"] == [
        use("ai_service", "quota", 1),
        use("ai_service", "credits", 4, 4),
        use("sticker", "credits", 5, 5),
    ]
    assert shop(STATEMENT, month="2026-08").body["uses"] == [
        {"feature": "ai_service", "units": -102, "quota_units": -99, "credits": -3}
    ]


def test_an_account_without_use_has_none(service: Service) -> None:
    service.open(credits=5)

    body = usage(service)

    assert (body["totals"], body["periods"], body["next_from"]) == ([], [], None)


@pytest.mark.parametrize(
    "query", [{"by": "week"}, {"by": ""}, {"from": "yesterday"}, {"to": "2026-02-30"}, {"at": "1"}]
)
def test_an_invalid_span_is_rejected(shop: Service, query: dict[str, str]) -> None:
    answer = shop(USAGE, query=query)

    assert (answer.status, answer.fields) == (422, list(query))


def test_use_writes_nothing(shop: Service, clock: Clock) -> None:
    before = shop.stored()
    clock.now = datetime.fromisoformat("2028-01-01T00:00:00Z")

    usage(shop, by="day")

    assert shop.stored() == before


# Long spans


@dataclass
class SlowTime(FakeTime):
    """A clock that moves each time it is read. Each call to the database reads it once."""

    step: float = 1.0

    def clock(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture(scope="module")
def long_ledger() -> Table:
    """In memory: 1,100 uses in June and as many in July."""
    driver = StoreDriver(WholeTable().table)
    driver.open(credits=5_000, at=JUNE)
    for at in (JUNE, JULY):
        for _ in range(1_100):
            driver.debit(at=at)
    return driver.table


@pytest.fixture
def slow(apps: dict[str, ModuleType], deployment: Deployment, table: Table, long_ledger: Table) -> Service:
    """The functions at that account, with time for the newest entry and two pages of a thousand entries."""
    functions = deployment.at(apps, table, Clock())
    functions.change(table=replace(long_ledger, deadline=SlowTime(step=3.5).deadline()))
    return Service(table=long_ledger, functions=functions)


def test_a_long_span_names_where_to_continue(slow: Service) -> None:
    first = usage(slow)
    slow.functions.change(table=replace(slow.table, deadline=FakeTime().deadline()))
    second = usage(slow, **{"from": first["next_from"]})

    assert (first["totals"], first["next_from"]) == ([use("sticker", "credits", 1100, 1100)], "2026-07-01")
    assert [period["period"] for period in first["periods"]] == ["2026-06"]
    assert (second["totals"], second["next_from"]) == (first["totals"], None)


def test_a_first_period_that_is_too_long_says_how_to_narrow(slow: Service) -> None:
    slow.functions.change(table=replace(slow.table, deadline=SlowTime(step=4.5).deadline()))

    answer = slow(USAGE)

    assert (answer.status, answer.fields) == (422, ["from"])
    assert "shorter span" in answer.body["detail"]


def test_a_span_of_which_nothing_was_read_in_time_is_busy(slow: Service) -> None:
    slow.functions.change(table=replace(slow.table, deadline=SlowTime(step=7.0).deadline()))

    answer = slow(USAGE, may_fail=True)

    assert (answer.status, answer.code) == (503, "busy")
