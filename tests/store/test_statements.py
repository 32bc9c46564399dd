"""Stored statements: computed once for a closed month, from few reads, and compared with the ledger by the verifier."""

import json
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from prepaid.core.errors import AccountNotFound, InvalidRequest
from prepaid.core.statement import Statement
from prepaid.store.items import CHECKSUM, checksum
from prepaid.store.ledger import read_tail
from prepaid.use_cases.reporting import (
    computed_statement,
    read_span,
    statement_of_month,
    statements_between,
)
from tests.support.core_builders import civil
from tests.support.corruptions import variants
from tests.support.store_driver import NO_QUOTA, QUOTA_100, Stored, StoreDriver
from tests.support.whole_table import WholeTable, verified

JUNE, JULY, AUGUST = (date(2026, month, 1) for month in (6, 7, 8))
OPENED = civil("2026-06-16 10:00")
MINUTE = timedelta(minutes=1)
IN_AUGUST = civil("2026-08-10 12:00")


@pytest.fixture
def whole() -> WholeTable:
    return WholeTable()


@pytest.fixture
def driver(whole: WholeTable) -> StoreDriver:
    """Account acme, opened in June, spends three credits in June and two in July."""
    driver = StoreDriver(whole.table)
    driver.open("acme", NO_QUOTA, credits=100, at=OPENED)
    for count in range(3):
        driver.debit(1, at=OPENED + count * MINUTE)
    driver.debit(2, at=civil("2026-07-01 00:00"))
    return driver


def statement(driver: StoreDriver, month: date, now: datetime = IN_AUGUST) -> Statement:
    return statement_of_month(driver.table, read_span(driver.table, "acme"), month, catalog=driver.catalog, now=now)


def rows(whole: WholeTable) -> Stored:
    return {key: item for key, item in whole.snapshot().items() if key[0].startswith("STATEMENT#")}


def test_a_closed_month_is_stored_once(driver: StoreDriver, whole: WholeTable) -> None:
    june = statement(driver, JUNE)
    stored = rows(whole)

    again = statement(driver, JUNE, now=IN_AUGUST + 400 * MINUTE)

    assert again == june
    assert list(stored) == [("STATEMENT#acme", "2026-06")]
    assert rows(whole) == stored


def test_a_stored_month_never_changes(driver: StoreDriver) -> None:
    july = statement(driver, JULY)
    # As if an entry had been added to it late: the verifier reports that, and the statement stays.
    driver.debit(5, at=civil("2026-07-31 23:00"))
    driver.debit(5, at=IN_AUGUST)

    assert statement(driver, JULY) == july
    assert statement(driver, AUGUST).moved.spent == -5


@pytest.mark.parametrize(("minutes", "stored"), [(-1, False), (14, False), (15, True)])
def test_a_month_is_stored_when_it_is_closed(
    driver: StoreDriver, whole: WholeTable, minutes: int, stored: bool
) -> None:
    statement(driver, JULY, now=civil("2026-08-01 00:00") + minutes * MINUTE)

    assert (("STATEMENT#acme", "2026-07") in rows(whole)) is stored


def test_the_current_month_has_what_the_ledger_lacks_yet(driver: StoreDriver) -> None:
    driver.grant(7, validity=civil("2026-08-05 00:00"), at=civil("2026-08-02 09:00"))

    august = statement(driver, AUGUST)

    assert (august.moved.promotional, august.moved.expired, august.closing) == (7, -7, 95)
    assert read_tail(driver.table, "acme").entry.after.available == 102
    # The grant; the expiry is not written yet.
    assert (august.entries, august.last_entry) == (1, read_tail(driver.table, "acme").entry.number)


def test_months_chain_and_end_with_the_balance(driver: StoreDriver) -> None:
    span = read_span(driver.table, "acme")
    months = statements_between(driver.table, span, JUNE, AUGUST, catalog=driver.catalog, now=IN_AUGUST)

    assert [month.month for month in months] == [JUNE, JULY, AUGUST]
    assert [(month.opening, month.closing) for month in months] == [(0, 97), (97, 95), (95, 95)]
    assert [month.starts_at for month in months[1:]] == [month.ends_at for month in months[:-1]]
    assert months[0].entries + months[1].entries == read_tail(driver.table, "acme").entry.number


@pytest.mark.parametrize("stored_first", [[], [JUNE], [JULY], [JUNE, JULY]])
def test_each_route_to_a_statement_gives_the_same(driver: StoreDriver, stored_first: list[date]) -> None:
    for month in stored_first:
        statement(driver, month)

    span = read_span(driver.table, "acme")
    months = statements_between(driver.table, span, JUNE, JULY, catalog=driver.catalog, now=IN_AUGUST)

    assert list(months) == [computed_statement(driver.table, "acme", month) for month in (JUNE, JULY)]


@pytest.mark.parametrize("month", [date(2026, 5, 1), date(2026, 9, 1), date(2031, 1, 1)])
def test_a_month_outside_the_accounts_time_is_refused(driver: StoreDriver, whole: WholeTable, month: date) -> None:
    with pytest.raises(InvalidRequest):
        statement(driver, month)

    assert rows(whole) == {}


def test_an_unknown_account_has_no_statement(driver: StoreDriver) -> None:
    with pytest.raises(AccountNotFound):
        read_span(driver.table, "nobody")


@dataclass
class CountingClient:
    """A client that counts its calls, and the items that a query returns."""

    client: Any
    calls: Counter[str] = field(default_factory=Counter)

    def __getattr__(self, name: str) -> Any:
        def counted(**params: Any) -> Any:
            answer = getattr(self.client, name)(**params)
            self.calls[name] += 1
            self.calls["items"] += len(answer.get("Items", ()))
            return answer

        return counted


def test_a_year_reads_twelve_rows_and_the_current_months_entries(driver: StoreDriver) -> None:
    now = civil("2027-06-15 12:00")
    arguments: dict[str, Any] = {
        "first": date(2026, 7, 1),
        "last": date(2027, 6, 1),
        "catalog": driver.catalog,
        "now": now,
    }
    driver.debit(1, at=now - MINUTE)
    first = statements_between(driver.table, read_span(driver.table, "acme"), **arguments)
    driver.debit(1, at=now)
    counting = CountingClient(driver.table.client)
    table = replace(driver.table, client=counting)  # type: ignore[arg-type]

    again = statements_between(table, read_span(table, "acme"), **arguments)

    assert again[:-1] == first[:-1]
    assert again[-1].moved.spent == -2
    # The newest entry; eleven rows of the year (June 2026 isn't stored); the entry before the month, and its two.
    assert counting.calls == {"query": 3, "get_item": 1, "items": 1 + 11 + 3}


def test_the_verifier_accepts_what_is_stored(driver: StoreDriver, whole: WholeTable) -> None:
    driver.open("zoo", QUOTA_100, at=civil("2026-03-31 23:59"))
    for account in ("acme", "zoo"):
        span = read_span(driver.table, account)
        statements_between(driver.table, span, date(2026, 1, 1), AUGUST, catalog=driver.catalog, now=IN_AUGUST)

    assert len(rows(whole)) == 2 + 5
    assert verified(whole.table, now=IN_AUGUST).findings == []


def test_the_verifier_finds_each_changed_value(driver: StoreDriver, whole: WholeTable) -> None:
    """Even with a checksum that fits."""
    statement(driver, JULY)
    clean = whole.snapshot()
    [(key, item)] = rows(whole).items()
    unseen = []
    for path, changed in variants(json.loads(item["body"]["S"])):
        whole.hold({**clean, key: resummed(item, changed)})
        if not verified(whole.table, now=IN_AUGUST).findings:
            unseen.append(path)

    assert unseen == []


def resummed(item: Any, body: Any) -> Any:
    changed = {**item, "body": {"S": json.dumps(body, separators=(",", ":"))}}
    return {**changed, CHECKSUM: {"B": b64encode(checksum(changed)).decode()}}


def test_the_verifier_finds_an_entry_added_to_a_closed_month(driver: StoreDriver, whole: WholeTable) -> None:
    statement(driver, JULY)

    driver.debit(1, at=civil("2026-07-31 23:00"))

    assert {finding.code for finding in verified(whole.table, now=IN_AUGUST).findings} == {"statement_differs"}


def test_the_verifier_finds_a_statement_of_no_account(driver: StoreDriver, whole: WholeTable) -> None:
    statement(driver, JULY)
    [(key, item)] = rows(whole).items()
    stray = ("STATEMENT#nobody", key[1])
    whole.hold({**whole.snapshot(), stray: {**item, "PK": {"S": stray[0]}}})

    assert {(finding.code, finding.account) for finding in verified(whole.table, now=IN_AUGUST).findings} >= {
        ("statement_differs", "nobody")
    }
