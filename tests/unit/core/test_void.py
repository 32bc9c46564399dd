"""Rule 19: a void takes what remains of a grant, and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from prepaid.core.account import LotKind
from prepaid.core.entry import LotDraw
from prepaid.core.errors import ExceedsRemaining, PurchaseNotVoidable
from prepaid.core.ledger import MAX_LOTS, Void, apply
from tests.support.core_builders import CATALOG, NOW, a_debit, a_grant, a_lot, an_account, run

PROMOTION = a_lot(10, number=2, kind="promotion")


def a_void(credits: int | None = None, *, lot: int = PROMOTION.number) -> Void:
    return Void(actor="administrator", lot=lot, credits=credits, description="a mistake")


@pytest.mark.parametrize("kind", ["promotion", "adjustment"])
def test_a_void_takes_all_that_remains_and_names_the_lot(kind: LotKind) -> None:
    lot = replace(PROMOTION, kind=kind)

    (entry,) = apply(an_account(lot), a_void(), catalog=CATALOG, now=NOW)

    assert (entry.type, entry.credits, entry.owed, entry.source) == ("void", -10, 0, "credits")
    assert entry.draws == (LotDraw(lot.id, 10, lot.expires_at),)
    assert (entry.actor, entry.description) == ("administrator", "a mistake")
    assert entry.after.lots == ()


def test_a_void_of_a_part_leaves_the_rest() -> None:
    account, entries = run(an_account(PROMOTION), a_void(3), a_void(6))

    assert [entry.credits for entry in entries] == [-3, -6]
    assert account.lots == (replace(PROMOTION, remaining=1),)


def test_a_void_takes_only_what_was_not_spent_of_the_lot() -> None:
    account, (_, void) = run(an_account(PROMOTION), a_debit(quantity=7), a_void())

    assert (void.credits, void.owed) == (-3, 0)
    assert (account.available, account.owed) == (0, 0)


def test_a_void_takes_nothing_from_other_lots() -> None:
    sooner = a_lot(20, number=3, kind="promotion", expires_at=NOW + timedelta(days=1))
    bought = a_lot(30, number=4)

    account, _ = run(an_account(PROMOTION, sooner, bought), a_void())

    assert account.lots == (sooner, bought)


def test_a_void_leaves_a_debt_as_it_is() -> None:
    account, (grant, void) = run(an_account(owed=4), a_grant(10, kind="promotion"), a_void(lot=91))

    # The grant settled the debt first: those four credits are spent.
    assert (grant.owed, void.credits, void.owed) == (-4, -6, 0)
    assert account.owed == 0


@pytest.mark.parametrize("spent", [0, 3, 9])
def test_a_void_of_too_much_states_how_much_remains(spent: int) -> None:
    account = an_account(replace(PROMOTION, remaining=10 - spent))

    with pytest.raises(ExceedsRemaining) as refused:
        apply(account, a_void(11 - spent), catalog=CATALOG, now=NOW)

    assert refused.value.remaining == 10 - spent


@pytest.mark.parametrize("credits", [None, 1])
def test_nothing_is_voided_of_a_lot_that_is_used_up(credits: int | None) -> None:
    account, _ = run(an_account(PROMOTION), a_debit(quantity=10))

    with pytest.raises(ExceedsRemaining) as refused:
        apply(account, a_void(credits), catalog=CATALOG, now=NOW)

    assert refused.value.remaining == 0


@pytest.mark.parametrize("credits", [None, 1])
def test_a_lot_can_be_voided_until_it_ends(credits: int | None) -> None:
    account = an_account(replace(PROMOTION, expires_at=NOW))

    assert apply(replace(account, at=NOW - timedelta(1)), a_void(credits), catalog=CATALOG, now=NOW - timedelta(1))
    with pytest.raises(ExceedsRemaining) as refused:
        apply(account, a_void(credits), catalog=CATALOG, now=NOW)

    assert refused.value.remaining == 0


def test_bought_credits_are_not_voided() -> None:
    with pytest.raises(PurchaseNotVoidable):
        apply(an_account(replace(PROMOTION, kind="purchase")), a_void(), catalog=CATALOG, now=NOW)


def test_a_void_records_an_expiry_first() -> None:
    ended = a_lot(5, number=3, expires_at=NOW)

    entries = apply(an_account(PROMOTION, ended), a_void(), catalog=CATALOG, now=NOW)

    assert [(entry.type, entry.credits) for entry in entries] == [("expiry", -5), ("void", -10)]


def test_a_voided_lot_makes_room_for_a_grant() -> None:
    full = an_account(*(replace(PROMOTION, number=number) for number in range(2, MAX_LOTS + 2)), number=MAX_LOTS + 1)

    account, entries = run(full, a_void(), a_grant(kind="promotion"))

    assert [entry.type for entry in entries] == ["void", "grant"]
    assert len(account.lots) == MAX_LOTS
