"""Rules 7, 8 and 9: the monthly quota, its renewal, plan changes and the AI switch."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from prepaid.core.account import Account, Terms, quota_remaining, quotas_remaining
from prepaid.core.catalog import Feature, Plan
from prepaid.core.entry import Entry, QuotaDraw
from prepaid.core.errors import InsufficientCredits, InvalidRequest
from prepaid.core.ledger import Settle, apply, open_account, settle
from tests.support.core_builders import (
    AI_SERVICE,
    CATALOG,
    NOW,
    PLANS,
    a_catalog,
    a_change_to,
    a_debit,
    a_grant,
    a_lot,
    an_account,
    civil,
    run,
    some_terms,
)

RENEWAL = civil("2026-07-01 00:00")
MILLISECOND = timedelta(milliseconds=1)
ON_TRIO = some_terms("trio")


STICKERS_TOO = a_catalog(plans=(*PLANS[:2], Plan(id="trio", quotas={"sticker": 20, "ai_service": 300}), *PLANS[3:]))


def settled(account: Account, now: datetime) -> tuple[Account, list[Entry]]:
    account, entries = settle(account, catalog=CATALOG, now=now)
    return account, list(entries)


# A new account


def test_a_new_account_has_its_whole_quota_until_the_next_anchor() -> None:
    entry = open_account("petshop-1", some_terms("trio", quota_anchor_day=20), actor="a", catalog=CATALOG, now=NOW)

    assert (entry.number, entry.at, entry.type) == (1, NOW, "plan_change")
    assert (entry.credits, entry.quota, entry.quota_remaining, entry.draws) == (0, 300, 300, ())
    assert (entry.after.id, entry.after.quotas_used, entry.after.lots) == ("petshop-1", {}, ())
    assert entry.after.quota_renews_at == civil("2026-06-20 00:00")


@pytest.mark.parametrize("terms", [some_terms("none"), some_terms("trio", ai_enabled=False)])
def test_a_new_account_without_plan_or_ai_has_no_quota(terms: Terms) -> None:
    entry = open_account("petshop-1", terms, actor="administrator", catalog=CATALOG, now=NOW)

    assert (entry.quota, entry.quota_remaining) == (0, 0)


def test_an_account_on_an_unknown_plan_is_not_opened() -> None:
    with pytest.raises(InvalidRequest):
        open_account("petshop-1", some_terms("unlimited"), actor="administrator", catalog=CATALOG, now=NOW)


@pytest.mark.parametrize(
    ("plan", "quota"), [("none", 0), ("individual", 100), ("trio", 300), ("team", 500), ("scale", 1000)]
)
def test_each_plan_includes_its_services_only_with_ai_switched_on(plan: str, quota: int) -> None:
    assert quota_remaining(an_account(terms=some_terms(plan)), AI_SERVICE, CATALOG) == quota
    assert quota_remaining(an_account(terms=some_terms(plan, ai_enabled=False)), AI_SERVICE, CATALOG) == 0


# Renewal


def test_the_quota_renews_at_the_anchor_instant() -> None:
    account = an_account(terms=ON_TRIO, quota_used=300)

    with pytest.raises(InsufficientCredits):
        apply(account, a_debit("ai_service"), catalog=CATALOG, now=RENEWAL - MILLISECOND)
    entries = apply(account, a_debit("ai_service"), catalog=CATALOG, now=RENEWAL)

    assert [(entry.type, entry.quota, entry.quota_remaining) for entry in entries] == [
        ("quota_renewal", 300, 300),
        ("consumption", -1, 299),
    ]


def test_the_quota_renews_without_anything_having_run_at_midnight() -> None:
    account = an_account(terms=ON_TRIO, quota_used=300)

    seen, _ = settled(account, civil("2026-07-19 17:23"))

    assert quota_remaining(seen, AI_SERVICE, CATALOG) == 300


def test_unused_quota_does_not_roll_over() -> None:
    account = an_account(terms=ON_TRIO, quota_used=10)

    seen, _ = settled(account, RENEWAL)

    assert quota_remaining(seen, AI_SERVICE, CATALOG) == 300


def test_a_renewal_never_touches_lots() -> None:
    lot = a_lot(7, granted=10)
    account = an_account(lot, terms=ON_TRIO, quota_used=300)

    seen, (renewal,) = settled(account, RENEWAL)

    assert seen.lots == (lot,)
    assert (renewal.credits, renewal.draws, renewal.source) == (0, (), None)


def test_a_renewal_happens_once_in_a_period() -> None:
    account = an_account(terms=ON_TRIO, quota_used=300)

    account, entries = run(account, Settle(), Settle(), a_debit("ai_service", 300), Settle(), now=RENEWAL)
    account, later = run(account, Settle(), now=civil("2026-08-01 00:00") - MILLISECOND)

    assert [entry.type for entry in entries] == ["quota_renewal", "consumption"]
    assert later == ()
    assert quota_remaining(account, AI_SERVICE, CATALOG) == 0


def test_after_idle_months_the_quota_renews_once() -> None:
    """From the anchor."""
    account = an_account(terms=some_terms("trio", quota_anchor_day=31), quota_used=300)

    seen, entries = settled(account, civil("2027-02-10 12:00"))

    assert [(entry.type, entry.quota) for entry in entries] == [("quota_renewal", 300)]
    assert seen.quota_renews_at == civil("2027-02-28 00:00")


def test_an_unused_period_ends_without_an_entry() -> None:
    account = an_account(terms=ON_TRIO, quota_used=0)

    seen, entries = settled(account, civil("2026-09-15 12:00"))

    assert entries == []
    assert seen.quota_renews_at == civil("2026-10-01 00:00")
    assert quota_remaining(seen, AI_SERVICE, CATALOG) == 300


def test_a_debit_after_a_silent_renewal_counts_for_the_new_period() -> None:
    account = an_account(terms=ON_TRIO, quota_used=0)

    account, _ = run(account, a_debit("ai_service", 5), now=RENEWAL)
    seen, entries = settled(account, civil("2026-08-01 00:00") - MILLISECOND)

    assert account.quota_renews_at == civil("2026-08-01 00:00")
    assert entries == []
    assert seen.quotas_used == {"ai_service": 5}


def test_the_service_records_renewals_under_its_own_name() -> None:
    _, (renewal,) = settled(an_account(terms=ON_TRIO, quota_used=1), RENEWAL)

    assert renewal.actor == "prepaid"
    assert renewal.at == RENEWAL


def test_an_expiry_and_a_renewal_at_one_instant_are_two_entries() -> None:
    account = an_account(a_lot(4, expires_at=RENEWAL), terms=ON_TRIO, quota_used=7, number=90)

    seen, entries = settled(account, RENEWAL)

    assert [(entry.number, entry.type, entry.credits, entry.quota) for entry in entries] == [
        (91, "expiry", -4, 0),
        (92, "quota_renewal", 0, 7),
    ]
    assert seen == entries[-1].after


# Without quota and credits


def test_without_quota_and_credits_a_refusal_names_both_remedies() -> None:
    """The next renewal, and a pack."""
    account = an_account(terms=ON_TRIO, quota_used=300)

    with pytest.raises(InsufficientCredits) as refused:
        apply(account, a_debit("ai_service"), catalog=CATALOG, now=NOW)

    assert refused.value.renews_at == RENEWAL
    assert refused.value.suggested_pack == "credits-50"


def test_a_purchase_makes_the_feature_usable_at_once() -> None:
    account = an_account(terms=ON_TRIO, quota_used=300)

    account, entries = run(account, a_grant(50), a_debit("ai_service"))

    assert entries[-1].credits == -1
    assert account.available == 49


# Rule 9: plan changes and the AI switch


def test_a_larger_plan_counts_at_once_and_used_services_stay_used() -> None:
    account = an_account(terms=some_terms("individual"), quota_used=80)

    account, (entry,) = run(account, a_change_to(some_terms("trio")))

    assert (entry.type, entry.quota, entry.quota_remaining) == ("plan_change", 200, 220)
    assert (account.quotas_used, account.quota_renews_at) == ({"ai_service": 80}, RENEWAL)


def test_a_smaller_plan_leaves_nothing_below_zero() -> None:
    account = an_account(terms=ON_TRIO, quota_used=250)

    account, (entry,) = run(account, a_change_to(some_terms("individual")))

    assert (entry.quota, entry.quota_remaining) == (-50, 0)
    assert account.quotas_used == {"ai_service": 250}


def test_a_smaller_plan_and_back_restores_no_used_units() -> None:
    account = an_account(terms=ON_TRIO, quota_used=250)

    account, _ = run(account, a_change_to(some_terms("none")), a_change_to(ON_TRIO))

    assert quota_remaining(account, AI_SERVICE, CATALOG) == 50


def test_services_beyond_a_smaller_plan_take_credits() -> None:
    account = an_account(a_lot(10), terms=ON_TRIO, quota_used=250)

    _, entries = run(account, a_change_to(some_terms("individual")), a_debit("ai_service", 2))

    assert (entries[-1].quota, entries[-1].credits) == (0, -2)


def test_a_smaller_plan_has_its_whole_quota_in_the_next_period() -> None:
    account, _ = run(an_account(terms=ON_TRIO, quota_used=250), a_change_to(some_terms("individual")))

    seen, _ = settled(account, RENEWAL)

    assert quota_remaining(seen, AI_SERVICE, CATALOG) == 100


def test_switching_ai_off_stops_the_quota_at_once() -> None:
    """Switching it on again brings back what was left."""
    account = an_account(a_lot(10), terms=ON_TRIO, quota_used=100)

    account, (off, paid, on) = run(
        account,
        a_change_to(some_terms("trio", ai_enabled=False)),
        a_debit("ai_service"),
        a_change_to(ON_TRIO),
    )

    assert (off.quota, off.quota_remaining) == (-200, 0)
    assert (paid.quota, paid.credits) == (0, -1)
    assert (on.quota, on.quota_remaining) == (200, 200)


def test_a_plan_change_keeps_every_lot() -> None:
    lots = (a_lot(3, number=2), a_lot(4, number=3, kind="promotion"))
    account = an_account(*lots, terms=ON_TRIO)

    after, (entry,) = run(account, a_change_to(some_terms("none")))

    assert after.lots == account.lots
    assert entry.credits == 0


def test_a_change_to_the_same_terms_is_no_entry() -> None:
    assert apply(an_account(terms=ON_TRIO), a_change_to(ON_TRIO), catalog=CATALOG, now=NOW) == ()


def test_a_change_to_the_same_terms_still_records_an_expiry() -> None:
    account = an_account(a_lot(3, expires_at=NOW), terms=ON_TRIO)

    entries = apply(account, a_change_to(ON_TRIO), catalog=CATALOG, now=NOW)

    assert [entry.type for entry in entries] == ["expiry"]


def test_an_account_on_a_retired_plan_can_change_otherwise() -> None:
    retired = a_catalog(plans=[replace(plan, active=plan.id != "trio") for plan in PLANS])
    otherwise = replace(ON_TRIO, quota_anchor_day=15)

    [entry] = apply(an_account(terms=ON_TRIO), a_change_to(otherwise), catalog=retired, now=NOW)

    assert entry.after.terms == otherwise


@pytest.mark.parametrize("ai_enabled", [True, False])
def test_a_change_to_an_unknown_plan_is_refused(ai_enabled: bool) -> None:
    unknown = some_terms("unlimited", ai_enabled=ai_enabled)

    with pytest.raises(InvalidRequest) as refused:
        apply(an_account(), a_change_to(unknown), catalog=CATALOG, now=NOW)

    assert refused.value.errors == (("plan", "no such plan: must be one of none, individual, trio, team, scale"),)


def test_a_plan_change_after_the_renewal_instant_renews_first() -> None:
    account = an_account(terms=some_terms("individual"), quota_used=80)

    _, entries = run(account, a_change_to(ON_TRIO), now=RENEWAL)

    assert [(entry.type, entry.quota, entry.quota_remaining) for entry in entries] == [
        ("quota_renewal", 80, 100),
        ("plan_change", 200, 300),
    ]


def test_a_plan_change_states_the_change_and_the_actor() -> None:
    _, (entry,) = run(an_account(terms=ON_TRIO), a_change_to(some_terms("team")))
    _, (switched,) = run(an_account(terms=ON_TRIO), a_change_to(some_terms("trio", ai_enabled=False)))

    assert (entry.description, entry.actor) == ("plan trio to team", "administrator")
    assert switched.description == "terms changed"


def test_a_plan_change_does_not_move_the_renewal() -> None:
    account = an_account(terms=some_terms("trio", quota_anchor_day=20), quota_used=7)

    after, _ = run(account, a_change_to(some_terms("team", quota_anchor_day=20)))

    assert after.quota_renews_at == account.quota_renews_at


@pytest.mark.parametrize(
    ("anchor_day", "time_zone", "renews_at"),
    [
        (25, "America/Sao_Paulo", civil("2026-07-25 00:00")),
        (1, "America/Sao_Paulo", civil("2026-07-01 00:00")),
        (10, "America/Los_Angeles", civil("2026-07-10 00:00", "America/Los_Angeles")),
        (10, "Asia/Tokyo", civil("2026-07-10 00:00", "Asia/Tokyo")),
    ],
)
def test_another_anchor_or_zone_moves_the_months_one_renewal(
    anchor_day: int, time_zone: str, renews_at: datetime
) -> None:
    just_renewed = civil("2026-06-10 00:30")
    account = an_account(terms=some_terms("trio", quota_anchor_day=10), at=just_renewed, quota_used=300)
    change = a_change_to(some_terms("trio", quota_anchor_day=anchor_day, time_zone=time_zone))

    account, _ = run(account, change, now=just_renewed)

    assert (account.quota_renews_at, account.quotas_used) == (renews_at, {"ai_service": 300})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("America/Sao_Paulo", "America/Los_Angeles"),
        ("Asia/Tokyo", "Pacific/Honolulu"),
        ("America/Los_Angeles", "America/Sao_Paulo"),
    ],
)
def test_an_account_that_moves_keeps_the_month_of_its_renewal(before: str, after: str) -> None:
    """When July begins in one zone, it is still June in the other, or July began hours ago."""
    account = an_account(terms=some_terms("trio", quota_anchor_day=1, time_zone=before), quota_used=300)
    assert account.quota_renews_at == civil("2026-07-01 00:00", before)

    account, _ = run(account, a_change_to(some_terms("trio", quota_anchor_day=1, time_zone=after)), Settle())

    assert (account.quota_renews_at, account.quotas_used) == (civil("2026-07-01 00:00", after), {"ai_service": 300})


@pytest.mark.parametrize(("anchor_day", "time_zone"), [(5, "America/Sao_Paulo"), (10, "Asia/Tokyo")])
def test_a_renewal_moved_into_the_past_takes_effect_at_once(anchor_day: int, time_zone: str) -> None:
    just_before = civil("2026-06-09 23:30")
    account = an_account(terms=some_terms("trio", quota_anchor_day=10), at=just_before, quota_used=300)
    change = a_change_to(some_terms("trio", quota_anchor_day=anchor_day, time_zone=time_zone))

    account, entries = run(account, change, Settle(), now=just_before)

    assert [entry.type for entry in entries] == ["plan_change", "quota_renewal"]
    assert account.quota_renews_at == civil(f"2026-07-{anchor_day:02d} 00:00", time_zone)


# The catalog changes


def test_a_plan_that_grows_in_the_catalog_counts_at_once() -> None:
    grown = a_catalog(version=2, plans=(*PLANS[:2], Plan(id="trio", quotas={"ai_service": 400})))
    account = an_account(terms=ON_TRIO, quota_used=300)

    _, (entry,) = run(account, a_debit("ai_service"), catalog=grown)

    assert entry.draws == (QuotaDraw("ai_service", 1),)
    assert (entry.quota, entry.quota_remaining, entry.catalog_version) == (-1, 99, 2)


def test_a_feature_whose_quota_was_removed_takes_credits() -> None:
    without = a_catalog(version=2, plans=(*PLANS[:2], Plan(id="trio")))
    account = an_account(a_lot(10), terms=ON_TRIO)

    _, (entry,) = run(account, a_debit("ai_service"), catalog=without)

    assert (entry.quota, entry.credits) == (0, -1)


# Several quotas


def test_each_feature_draws_on_its_own_quota() -> None:
    account = an_account(terms=ON_TRIO)

    account, entries = run(account, a_debit("sticker", 5), a_debit("ai_service", 7), catalog=STICKERS_TOO)

    assert [entry.draws for entry in entries] == [(QuotaDraw("sticker", 5),), (QuotaDraw("ai_service", 7),)]
    assert [(entry.quota, entry.quota_remaining) for entry in entries] == [(-5, 15), (-7, 293)]
    assert account.quotas_used == {"sticker": 5, "ai_service": 7}


def test_the_quota_of_one_feature_never_pays_for_another() -> None:
    account = an_account(terms=ON_TRIO, quotas_used={"sticker": 18})

    with pytest.raises(InsufficientCredits) as refused:
        apply(account, a_debit("sticker", 3), catalog=STICKERS_TOO, now=NOW)

    assert (refused.value.needed, refused.value.quota_remaining, refused.value.renews_at) == (1, 2, RENEWAL)


def test_all_quotas_renew_at_once_and_the_entry_states_each() -> None:
    account = an_account(terms=ON_TRIO, quotas_used={"sticker": 5, "ai_service": 7})

    account, (renewal, spent) = run(account, a_debit("sticker"), catalog=STICKERS_TOO, now=RENEWAL)

    assert (renewal.type, renewal.quota, renewal.quotas) == ("quota_renewal", 12, {"sticker": 5, "ai_service": 7})
    assert renewal.quota_remaining == 320
    assert spent.quotas == {"sticker": -1}
    assert account.quotas_used == {"sticker": 1}


def test_a_plan_change_states_the_change_of_each_quota() -> None:
    account = an_account(terms=ON_TRIO, quotas_used={"sticker": 5, "ai_service": 120})

    account, (change,) = run(account, a_change_to(some_terms("individual")), catalog=STICKERS_TOO)

    assert (change.quota, change.quotas) == (-195, {"sticker": -15, "ai_service": -180})
    assert account.quotas_used == {"sticker": 5, "ai_service": 120}


def test_used_units_of_every_quota_stay_used_after_a_change_and_back() -> None:
    account = an_account(terms=ON_TRIO, quotas_used={"sticker": 5, "ai_service": 120})

    account, _ = run(account, a_change_to(some_terms("none")), a_change_to(ON_TRIO), catalog=STICKERS_TOO)

    assert quotas_remaining(account, STICKERS_TOO) == {"sticker": 15, "ai_service": 180}


def test_opposite_changes_of_two_quotas_are_both_stated() -> None:
    swapped = a_catalog(plans=(Plan(id="trio", quotas={"sticker": 20}), Plan(id="team", quotas={"ai_service": 20})))

    _, (change,) = run(an_account(terms=ON_TRIO), a_change_to(some_terms("team")), catalog=swapped)

    assert (change.quota, change.quotas) == (0, {"sticker": -20, "ai_service": 20})


def test_switching_ai_off_stops_every_quota() -> None:
    account = an_account(terms=some_terms("trio", ai_enabled=False))

    assert quotas_remaining(account, STICKERS_TOO) == {}


def test_an_entry_without_its_own_quota_states_the_sum_of_all() -> None:
    account = an_account(a_lot(10), terms=ON_TRIO, quotas_used={"sticker": 5})
    film = Feature(id="film", price=1)
    catalog = replace(STICKERS_TOO, features=(*STICKERS_TOO.features, film))

    _, (filmed, granted) = run(account, a_debit("film"), a_grant(5), catalog=catalog)

    assert (filmed.quota_remaining, granted.quota_remaining) == (315, 315)
