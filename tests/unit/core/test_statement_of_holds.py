"""Statements of months with holds and reversals: they add up, and a use counts when it is captured."""

from dataclasses import replace
from datetime import date, timedelta

from prepaid.core.entry import Entry
from prepaid.core.reversing import Reverse, charge_of
from prepaid.core.statement import FeatureUse, Movements, Statement, statements_of
from tests.support.core_builders import (
    NOW,
    a_capture,
    a_debit,
    a_hold,
    a_lot,
    a_release,
    an_account,
    civil,
    run,
    some_terms,
)

LOT = a_lot(100)
JUNE = date(2026, 6, 1)


def june_of(*entries: Entry) -> Statement:
    start = an_account(LOT, terms=some_terms("individual"))
    [statement] = statements_of(JUNE, JUNE, civil("2026-06-01 00:00"), start, entries)
    assert statement.closing - statement.opening == statement.moved.total
    return statement


def test_a_capture_is_a_use_and_a_hold_is_none() -> None:
    account, entries = run(an_account(LOT), a_hold(quantity=30), a_hold(quantity=20), a_hold(quantity=5))
    _, ended = run(account, a_capture(entries[0], 10), a_release(entries[1]))

    june = june_of(*entries, *ended)

    assert june.moved == Movements(held=-5, spent=-10)
    assert june.uses == (FeatureUse(feature="sticker", units=10, quota_units=0, credits=10),)


def test_what_expires_in_a_hold_is_expired() -> None:
    soon = a_lot(8, number=3, expires_at=NOW + timedelta(minutes=1))
    account, (hold,) = run(an_account(soon), a_hold(quantity=8))
    _, ended = run(account, a_capture(hold, 3), now=soon.expires_at)
    [june] = statements_of(JUNE, JUNE, civil("2026-06-01 00:00"), an_account(soon), (hold, *ended))

    assert june.moved == Movements(spent=-3, expired=-5)
    assert (june.opening, june.closing) == (8, 0)


def test_a_debt_that_a_hold_paid_is_settled() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=8))
    _, ended = run(replace(account, owed=5), a_release(hold))

    june = june_of(hold, *ended)

    assert june.moved == Movements(debt_settled=-5)


def test_a_reversal_takes_its_use_back() -> None:
    account, (debit,) = run(an_account(LOT, terms=some_terms("individual"), quota_used=98), a_debit("ai_service", 6))
    reverse = Reverse(
        actor="a", entry=debit.number, charge=charge_of(debit, debit.after, (LOT,)), reversed=0, quantity=5
    )
    _, entries = run(replace(account, owed=1), reverse)

    june = june_of(debit, *entries)

    assert june.moved == Movements(spent=-4, reversed=4, debt_settled=-1)
    assert june.uses == (FeatureUse(feature="ai_service", units=1, quota_units=1, credits=0),)
