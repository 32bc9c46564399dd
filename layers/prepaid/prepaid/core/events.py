"""Events and alerts: what an entry means to other systems (rule 20).

`events_of` is a pure function of the state before, the entry and the state after. The publisher, the API and the tests
share it, so an event can be computed again at any time, with the same id.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NotRequired, TypedDict

from prepaid.core.account import Account, Lot, quota_limits, quotas_remaining
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry, EntryType, Source
from prepaid.core.ids import hold_id
from prepaid.core.purchase import Purchase, PurchaseState

# Percent of a quota at which quota_80 is raised.
QUOTA_WARNING_PERCENT = 80
# Days before a lot's expiry at which lot_expiring is raised.
EXPIRY_WARNING_DAYS = (30, 7, 1)
ID_DIGITS = 26

# What follows `prepaid.alert.` in a type.
Alert = Literal[
    "quota_80",
    "quota_exhausted",
    "credits_low",
    "credits_exhausted",
    "credits_owed",
    "lot_expiring",
    "purchase_pending",
    "purchase_failed",
    "purchase_granted",
    "code_locked",
]
# Of states that a purchase has before it is in the ledger, or without ever being there.
PURCHASE_ALERTS: dict[PurchaseState, Alert] = {"pending": "purchase_pending", "failed": "purchase_failed"}


class EventBalance(TypedDict):
    """The account after the entry. quota_remaining: of the entry's feature if the plan has a quota of it, else of all
    quotas together."""

    available: int
    held: int
    owed: int
    quota_remaining: int


class EventData(TypedDict):
    """Numbers and ids of one event. It has no texts: names, descriptions and references stay in the history.

    entry: the number of the account's entry; absent from events that have no entry. The other fields are present where
    the event has them.
    days: until the lot expires. threshold: the account's low_credit_threshold. limit, used, remaining: units of the
    feature's quota. version: of the purchase's record or of the manager's code.
    """

    account: str
    entry: NotRequired[int]
    feature: NotRequired[str]
    quantity: NotRequired[int]
    credits: NotRequired[int]
    quota: NotRequired[int]
    owed: NotRequired[int]
    source: NotRequired[Source]
    lot: NotRequired[str]
    purchase: NotRequired[str]
    holds: NotRequired[list[str]]
    reverses: NotRequired[int]
    balance: NotRequired[EventBalance]
    days: NotRequired[int]
    expires_at: NotRequired[datetime]
    threshold: NotRequired[int]
    limit: NotRequired[int]
    used: NotRequired[int]
    remaining: NotRequired[int]
    version: NotRequired[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """id: the same each time the event is computed, and without dots, because a webhook's signature separates by them.

    type: `prepaid.entry.` and the entry's type, or `prepaid.alert.` and the alert.
    """

    id: str
    type: str
    at: datetime
    data: EventData


def events_of(before: Account | None, entry: Entry, catalog: Catalog) -> tuple[Event, ...]:
    """The event of an entry, then the alerts that it raises, in order.

    before: the account before the entry; None for the first one. catalog: the version that the entry names.
    """
    alerts: list[tuple[Alert, EventData]] = []
    if entry.type == "purchase":
        alerts.append(("purchase_granted", _alert_data(entry)))
    if before is not None:
        alerts += _quota_alerts(before, entry, catalog)
        alerts += _credit_alerts(before, entry)
    payloads = [(entry_event(entry.type), _entry_data(entry)), *((alert_event(alert), data) for alert, data in alerts)]
    account = entry.after.id
    return tuple(
        Event(id=_event_id(account, "entry", entry.number, index), type=type_, at=entry.at, data=data)
        for index, (type_, data) in enumerate(payloads)
    )


def entry_event(entry_type: EntryType) -> str:
    """The type of an entry's event."""
    return f"prepaid.entry.{entry_type}"


def alert_event(alert: Alert) -> str:
    """The type of an alert's event."""
    return f"prepaid.alert.{alert}"


def event_of_purchase(purchase: Purchase) -> Event | None:
    """The alert of a purchase's present state: pending or failed; None for another state.

    A purchase that was granted is in the ledger, so `events_of` raises its alert.
    """
    alert = PURCHASE_ALERTS.get(purchase.state)
    if alert is None:
        return None
    return Event(
        id=_event_id(purchase.account, purchase.id, purchase.version, 0),
        type=alert_event(alert),
        at=purchase.changed_at,
        data={"account": purchase.account, "purchase": purchase.id, "version": purchase.version},
    )


def event_of_lock(account: str, version: int, at: datetime) -> Event:
    """The alert that an account's manager code is locked. version: of the manager's row that locked it."""
    data: EventData = {"account": account, "version": version}
    return Event(id=_event_id(account, "code", version, 0), type=alert_event("code_locked"), at=at, data=data)


def event_of_expiring_lot(account: Account, lot: Lot, days: int) -> Event:
    """The alert that a lot with credits expires in `days`. The lot and `days` alone decide its id, so twice is once."""
    return Event(
        id=_event_id(account.id, lot.id, days, 0),
        type=alert_event("lot_expiring"),
        at=lot.expires_at - timedelta(days=days),
        data={
            "account": account.id,
            "lot": lot.id,
            "credits": lot.remaining,
            "days": days,
            "expires_at": lot.expires_at,
        },
    )


def expiring_in(lot: Lot, now: datetime) -> int | None:
    """Which warning of the lot's expiry is due: the days of the latest that has come; None before the first.

    A lot that was granted for less time starts at its next warning.
    """
    due = [
        days
        for days in EXPIRY_WARNING_DAYS
        if lot.granted_at < lot.expires_at - timedelta(days=days) <= now < lot.expires_at
    ]
    return min(due, default=None)


def _entry_data(entry: Entry) -> EventData:
    data: EventData = {
        "account": entry.after.id,
        "entry": entry.number,
        "credits": entry.credits,
        "quota": entry.quota,
        "owed": entry.owed,
        "balance": _balance(entry),
    }
    if entry.feature is not None:
        data["feature"] = entry.feature
    if entry.quantity is not None:
        data["quantity"] = entry.quantity
    if entry.source is not None:
        data["source"] = entry.source
    if entry.lot is not None:
        data["lot"] = entry.lot.id
    if entry.purchase is not None:
        data["purchase"] = entry.purchase
    holds = (entry.number,) if entry.type == "hold" else entry.holds
    if holds:
        data["holds"] = [hold_id(number) for number in holds]
    if entry.reverses is not None:
        data["reverses"] = entry.reverses
    return data


def _quota_alerts(before: Account, entry: Entry, catalog: Catalog) -> Iterator[tuple[Alert, EventData]]:
    """quota_80, then quota_exhausted, of each feature that had a quota before the entry and has one after it."""
    limits, earlier = quota_limits(entry.after, catalog), quota_limits(before, catalog)
    left, left_before = quotas_remaining(entry.after, catalog), quotas_remaining(before, catalog)
    for feature, limit in limits.items():
        if feature not in earlier:
            continue
        used = entry.after.quotas_used.get(feature, 0)
        data = _alert_data(entry)
        data.update({"feature": feature, "limit": limit, "used": used, "remaining": left[feature]})
        if _is_nearly_used(used, limit) and not _is_nearly_used(before.quotas_used.get(feature, 0), earlier[feature]):
            yield "quota_80", data
        if left[feature] == 0 < left_before[feature]:
            yield "quota_exhausted", data


def _is_nearly_used(used: int, limit: int) -> bool:
    return used * 100 >= limit * QUOTA_WARNING_PERCENT


def _credit_alerts(before: Account, entry: Entry) -> Iterator[tuple[Alert, EventData]]:
    """credits_low, credits_exhausted and credits_owed, in this order. A new threshold alone raises nothing."""
    after, threshold = entry.after, entry.after.terms.low_credit_threshold
    if before.available > threshold >= after.available:
        yield "credits_low", {**_alert_data(entry), "threshold": threshold}
    if before.available > 0 == after.available:
        yield "credits_exhausted", _alert_data(entry)
    if after.owed > before.owed:
        yield "credits_owed", {**_alert_data(entry), "owed": after.owed - before.owed}


def _alert_data(entry: Entry) -> EventData:
    data: EventData = {"account": entry.after.id, "entry": entry.number, "balance": _balance(entry)}
    if entry.purchase is not None:
        data["purchase"] = entry.purchase
    return data


def _balance(entry: Entry) -> EventBalance:
    return {
        "available": entry.after.available,
        "held": entry.after.held,
        "owed": entry.after.owed,
        "quota_remaining": entry.quota_remaining,
    }


def _event_id(account: str, subject: str, number: int, index: int) -> str:
    # No account id, subject or number contains a slash, so different events have different texts.
    text = f"{account}/{subject}/{number}/{index}"
    return f"evt_{hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]}"
