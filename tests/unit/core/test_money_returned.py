"""Rule 13: a refund that fails or a dispute that is won gives back what it took."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from prepaid.core.drawing import COURTESY
from prepaid.core.entry import LotDraw
from prepaid.core.purchase import PaymentStatus
from tests.support.core_builders import a_debit, a_grant, a_payment_status, a_purchase, an_account, civil, followed, run
from tests.support.core_money_back import LATER, LATEST, YEAR_LATER, back, bought, line

MILLISECOND = timedelta(milliseconds=1)


# Giving back


@pytest.mark.parametrize("spent", [0, 1, 60, 99, 100])
@pytest.mark.parametrize(
    "status", [a_payment_status(refunded=4990), a_payment_status(disputed=4990), a_payment_status(refunded=1234)]
)
def test_a_failed_refund_or_won_dispute_returns_what_it_took(status: PaymentStatus, spent: int) -> None:
    purchase, account = bought(spent=spent)

    after, restored, entries = followed(purchase, account, status, a_payment_status())

    assert (restored.lots, restored.owed) == (account.lots, account.owed)
    assert (after.state, after.refunded, after.disputed, after.revoked, after.debt) == ("granted", 0, 0, 0, 0)
    taken, returned = entries
    assert (taken.credits + returned.credits, taken.owed + returned.owed) == (0, 0)
    assert returned.draws == tuple(
        replace(draw, credits=-draw.credits) for draw in taken.draws if isinstance(draw, LotDraw)
    )
    assert taken.type == returned.type


def test_a_debt_is_cancelled_before_credits_come_back() -> None:
    purchase, account = back(a_payment_status(refunded=4990), spent=60)

    left = []
    for money in (2994, 1000, 0):
        purchase, account, _ = followed(purchase, account, a_payment_status(refunded=money))
        left.append((account.available, account.owed, purchase.debt, purchase.revoked))

    # 60 credits' money, 20's, none's.
    assert left == [(0, 20, 20, 60), (20, 0, 0, 20), (40, 0, 0, 0)]


def test_a_debt_that_a_grant_paid_comes_back_as_newly_bought_credits() -> None:
    purchase, account = back(a_payment_status(refunded=4990), spent=60)
    account, (grant,) = run(account, a_grant(100), now=LATER)
    assert (grant.credits, account.owed) == (40, 0)

    purchase, account, (entry,) = followed(purchase, account, a_payment_status(), now=LATER)

    assert line(entry) == ("refund", 100, 0)
    # Bought 100, spent 60, granted 100: the 40 that were taken are back in their lot, 60 are valid like a new pack.
    old, new = purchase.lots
    assert {lot.number: lot.remaining for lot in account.lots} == {old.number: 40, grant.number: 40, new.number: 60}
    assert (entry.lot, new.number, new.kind, new.granted) == (new, entry.number, "purchase", 60)
    assert (new.granted_at, new.expires_at) == (LATER, civil("2027-07-17 00:00"))
    assert entry.draws == (LotDraw(old.id, -40, old.expires_at), LotDraw(new.id, -60, new.expires_at))


def test_a_paid_debt_returns_whole_though_its_lot_is_gone() -> None:
    """A pack valid for a year settled the debt, so credits valid for a week would be too little."""
    purchase, account = back(a_payment_status(disputed=4990), spent=60)
    account, _ = run(account, a_grant(60), now=LATEST)

    purchase, account, (entry,) = followed(purchase, account, a_payment_status(), now=LATEST)

    assert line(entry) == ("dispute", 100, 0)
    assert [(lot.number, lot.remaining) for lot in account.lots] == [(entry.number, 100)]
    assert account.lots[0].expires_at == civil("2028-07-28 00:00")


def test_a_debt_that_a_grant_settled_in_part_comes_back_as_both() -> None:
    purchase, account = back(a_payment_status(refunded=4990), spent=60)
    account, _ = run(account, a_grant(45))

    _, account, (entry,) = followed(purchase, account, a_payment_status())

    assert line(entry) == ("refund", 85, -15)
    assert (account.available, account.owed) == (85, 0)
    assert sorted(lot.remaining for lot in account.lots) == [40, 45]


def test_the_next_refund_also_takes_credits_that_came_back() -> None:
    """As newly bought credits."""
    purchase, account = back(a_payment_status(refunded=4990), spent=60)
    account, _ = run(account, a_grant(60))
    purchase, account, _ = followed(purchase, account, a_payment_status(), now=LATER)
    assert account.available == 100

    purchase, account, (entry,) = followed(purchase, account, a_payment_status(refunded=4990), now=LATER)

    assert (line(entry), len(entry.draws)) == (("refund", -100, 0), 2)
    assert (account.lots, account.owed, purchase.debt) == ((), 0, 0)


def test_returned_credits_refill_the_lot_that_ends_last() -> None:
    purchase, account = back(a_payment_status(refunded=4990), spent=60)
    account, _ = run(account, a_grant(60))
    purchase, account, _ = followed(purchase, account, a_payment_status(), now=LATER)
    sooner, later = account.lots
    assert (sooner.remaining, later.remaining) == (40, 60)
    purchase, account, _ = followed(purchase, account, a_payment_status(refunded=4990), now=LATER)

    _, account, (entry,) = followed(purchase, account, a_payment_status(), now=LATER)

    assert account.lots == (replace(later, granted=100, remaining=100),)
    assert entry.draws == (LotDraw(later.id, -100, later.expires_at),)


def test_two_purchases_debts_are_cancelled_once_each() -> None:
    """A debt names no purchase: the first refund that fails cancels it, and the second returns credits."""
    ends = set()
    for order in permutations(["pur_a", "pur_b"]):
        account = an_account()
        purchases = {}
        for name, payment in (("pur_a", "pi_a"), ("pur_b", "pi_b")):
            status = a_payment_status(purchase=name, payment=payment)
            purchases[name], account, _ = followed(a_purchase(id=name), account, status)
        account, _ = run(account, a_debit(quantity=200))
        for name, purchase in list(purchases.items()):
            purchases[name], account, _ = followed(purchase, account, a_payment_status(disputed=4990))
        account, _ = run(account, a_grant(100))
        assert (account.owed, account.available) == (100, 0)
        for name in order:
            purchases[name], account, _ = followed(purchases[name], account, a_payment_status())
        ends.add((account.owed, account.available))

    assert ends == {(0, 100)}


def test_an_emptied_lot_comes_back_with_its_own_number_and_end() -> None:
    purchase, account = back(a_payment_status(refunded=4990))
    assert account.lots == ()

    _, account, (entry,) = followed(purchase, account, a_payment_status())

    assert account.lots == purchase.lots
    assert entry.lot is None


# Expired meanwhile


@pytest.mark.parametrize("after_the_end", [timedelta(0), timedelta(days=40)])
def test_credits_that_expired_meanwhile_return_for_a_week(after_the_end: timedelta) -> None:
    purchase, account = back(a_payment_status(disputed=4990), spent=60)
    at = YEAR_LATER + after_the_end

    after, account, (entry,) = followed(purchase, account, a_payment_status(), now=at)

    assert line(entry) == ("dispute", 40, -60)
    (lot,) = account.lots
    assert (lot.number, lot.kind, lot.granted, lot.remaining) == (entry.number, "purchase", 40, 40)
    assert (lot.granted_at, lot.expires_at) == (at, at + COURTESY)
    assert timedelta(days=7) == COURTESY
    assert entry.lot == lot == after.lots[-1]
    assert entry.draws == (LotDraw(lot.id, -40, lot.expires_at),)


def test_just_before_its_end_a_lot_comes_back_as_itself() -> None:
    purchase, account = back(a_payment_status(disputed=4990))

    _, account, _ = followed(purchase, account, a_payment_status(), now=YEAR_LATER - MILLISECOND)

    assert account.lots == purchase.lots


def test_a_debt_cancelled_after_the_lots_end_makes_no_lot() -> None:
    purchase, account = back(a_payment_status(disputed=4990), spent=100)

    after, account, (entry,) = followed(purchase, account, a_payment_status(), now=YEAR_LATER)

    assert line(entry) == ("dispute", 0, -100)
    assert (entry.lot, entry.draws, account.lots, account.owed) == (None, (), (), 0)
    assert after.lots == purchase.lots


def test_the_next_refund_takes_the_weeks_lot() -> None:
    purchase, account = back(a_payment_status(disputed=4990))
    purchase, account, _ = followed(purchase, account, a_payment_status(), now=YEAR_LATER)
    account, _ = run(account, a_debit(quantity=30), now=YEAR_LATER)

    purchase, account, (entry,) = followed(purchase, account, a_payment_status(refunded=4990), now=YEAR_LATER)

    assert line(entry) == ("refund", -70, 30)
    assert (account.available, account.owed) == (0, 30)


def test_two_returns_within_the_week_are_one_lot() -> None:
    purchase, account = back(a_payment_status(disputed=4990))
    purchase, account, _ = followed(purchase, account, a_payment_status(disputed=2495), now=YEAR_LATER)

    _, account, _ = followed(purchase, account, a_payment_status(), now=YEAR_LATER + timedelta(days=1))

    (lot,) = account.lots
    assert (lot.granted, lot.remaining, lot.expires_at) == (100, 100, YEAR_LATER + COURTESY)


def test_a_return_after_the_weeks_lot_expired_gets_a_new_week() -> None:
    purchase, account = back(a_payment_status(disputed=4990))
    purchase, account, _ = followed(purchase, account, a_payment_status(disputed=2495), now=YEAR_LATER)
    later = YEAR_LATER + timedelta(days=8)

    _, account, entries = followed(purchase, account, a_payment_status(), now=later)

    assert [entry.type for entry in entries] == ["expiry", "dispute"]
    assert [(lot.remaining, lot.expires_at) for lot in account.lots] == [(50, later + COURTESY)]
