"""Rule 15: a reversal returns what was charged to where it came from, each unit at most once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from prepaid.core.account import Account, Charge, Lot, LotKind
from prepaid.core.entry import Entry, LotDraw, QuotaDraw
from prepaid.core.errors import AlreadyReversed
from prepaid.core.ledger import apply
from prepaid.core.reversing import Reverse, charge_of
from tests.support.core_builders import (
    AI_SERVICE,
    CATALOG,
    NOW,
    a_capture,
    a_change_to,
    a_debit,
    a_hold,
    a_lot,
    a_revocation,
    an_account,
    priced,
    run,
    some_terms,
)

WEEK = timedelta(days=7)
LOT = a_lot(10)
SOON = a_lot(4, number=3, kind="promotion", expires_at=NOW + timedelta(days=1))
RENEWAL = NOW + timedelta(hours=2)
PLAN = some_terms("individual")


def a_reversal(
    entry: Entry, quantity: int | None = None, *, before: int = 0, lots: tuple[Lot, ...] = (LOT, SOON)
) -> Reverse:
    """before: units that came back earlier. lots: as they were granted."""
    charge = charge_of(entry, entry.after, lots)
    return Reverse(
        actor="service", entry=entry.number, charge=charge, reversed=before, quantity=quantity, description="failed"
    )


def spent(account: Account, feature: str = "sticker", quantity: int = 6) -> tuple[Account, Entry]:
    account, (entry,) = run(account, a_debit(feature, quantity))
    return account, entry


def test_a_reversal_returns_everything_to_where_it_came_from() -> None:
    before = an_account(LOT, SOON, terms=PLAN, quota_used=98)
    account, debit = spent(before, "ai_service", 8)

    account, (entry,) = run(account, a_reversal(debit))

    assert (account.lots, account.quotas_used) == (before.lots, before.quotas_used)
    assert (entry.type, entry.credits, entry.quota, entry.quantity) == ("reversal", 6, 2, 8)
    assert (entry.reverses, entry.feature, entry.description) == (debit.number, "ai_service", "failed")
    assert (entry.spent, entry.units, entry.quota_units) == (-6, -8, -2)


def test_a_reversal_of_a_part_returns_what_was_drawn_last() -> None:
    account, debit = spent(an_account(LOT, SOON, terms=PLAN, quota_used=98), "ai_service", 8)

    account, (first,) = run(account, a_reversal(debit, 3))
    account, (second,) = run(account, a_reversal(debit, 4, before=3))
    account, (third,) = run(account, a_reversal(debit, before=7))

    assert first.draws == (LotDraw(SOON.id, -1, SOON.expires_at), LotDraw(LOT.id, -2, LOT.expires_at))
    assert second.draws == (QuotaDraw("ai_service", -1), LotDraw(SOON.id, -3, SOON.expires_at))
    assert third.draws == (QuotaDraw("ai_service", -1),)
    assert (account.available, account.quotas_used) == (14, {"ai_service": 98})


def test_a_part_returns_what_each_unit_cost() -> None:
    account, (debit,) = run(an_account(LOT), a_debit("ai_service", 3), catalog=priced(AI_SERVICE, 3))

    account, (entry,) = run(account, a_reversal(debit, 2), catalog=priced(AI_SERVICE, 50))

    assert (entry.credits, account.available) == (6, 7)


@pytest.mark.parametrize(("quantity", "before", "left"), [(4, 3, 3), (None, 6, 0), (1, 6, 0), (7, 0, 6)])
def test_no_unit_is_returned_twice(quantity: int | None, before: int, left: int) -> None:
    account, debit = spent(an_account(LOT))

    with pytest.raises(AlreadyReversed) as refused:
        apply(account, a_reversal(debit, quantity, before=before), catalog=CATALOG, now=NOW)

    assert refused.value.reversible == left


def test_a_capture_is_reversed_as_a_consumption_is() -> None:
    account, (hold,) = run(an_account(LOT, terms=PLAN, quota_used=98), a_hold("ai_service", 8))
    account, (capture,) = run(account, a_capture(hold, 5))
    operation = Reverse(actor="a", entry=capture.number, charge=charge_of(capture, hold.after, (LOT,)), reversed=0)

    account, (entry,) = run(account, operation)

    assert (entry.credits, entry.quota, entry.quantity) == (3, 2, 5)
    assert (account.lots, account.quotas_used) == ((LOT,), {"ai_service": 98})


@pytest.mark.parametrize(
    ("kinds", "kind"), [(("promotion", "purchase"), "purchase"), (("promotion",) * 2, "promotion")]
)
def test_credits_whose_lot_has_ended_return_for_a_week(kinds: tuple[LotKind, LotKind], kind: LotKind) -> None:
    lots = tuple(
        a_lot(3, number=number, kind=each, expires_at=NOW + timedelta(days=number))
        for number, each in zip((2, 3), kinds, strict=True)
    )
    account, debit = spent(an_account(*lots, LOT_OF_LATER), quantity=8)
    now = NOW + timedelta(days=5)

    account, (entry,) = run(account, a_reversal(debit, lots=(*lots, LOT_OF_LATER)), now=now)

    assert entry.lot
    assert (entry.lot.kind, entry.lot.remaining, entry.lot.expires_at) == (kind, 6, now + WEEK)
    assert entry.draws == (
        LotDraw(LOT_OF_LATER.id, -2, LOT_OF_LATER.expires_at),
        LotDraw(entry.lot.id, -6, now + WEEK),
    )
    assert account.lots == (entry.lot, LOT_OF_LATER)


LOT_OF_LATER = a_lot(5, number=9)


@pytest.mark.parametrize("offset", [-1, 0])
def test_at_its_last_instant_a_lot_has_ended(offset: int) -> None:
    account, debit = spent(an_account(SOON), quantity=2)

    _, entries = run(account, a_reversal(debit), now=SOON.expires_at + timedelta(milliseconds=offset))

    assert (entries[-1].lot is not None) == (offset == 0)


def test_quota_of_a_past_period_does_not_come_back() -> None:
    account, debit = spent(an_account(LOT, terms=PLAN, quota_used=98, quota_renews_at=RENEWAL), "ai_service", 8)
    account, _ = run(account, a_debit("ai_service", 5), now=RENEWAL)

    account, (entry,) = run(account, a_reversal(debit), now=RENEWAL)

    assert (entry.credits, entry.quota, entry.past_quota) == (6, 0, 2)
    # The quota had paid for them, so they are no longer its use.
    assert (entry.units, entry.quota_units, entry.spent) == (-8, -2, -6)
    assert account.quotas_used == {"ai_service": 5}


def test_quota_comes_back_in_its_period_after_a_changed_anchor_day() -> None:
    account, debit = spent(an_account(terms=PLAN), "ai_service", 8)
    account, _ = run(account, a_change_to(some_terms("individual", quota_anchor_day=25)))

    account, (entry,) = run(account, a_reversal(debit))

    assert (entry.quota_units, entry.past_quota) == (-8, None)
    assert account.quotas_used == {}


def test_what_is_owed_is_paid_first_by_the_credits_drawn_first() -> None:
    account, debit = spent(an_account(LOT, SOON))
    account, (refund,) = run(account, a_revocation(LOT, 10))
    assert refund.owed == 2

    account, (entry,) = run(account, a_reversal(debit))

    assert (entry.credits, entry.owed, entry.spent) == (4, -2, -6)
    assert account.lots == (replace(SOON, remaining=2), replace(LOT, remaining=2))


def test_a_free_units_reversal_returns_nothing_and_counts() -> None:
    catalog = priced(AI_SERVICE, 0)
    account, (debit,) = run(an_account(LOT), a_debit("ai_service", 3), catalog=catalog)

    account, (entry,) = run(account, a_reversal(debit, 2), catalog=catalog)

    assert (entry.credits, entry.draws, entry.units) == (0, (), -2)


def test_a_charge_is_the_entrys_own_draws() -> None:
    _, debit = spent(an_account(LOT, SOON, terms=PLAN, quota_used=98), "ai_service", 8)

    charge = charge_of(debit, debit.after, (LOT, SOON))

    assert charge == Charge(
        feature="ai_service",
        quantity=8,
        quota=2,
        period=datetime(2026, 7, 1).date(),  # noqa: DTZ001 - a civil month
        lots=(SOON, replace(LOT, remaining=2)),
    )
