"""Rule 16: a hold reserves units, a capture spends some of them, and the rest comes back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from prepaid.core.entry import LotDraw, QuotaDraw
from prepaid.core.errors import HoldNotFound, InsufficientCredits, InvalidRequest, TooManyHolds, TooManyLots
from prepaid.core.holding import MAX_HELD_LOTS, MAX_HOLDS
from prepaid.core.ledger import MAX_LOTS, SERVICE, Settle, apply, settle
from tests.support.charges import credits_of
from tests.support.core_builders import (
    CATALOG,
    NOW,
    STICKER,
    a_capture,
    a_change_to,
    a_debit,
    a_grant,
    a_hold,
    a_lot,
    a_release,
    a_revocation,
    an_account,
    priced,
    run,
    some_terms,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LOT = a_lot(10)
RENEWAL = NOW + 2 * HOUR
PLAN = some_terms("individual")


def test_held_credits_can_not_be_spent_by_anything_else() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=7))

    assert (account.available, account.held) == (3, 7)
    assert (hold.type, hold.credits, hold.lapses_at) == ("hold", -7, NOW + 15 * MINUTE)
    with pytest.raises(InsufficientCredits) as refused:
        apply(account, a_debit(quantity=4), catalog=CATALOG, now=NOW)
    assert (refused.value.needed, refused.value.available) == (4, 3)


def test_a_hold_draws_as_a_debit_does() -> None:
    account = an_account(LOT, a_lot(4, number=3, kind="promotion"), terms=PLAN, quota_used=98)

    _, (hold,) = run(account, a_hold("ai_service", 8))
    _, (debit,) = run(account, a_debit("ai_service", 8))

    assert (hold.draws, hold.credits, hold.quota) == (debit.draws, debit.credits, debit.quota)


def test_a_hold_is_all_or_nothing() -> None:
    with pytest.raises(InsufficientCredits):
        apply(an_account(LOT), a_hold(quantity=11), catalog=CATALOG, now=NOW)


def test_a_capture_of_all_spends_what_was_held() -> None:
    account, (hold, *_) = run(an_account(LOT), a_hold(quantity=7))

    account, (capture,) = run(account, a_capture(hold))

    assert (account.available, account.held, account.holds) == (3, 0, ())
    assert (capture.type, capture.credits, capture.spent, capture.units) == ("capture", 0, 7, 7)
    assert capture.draws == hold.draws
    assert (capture.holds, capture.returned, capture.expired) == ((hold.number,), (), ())


def test_a_capture_of_less_spends_first_what_was_drawn_first() -> None:
    soon = a_lot(4, number=3, kind="promotion", expires_at=NOW + timedelta(days=1))
    account, (hold,) = run(an_account(LOT, soon, terms=PLAN, quota_used=98), a_hold("ai_service", 8))

    account, (capture,) = run(account, a_capture(hold, 5))

    assert capture.draws == (QuotaDraw("ai_service", 2), LotDraw(soon.id, 3, soon.expires_at))
    assert capture.returned == (LotDraw(soon.id, -1, soon.expires_at), LotDraw(LOT.id, -2, LOT.expires_at))
    assert (capture.credits, capture.quota, capture.quantity) == (3, 0, 5)
    assert account.lots == (replace(soon, granted=4, remaining=1), LOT)


def test_a_capture_of_nothing_gives_everything_back() -> None:
    before, (hold,) = run(an_account(LOT, terms=PLAN, quota_used=98), a_hold("ai_service", 8))

    account, (capture,) = run(before, a_capture(hold, 0))

    assert (capture.draws, capture.spent, capture.units) == ((), 0, 0)
    assert (account.lots, account.quotas_used) == ((LOT,), {"ai_service": 98})


def test_a_capture_costs_what_the_units_cost_when_they_were_held() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=3), catalog=priced(STICKER, 3))

    account, (capture,) = run(account, a_capture(hold, 2), catalog=priced(STICKER, 100))

    assert (capture.spent, account.available) == (6, 4)


def test_a_capture_of_more_than_is_held_is_refused() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=3))

    with pytest.raises(InvalidRequest) as refused:
        apply(account, a_capture(hold, 4), catalog=CATALOG, now=NOW)

    assert refused.value.errors == (("quantity", "must be at most 3, the units that the hold reserves"),)


@pytest.mark.parametrize("ended_by", ["capture", "release", "lapse"])
def test_a_hold_that_has_ended_can_be_neither_captured_nor_released(ended_by: str) -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=3))
    if ended_by != "lapse":
        account, _ = run(account, a_capture(hold) if ended_by == "capture" else a_release(hold))
    later = NOW + 15 * MINUTE if ended_by == "lapse" else NOW

    for operation in (a_capture(hold), a_release(hold)):
        with pytest.raises(HoldNotFound):
            apply(account, operation, catalog=CATALOG, now=later)


def test_a_release_gives_everything_back() -> None:
    account, (hold,) = run(an_account(LOT, terms=PLAN, quota_used=98), a_hold("ai_service", 8))

    account, (release,) = run(account, a_release(hold))

    assert (account.lots, account.quotas_used, account.held) == ((LOT,), {"ai_service": 98}, 0)
    assert (release.type, release.credits, release.quota, release.actor) == ("release", 6, 2, "service")
    assert release.draws == (QuotaDraw("ai_service", -2), LotDraw(LOT.id, -6, LOT.expires_at))


def test_a_lot_that_a_hold_emptied_comes_back_as_it_was() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=10))
    assert account.lots == ()

    account, _ = run(account, a_release(hold))

    assert account.lots == (LOT,)


def test_a_hold_lapses_without_a_timer() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=3))
    assert hold.lapses_at

    just_before, _ = settle(account, catalog=CATALOG, now=hold.lapses_at - timedelta(milliseconds=1))
    lapsed, (release,) = settle(account, catalog=CATALOG, now=hold.lapses_at)

    assert (just_before.available, lapsed.available) == (7, 10)
    assert (release.type, release.actor, release.holds) == ("release", SERVICE, (hold.number,))


def test_many_lapses_are_one_entry() -> None:
    account, holds = run(an_account(a_lot(500), terms=PLAN), *(a_hold("ai_service", 2) for _ in range(MAX_HOLDS)))

    (release,) = apply(account, Settle(), catalog=CATALOG, now=NOW + HOUR)

    assert release.holds == tuple(hold.number for hold in holds)
    assert (release.credits, release.quota, release.quantity) == (100, 100, 200)
    assert release.after.holds == ()


def test_a_lapse_of_several_features_names_none() -> None:
    account, _ = run(an_account(LOT, terms=PLAN), a_hold("ai_service", 2), a_hold("sticker", 3))

    (release,) = apply(account, Settle(), catalog=CATALOG, now=NOW + HOUR)

    assert (release.feature, release.quantity) == (None, None)
    assert release.draws == (QuotaDraw("ai_service", -2), LotDraw(LOT.id, -3, LOT.expires_at))


# A lot that ends during the hold


ENDING = a_lot(5, number=3, kind="promotion", expires_at=NOW + 10 * MINUTE)


def test_a_lot_that_ended_during_the_hold_is_still_captured() -> None:
    account, (hold,) = run(an_account(LOT, ENDING), a_hold(quantity=7))

    account, (capture,) = run(account, a_capture(hold), now=ENDING.expires_at)

    assert capture.draws == hold.draws
    assert (capture.spent, account.available) == (7, 8)


def test_what_is_released_of_an_ended_lot_expires() -> None:
    account, (hold,) = run(an_account(LOT, ENDING), a_hold(quantity=7))

    account, (release,) = run(account, a_release(hold), now=ENDING.expires_at)

    assert account.lots == (LOT,)
    assert (release.credits, release.expired) == (2, (LotDraw(ENDING.id, 5, ENDING.expires_at),))


def test_a_partial_capture_spends_the_ended_lot_first() -> None:
    account, (hold,) = run(an_account(LOT, ENDING), a_hold(quantity=7))

    account, (capture,) = run(account, a_capture(hold, 4), now=ENDING.expires_at)

    assert capture.draws == (LotDraw(ENDING.id, 4, ENDING.expires_at),)
    assert capture.expired == (LotDraw(ENDING.id, 1, ENDING.expires_at),)
    assert capture.returned == (LotDraw(LOT.id, -2, LOT.expires_at),)


@pytest.mark.parametrize(("ttl", "available"), [(599, 15), (600, 10), (601, 10)])
def test_a_hold_that_lapses_first_returns_credits_to_its_lot(ttl: int, available: int) -> None:
    """At one instant the lot ends before the hold lapses."""
    account, (hold,) = run(an_account(LOT, ENDING), a_hold(quantity=7, ttl_seconds=ttl))
    assert hold.lapses_at

    lapsed, _ = settle(account, catalog=CATALOG, now=hold.lapses_at)
    later, entries = settle(account, catalog=CATALOG, now=NOW + HOUR)

    assert lapsed.available == available
    assert later.lots == (LOT,)
    assert [entry.type for entry in entries] == ["release"]


def test_no_entry_shows_an_expired_credit() -> None:
    account, _ = run(an_account(LOT, ENDING), a_hold(quantity=3, ttl_seconds=60))

    _, entries = settle(account, catalog=CATALOG, now=NOW + HOUR)

    assert [(entry.type, entry.after.available) for entry in entries] == [("expiry", 10), ("release", 10)]
    assert [credits_of((*entry.draws, *entry.expired)) for entry in entries] == [{ENDING.id: 2}, {ENDING.id: 3}]


# Quota across a renewal


def test_quota_held_across_a_renewal_is_still_captured() -> None:
    account = an_account(LOT, terms=PLAN, quota_renews_at=RENEWAL)
    account, (hold,) = run(account, a_hold("ai_service", 3, ttl_seconds=86_400))

    account, entries = run(account, a_capture(hold), now=RENEWAL)

    assert [entry.type for entry in entries] == ["quota_renewal", "capture"]
    assert entries[-1].draws == (QuotaDraw("ai_service", 3),)
    assert account.quotas_used == {}


def test_quota_released_after_the_renewal_is_gone() -> None:
    account = an_account(LOT, terms=PLAN, quota_renews_at=RENEWAL)
    account, (hold,) = run(account, a_hold("ai_service", 3, ttl_seconds=86_400))
    account, _ = run(account, a_debit("ai_service", 2), now=RENEWAL)

    account, (release,) = run(account, a_release(hold), now=RENEWAL)

    assert (release.draws, release.quota) == ((), 0)
    assert account.quotas_used == {"ai_service": 2}


@pytest.mark.parametrize("minutes", [119, 120, 121])
def test_a_lapse_around_the_renewal_leaves_a_fresh_quota(minutes: int) -> None:
    account = an_account(LOT, terms=PLAN, quota_renews_at=RENEWAL)
    account, _ = run(account, a_hold("ai_service", 3, ttl_seconds=minutes * 60))

    settled, _ = settle(account, catalog=CATALOG, now=RENEWAL + HOUR)

    assert (settled.quotas_used, settled.holds) == ({}, ())


def test_a_changed_anchor_day_does_not_end_the_quotas_period() -> None:
    account = an_account(terms=PLAN, quota_used=10)
    account, (hold, *_) = run(
        account, a_hold("ai_service", 3), a_change_to(some_terms("individual", quota_anchor_day=9))
    )

    account, _ = run(account, a_release(hold))

    assert account.quotas_used == {"ai_service": 10}


def test_a_hold_keeps_its_quota_when_the_plan_changes() -> None:
    account, (hold, *_) = run(an_account(terms=PLAN), a_hold("ai_service", 3), a_change_to(some_terms("none")))

    account, (capture,) = run(account, a_capture(hold, 2))

    assert capture.draws == (QuotaDraw("ai_service", 2),)
    assert account.quotas_used == {"ai_service": 2}


# Debts, revocations and bounds


def test_what_comes_back_pays_a_debt_first() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=7))

    account, (release,) = run(replace(account, owed=5), a_release(hold))

    assert (release.credits, release.owed) == (2, -5)
    assert (account.available, account.owed) == (5, 0)


def test_a_refund_takes_no_held_credits_and_the_rest_is_owed() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=7))

    account, (refund,) = run(account, a_revocation(LOT, 10))

    assert (refund.credits, refund.owed, account.held) == (-3, 7, 7)
    captured, _ = run(account, a_capture(hold))
    assert (captured.available, captured.owed) == (0, 7)
    released, _ = run(account, a_release(hold))
    assert (released.available, released.owed) == (0, 0)


def test_credits_refunded_in_a_hold_are_not_owed_once_they_expired() -> None:
    lot = replace(ENDING, kind="purchase")
    account, (hold,) = run(an_account(lot), a_hold(quantity=5))
    account, (refund,) = run(account, a_revocation(lot, 5))
    assert refund.owed == 5

    account, (release,) = run(account, a_release(hold), now=ENDING.expires_at)

    assert (release.owed, release.expired, account.owed) == (-5, (), 0)


def test_debts_are_paid_in_the_order_in_which_holds_lapse() -> None:
    sooner = a_lot(5, number=3, kind="promotion", expires_at=NOW + timedelta(days=1))
    account, _ = run(an_account(sooner, LOT), a_hold(quantity=5, ttl_seconds=600), a_hold(quantity=5, ttl_seconds=60))

    settled, _ = settle(replace(account, owed=5), catalog=CATALOG, now=NOW + HOUR)

    assert settled.lots == (sooner, replace(LOT, remaining=5))


def test_an_account_has_at_most_a_hundred_holds() -> None:
    account, _ = run(an_account(a_lot(500)), *(a_hold() for _ in range(MAX_HOLDS)))

    with pytest.raises(TooManyHolds) as refused:
        apply(account, a_hold(), catalog=CATALOG, now=NOW)
    assert (refused.value.limit, refused.value.of) == (100, "holds")
    (lapse, hold) = apply(account, a_hold(), catalog=CATALOG, now=NOW + HOUR)

    assert (lapse.type, hold.type, len(hold.after.holds)) == ("release", "hold", 1)


def test_holds_have_credits_of_at_most_five_hundred_lots() -> None:
    lots = [a_lot(1, number=number) for number in range(2, MAX_HELD_LOTS + 4)]
    account, _ = run(an_account(*lots, number=900), a_hold(quantity=MAX_HELD_LOTS))

    with pytest.raises(TooManyHolds) as refused:
        apply(account, a_hold(), catalog=CATALOG, now=NOW)

    assert (refused.value.limit, refused.value.of) == (500, "lots")


def test_lots_that_only_holds_have_credits_of_count_as_lots() -> None:
    lots = [a_lot(1, number=number) for number in range(2, MAX_LOTS + 2)]
    account, _ = run(an_account(*lots, number=900), a_hold(quantity=MAX_LOTS))

    with pytest.raises(TooManyLots):
        apply(account, a_grant(kind="promotion"), catalog=CATALOG, now=NOW)
