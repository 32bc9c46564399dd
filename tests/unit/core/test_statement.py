"""Monthly statements: what each entry counts as, where a month begins and ends, and when it is closed."""

from dataclasses import replace
from datetime import date, timedelta
from typing import get_args

import pytest

from prepaid.core.account import Account
from prepaid.core.entry import Entry, EntryType
from prepaid.core.ledger import Settle, apply, open_account
from prepaid.core.statement import LINES, FeatureUse, Movements, Statement, is_closed, statements_of
from prepaid.core.usage import year_of_use
from tests.support.core_builders import (
    CATALOG,
    NEXT_JANUARY,
    NOW,
    a_change_to,
    a_debit,
    a_grant,
    a_lot,
    a_return,
    a_revocation,
    an_account,
    civil,
    run,
    some_terms,
)

JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)
SECOND = timedelta(seconds=1)


def june_of(account: Account | None, *entries: Entry) -> Statement:
    [statement] = statements_of(JUNE, JUNE, civil("2026-06-01 00:00"), account, entries)
    return statement


def test_each_type_of_entry_has_its_line() -> None:
    assert set(LINES) >= set(get_args(EntryType))
    assert {line for line in LINES.values() if line} <= set(Movements.__slots__)


def test_a_statement_adds_up() -> None:
    start = an_account(a_lot(40, number=2), terms=some_terms("trio"))
    end, entries = run(
        start,
        a_grant(500),
        a_grant(7, kind="promotion"),
        a_grant(3, kind="adjustment"),
        a_debit("sticker", 90),
        a_debit("ai_service", 310),
    )

    june = june_of(start, *entries)

    assert (june.opening, june.closing) == (40, end.available)
    assert june.moved == Movements(purchased=500, promotional=7, adjusted=3, spent=-100)
    assert june.closing - june.opening == june.moved.total
    assert june.uses == (
        FeatureUse(feature="ai_service", units=310, quota_units=300, credits=10),
        FeatureUse(feature="sticker", units=90, quota_units=0, credits=90),
    )
    assert june.quota_units == 300


def test_money_back_is_taken_back_and_returned() -> None:
    lot = a_lot(100, number=2)
    start = an_account(lot)
    _, entries = run(start, a_revocation(lot, 60), a_return(lot, 60))

    june = june_of(start, *entries)

    assert june.moved == Movements(taken_back=-60, returned=60)


def test_settled_debt_has_a_line_of_its_own() -> None:
    start = an_account(owed=12)
    _, entries = run(start, a_grant(100))

    june = june_of(start, *entries)

    assert june.moved == Movements(purchased=100, debt_settled=-12)
    assert (june.owed_opening, june.owed_closing) == (12, 0)
    assert (june.opening, june.closing) == (0, 88)


def test_an_expired_lot_is_a_line() -> None:
    start = an_account(a_lot(9))

    [entry] = apply(start, Settle(), catalog=CATALOG, now=NEXT_JANUARY)
    [january] = statements_of(date(2027, 1, 1), date(2027, 1, 1), civil("2027-01-01 00:00"), start, [entry])

    assert january.moved == Movements(expired=-9)


@pytest.mark.parametrize(("zone", "ends_at"), [("America/Sao_Paulo", "03:00"), ("Europe/Berlin", "22:00")])
def test_a_month_ends_at_local_midnight(zone: str, ends_at: str) -> None:
    start = an_account(terms=some_terms(time_zone=zone))

    june = june_of(start)

    assert f"{june.ends_at:%H:%M}" == ends_at
    assert june.zone == zone


def test_the_last_millisecond_belongs_to_the_month() -> None:
    end = civil("2026-07-01 00:00")
    start = an_account(a_lot(10))
    _, inside = run(start, a_debit(), now=end - timedelta(milliseconds=1))
    _, outside = run(inside[-1].after, a_debit(), now=end)

    june, july = statements_of(JUNE, JULY, civil("2026-06-01 00:00"), start, [*inside, *outside])

    assert (june.moved.spent, june.entries, june.last_entry) == (-1, 1, 91)
    assert (july.moved.spent, july.entries, july.last_entry) == (-1, 1, 92)


def test_a_move_east_counts_no_entry_twice() -> None:
    """At 21:00 on June 30 in São Paulo it is July in Berlin."""
    start = an_account(a_lot(10))
    moved, changes = run(start, a_change_to(some_terms(time_zone="Europe/Berlin")), now=civil("2026-06-30 21:00"))
    _, spent = run(moved, a_debit(), now=civil("2026-06-30 22:00"))

    june, july = statements_of(JUNE, JULY, civil("2026-06-01 00:00"), start, [*changes, *spent])

    assert (june.zone, june.entries, june.ends_at) == ("America/Sao_Paulo", 2, civil("2026-07-01 00:00"))
    assert (july.zone, july.entries, july.starts_at) == ("Europe/Berlin", 0, june.ends_at)
    assert july.ends_at == civil("2026-08-01 00:00", "Europe/Berlin")


def test_an_account_has_no_statement_before_it_was_opened() -> None:
    opened = open_account("petshop-1", some_terms(), actor="a", catalog=CATALOG, now=NOW)

    months = list(statements_of(date(2026, 4, 1), JUNE, civil("2026-04-01 00:00"), None, [opened]))

    assert [(month.month, month.opening, month.closing) for month in months] == [(JUNE, 0, 0)]
    assert months[0].starts_at == civil("2026-06-01 00:00")


def test_a_month_without_entries_keeps_the_balance() -> None:
    june = june_of(an_account(a_lot(40)))

    assert (june.opening, june.closing, june.entries, june.last_entry) == (40, 40, 0, 90)


@pytest.mark.parametrize(("minutes", "closed"), [(0, False), (14, False), (15, True)])
def test_a_month_closes_fifteen_minutes_after_its_end(minutes: int, closed: bool) -> None:
    june = june_of(an_account())

    assert is_closed(june, june.ends_at + timedelta(minutes=minutes)) is closed
    assert not is_closed(june, june.ends_at + timedelta(minutes=15) - SECOND)


def test_a_year_of_use_has_twelve_months_with_zeros() -> None:
    start = an_account(a_lot(40))
    _, entries = run(start, a_debit("sticker", 4), a_debit("ai_service", 2))
    june = june_of(start, *entries)
    may = replace(june, month=date(2026, 5, 1), uses=(), closing=40)

    year = year_of_use([may, june], JUNE)

    assert [month.month for month in year] == [date(2025, 7 + n, 1) for n in range(6)] + [
        date(2026, 1 + n, 1) for n in range(6)
    ]
    assert [(use.feature, use.credits) for use in year[-1].uses] == [("ai_service", 2), ("sticker", 4)]
    assert [(use.feature, use.credits) for use in year[-2].uses] == [("ai_service", 0), ("sticker", 0)]
    assert [month.closing for month in year[-3:]] == [0, 40, 34]


def test_a_year_of_use_ends_with_the_month_asked_for() -> None:
    year = year_of_use([], date(2026, 1, 1))

    assert (year[0].month, year[-1].month) == (date(2025, 2, 1), date(2026, 1, 1))
