"""What users of other credit systems complain about, one test for each complaint. A comment names the report."""

from datetime import timedelta
from itertools import pairwise

import pytest

from prepaid.core.account import quota_remaining
from prepaid.core.errors import InsufficientCredits
from prepaid.core.ledger import Settle, apply, settle
from tests.support.core_builders import (
    AI_SERVICE,
    CATALOG,
    NOW,
    a_change_to,
    a_debit,
    a_grant,
    a_lot,
    a_payment_status,
    a_purchase,
    an_account,
    civil,
    followed,
    run,
    some_terms,
)

MILLISECOND = timedelta(milliseconds=1)


# wasp-lang/open-saas#727
def test_the_second_of_two_requests_for_one_credit_is_refused() -> None:
    """Nothing goes below zero."""
    account, _ = run(an_account(a_lot(1)), a_debit())

    with pytest.raises(InsufficientCredits):
        apply(account, a_debit(), catalog=CATALOG, now=NOW)

    assert account.available == 0


# vm0-ai/vm0#10299
def test_expired_credits_are_not_spendable_though_no_job_has_run() -> None:
    account = an_account(a_lot(100, expires_at=NOW - timedelta(days=90)), at=NOW - timedelta(days=100))

    with pytest.raises(InsufficientCredits) as refused:
        apply(account, a_debit(), catalog=CATALOG, now=NOW)

    assert refused.value.available == 0


# managoat/fountain#1126
def test_the_expiry_of_a_promotion_keeps_purchased_lots() -> None:
    promotion = a_lot(50, number=2, kind="promotion", expires_at=NOW)
    bought = a_lot(100, number=3)

    account, _ = run(an_account(promotion, bought), Settle())

    assert account.lots == (bought,)


# useautumn/autumn#2115
def test_an_anchor_on_the_31st_does_not_drift_after_a_short_month() -> None:
    account = an_account(terms=some_terms("trio", quota_anchor_day=31), at=civil("2027-01-31 09:00"), quota_used=1)

    renewals = []
    for _ in range(4):
        renewals.append(account.quota_renews_at)
        account, _entries = run(account, a_debit("ai_service"), now=account.quota_renews_at)

    assert renewals == [civil(f"2027-{day} 00:00") for day in ("02-28", "03-31", "04-30", "05-31")]


# relaticle/relaticle#437
def test_the_monthly_reset_happens_once_however_often_it_is_run() -> None:
    renewal = civil("2026-07-01 00:00")
    account = an_account(terms=some_terms("trio"), quota_used=300)

    account, entries = run(account, Settle(), a_debit("ai_service", 300), Settle(), Settle(), now=renewal)

    assert [entry.type for entry in entries].count("quota_renewal") == 1
    assert quota_remaining(account, AI_SERVICE, CATALOG) == 0


# polarsource/polar#8451
def test_subscribing_to_a_plan_keeps_purchased_credits() -> None:
    account = an_account(a_lot(80, granted=100))

    account, _ = run(account, a_change_to(some_terms("trio")), a_change_to(some_terms("none")))

    assert account.available == 80


# kortix-ai/suna#6666
def test_a_paid_purchase_grants_from_any_earlier_state() -> None:
    statuses = [
        a_payment_status(progress) for progress in ("session_expired", "payment_failed", "awaiting_payment", "paid")
    ]

    purchase, account, _ = followed(a_purchase("open"), an_account(), *statuses)

    assert (purchase.state, account.available) == ("granted", 100)


# getlago/lago-api#3703
def test_a_purchase_paid_failed_and_paid_again_grants_once() -> None:
    statuses = [a_payment_status(progress) for progress in ("paid", "payment_failed", "paid")]

    purchase, account, entries = followed(a_purchase("open"), an_account(), *statuses)

    assert (purchase.state, account.available, len(entries)) == ("granted", 100, 1)


# t3dotgg/stripe-recommendations#25
def test_a_payment_that_succeeds_days_after_the_checkout_is_granted() -> None:
    days_later = NOW + timedelta(days=3)
    pending, account, nothing = followed(a_purchase("open"), an_account(), *[a_payment_status("awaiting_payment")] * 2)

    purchase, account, _ = followed(pending, account, a_payment_status("paid"), now=days_later)

    assert (pending.state, nothing) == ("pending", ())
    assert (purchase.state, account.available) == ("granted", 100)


# Helicone/helicone#4728
def test_a_pack_that_is_partly_spent_can_be_refunded() -> None:
    purchase, account, _ = followed(a_purchase("open"), an_account(), a_payment_status("paid"))
    account, _ = run(account, a_debit(quantity=30))

    _, account, _ = followed(purchase, account, a_payment_status(refunded=4990))

    assert (account.available, account.owed) == (0, 30)


# elizaOS/eliza#10997
def test_credits_of_a_dispute_come_back_when_it_is_won() -> None:
    purchase, account, _ = followed(a_purchase("open"), an_account(), a_payment_status("paid"))
    account, _ = run(account, a_debit(quantity=30))

    _, disputed, _ = followed(purchase, account, *[a_payment_status(disputed=4990)] * 2)
    _, won, _ = followed(purchase, account, a_payment_status(disputed=4990), a_payment_status(disputed=0))

    assert disputed.available == 0
    assert (won.available, won.owed, won.lots) == (70, 0, account.lots)


# synthetic-sciences/openscience#57
def test_right_after_a_top_up_the_refused_debit_succeeds() -> None:
    account = an_account(a_lot(1))
    with pytest.raises(InsufficientCredits):
        apply(account, a_debit(quantity=20), catalog=CATALOG, now=NOW)

    account, _ = run(account, a_grant(50))
    account, _ = run(account, a_debit(quantity=20))

    assert account.available == 31


# Bytez-com/docs#43
def test_no_credit_disappears_without_an_entry() -> None:
    account = an_account(terms=some_terms("trio"), number=1)
    operations = (a_grant(9, validity=1), a_debit(quantity=2), a_grant(30), a_debit("ai_service", 301), Settle())

    _, first = run(account, *operations)
    _, later = run(first[-1].after, a_debit(quantity=5), Settle(), now=civil("2027-08-01 12:00") - timedelta(days=90))

    history = (*first, *later)
    assert "expiry" in [entry.type for entry in history]
    for before, after in pairwise(history):
        assert before.after.available + after.credits == after.after.available
        assert sum(getattr(draw, "credits", 0) for draw in after.draws) == max(0, -after.credits)


# bavix/laravel-wallet#532
def test_each_top_up_is_valid_for_its_own_year() -> None:
    account, _ = run(an_account(number=1), a_grant(50), now=civil("2026-06-16 10:00"))
    account, _ = run(account, a_grant(50), now=civil("2026-09-30 10:00"))

    midway, _ = settle(account, catalog=CATALOG, now=civil("2027-06-17 00:00"))
    end, _ = settle(account, catalog=CATALOG, now=civil("2027-10-01 00:00"))

    assert [lot.expires_at for lot in account.lots] == [civil("2027-06-17 00:00"), civil("2027-10-01 00:00")]
    assert (midway.available, end.available) == (50, 0)


# openmeterio/openmeter#4252, #4278
def test_a_use_at_the_boundary_counts_for_the_new_period() -> None:
    """And once only."""
    renewal = civil("2026-07-01 00:00")
    account = an_account(terms=some_terms("trio"), quota_used=0)

    account, _ = run(account, a_debit("ai_service", 7), now=renewal - MILLISECOND)
    account, entries = run(account, a_debit("ai_service", 2), now=renewal)

    assert [(entry.type, entry.quota) for entry in entries] == [("quota_renewal", 7), ("consumption", -2)]
    assert account.quotas_used == {"ai_service": 2}
