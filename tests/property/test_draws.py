"""One debit from lots that end together: which credits it draws, for every amount and every order of granting."""

from collections import Counter
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from prepaid.core.account import Lot, LotKind
from prepaid.core.entry import LotDraw
from prepaid.core.errors import InsufficientCredits
from prepaid.core.ledger import Grant, Operation, apply
from tests.support.core_builders import CATALOG, a_debit, an_account, run, some_terms
from tests.support.strategies import START, lot_kinds, tied_lots

GIVEN_AWAY_FIRST = {"promotion": 0, "adjustment": 0, "purchase": 1}


@given(lots=tied_lots(), spent=st.integers(1, 80))
def test_a_debit_takes_the_first_credits_in_draw_order_or_none(lots: list[Lot], spent: int) -> None:
    credits = [
        lot.id
        for lot in sorted(lots, key=lambda x: (x.expires_at, GIVEN_AWAY_FIRST[x.kind], x.granted_at, x.number))
        for _ in range(lot.remaining)
    ]
    account = an_account(*lots, at=START)

    if spent > len(credits):
        with pytest.raises(InsufficientCredits) as refused:
            apply(account, a_debit(quantity=spent), catalog=CATALOG, now=START)
        assert (refused.value.needed, refused.value.available) == (spent, len(credits))
        return

    (entry,) = apply(account, a_debit(quantity=spent), catalog=CATALOG, now=START)

    assert [draw.lot for draw in entry.draws if isinstance(draw, LotDraw)] == list(dict.fromkeys(credits[:spent]))
    assert {draw.lot: draw.credits for draw in entry.draws if isinstance(draw, LotDraw)} == Counter(credits[:spent])
    assert Counter({lot.id: lot.remaining for lot in entry.after.lots}) == Counter(credits[spent:])


@given(
    grants=st.lists(st.tuples(lot_kinds, st.integers(1, 9), st.sampled_from([1, 1, 12])), max_size=6),
    shuffle=st.randoms(use_true_random=False),
    spent=st.integers(1, 30),
)
def test_the_order_of_grants_does_not_change_what_is_left(
    grants: list[tuple[LotKind, int, int]], shuffle: Random, spent: int
) -> None:
    shuffled = sorted(grants, key=lambda _: shuffle.random())

    assert left_after(grants, spent) == left_after(shuffled, spent)


def left_after(grants: list[tuple[LotKind, int, int]], spent: int) -> Counter[tuple[object, ...]]:
    """How many credits of each expiry, given or bought, are left after spending `spent`, or all where that is less."""
    given: list[Operation] = [Grant(actor="a", kind=kind, credits=n, validity=months) for kind, n, months in grants]
    account, _ = run(an_account(at=START, number=1), *given, now=START)
    spent = min(spent, account.available)
    if spent:
        account, _ = run(account, a_debit(quantity=spent), now=START)
    left: Counter[tuple[object, ...]] = Counter()
    for lot in account.lots:
        left[lot.expires_at, lot.kind == "purchase"] += lot.remaining
    return left


@given(parts=st.lists(st.integers(1, 9), min_size=1, max_size=8), lots=tied_lots(), used=st.integers(60, 100))
def test_many_small_debits_take_what_one_large_one_takes(parts: list[int], lots: list[Lot], used: int) -> None:
    account = an_account(*lots, at=START, terms=some_terms("individual"), quota_used=used)
    assume(sum(parts) <= account.available + 100 - used)

    by_parts, _ = run(account, *(a_debit("ai_service", part) for part in parts), now=START)
    at_once, _ = run(account, a_debit("ai_service", sum(parts)), now=START)

    assert (by_parts.lots, by_parts.quotas_used) == (at_once.lots, at_once.quotas_used)
