"""GET statement: a month's sums as JSON and CSV, final once the month is over."""

import csv
import io
from datetime import timedelta

import pytest

from tests.support.api import STATEMENT
from tests.support.handlers import Clock
from tests.support.in_process import Service

DAY = timedelta(days=1)


@pytest.fixture
def shop(service: Service, clock: Clock) -> Service:
    """Account acme, on plan trio: 100 credits, 302 AI services and five stickers in June 2026."""
    service.open(plan="trio", ai_enabled=True, credits=100)
    service.spend(302, "ai_service")
    service.spend(5)
    clock.now += DAY
    return service


def test_a_statement_adds_up(shop: Service) -> None:
    answer = shop(STATEMENT, month="2026-06")

    assert answer.status == 200
    assert answer.body == {
        "account": "acme",
        "month": "2026-06",
        "time_zone": "America/Sao_Paulo",
        "starts_at": "2026-06-01T03:00:00.000Z",
        "ends_at": "2026-07-01T03:00:00.000Z",
        "closed": False,
        "as_of": "2026-06-17T13:00:00.000Z",
        "entries": 4,
        "credits": {
            "opening": 0,
            "purchased": 0,
            "promotional": 100,
            "adjusted": 0,
            "returned": 0,
            "debt_settled": 0,
            "spent": -7,
            "reversed": 0,
            "held": 0,
            "expired": 0,
            "taken_back": 0,
            "voided": 0,
            "closing": 93,
        },
        "uses": [
            {"feature": "ai_service", "units": 302, "quota_units": 300, "credits": 2},
            {"feature": "sticker", "units": 5, "quota_units": 0, "credits": 5},
        ],
        "owed": {"opening": 0, "closing": 0},
    }


def test_a_closed_month_is_final(shop: Service, clock: Clock) -> None:
    clock.now += 30 * DAY
    closed = shop(STATEMENT, month="2026-06")

    clock.now += 30 * DAY
    shop.spend()

    assert (closed.body["closed"], closed.body["as_of"]) == (True, closed.body["ends_at"])
    assert shop(STATEMENT, month="2026-06").body == closed.body
    assert shop(STATEMENT, month="2026-07").body["credits"]["opening"] == closed.body["credits"]["closing"]


def test_a_statement_as_csv_has_a_line_for_each_movement(shop: Service) -> None:
    answer = shop(STATEMENT, month="2026-06", headers={"accept": "text/csv"})

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.startswith("\ufeffmonth,")
    lines = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    credits = {(line["line"], line["feature"]): line["credits"] for line in lines if line["credits"]}
    assert credits.pop(("closing", "")) == "93"
    assert sum(int(moved) for moved in credits.values()) == 93
    assert (credits["spent", "ai_service"], credits["spent", "sticker"]) == ("-2", "-5")
    assert [line["quota_units"] for line in lines if line["line"] == "spent"] == ["300", "0"]
    assert [line["owed"] for line in lines[-2:]] == ["0", "0"]


@pytest.mark.parametrize("month", ["2026-05", "2026-07", "1900-01", "2499-12"])
def test_a_month_before_or_after_the_account_is_refused(shop: Service, month: str) -> None:
    answer = shop(STATEMENT, month=month)

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["month"])


@pytest.mark.parametrize(
    "month", ["2026-6", "2026-13", "2026-00", "0000-01", "9999-12", "2026-06-01", "２０２６-06", "now"]
)
def test_an_invalid_month_is_refused(shop: Service, month: str) -> None:
    answer = shop(STATEMENT, month=month)

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["month"])


def test_an_unknown_parameter_is_refused(shop: Service) -> None:
    assert shop(STATEMENT, month="2026-06", query={"zone": "UTC"}).fields == ["zone"]


def test_an_unknown_account_has_no_statement(shop: Service) -> None:
    assert shop(STATEMENT, "nobody", month="2026-06").code == "account_not_found"
