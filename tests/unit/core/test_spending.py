"""Rules 2, 3 and 4: what a debit draws, in which order, and what a refusal says."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from prepaid.core.account import Account, Lot, Terms, units_left
from prepaid.core.catalog import Catalog, Feature, Plan
from prepaid.core.entry import Draw, Entry, LotDraw, QuotaDraw
from prepaid.core.errors import InsufficientCredits, InvalidRequest
from prepaid.core.ledger import Debit, apply, settle
from tests.support.core_builders import (
    AI_SERVICE,
    CATALOG,
    NOW,
    STICKER,
    a_catalog,
    a_debit,
    a_lot,
    a_pack,
    an_account,
    civil,
    priced,
    run,
    some_terms,
)

ON_TRIO = some_terms("trio")
MILLISECOND = timedelta(milliseconds=1)


def debited(account: Account, debit: Debit, *, catalog: Catalog = CATALOG, now: datetime = NOW) -> Entry:
    return apply(account, debit, catalog=catalog, now=now)[-1]


def draws_of(account: Account, debit: Debit) -> tuple[Draw, ...]:
    return debited(account, debit).draws


def refusal_of(
    account: Account, debit: Debit, *, catalog: Catalog = CATALOG, now: datetime = NOW
) -> InsufficientCredits:
    with pytest.raises(InsufficientCredits) as refused:
        apply(account, debit, catalog=catalog, now=now)
    return refused.value


def drawn(lot: Lot, credits: int) -> LotDraw:
    return LotDraw(lot.id, credits, lot.expires_at)


# What is spent


def test_a_sticker_takes_one_credit() -> None:
    account = an_account(a_lot(10))

    entry = debited(account, a_debit("sticker"))

    assert entry.credits == -1
    assert entry.after.available == 9


def test_a_debit_takes_the_features_price_for_each_unit() -> None:
    account = an_account(a_lot(10))

    entry = debited(account, a_debit("sticker", quantity=3), catalog=priced(STICKER, 2))

    assert entry.credits == -6
    assert entry.after.available == 4


def test_a_free_feature_draws_nothing_and_is_still_an_entry() -> None:
    account = an_account()

    entry = debited(account, a_debit("sticker", quantity=5), catalog=priced(STICKER, 0))

    assert (entry.type, entry.credits, entry.quota, entry.draws, entry.source) == ("consumption", 0, 0, (), None)
    assert entry.quantity == 5


def test_the_last_credit_can_be_spent() -> None:
    account = an_account(a_lot(1))

    assert debited(account, a_debit()).after.available == 0


def test_a_lot_that_is_used_up_leaves_the_account() -> None:
    first, second = a_lot(3, number=2), a_lot(5, number=3)

    after = debited(an_account(first, second), a_debit(quantity=3)).after

    assert [lot.number for lot in after.lots] == [3]


def test_a_partly_spent_lot_keeps_its_granted_credits() -> None:
    lot = a_lot(7, granted=10)

    after = debited(an_account(lot), a_debit(quantity=3)).after

    assert [(lot.granted, lot.remaining) for lot in after.lots] == [(10, 4)]


def test_a_lot_that_is_partly_spent_gives_no_more_than_it_has_left() -> None:
    partly_spent, whole = a_lot(2, number=2, granted=10), a_lot(5, number=3)

    assert draws_of(an_account(partly_spent, whole), a_debit(quantity=4)) == (drawn(partly_spent, 2), drawn(whole, 2))


def test_a_debit_keeps_the_callers_texts() -> None:
    debit = Debit(
        actor="service",
        feature="sticker",
        quantity=2,
        description="birthday card",
        customer="customer-118",
        reference="order 12",
    )

    entry = debited(an_account(a_lot(10)), debit)

    assert (entry.actor, entry.feature, entry.quantity) == ("service", "sticker", 2)
    assert (entry.description, entry.customer, entry.reference) == ("birthday card", "customer-118", "order 12")


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        apply(an_account(a_lot(10)), a_debit("hologram"), catalog=CATALOG, now=NOW)


# Rule 2: expiry


def test_a_credit_that_expires_now_is_not_spent() -> None:
    account = an_account(a_lot(1, expires_at=NOW))

    refusal = refusal_of(account, a_debit())

    assert refusal.available == 0


def test_a_credit_that_expires_a_millisecond_from_now_is_spent() -> None:
    account = an_account(a_lot(1, expires_at=NOW + MILLISECOND))

    assert debited(account, a_debit()).after.available == 0


def test_expired_credits_are_skipped_for_valid_ones() -> None:
    expired, valid = a_lot(5, number=2, expires_at=NOW), a_lot(5, number=3)

    assert draws_of(an_account(expired, valid), a_debit(quantity=2)) == (drawn(valid, 2),)


def test_a_debit_that_finds_expired_credits_records_their_loss_first() -> None:
    expired, valid = a_lot(5, number=2, expires_at=NOW), a_lot(5, number=3)

    entries = apply(an_account(expired, valid, number=90), a_debit(quantity=2), catalog=CATALOG, now=NOW)

    assert [(entry.number, entry.type, entry.credits) for entry in entries] == [
        (91, "expiry", -5),
        (92, "consumption", -2),
    ]


# Rule 3: the draw order


def test_the_lot_that_expires_first_is_drawn_first() -> None:
    later = a_lot(5, number=2, expires_at=civil("2027-02-01 00:00"))
    sooner = a_lot(5, number=3, expires_at=civil("2027-01-01 00:00"))

    assert draws_of(an_account(later, sooner), a_debit(quantity=1)) == (drawn(sooner, 1),)


def test_the_soonest_expiry_is_drawn_first_whatever_the_kind() -> None:
    promotion = a_lot(5, number=2, kind="promotion", granted_at=civil("2026-01-01 00:00"))
    sooner = a_lot(5, number=9, granted_at=civil("2026-05-01 00:00"), expires_at=promotion.expires_at - MILLISECOND)

    assert draws_of(an_account(promotion, sooner), a_debit()) == (drawn(sooner, 1),)


def test_promotions_are_drawn_before_purchases_of_equal_expiry() -> None:
    purchase = a_lot(5, number=2, kind="purchase", granted_at=civil("2026-01-01 00:00"))
    promotion = a_lot(5, number=3, kind="promotion", granted_at=civil("2026-05-01 00:00"))

    assert draws_of(an_account(purchase, promotion), a_debit()) == (drawn(promotion, 1),)


def test_credits_given_as_an_adjustment_are_drawn_before_bought_ones() -> None:
    purchase = a_lot(5, number=2, kind="purchase")
    adjustment = a_lot(5, number=3, kind="adjustment")

    assert draws_of(an_account(purchase, adjustment), a_debit()) == (drawn(adjustment, 1),)


def test_adjustments_and_promotions_are_drawn_by_grant_time() -> None:
    """The lot granted first is drawn first."""
    adjustment = a_lot(5, number=3, kind="adjustment", granted_at=civil("2026-01-01 00:00"))
    promotion = a_lot(5, number=2, kind="promotion", granted_at=civil("2026-01-01 00:00") + MILLISECOND)

    assert draws_of(an_account(adjustment, promotion), a_debit()) == (drawn(adjustment, 1),)


def test_the_earlier_granted_of_equal_lots_is_drawn_first() -> None:
    """Lots of one kind that expire together."""
    second = a_lot(5, number=2, granted_at=civil("2026-02-01 00:00"))
    first = a_lot(5, number=3, granted_at=civil("2026-02-01 00:00") - MILLISECOND)

    assert draws_of(an_account(second, first), a_debit()) == (drawn(first, 1),)


def test_the_lower_lot_id_of_equal_lots_is_drawn_first() -> None:
    lots = [a_lot(5, number=number) for number in (999, 1000, 2, 10)]

    for order in permutations(lots):
        draws = draws_of(an_account(*order), a_debit(quantity=20))

        assert [draw.lot for draw in draws if isinstance(draw, LotDraw)] == [
            "lot_000000000002",
            "lot_000000000010",
            "lot_000000000999",
            "lot_000000001000",
        ]


def test_a_debit_draws_on_several_lots_until_it_is_covered() -> None:
    lots = [
        a_lot(3, number=4, expires_at=civil("2026-07-01 00:00")),
        a_lot(4, number=3, expires_at=civil("2026-08-01 00:00")),
        a_lot(5, number=2, expires_at=civil("2026-09-01 00:00")),
    ]

    entry = debited(an_account(*lots), a_debit(quantity=7))

    assert entry.draws == (drawn(lots[0], 3), drawn(lots[1], 4))
    assert entry.after.lots == (lots[2],)


# Rules 3, 7, 8: quota first


def test_the_quota_pays_before_the_credits_do() -> None:
    account = an_account(a_lot(10), terms=ON_TRIO)

    entry = debited(account, a_debit("ai_service", quantity=2))

    assert entry.draws == (QuotaDraw("ai_service", 2),)
    assert (entry.quota, entry.credits, entry.quota_remaining, entry.source) == (-2, 0, 298, "quota")


def test_the_quota_never_pays_for_a_sticker() -> None:
    lot = a_lot(10)
    account = an_account(lot, terms=ON_TRIO)

    entry = debited(account, a_debit("sticker"))

    assert entry.draws == (drawn(lot, 1),)
    assert (entry.quota, entry.quota_remaining, entry.after.quotas_used) == (0, 300, {})


def test_a_sticker_is_refused_with_the_quota_untouched_and_no_credits() -> None:
    account = an_account(terms=ON_TRIO)

    refusal_of(account, a_debit("sticker"))


def test_one_debit_may_be_split_over_quota_and_several_lots() -> None:
    sooner = a_lot(2, number=3, expires_at=civil("2026-12-01 00:00"))
    later = a_lot(10, number=2)
    account = an_account(sooner, later, terms=ON_TRIO, quota_used=299)

    entry = debited(account, a_debit("ai_service", quantity=6))

    assert entry.draws == (QuotaDraw("ai_service", 1), drawn(sooner, 2), drawn(later, 3))
    assert (entry.quota, entry.credits, entry.source) == (-1, -5, "both")
    assert entry.after.quotas_used == {"ai_service": 300}


def test_units_beyond_the_quota_take_the_features_price_each() -> None:
    account = an_account(a_lot(10), terms=ON_TRIO, quota_used=299)

    entry = debited(account, a_debit("ai_service", quantity=3), catalog=priced(AI_SERVICE, 4))

    assert (entry.quota, entry.credits) == (-1, -8)


def test_with_the_quota_gone_a_service_takes_credits_alone() -> None:
    lot = a_lot(10)
    account = an_account(lot, terms=ON_TRIO, quota_used=300)

    entry = debited(account, a_debit("ai_service"))

    assert entry.draws == (drawn(lot, 1),)
    assert entry.source == "credits"


# Rule 4: all or nothing


def test_a_debit_that_is_not_covered_draws_nothing() -> None:
    account = an_account(a_lot(3), terms=ON_TRIO, quota_used=298)

    refusal_of(account, a_debit("ai_service", quantity=6))
    after, entries = run(account, a_debit("ai_service", quantity=5))

    assert len(entries) == 1
    assert (after.available, after.quotas_used) == (0, {"ai_service": 300})


def test_a_refusal_names_the_credits_needed_beyond_the_quota() -> None:
    """And those available."""
    account = an_account(a_lot(3), a_lot(4, number=3), terms=ON_TRIO, quota_used=298)

    refusal = refusal_of(account, a_debit("ai_service", quantity=20), catalog=priced(AI_SERVICE, 2))

    assert refusal.needed == 36
    assert refusal.available == 7
    assert refusal.quota_remaining == 2


def test_a_refusal_does_not_count_expired_credits() -> None:
    account = an_account(a_lot(3, expires_at=NOW), a_lot(4, number=3))

    assert refusal_of(account, a_debit(quantity=5)).available == 4


def test_a_refusal_states_when_the_quota_renews() -> None:
    account = an_account(terms=some_terms("trio", quota_anchor_day=20), quota_used=300)

    assert refusal_of(account, a_debit("ai_service")).renews_at == civil("2026-06-20 00:00")


def test_a_refusal_of_a_sticker_names_no_quota_and_no_renewal() -> None:
    refusal = refusal_of(an_account(terms=ON_TRIO), a_debit("sticker"))

    assert refusal.quota_remaining == 0
    assert refusal.renews_at is None


@pytest.mark.parametrize("terms", [some_terms("none"), some_terms("trio", ai_enabled=False)])
def test_a_refusal_names_no_renewal_where_there_is_no_quota_to_renew(terms: Terms) -> None:
    refusal = refusal_of(an_account(terms=terms), a_debit("ai_service"))

    assert refusal.renews_at is None


def test_a_refusal_suggests_the_smallest_pack_that_suffices() -> None:
    account = an_account(a_lot(10))

    assert refusal_of(account, a_debit(quantity=60)).suggested_pack == "credits-50"
    assert refusal_of(account, a_debit(quantity=61)).suggested_pack == "credits-100"


def test_a_suggested_pack_covers_what_is_owed_too() -> None:
    account = an_account(owed=60)

    assert refusal_of(account, a_debit(quantity=40)).suggested_pack == "credits-100"
    assert refusal_of(account, a_debit(quantity=41)).suggested_pack == "credits-500"


def test_a_refusal_suggests_nothing_when_no_pack_on_sale_covers_it() -> None:
    catalog = a_catalog(packs=(a_pack(50), a_pack(5000, active=False)))

    assert refusal_of(an_account(), a_debit(quantity=51), catalog=catalog).suggested_pack is None


# What could still be paid


@pytest.mark.parametrize(
    ("feature", "units"),
    [
        (STICKER, 7),
        (AI_SERVICE, 9),
        (Feature(id="hologram", price=3), 2),
        (Feature(id="film", price=3), 4),
        (Feature(id="song", price=8), 0),
        (Feature(id="hello", price=0), None),
    ],
)
def test_the_units_left_are_those_that_a_debit_could_spend(feature: Feature, units: int | None) -> None:
    account = an_account(a_lot(7), terms=ON_TRIO, quota_used=298)
    trio = Plan(id="trio", quotas={"ai_service": 300, "film": 2})
    catalog = a_catalog(features=(STICKER, AI_SERVICE, feature), plans=(trio,))

    assert units_left(account, feature, catalog) == units
    if units:
        debited(account, a_debit(feature.id, units), catalog=catalog)
    if units is not None:
        refusal_of(account, a_debit(feature.id, units + 1), catalog=catalog)


def test_available_leaves_out_expired_credits_without_a_sweep() -> None:
    account = an_account(a_lot(3, expires_at=NOW), a_lot(4, number=3))

    now_account, _ = settle(account, catalog=CATALOG, now=NOW)

    assert now_account.available == 4
