"""Rule 20: an entry's events, and its alerts once per crossing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from prepaid.core.account import Account, Lot
from prepaid.core.entry import Entry
from prepaid.core.events import (
    Event,
    event_of_expiring_lot,
    event_of_lock,
    event_of_purchase,
    events_of,
    expiring_in,
)
from prepaid.core.ledger import Operation, Settle, open_account
from prepaid.core.purchase import PurchaseState
from tests.support.core_builders import (
    CATALOG,
    NEXT_JANUARY,
    NOW,
    a_capture,
    a_change_to,
    a_debit,
    a_grant,
    a_hold,
    a_lot,
    a_purchase,
    a_release,
    a_revocation,
    an_account,
    run,
    some_terms,
)

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LOT = a_lot(100)
PLAN = some_terms("individual")


def events_after(account: Account, *operations: Operation) -> list[Event]:
    """The events of what the operations write at NOW."""
    _, entries = run(account, *operations)
    return [event for before, entry in zip_before(account, entries) for event in events_of(before, entry, CATALOG)]


def zip_before(account: Account, entries: tuple[Entry, ...]) -> list[tuple[Account, Entry]]:
    return list(zip([account, *(entry.after for entry in entries)], entries, strict=False))


def alerts_after(account: Account, *operations: Operation) -> list[str]:
    alerts = [event.type for event in events_after(account, *operations) if event.type.startswith("prepaid.alert.")]
    return [alert.removeprefix("prepaid.alert.") for alert in alerts]


# Entries


def test_a_debit_reports_numbers_and_no_texts() -> None:
    debit = replace(a_debit(), description="a photo of Ana", customer="Ana", reference="visit-4711")

    (event,) = events_after(an_account(LOT), debit)

    assert (event.type, event.at) == ("prepaid.entry.consumption", NOW)
    assert event.data == {
        "account": "petshop-1",
        "entry": 91,
        "feature": "sticker",
        "quantity": 1,
        "credits": -1,
        "quota": 0,
        "owed": 0,
        "source": "credits",
        "balance": {"available": 99, "held": 0, "owed": 0, "quota_remaining": 0},
    }


def test_opening_an_account_is_an_event_without_alerts() -> None:
    opened = open_account("petshop-1", some_terms(), actor="administrator", catalog=CATALOG, now=NOW)

    (event,) = events_of(None, opened, CATALOG)

    assert event.type == "prepaid.entry.plan_change"
    assert event.data["entry"] == 1


def test_a_purchase_reports_its_lot_and_that_it_is_granted() -> None:
    grant = replace(a_grant(), purchase="pur_1")

    granted, alert = events_after(an_account(LOT), grant)

    assert (granted.type, alert.type) == ("prepaid.entry.purchase", "prepaid.alert.purchase_granted")
    assert (granted.data["lot"], granted.data["purchase"]) == ("lot_000000000091", "pur_1")
    assert alert.data["purchase"] == "pur_1"


def test_holds_are_named_by_what_places_and_ends_them() -> None:
    account, (hold,) = run(an_account(LOT), a_hold(quantity=7))

    (placed,) = events_of(an_account(LOT), hold, CATALOG)
    (captured,) = events_after(account, a_capture(hold, 3))

    assert placed.data["holds"] == captured.data["holds"] == ["hold_000000000091"]
    assert placed.data["balance"]["held"] == 7


# Ids


def test_the_id_of_an_event_is_always_the_same() -> None:
    first, again = (events_after(an_account(LOT), a_debit()) for _ in range(2))

    assert [event.id for event in first] == [event.id for event in again] == ["evt_6adfc490d9735580526c1dc53c"]


def test_no_two_events_have_one_id() -> None:
    account = replace(an_account(a_lot(11)), id="petshop-1")
    neighbour = replace(account, id="petshop-19")

    events = [
        *events_after(account, a_debit(), a_debit(quantity=10)),
        *events_after(neighbour, a_debit(), a_debit(quantity=10)),
        event_of_lock("petshop-1", 91, NOW),
        *(event_of_expiring_lot(account, a_lot(number=number), days) for number in (9, 91) for days in (30, 7, 1)),
    ]

    assert len({event.id for event in events}) == len(events) == 15
    assert all("." not in event.id for event in events)


# Quota alerts


@pytest.mark.parametrize(
    ("used", "quantity", "alerts"),
    [
        (0, 79, []),
        (79, 1, ["quota_80"]),
        (80, 1, []),
        (98, 1, []),
        (99, 1, ["quota_exhausted"]),
        (50, 50, ["quota_80", "quota_exhausted"]),
    ],
)
def test_a_quota_alerts_when_it_crosses_a_level(used: int, quantity: int, alerts: list[str]) -> None:
    account = an_account(LOT, terms=PLAN, quota_used=used)

    assert alerts_after(account, a_debit("ai_service", quantity)) == alerts


def test_a_quota_alert_reports_the_feature_and_its_units() -> None:
    _, alert = events_after(an_account(LOT, terms=PLAN, quota_used=79), a_debit("ai_service"))

    assert alert.data["feature"] == "ai_service"
    assert (alert.data["limit"], alert.data["used"], alert.data["remaining"]) == (100, 80, 20)


def test_units_that_come_back_arm_the_quota_alerts_again() -> None:
    account, (hold,) = run(an_account(LOT, terms=PLAN), a_hold("ai_service", 100))

    assert alerts_after(account, a_release(hold), a_debit("ai_service", 100)) == ["quota_80", "quota_exhausted"]


def test_a_renewal_arms_the_quota_alerts_again() -> None:
    account = an_account(terms=PLAN, quota_used=100, at=NOW - MINUTE, quota_renews_at=NOW)

    assert alerts_after(account, a_debit("ai_service", 100)) == ["quota_80", "quota_exhausted"]


def test_a_smaller_plan_can_exhaust_a_quota() -> None:
    account = an_account(terms=some_terms("trio"), quota_used=150)

    assert alerts_after(account, a_change_to(PLAN)) == ["quota_80", "quota_exhausted"]


def test_a_plan_without_the_quota_raises_no_quota_alert() -> None:
    account = an_account(terms=PLAN, quota_used=100)

    assert alerts_after(account, a_change_to(some_terms("none")), a_change_to(PLAN)) == []


# Credit alerts


@pytest.mark.parametrize(
    ("available", "quantity", "alerts"),
    [
        (12, 1, []),
        (11, 1, ["credits_low"]),
        (10, 1, []),
        (1, 1, ["credits_exhausted"]),
        (11, 11, ["credits_low", "credits_exhausted"]),
    ],
)
def test_credits_alert_when_they_cross_a_level(available: int, quantity: int, alerts: list[str]) -> None:
    assert alerts_after(an_account(a_lot(available)), a_debit(quantity=quantity)) == alerts


def test_the_alert_of_low_credits_names_the_threshold() -> None:
    terms = replace(some_terms(), low_credit_threshold=99)

    _, alert = events_after(an_account(LOT, terms=terms), a_debit())

    assert (alert.type, alert.data["threshold"]) == ("prepaid.alert.credits_low", 99)


def test_a_threshold_of_zero_alerts_low_with_exhausted() -> None:
    terms = replace(some_terms(), low_credit_threshold=0)

    assert alerts_after(an_account(a_lot(1), terms=terms), a_debit()) == ["credits_low", "credits_exhausted"]


def test_another_threshold_alone_raises_nothing() -> None:
    terms = replace(some_terms(), low_credit_threshold=500)

    assert alerts_after(an_account(LOT), a_change_to(terms), a_debit()) == []


def test_a_top_up_arms_the_credit_alerts_again() -> None:
    alerts = alerts_after(an_account(a_lot(11)), a_debit(quantity=11), a_grant(11, kind="promotion"), a_debit())

    assert alerts == ["credits_low", "credits_exhausted", "credits_low"]


def test_credits_that_expire_alert_too() -> None:
    account = an_account(a_lot(11, expires_at=NOW), at=NOW - MINUTE)

    assert alerts_after(account, Settle()) == ["credits_low", "credits_exhausted"]


def test_each_growth_of_what_is_owed_alerts() -> None:
    account = an_account(a_lot(20))
    first, second = a_revocation(a_lot(20), 25), a_revocation(a_lot(20), 3)

    events = events_after(account, first, second)

    owed = [event.data["owed"] for event in events if event.type == "prepaid.alert.credits_owed"]
    assert owed == [5, 3]


# Alerts without an entry


@pytest.mark.parametrize(("state", "type_"), [("pending", "purchase_pending"), ("failed", "purchase_failed")])
def test_a_purchase_alerts_while_pending_and_when_failed(state: PurchaseState, type_: str) -> None:
    purchase = a_purchase(state)

    event = event_of_purchase(purchase)

    assert event
    assert (event.type, event.at) == (f"prepaid.alert.{type_}", purchase.changed_at)
    assert event.data == {"account": "petshop-1", "purchase": "pur_1", "version": 3}


@pytest.mark.parametrize("state", ["created", "open", "expired", "cancelled", "granted", "refunded", "disputed"])
def test_other_states_of_a_purchase_raise_no_alert(state: PurchaseState) -> None:
    assert event_of_purchase(a_purchase(state)) is None


def test_each_lock_of_the_code_is_an_alert() -> None:
    first, second = event_of_lock("petshop-1", 7, NOW), event_of_lock("petshop-1", 12, NOW)

    assert (first.type, first.data) == ("prepaid.alert.code_locked", {"account": "petshop-1", "version": 7})
    assert first.id != second.id


@pytest.mark.parametrize(
    ("before_the_end", "days"),
    [
        (31 * DAY, None),
        (30 * DAY, 30),
        (8 * DAY, 30),
        (7 * DAY, 7),
        (DAY + MINUTE, 7),
        (DAY, 1),
        (MINUTE, 1),
        (0 * DAY, None),
    ],
)
def test_a_lot_warns_of_its_expiry_in_three_steps(before_the_end: timedelta, days: int | None) -> None:
    assert expiring_in(LOT, NEXT_JANUARY - before_the_end) == days


@pytest.mark.parametrize(("validity", "first"), [(30 * DAY, 7), (30 * DAY + MINUTE, 30), (7 * DAY, 1), (DAY, None)])
def test_a_short_lot_starts_at_its_next_warning(validity: timedelta, first: int | None) -> None:
    lot = a_lot(granted_at=NEXT_JANUARY - validity)

    assert next(filter(None, warnings_of(lot)), None) == first


def warnings_of(lot: Lot) -> list[int | None]:
    start = lot.granted_at + timedelta(milliseconds=1)
    return [expiring_in(lot, start + step * MINUTE) for step in range(60 * 24 * 31)]


def test_the_warning_of_a_lot_names_what_is_left_of_it() -> None:
    event = event_of_expiring_lot(an_account(LOT), LOT, 7)

    assert (event.type, event.at) == ("prepaid.alert.lot_expiring", NEXT_JANUARY - 7 * DAY)
    assert event.data == {
        "account": "petshop-1",
        "lot": "lot_000000000002",
        "credits": 100,
        "days": 7,
        "expires_at": NEXT_JANUARY,
    }
