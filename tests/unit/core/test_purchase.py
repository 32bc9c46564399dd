"""Semantics 11 and 12: whatever the payment provider says, however often and in whatever order, credits land once."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations, product

import pytest

from prepaid.core.purchase import (
    PURCHASE_STATES,
    FactKind,
    PaymentFact,
    Purchase,
    PurchaseState,
    granted,
    grants,
    mismatches,
    moved,
)
from tests.builders import NOW, a_fact, a_purchase

LATER = NOW + timedelta(hours=1)
KINDS: tuple[FactKind, ...] = ("awaiting_payment", "paid", "payment_failed", "session_expired")


def received(purchase: Purchase, *facts: FactKind) -> tuple[PurchaseState, int]:
    """Where the facts lead, and how often they granted: what a webhook does, without a database."""
    grants_made = 0
    for kind in facts:
        fact = a_fact(kind)
        if grants(purchase, fact):
            grants_made += 1
            purchase = granted(purchase, fact, entry=7, now=LATER)
        else:
            purchase = moved(purchase, fact, LATER) or purchase
    return purchase.state, grants_made


@pytest.mark.parametrize("state", PURCHASE_STATES)
def test_confirmed_money_grants_from_every_state_but_granted(state: PurchaseState) -> None:
    assert grants(a_purchase(state), a_fact("paid")) == (state != "granted")


@pytest.mark.parametrize("state", PURCHASE_STATES)
@pytest.mark.parametrize("kind", ["awaiting_payment", "payment_failed", "session_expired"])
def test_nothing_but_confirmed_money_grants(kind: FactKind, state: PurchaseState) -> None:
    assert not grants(a_purchase(state), a_fact(kind))


@pytest.mark.parametrize(
    ("state", "kind", "expected"),
    [
        ("created", "awaiting_payment", "pending"),
        ("created", "payment_failed", "failed"),
        ("created", "session_expired", "expired"),
        ("open", "awaiting_payment", "pending"),
        ("open", "payment_failed", "failed"),
        ("open", "session_expired", "expired"),
        ("pending", "awaiting_payment", None),
        ("pending", "payment_failed", "failed"),
        ("pending", "session_expired", None),
        ("expired", "awaiting_payment", "pending"),
        ("expired", "payment_failed", "failed"),
        ("expired", "session_expired", None),
        ("failed", "awaiting_payment", None),
        ("failed", "payment_failed", None),
        ("failed", "session_expired", None),
        ("granted", "awaiting_payment", None),
        ("granted", "payment_failed", None),
        ("granted", "session_expired", None),
    ],
)
def test_what_a_fact_makes_of_a_state(state: PurchaseState, kind: FactKind, expected: PurchaseState | None) -> None:
    after = moved(a_purchase(state), a_fact(kind), LATER)

    assert (after.state if after else None) == expected


@pytest.mark.parametrize("state", PURCHASE_STATES)
def test_money_is_no_mere_move(state: PurchaseState) -> None:
    assert moved(a_purchase(state), a_fact("paid"), LATER) is None


def test_a_move_counts_the_records_version_and_keeps_the_rest() -> None:
    purchase = a_purchase("open")

    after = moved(purchase, a_fact("awaiting_payment"), LATER)

    assert after == replace(purchase, state="pending", version=purchase.version + 1, changed_at=LATER)


def test_a_granted_purchase_knows_its_money_and_its_entry() -> None:
    purchase = a_purchase("pending")

    after = granted(purchase, a_fact("paid"), entry=7, now=LATER)

    assert after == replace(
        purchase,
        state="granted",
        version=purchase.version + 1,
        changed_at=LATER,
        payment="pi_1",
        granted_entry=7,
    )


# Orders and repeats


@pytest.mark.parametrize("start", [state for state in PURCHASE_STATES if state != "granted"])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_the_end_depends_on_what_was_said_not_on_its_order_or_repeats(start: PurchaseState, length: int) -> None:
    ends: dict[frozenset[FactKind], set[tuple[PurchaseState, int]]] = {}

    for facts in product(KINDS, repeat=length):
        ends.setdefault(frozenset(facts), set()).add(received(a_purchase(start), *facts))

    assert all(len(of_one_set) == 1 for of_one_set in ends.values())


@pytest.mark.parametrize("start", [state for state in PURCHASE_STATES if state != "granted"])
def test_every_order_of_every_fact_twice_grants_exactly_once(start: PurchaseState) -> None:
    orders = set(permutations(KINDS * 2))

    assert len(orders) == 2520
    assert {received(a_purchase(start), *order) for order in orders} == {("granted", 1)}


def test_no_facts_without_money_ever_grant() -> None:
    unpaid = [kind for kind in KINDS if kind != "paid"]

    for start in ("created", "open", "pending", "failed", "expired"):
        for facts in product(unpaid, repeat=4):
            assert received(a_purchase(start), *facts)[1] == 0


def test_after_a_grant_nothing_moves_the_purchase() -> None:
    for facts in product(KINDS, repeat=3):
        assert received(a_purchase("granted"), *facts) == ("granted", 0)


def test_a_purchase_that_reads_expired_and_is_then_paid_is_granted() -> None:
    assert received(a_purchase("open"), "session_expired", "paid") == ("granted", 1)


def test_a_purchase_that_failed_and_is_then_paid_is_granted() -> None:
    assert received(a_purchase("open"), "payment_failed", "paid") == ("granted", 1)


def test_pix_is_pending_until_it_is_paid() -> None:
    assert received(a_purchase("open"), "awaiting_payment") == ("pending", 0)
    assert received(a_purchase("open"), "awaiting_payment", "paid") == ("granted", 1)


def test_a_pending_boleto_outlives_its_session() -> None:
    assert received(a_purchase("open"), "awaiting_payment", "session_expired") == ("pending", 0)


# Quarantine


def test_a_fact_that_fits_its_record_has_no_mismatch() -> None:
    assert mismatches(a_purchase(), a_fact()) == ()


@pytest.mark.parametrize(
    ("fact", "name"),
    [
        (a_fact(session="cs_other"), "session"),
        (a_fact(amount=4989), "amount"),
        (a_fact(amount=4991), "amount"),
        (a_fact(currency="usd"), "currency"),
        (a_fact(live=True), "live"),
        (a_fact(mode="subscription"), "mode"),
        (a_fact(quantity=2), "quantity"),
    ],
)
def test_what_does_not_match_the_record_is_named(fact: PaymentFact, name: str) -> None:
    assert mismatches(a_purchase(), fact) == (name,)


def test_every_mismatch_is_named() -> None:
    fact = a_fact(session="cs_other", amount=1, currency="usd", live=True, mode="setup", quantity=0)

    assert mismatches(a_purchase(), fact) == ("session", "amount", "currency", "live", "mode", "quantity")


def test_a_record_that_knows_no_session_yet_matches_none() -> None:
    assert mismatches(a_purchase("created", session=None), a_fact()) == ("session",)


def test_a_live_purchase_is_not_paid_by_test_money() -> None:
    assert mismatches(a_purchase(live=True), a_fact(live=False)) == ("live",)
