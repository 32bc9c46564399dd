"""Rules 2, 5, 6 and 19: expiry, grants, the lines of the ledger and its time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from prepaid.core.account import Account, LotKind
from prepaid.core.entry import LotDraw
from prepaid.core.errors import InsufficientCredits, InvalidRequest, TooManyLots
from prepaid.core.ledger import LONGEST_VALIDITY, MAX_LOTS, Grant, Operation, Settle, apply, new_status, settle
from tests.support.core_builders import (
    CATALOG,
    NOW,
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

MILLISECOND = timedelta(milliseconds=1)


# Changes of the terms


@pytest.mark.parametrize("plan", ["trio", "none"])
def test_a_new_status_can_be_read_from_its_entry(plan: str) -> None:
    account = an_account(terms=some_terms(plan="trio"))
    active = some_terms(plan=plan, time_zone="UTC")

    (closed,) = apply(account, a_change_to(replace(active, status="closed")), catalog=CATALOG, now=NOW)
    (changed,) = apply(account, a_change_to(active), catalog=CATALOG, now=NOW)

    assert (new_status(closed), new_status(changed)) == ("closed", None)


# Expiry


def test_at_the_boundary_instant_a_lot_is_expired() -> None:
    account = an_account(a_lot(5, expires_at=NOW))

    seen, (entry,) = settle(account, catalog=CATALOG, now=NOW)

    assert seen.lots == ()
    assert (entry.type, entry.credits, entry.quota, entry.source) == ("expiry", -5, 0, "credits")


def test_a_millisecond_before_the_boundary_nothing_has_expired() -> None:
    account = an_account(a_lot(5, expires_at=NOW + MILLISECOND))

    assert settle(account, catalog=CATALOG, now=NOW) == (account, ())


def test_an_expiry_entry_states_the_credits_and_the_lot() -> None:
    lot = a_lot(3, granted=10, expires_at=NOW)

    _, (entry,) = settle(an_account(lot), catalog=CATALOG, now=NOW)

    assert entry.draws == (LotDraw(lot.id, 3, NOW),)
    assert entry.actor == "prepaid"


def test_lots_that_expired_are_one_entry_soonest_first() -> None:
    first = a_lot(3, number=4, expires_at=NOW - timedelta(days=40))
    second = a_lot(4, number=2, expires_at=NOW)
    third = a_lot(5, number=3, expires_at=NOW + MILLISECOND)

    seen, (entry,) = settle(an_account(second, third, first), catalog=CATALOG, now=NOW)

    assert entry.draws == (LotDraw(first.id, 3, first.expires_at), LotDraw(second.id, 4, NOW))
    assert (entry.credits, seen.lots) == (-7, (third,))


def test_a_lot_expires_once() -> None:
    account = an_account(a_lot(5, expires_at=NOW))

    account, entries = run(account, Settle(), Settle(), Settle(), now=NOW)
    _, later = run(account, Settle(), now=NOW + timedelta(days=400))

    assert [entry.type for entry in (*entries, *later)] == ["expiry"]


def test_a_lot_that_was_used_up_does_not_expire() -> None:
    account, _ = run(an_account(a_lot(5)), a_debit(quantity=5))

    assert apply(account, Settle(), catalog=CATALOG, now=civil("2030-01-01 00:00")) == ()


def test_settling_without_a_change_writes_no_entry() -> None:
    assert apply(an_account(a_lot(5)), Settle(), catalog=CATALOG, now=NOW) == ()


def test_a_read_shows_what_the_next_write_records() -> None:
    account = an_account(a_lot(5, expires_at=NOW), a_lot(4, number=3), terms=some_terms("trio"), quota_used=9)
    now = civil("2026-07-03 08:00")

    seen, _ = settle(account, catalog=CATALOG, now=now)
    recorded = apply(account, Settle(), catalog=CATALOG, now=now)[-1].after

    assert seen == recorded


# Grants


@pytest.mark.parametrize(
    ("kind", "type_"), [("purchase", "purchase"), ("promotion", "grant"), ("adjustment", "adjustment")]
)
def test_a_grant_adds_a_lot_and_an_entry_of_its_own_type(kind: LotKind, type_: str) -> None:
    account = an_account(number=90)

    (entry,) = apply(account, a_grant(50, kind=kind), catalog=CATALOG, now=NOW)

    assert (entry.type, entry.credits, entry.quota, entry.draws, entry.source) == (type_, 50, 0, (), None)
    (lot,) = entry.after.lots
    assert (lot.number, lot.kind, lot.granted, lot.remaining) == (91, kind, 50, 50)
    assert (lot.granted_at, lot.expires_at) == (NOW, civil("2027-06-17 00:00"))


def test_a_lot_is_dated_from_its_grant_not_from_the_entry_before() -> None:
    (entry,) = apply(an_account(at=NOW - timedelta(days=3)), a_grant(), catalog=CATALOG, now=NOW)

    assert entry.after.lots[0].granted_at == NOW


def test_a_grant_names_its_lot_its_purchase_its_reason_and_who_asked() -> None:
    grant = Grant(actor="stripe", kind="purchase", credits=50, validity=12, description="credits-50", purchase="pur_1")

    (entry,) = apply(an_account(number=90), grant, catalog=CATALOG, now=NOW)

    assert entry.purchase == "pur_1"
    assert (entry.description, entry.actor) == ("credits-50", "stripe")
    assert entry.after.lots == (entry.lot,)
    assert entry.after.lots[0].id == "lot_000000000091"


def test_a_lot_ends_at_the_end_of_the_day_in_the_accounts_own_zone() -> None:
    account = an_account(terms=some_terms(time_zone="Asia/Tokyo"))

    (entry,) = apply(account, a_grant(validity=12), catalog=CATALOG, now=NOW)

    assert entry.after.lots[0].expires_at == civil("2027-06-17 00:00", "Asia/Tokyo")


def test_a_promotion_carries_its_own_end() -> None:
    end = civil("2026-06-20 18:30")

    (entry,) = apply(an_account(), a_grant(kind="promotion", validity=end), catalog=CATALOG, now=NOW)

    assert entry.after.lots[0].expires_at == end


@pytest.mark.parametrize("end", [NOW, NOW - MILLISECOND])
def test_a_lot_that_would_be_expired_at_once_is_refused(end: datetime) -> None:
    with pytest.raises(InvalidRequest) as refused:
        apply(an_account(), a_grant(kind="promotion", validity=end), catalog=CATALOG, now=NOW)

    assert refused.value.errors == (("expires_at", "must be in the future"),)


def test_a_lot_may_not_outlive_a_century() -> None:
    last_instant_of_time = datetime.max.replace(tzinfo=timezone(timedelta(hours=-3)))

    run(an_account(), a_grant(kind="promotion", validity=NOW + LONGEST_VALIDITY))
    with pytest.raises(InvalidRequest) as refused:
        run(an_account(), a_grant(kind="promotion", validity=last_instant_of_time))

    assert refused.value.errors == (("expires_at", "must be within 100 years"),)


def test_a_lots_end_is_kept_in_utc_whatever_offset_it_was_given_in() -> None:
    account, _ = run(an_account(), a_grant(kind="promotion", validity=datetime.fromisoformat("2027-01-01T00:00-03:00")))

    assert account.lots[0].expires_at == datetime(2027, 1, 1, 3, tzinfo=UTC)
    assert account.lots[0].expires_at.tzinfo is UTC


def test_a_lot_may_end_a_millisecond_from_now() -> None:
    grant = a_grant(7, kind="promotion", validity=NOW + MILLISECOND)

    account, _ = run(an_account(), grant)
    later, entries = settle(account, catalog=CATALOG, now=NOW + MILLISECOND)

    assert account.available == 7
    assert later.available == 0
    assert [entry.credits for entry in entries] == [-7]


def test_lots_stand_in_draw_order_however_they_were_granted() -> None:
    account, _ = run(
        an_account(number=1),
        a_grant(1, kind="purchase", validity=12),
        a_grant(2, kind="promotion", validity=12),
        a_grant(3, kind="purchase", validity=1),
        a_grant(4, kind="adjustment", validity=civil("2026-06-16 10:01")),
        a_grant(5, kind="purchase", validity=12),
    )

    assert [lot.granted for lot in account.lots] == [4, 3, 2, 1, 5]


def test_credits_granted_now_are_spendable_now() -> None:
    account, entries = run(an_account(), a_grant(5), a_debit(quantity=5))

    assert account.available == 0
    assert [entry.credits for entry in entries] == [5, -5]


def full(lots: int) -> Account:
    return an_account(*(a_lot(1, number=number) for number in range(2, lots + 2)), number=1000)


@pytest.mark.parametrize("kind", ["promotion", "adjustment"])
def test_a_grant_beyond_the_limit_of_lots_is_refused(kind: LotKind) -> None:
    run(full(MAX_LOTS - 1), a_grant(kind=kind))

    with pytest.raises(TooManyLots) as refused:
        run(full(MAX_LOTS), a_grant(kind=kind))

    assert refused.value.limit == MAX_LOTS


def test_a_purchase_beyond_the_limit_of_lots_is_granted() -> None:
    account, _ = run(full(MAX_LOTS), a_grant(50, kind="purchase"))

    assert account.available == MAX_LOTS + 50


def test_expired_lots_do_not_count_toward_the_limit() -> None:
    account = an_account(
        *(a_lot(1, number=number) for number in range(2, MAX_LOTS + 1)),
        a_lot(1, number=999, expires_at=NOW),
        number=1000,
    )

    _, entries = run(account, a_grant(kind="promotion"))

    assert [entry.type for entry in entries] == ["expiry", "grant"]


# Lines


def test_entries_are_numbered_without_gaps_settled_ones_included() -> None:
    account = an_account(
        a_lot(5, expires_at=NOW), a_lot(9, number=3), terms=some_terms("trio"), quota_used=1, number=90
    )

    _, entries = run(account, a_debit(), a_grant(), Settle(), a_change_to(some_terms()), now=civil("2026-07-01 00:00"))

    assert [(entry.number, entry.type) for entry in entries] == [
        (91, "expiry"),
        (92, "quota_renewal"),
        (93, "consumption"),
        (94, "purchase"),
        (95, "plan_change"),
    ]


def test_every_entry_names_the_catalog_version_that_decided() -> None:
    account = an_account(a_lot(5, expires_at=NOW), a_lot(5, number=3))

    _, entries = run(account, a_debit(), catalog=a_catalog(version=7))

    assert [entry.catalog_version for entry in entries] == [7, 7]


def test_every_entry_of_one_operation_bears_its_time() -> None:
    account = an_account(
        a_lot(5, expires_at=civil("2026-06-01 00:00")), a_lot(5, number=3), at=civil("2026-05-01 00:00")
    )

    _, entries = run(account, a_debit(), now=NOW)

    assert [entry.at for entry in entries] == [NOW, NOW]


def test_a_change_does_not_modify_the_account_before_it() -> None:
    account = an_account(a_lot(5))
    before = an_account(a_lot(5))

    run(account, a_debit(quantity=2), a_grant())

    assert account == before


# Time


ANY_OPERATION = [
    a_debit(),
    a_grant(),
    a_change_to(some_terms("trio")),
]


@pytest.mark.parametrize("operation", ANY_OPERATION)
def test_a_clock_behind_the_ledger_counts_as_the_ledgers_time(operation: Operation) -> None:
    account = an_account(a_lot(5), at=NOW)

    entries = apply(account, operation, catalog=CATALOG, now=NOW - timedelta(minutes=5))

    assert [entry.at for entry in entries] == [NOW]
    assert entries == apply(account, operation, catalog=CATALOG, now=NOW)


def test_a_clock_behind_the_ledger_brings_no_expired_credit_back() -> None:
    end = civil("2026-06-20 00:00")
    account = an_account(a_lot(5, expires_at=end), a_lot(1, number=3))

    account, _ = run(account, a_debit(), now=end)

    with pytest.raises(InsufficientCredits):
        apply(account, a_debit(), catalog=CATALOG, now=end - MILLISECOND)


def test_reading_with_a_slow_clock_uses_the_ledgers_time() -> None:
    account = an_account(a_lot(5, expires_at=NOW), at=NOW)

    seen, _ = settle(account, catalog=CATALOG, now=NOW - timedelta(days=1))

    assert seen.available == 0


def test_with_a_slow_clock_validity_starts_at_the_ledgers_time() -> None:
    account = an_account(at=civil("2026-06-17 00:00"))

    (entry,) = apply(account, a_grant(validity=12), catalog=CATALOG, now=civil("2026-06-16 23:59"))

    assert entry.after.lots[0].expires_at == civil("2027-06-18 00:00")


def test_a_slow_clock_grants_no_lot_that_has_expired() -> None:
    """The ledger's newest entry is ahead of the clock."""
    account = an_account(at=NOW)

    with pytest.raises(InvalidRequest):
        apply(account, a_grant(validity=NOW), catalog=CATALOG, now=NOW - timedelta(minutes=5))


def test_instants_in_the_ledger_are_utc() -> None:
    account, _ = run(an_account(), a_grant())

    assert account.lots[0].expires_at.tzinfo is UTC
    assert account.quota_renews_at.tzinfo is UTC
