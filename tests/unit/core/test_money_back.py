"""Rule 13: a refund or dispute revokes credits of its own lot, and spent credits become owed."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import pytest

from prepaid.core.account import LotKind
from prepaid.core.drawing import COURTESY
from prepaid.core.entry import Entry, LotDraw
from prepaid.core.errors import InsufficientCredits
from prepaid.core.ledger import Settle, apply
from prepaid.core.purchase import PaymentStatus, next_step, revoked_credits
from tests.support.core_builders import (
    CATALOG,
    NOW,
    a_debit,
    a_grant,
    a_granted_purchase,
    a_lot,
    a_payment_status,
    a_purchase,
    a_return,
    a_revocation,
    an_account,
    civil,
    followed,
    run,
)
from tests.support.core_money_back import LATER, LATEST, YEAR_LATER, back, bought, line

# Pro rata


@pytest.mark.parametrize(
    ("credits", "amount", "money_back", "revoked"),
    [
        (100, 4990, 0, 0),
        (100, 4990, 1, 0),
        (100, 4990, 49, 0),
        (100, 4990, 50, 1),
        (100, 4990, 99, 1),
        (100, 4990, 2495, 50),
        (100, 4990, 4989, 99),
        (100, 4990, 4990, 100),
        (100, 4990, 9980, 100),
        (3, 1000, 333, 0),
        (3, 1000, 334, 1),
        (3, 1000, 999, 2),
        (1, 1, 1, 1),
        (1, 99_999_999, 99_999_998, 0),
        (10**9, 3, 1, 333_333_333),
        # Beyond what a float can hold.
        (10**9 - 1, 99_999_999, 99_999_998, 999_999_988),
    ],
)
def test_credits_go_pro_rata_to_the_money_rounded_down(
    credits: int, amount: int, money_back: int, revoked: int
) -> None:
    assert revoked_credits(a_purchase(credits=credits, amount=amount), money_back) == revoked


def test_many_small_refunds_take_what_one_refund_takes() -> None:
    purchase, account = back(*(a_payment_status(refunded=money) for money in [*range(0, 4990, 100), 4990]))

    assert (purchase.revoked, account.available) == (100, 0)


def test_rounding_is_of_the_whole_and_not_of_each_part() -> None:
    # Three times 33 of 1000: neither each one nor all three are worth one of the ten credits. Four of them are.
    purchase, account = a_purchase(credits=10, amount=1000), an_account()
    purchase, account, _ = followed(purchase, account, a_payment_status(amount=1000))

    left = []
    for times in range(1, 5):
        purchase, account, _ = followed(purchase, account, a_payment_status(amount=1000, refunded=33 * times))
        left.append(account.available)

    assert left == [10, 10, 10, 9]


# Taking


def test_a_refund_takes_from_its_own_lot_and_states_it() -> None:
    purchase, account, (entry,) = followed(*bought(), a_payment_status(refunded=2495))

    assert line(entry) == ("refund", -50, 0)
    [lot] = purchase.lots
    assert entry.draws == (LotDraw(lot.id, 50, lot.expires_at),)
    assert (entry.purchase, entry.actor, entry.lot) == ("pur_1", "stripe", None)
    assert [lot.remaining for lot in account.lots] == [50]
    assert (purchase.state, purchase.refunded, purchase.revoked, purchase.debt) == ("partially_refunded", 2495, 50, 0)


def test_a_dispute_takes_under_its_own_name() -> None:
    purchase, account, (entry,) = followed(*bought(), a_payment_status(disputed=4990))

    assert line(entry) == ("dispute", -100, 0)
    assert (purchase.state, purchase.disputed, account.lots) == ("disputed", 4990, ())


def test_spent_credits_become_owed_and_the_balance_stays_zero() -> None:
    purchase, account, (entry,) = followed(*bought(spent=60), a_payment_status(refunded=4990))

    assert line(entry) == ("refund", -40, 60)
    assert (account.available, account.owed) == (0, 60)
    assert (purchase.state, purchase.revoked, purchase.debt) == ("refunded", 100, 60)


def test_a_refund_of_what_is_left_owes_nothing() -> None:
    _, account = back(a_payment_status(refunded=2495), spent=50)

    assert (account.available, account.owed) == (0, 0)


def test_a_refund_of_an_empty_lot_is_all_owed_and_draws_nothing() -> None:
    _, account, (entry,) = followed(*bought(spent=100), a_payment_status(refunded=4990))

    assert line(entry) == ("refund", 0, 100)
    assert entry.draws == ()
    assert account.owed == 100


def test_other_lots_are_left_alone_even_when_credits_are_owed() -> None:
    others = (a_lot(30, number=3, kind="promotion"), a_lot(40, number=4, expires_at=civil("2028-01-01 00:00")))
    purchase, account = bought(others=others)
    account, _ = run(account, a_debit(quantity=30 + 60))

    _, after, _ = followed(purchase, account, a_payment_status(refunded=4990))

    assert after.lots == (others[1],)
    assert (after.available, after.owed) == (40, 60)


def test_owed_credits_do_not_block_other_credits() -> None:
    account = an_account(a_lot(5), owed=60)

    account, _ = run(account, a_debit(quantity=5))

    assert (account.available, account.owed) == (0, 60)
    with pytest.raises(InsufficientCredits) as refused:
        apply(account, a_debit(), catalog=CATALOG, now=NOW)
    assert refused.value.available == 0


def test_money_of_less_than_a_credit_writes_no_entry() -> None:
    purchase, account = bought()

    after, same, entries = followed(purchase, account, a_payment_status(refunded=49))

    assert (after.refunded, after.revoked, after.state) == (49, 0, "partially_refunded")
    assert (same, entries) == (account, ())


def test_a_refund_before_the_grant_leaves_both_entries() -> None:
    purchase, account, entries = followed(
        a_purchase("open"), an_account(), a_payment_status(refunded=2495, disputed=100)
    )

    assert [line(entry) for entry in entries] == [("purchase", 100, 0), ("dispute", -52, 0)]
    assert [lot.remaining for lot in purchase.lots] == [100]
    assert (purchase.state, account.available) == ("disputed", 48)


# Expired before the refund: there is nothing to revoke, and nothing was spent.


@pytest.mark.parametrize("spent", [0, 1, 60, 100])
@pytest.mark.parametrize("money", [1000, 2495, 4990])
@pytest.mark.parametrize("at", [YEAR_LATER, LATEST])
def test_what_is_owed_is_the_same_before_and_after_the_lots_end(spent: int, money: int, at: datetime) -> None:
    _, before_its_end = back(a_payment_status(refunded=money), spent=spent)

    purchase, after_its_end, entries = followed(*bought(spent=spent), a_payment_status(refunded=money), now=at)

    assert after_its_end.owed == before_its_end.owed
    assert (after_its_end.available, purchase.debt) == (0, after_its_end.owed)
    assert purchase.revoked == purchase.debt + purchase.expired_unspent
    assert [entry.type for entry in entries] == (["refund"] if spent == 100 else ["expiry", "refund"])


def test_a_recorded_expiry_is_found_in_the_entry_before_it() -> None:
    purchase, account = bought(spent=60)
    swept, _ = run(account, Settle(), now=YEAR_LATER)

    purchase, after, (entry,) = followed(purchase, swept, a_payment_status(refunded=4990), now=LATEST, before=[account])

    assert line(entry) == ("refund", 0, 60)
    assert (entry.draws, after.owed, purchase.debt, purchase.expired_unspent) == ((), 60, 60, 40)


def test_several_refunds_count_what_expired_once() -> None:
    purchase, account = bought(spent=60)

    owed, history = [], [account]
    for money in (1000, 2495, 4990):
        purchase, account, _ = followed(
            purchase, account, a_payment_status(refunded=money), now=YEAR_LATER, before=history
        )
        history.append(account)
        owed.append((account.owed, purchase.expired_unspent))

    # Of 20, 50 and 100 credits, 40 had expired.
    assert owed == [(0, 20), (10, 40), (60, 40)]


def test_a_failed_refund_of_expired_credits_cancels_its_debt() -> None:
    """It returns no credits."""
    purchase, account = bought(spent=60)
    purchase, account, _ = followed(purchase, account, a_payment_status(refunded=4990), now=YEAR_LATER)

    after, account, (entry,) = followed(purchase, account, a_payment_status(), now=YEAR_LATER)

    assert line(entry) == ("refund", 0, -60)
    assert (account.lots, entry.draws, entry.lot) == ((), (), None)
    assert (after.revoked, after.debt, after.expired_unspent, after.state) == (0, 0, 0, "granted")


def test_revoked_and_expired_credits_of_a_lot_are_separate() -> None:
    """Some were revoked before its end, the rest expired at it."""
    # 30 are refunded before the lot's end; 10 of the other 70 are spent, 60 expire; then the rest is refunded.
    purchase, account = back(a_payment_status(refunded=1500))
    account, _ = run(account, a_debit(quantity=10))

    purchase, account, _ = followed(purchase, account, a_payment_status(refunded=4990), now=YEAR_LATER)
    assert (account.owed, purchase.revoked, purchase.debt, purchase.expired_unspent) == (10, 100, 10, 60)

    purchase, account, entries = followed(purchase, account, a_payment_status(), now=YEAR_LATER)
    assert [line(entry) for entry in entries] == [("refund", 30, -10)]
    assert [(lot.remaining, lot.expires_at) for lot in account.lots] == [(30, YEAR_LATER + COURTESY)]


def test_a_revocation_is_undone_from_its_end() -> None:
    """Credits that became owed first, then those that had expired, then those that were taken."""
    # 30 are revoked before the lot's end. Then 60 of the other 70 expire and 10, which were spent, become owed.
    purchase, account = back(a_payment_status(refunded=1497))
    account, _ = run(account, a_debit(quantity=10))
    purchase, account, _ = followed(purchase, account, a_payment_status(refunded=4990), now=YEAR_LATER)
    assert (purchase.debt, purchase.expired_unspent, account.owed) == (10, 60, 10)

    # The money of 90, 60, 30 and no credits stays refunded.
    lines = []
    for money in (4491, 2994, 1497, 0):
        purchase, account, (entry,) = followed(purchase, account, a_payment_status(refunded=money), now=YEAR_LATER)
        lines.append((entry.credits, entry.owed, purchase.debt, purchase.expired_unspent))

    assert lines == [(0, -10, 0, 60), (0, 0, 0, 30), (0, 0, 0, 0), (30, 0, 0, 0)]


def test_credits_returned_for_a_week_can_expire_too() -> None:
    purchase, account = back(a_payment_status(disputed=4990), spent=60)
    purchase, account, _ = followed(purchase, account, a_payment_status(), now=YEAR_LATER)
    account, _ = run(account, a_debit(quantity=15), now=YEAR_LATER)

    purchase, account, _ = followed(purchase, account, a_payment_status(refunded=4990), now=LATEST)

    # 25 of the week's 40 expired.
    assert (account.owed, purchase.debt, purchase.expired_unspent) == (75, 75, 25)


# Owed


@pytest.mark.parametrize("kind", ["purchase", "promotion", "adjustment"])
@pytest.mark.parametrize(("credits", "owed", "left"), [(40, 20, 0), (60, 0, 0), (61, 0, 1), (100, 0, 40), (1, 59, 0)])
def test_the_next_grant_of_any_kind_settles_what_is_owed_first(
    kind: LotKind, credits: int, owed: int, left: int
) -> None:
    account, (entry,) = run(an_account(owed=60), a_grant(credits, kind=kind))

    assert (account.owed, account.available) == (owed, left)
    assert (entry.credits, entry.owed) == (left, owed - 60)
    assert entry.lot
    assert (entry.lot.granted, entry.lot.remaining, entry.draws) == (credits, left, ())
    assert account.lots == ((entry.lot,) if left else ())


def test_debts_of_several_refunds_add_up() -> None:
    """Several grants settle them."""
    account = an_account()
    account, _ = run(account, a_revocation(a_lot(number=3), 30), a_revocation(a_lot(number=4), 20))
    assert account.owed == 50

    left = []
    for credits in (20, 20, 20):
        account, _ = run(account, a_grant(credits))
        left.append((account.owed, account.available))

    assert left == [(30, 0), (10, 0), (0, 10)]


def test_a_refunded_lot_owes_again_the_debt_that_it_settled() -> None:
    account, (granted,) = run(an_account(owed=60), a_grant(100))
    assert granted.lot

    account, (entry,) = run(account, a_revocation(granted.lot, 100))

    assert line(entry) == ("refund", -40, 60)
    assert (account.available, account.owed) == (0, 60)


def test_the_quota_is_neither_owed_nor_settled() -> None:
    account = an_account(owed=60)

    _, entries = run(account, a_grant(100))

    assert [entry.quota for entry in entries] == [0]


def test_the_passage_of_time_settles_no_debt() -> None:
    account, _ = run(an_account(a_lot(5, expires_at=NOW), owed=60), Settle(), now=LATER)

    assert account.owed == 60


# Several at once


@pytest.mark.parametrize(
    ("statuses", "state", "revoked"),
    [
        ([a_payment_status(refunded=1000), a_payment_status(refunded=1000, disputed=3990)], "disputed", 100),
        (
            [
                a_payment_status(refunded=1000),
                a_payment_status(refunded=1000, disputed=3990),
                a_payment_status(refunded=1000),
            ],
            "partially_refunded",
            20,
        ),
        ([a_payment_status(disputed=4990), a_payment_status(refunded=4990, disputed=4990)], "disputed", 100),
        ([a_payment_status(refunded=4990, disputed=4990), a_payment_status(refunded=4990)], "refunded", 100),
        ([a_payment_status(refunded=4990, disputed=4990), a_payment_status(disputed=4990)], "disputed", 100),
        ([a_payment_status(refunded=4990), a_payment_status(refunded=2495)], "partially_refunded", 50),
        ([a_payment_status(refunded=9999)], "refunded", 100),
        ([a_payment_status(disputed=9999), a_payment_status()], "granted", 0),
    ],
)
@pytest.mark.parametrize("spent", [0, 10, 60, 100])
def test_refunds_and_disputes_count_together_up_to_the_lot(
    statuses: list[PaymentStatus], state: str, revoked: int, spent: int
) -> None:
    purchase, account = back(*statuses, spent=spent)

    assert (purchase.state, purchase.revoked) == (state, revoked)
    assert account.available - account.owed == 100 - spent - revoked
    assert min(account.available, account.owed) == 0


@pytest.mark.parametrize(
    ("before", "now", "cause", "credits"),
    [
        (a_payment_status(), a_payment_status(refunded=2495), "refund", -50),
        (a_payment_status(), a_payment_status(disputed=2495), "dispute", -50),
        (a_payment_status(refunded=2495), a_payment_status(), "refund", 50),
        (a_payment_status(disputed=2495), a_payment_status(), "dispute", 50),
        (a_payment_status(refunded=2495), a_payment_status(refunded=2495, disputed=2495), "dispute", -50),
        # The refund and the dispute change in opposite directions: the larger change names the entry.
        (a_payment_status(disputed=998), a_payment_status(refunded=2495), "refund", -30),
        (a_payment_status(refunded=998), a_payment_status(disputed=2495), "dispute", -30),
        (a_payment_status(disputed=2495), a_payment_status(refunded=998), "dispute", 30),
        (a_payment_status(refunded=2495), a_payment_status(disputed=998), "refund", 30),
    ],
)
def test_an_entrys_type_names_its_cause(
    before: PaymentStatus, now: PaymentStatus, cause: Literal["refund", "dispute"], credits: int
) -> None:
    _, _, (entry,) = followed(*back(before), now)

    assert (entry.type, entry.credits) == (cause, credits)


def test_a_refund_that_replaces_a_dispute_moves_no_credit() -> None:
    """It changes the record only."""
    purchase, account = back(a_payment_status(disputed=4990), spent=10)

    after, same, entries = followed(purchase, account, a_payment_status(refunded=4990))

    assert (after.state, same, entries) == ("refunded", account, ())


def test_an_unchanged_state_takes_no_step() -> None:
    for status in (
        a_payment_status(),
        a_payment_status(refunded=1),
        a_payment_status(disputed=4990),
        a_payment_status(refunded=1000, disputed=9999),
    ):
        purchase, _ = back(status)
        assert next_step(purchase, status, LATER, expired_unspent=0) is None


def test_each_step_counts_the_records_version_and_bears_its_time() -> None:
    purchase, account = bought()

    after, _, _ = followed(purchase, account, a_payment_status(refunded=4990), a_payment_status(), now=LATER)

    assert (after.version, after.changed_at) == (purchase.version + 2, LATER)


# Lines


def test_every_change_of_owed_credits_is_an_entry() -> None:
    purchase, account = bought(spent=60)
    history: list[Entry] = []
    for status, grant in (
        (a_payment_status(refunded=4990), 20),
        (a_payment_status(refunded=2495), 10),
        (a_payment_status(), 5),
    ):
        purchase, account, entries = followed(purchase, account, status)
        history += entries
        account, entries = run(account, a_grant(grant))
        history += entries

    for before, after in pairwise(history):
        assert before.after.owed + after.owed == after.after.owed
        assert before.after.available + after.credits == after.after.available
        assert after.number == before.number + 1


@pytest.mark.parametrize("at", [NOW, NOW - timedelta(days=1)])
@pytest.mark.parametrize("spent", [0, 60])
def test_a_clock_behind_the_ledger_counts_as_the_ledgers_time(at: datetime, spent: int) -> None:
    purchase, account = bought(spent=spent)

    _, _, entries = followed(purchase, account, a_payment_status(refunded=4990), a_payment_status(), now=at)

    assert [entry.at for entry in entries] == [NOW, NOW]


def test_a_lot_that_came_back_stands_in_draw_order() -> None:
    lots = [a_lot(5, number=number, expires_at=LATER + timedelta(days=number)) for number in (3, 4, 5)]
    account, _ = run(an_account(*lots), a_revocation(lots[1], 5))

    account, _ = run(account, a_return(lots[1], 5))

    assert list(account.lots) == lots


def test_a_granted_purchase_that_was_never_refunded_is_left_alone() -> None:
    assert next_step(a_granted_purchase(), a_payment_status(), LATER, expired_unspent=0) is None
