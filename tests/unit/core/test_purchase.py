"""Rules 11 and 12: whatever Stripe reports, however often and in any order, credits are granted once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import get_args

import pytest

from prepaid.core.account import Account
from prepaid.core.ledger import Grant
from prepaid.core.purchase import (
    PaymentStatus,
    Progress,
    Purchase,
    PurchaseState,
    Voucher,
    as_paid_unmatched,
    is_page_of,
    mismatches,
    new_purchase,
    next_step,
    with_page,
)
from tests.support.core_builders import (
    NOW,
    a_granted_purchase,
    a_pack,
    a_payment_status,
    a_purchase,
    an_account,
    civil,
    followed,
)

LATER = NOW + timedelta(hours=1)
PROGRESS: tuple[Progress, ...] = get_args(Progress)
UNPAID: tuple[Progress, ...] = tuple(progress for progress in PROGRESS if progress != "paid")
NOT_GRANTED: tuple[PurchaseState, ...] = ("created", "open", "pending", "paid", "failed", "expired", "cancelled")
GRANTED: tuple[PurchaseState, ...] = ("granted", "partially_refunded", "refunded", "disputed")


def received(purchase: Purchase, *statuses: Progress) -> tuple[PurchaseState, int, int]:
    """The purchase's state, the credits available and the number of entries, once the statuses were received."""
    purchase, account, entries = followed(
        purchase, an_account(), *(a_payment_status(progress) for progress in statuses)
    )
    return purchase.state, account.available, len(entries)


def test_every_state_is_either_before_or_after_the_grant() -> None:
    assert {*NOT_GRANTED, *GRANTED} == set(get_args(PurchaseState))


@pytest.mark.parametrize("state", NOT_GRANTED)
def test_confirmed_money_grants_from_every_state_but_a_granted_one(state: PurchaseState) -> None:
    assert received(a_purchase(state), "paid") == ("granted", 100, 1)


@pytest.mark.parametrize("state", ["created", "open", "pending", "failed", "expired", "granted"])
@pytest.mark.parametrize("progress", UNPAID)
def test_nothing_but_confirmed_money_grants(progress: Progress, state: PurchaseState) -> None:
    step = next_step(a_purchase(state), a_payment_status(progress), LATER, expired_unspent=0)

    assert step is None or step.operation is None


@pytest.mark.parametrize(
    ("state", "progress", "expected"),
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
        ("cancelled", "awaiting_payment", "pending"),
        ("cancelled", "payment_failed", "failed"),
        ("cancelled", "session_expired", None),
        ("failed", "awaiting_payment", None),
        ("failed", "payment_failed", None),
        ("failed", "session_expired", None),
        ("paid", "awaiting_payment", None),
        ("paid", "payment_failed", None),
        ("paid", "session_expired", None),
    ],
)
def test_an_unpaid_session_moves_each_state_as_listed(
    state: PurchaseState, progress: Progress, expected: PurchaseState | None
) -> None:
    step = next_step(a_purchase(state), a_payment_status(progress), LATER, expired_unspent=0)

    assert (step.purchase.state if step else None) == expected
    assert step is None or step.operation is None


def test_a_move_increments_the_version_and_keeps_the_rest() -> None:
    purchase = a_purchase("open", checkout_url="https://checkout.example/1")

    step = next_step(purchase, a_payment_status("awaiting_payment"), LATER, expired_unspent=0)

    assert step
    assert step.purchase == replace(purchase, state="pending", version=purchase.version + 1, changed_at=LATER)


def test_a_granted_purchase_knows_its_payment() -> None:
    purchase = a_purchase("pending")

    step = next_step(purchase, a_payment_status("paid"), LATER, expired_unspent=0)

    assert step
    assert step.purchase == replace(
        purchase, state="granted", version=purchase.version + 1, changed_at=LATER, payment="pi_pur_1"
    )


def test_the_grant_has_the_values_of_the_record() -> None:
    purchase = a_purchase("open", pack="no-longer-sold", credits=77, valid_months=1)

    step = next_step(purchase, a_payment_status("paid"), LATER, expired_unspent=0)

    assert step
    assert step.operation == Grant(
        actor="shop", kind="purchase", credits=77, validity=1, description="no-longer-sold", purchase="pur_1"
    )


def test_a_granted_purchase_knows_its_lot() -> None:
    purchase, account, (entry,) = followed(a_purchase("open"), an_account(number=90), a_payment_status("paid"))

    assert purchase.lots == account.lots
    [lot] = purchase.lots
    assert (entry.lot, entry.purchase, entry.type) == (lot, "pur_1", "purchase")
    assert (lot.number, lot.remaining) == (91, 100)
    assert lot.expires_at == civil("2027-06-17 00:00")


def test_validity_starts_when_the_payment_is_confirmed() -> None:
    paid_at = NOW + timedelta(days=5)

    purchase, _, _ = followed(a_purchase("pending"), an_account(), a_payment_status("paid"), now=paid_at)

    [lot] = purchase.lots
    assert (lot.granted_at, lot.expires_at) == (paid_at, civil("2027-06-22 00:00"))


# The record


def test_a_new_purchase_has_everything_that_it_grants() -> None:
    pack = a_pack(500, 19990)

    purchase = new_purchase("pur_9", "petshop-1", pack, language="es", live=True, requested_by="shop", now=NOW)

    assert purchase == Purchase(
        id="pur_9",
        account="petshop-1",
        pack="credits-500",
        credits=500,
        amount=19990,
        currency="brl",
        valid_months=12,
        language="es",
        live=True,
        requested_by="shop",
        state="created",
        version=1,
        created_at=NOW,
        changed_at=NOW,
    )


def test_a_page_opens_a_purchase() -> None:
    purchase = a_purchase("created", session=None)

    after = with_page(purchase, "cs_1", "https://checkout.example/1", LATER)

    assert after == replace(
        purchase,
        state="open",
        version=4,
        changed_at=LATER,
        session="cs_1",
        checkout_url="https://checkout.example/1",
    )


@pytest.mark.parametrize("state", ["pending", "expired", "failed", "granted", "refunded", "disputed"])
def test_a_late_page_does_not_move_a_purchase_back(state: PurchaseState) -> None:
    assert with_page(a_purchase(state), "cs_1", "https://checkout.example/1", LATER).state == state


@pytest.mark.parametrize("progress", ["awaiting_payment", "paid"])
def test_a_purchase_whose_page_was_lost_learns_its_session_from_it(progress: Progress) -> None:
    purchase, _, _ = followed(
        a_purchase("created", session=None), an_account(), a_payment_status(progress, session="cs_7")
    )

    assert purchase.session == "cs_7"


# Orders and repeats


@pytest.mark.parametrize("start", NOT_GRANTED)
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_the_end_state_ignores_order_and_repetition(start: PurchaseState, length: int) -> None:
    ends: dict[frozenset[Progress], set[tuple[PurchaseState, int, int]]] = {}

    for statuses in product(PROGRESS, repeat=length):
        ends.setdefault(frozenset(statuses), set()).add(received(a_purchase(start), *statuses))

    assert all(len(of_one_set) == 1 for of_one_set in ends.values())


@pytest.mark.parametrize("start", NOT_GRANTED)
def test_every_order_of_everything_twice_grants_exactly_once(start: PurchaseState) -> None:
    ends = list(ends_of_each_order(a_purchase(start), an_account(), PROGRESS * 2))

    assert len(ends) == 2520
    assert set(ends) == {("granted", 100, 1)}


def ends_of_each_order(
    purchase: Purchase, account: Account, statuses: tuple[Progress, ...], written: int = 0
) -> Iterator[tuple[PurchaseState, int, int]]:
    """What `received` returns, for each order of these statuses once. Orders share the work of their common start."""
    if not statuses:
        yield purchase.state, account.available, written
    for first in set(statuses):
        place = statuses.index(first)
        moved, after, entries = followed(purchase, account, a_payment_status(first))
        yield from ends_of_each_order(moved, after, statuses[:place] + statuses[place + 1 :], written + len(entries))


def test_no_sequence_without_a_payment_grants() -> None:
    for start in NOT_GRANTED:
        for statuses in product(UNPAID, repeat=4):
            assert received(a_purchase(start), *statuses)[1:] == (0, 0)


def test_after_a_grant_no_session_state_moves_the_purchase() -> None:
    for progress in PROGRESS:
        assert next_step(a_granted_purchase(), a_payment_status(progress), LATER, expired_unspent=0) is None


def test_a_purchase_that_reads_expired_and_is_then_paid_is_granted() -> None:
    assert received(a_purchase("open"), "session_expired", "paid") == ("granted", 100, 1)


def test_a_purchase_that_failed_and_is_then_paid_is_granted() -> None:
    assert received(a_purchase("open"), "payment_failed", "paid") == ("granted", 100, 1)


def test_pix_is_pending_until_it_is_paid() -> None:
    assert received(a_purchase("open"), "awaiting_payment") == ("pending", 0, 0)
    assert received(a_purchase("open"), "awaiting_payment", "paid") == ("granted", 100, 1)


def test_a_pending_boleto_outlives_its_session() -> None:
    assert received(a_purchase("open"), "awaiting_payment", "session_expired") == ("pending", 0, 0)


# Quarantine


@pytest.mark.parametrize("state", ["created", "open", "pending", "failed", "expired"])
def test_a_mismatch_leaves_its_purchase_paid(state: PurchaseState) -> None:
    """Until a person looks."""
    purchase = a_purchase(state)

    waiting = as_paid_unmatched(purchase, a_payment_status(amount=4989), LATER)

    assert waiting == replace(purchase, state="paid", version=purchase.version + 1, changed_at=LATER)
    assert as_paid_unmatched(waiting, a_payment_status(amount=4989), LATER) is None
    assert received(waiting, "paid") == ("granted", 100, 1)


def test_money_that_is_checked_needs_no_code() -> None:
    """The code has been paid, so it must not be shown again."""
    code = Voucher(method="pix", code="0002", expires_at=LATER)

    waiting = as_paid_unmatched(replace(a_purchase("pending"), voucher=code), a_payment_status(amount=4989), LATER)

    assert waiting is not None
    assert waiting.voucher is None


@pytest.mark.parametrize(
    "status",
    [
        a_payment_status("awaiting_payment", amount=1),
        a_payment_status(session="cs_other"),
    ],
)
def test_a_payment_of_another_session_leaves_a_purchase_as_it_is(status: PaymentStatus) -> None:
    assert as_paid_unmatched(a_purchase(), status, LATER) is None
    assert as_paid_unmatched(a_purchase("created", session=None), status, LATER) is None


OTHER_NAMES = [
    a_payment_status(account="another"),
    a_payment_status(purchase=""),
    a_payment_status(other_stack="theirs"),
]


@pytest.mark.parametrize("status", OTHER_NAMES)
def test_a_paid_page_is_its_purchases_whatever_its_metadata_names(status: PaymentStatus) -> None:

    paid = as_paid_unmatched(a_purchase(), status, LATER)

    assert is_page_of(a_purchase(), status)
    assert paid is not None
    assert paid.state == "paid"


def test_a_page_is_known_by_its_session_or_else_by_its_metadata() -> None:
    unknown = a_purchase("created", session=None)

    assert is_page_of(unknown, a_payment_status())
    assert not is_page_of(None, a_payment_status())
    assert not is_page_of(a_purchase(), a_payment_status(session="cs_other"))
    assert not any(is_page_of(unknown, status) for status in OTHER_NAMES)


def test_a_mismatch_does_not_move_a_granted_purchase() -> None:
    assert as_paid_unmatched(a_granted_purchase(), a_payment_status(amount=1), LATER) is None


def test_a_payment_that_matches_has_no_mismatch() -> None:
    assert mismatches(a_purchase(), a_payment_status()) == ()
    assert mismatches(a_granted_purchase(), a_payment_status(refunded=4990, disputed=100)) == ()


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (a_payment_status(other_stack="theirs"), "stack"),
        (a_payment_status(account="another"), "account"),
        (a_payment_status(purchase=""), "purchase"),
        (a_payment_status(session="cs_other"), "session"),
        (a_payment_status(amount=4989), "amount"),
        (a_payment_status(amount=4991), "amount"),
        (a_payment_status(currency="usd"), "currency"),
        (a_payment_status(currency="BRL"), "currency"),
        (a_payment_status(live=True), "live"),
        (a_payment_status(mode="subscription"), "mode"),
        (a_payment_status(quantity=2), "quantity"),
        (a_payment_status(quantity=0), "quantity"),
    ],
)
@pytest.mark.parametrize("purchase", [a_purchase(), a_granted_purchase()], ids=["open", "granted"])
def test_each_mismatch_with_the_record_is_named(purchase: Purchase, status: PaymentStatus, name: str) -> None:
    assert mismatches(purchase, status) == (name,)


def test_every_mismatch_is_named() -> None:
    status = a_payment_status(
        session="cs_other", amount=1, currency="usd", live=True, mode="setup", quantity=0, payment="pi_2"
    )

    assert mismatches(a_granted_purchase(), status) == (
        "session",
        "payment",
        "amount",
        "currency",
        "live",
        "mode",
        "quantity",
    )


def test_a_record_without_a_session_takes_the_one_that_names_it() -> None:
    assert mismatches(a_purchase("created", session=None), a_payment_status()) == ()


@pytest.mark.parametrize("payment", ["pi_other", None])
def test_another_payment_of_a_granted_purchase_is_a_mismatch(payment: str | None) -> None:
    assert mismatches(a_granted_purchase(), a_payment_status(payment=payment)) == ("payment",)


@pytest.mark.parametrize("progress", UNPAID)
def test_a_granted_purchase_that_reads_unpaid_is_a_mismatch(progress: Progress) -> None:
    assert "progress" in mismatches(a_granted_purchase(), a_payment_status(progress))


@pytest.mark.parametrize("progress", PROGRESS)
def test_an_ungranted_purchase_may_have_any_progress(progress: Progress) -> None:
    assert mismatches(a_purchase(), a_payment_status(progress)) == ()


def test_unknown_purchases_and_sessions_are_named_in_mismatches() -> None:
    assert mismatches(None, a_payment_status()) == ("unknown_purchase",)
    assert mismatches(None, None) == ("unknown_purchase",)
    assert mismatches(a_granted_purchase(), None) == ("unknown_session",)


def test_a_live_purchase_is_not_paid_by_test_money() -> None:
    assert mismatches(a_purchase(live=True), a_payment_status(live=False)) == ("live",)
