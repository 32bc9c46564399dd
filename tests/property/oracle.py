"""The rules again, the dumb way: each credit is an object, each sum a count, each renewal searched for day by day.

Shares no code with the core. Slow, and short enough to be read as right.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

from prepaid.core.account import LotKind, Terms
from prepaid.core.catalog import Catalog

Fate = Literal["unspent", "spent"]


@dataclass(eq=False)
class Credit:
    lot: str
    kind: LotKind
    granted_at: datetime
    expires_at: datetime
    fate: Fate = "unspent"


@dataclass(frozen=True)
class Refusal:
    needed: int
    available: int
    quota_remaining: int
    renews_at: datetime | None
    suggested_pack: str | None


@dataclass(frozen=True)
class Drawn:
    units: int
    credits: dict[str, int]
    order: list[str]


@dataclass
class Oracle:
    """One account. `now` is always the ledger's time: it never goes backwards here.

    renews_at: the first renewal since the account was opened or its anchor or zone changed.
    """

    terms: Terms
    renews_at: datetime
    credits: list[Credit] = field(default_factory=list)
    # One instant for every unit of quota in use: when it comes back.
    units_in_use: list[datetime] = field(default_factory=list)

    def alive(self, now: datetime) -> list[Credit]:
        return [credit for credit in self.credits if credit.fate == "unspent" and now < credit.expires_at]

    def remaining_by_lot(self, now: datetime) -> Counter[str]:
        return Counter(credit.lot for credit in self.alive(now))

    def expired_by_lot(self, now: datetime) -> Counter[str]:
        return Counter(c.lot for c in self.credits if c.fate == "unspent" and c.expires_at <= now)

    def quota_limit(self, catalog: Catalog) -> int:
        quotas = {plan.id: plan.quota for plan in catalog.plans}
        return quotas[self.terms.plan] if self.terms.ai_enabled else 0

    def quota_used(self, now: datetime) -> int:
        return sum(1 for back_at in self.units_in_use if now < back_at)

    def quota_remaining(self, catalog: Catalog, now: datetime) -> int:
        return max(0, self.quota_limit(catalog) - self.quota_used(now))

    def grant(self, lot: str, kind: LotKind, credits: int, expires_at: datetime, now: datetime) -> None:
        self.credits += [Credit(lot, kind, now, expires_at) for _ in range(credits)]

    def change(self, terms: Terms, now: datetime) -> None:
        old, end = self.terms, self.next_renewal(now)
        moved = (terms.quota_anchor_day, terms.time_zone) != (self.terms.quota_anchor_day, self.terms.time_zone)
        self.terms = terms
        if moved:
            still_used = self.quota_used(now)
            month = end.astimezone(ZoneInfo(old.time_zone)).date().replace(day=1)
            starts = renewals(month, terms.quota_anchor_day, terms.time_zone)
            self.renews_at = next(
                start for start in starts if start.astimezone(ZoneInfo(terms.time_zone)).month == month.month
            )
            self.units_in_use = [self.renews_at] * still_used

    def next_renewal(self, now: datetime) -> datetime:
        if now < self.renews_at:
            return self.renews_at
        return next_renewal(now, self.terms.quota_anchor_day, self.terms.time_zone)

    def debit(self, feature_id: str, quantity: int, catalog: Catalog, now: datetime) -> Drawn | Refusal:
        feature = next(feature for feature in catalog.features if feature.id == feature_id)
        quota_left = self.quota_remaining(catalog, now) if feature.quota_backed else 0
        line = sorted(
            self.alive(now),
            key=lambda c: (c.expires_at, {"promotion": 0, "adjustment": 0, "purchase": 1}[c.kind], c.granted_at, c.lot),
        )
        units, taken, missing = 0, 0, 0
        for _ in range(quantity):
            if units < quota_left:
                units += 1
                continue
            for _ in range(feature.price):
                if taken < len(line):
                    taken += 1
                else:
                    missing += 1
        if missing:
            enough = [pack for pack in catalog.packs if pack.active and pack.credits >= missing]
            smallest = min(enough, key=lambda pack: (pack.credits, pack.id), default=None)
            return Refusal(
                needed=taken + missing,
                available=len(line),
                quota_remaining=quota_left,
                renews_at=self.next_renewal(now) if feature.quota_backed and self.quota_limit(catalog) else None,
                suggested_pack=smallest.id if smallest else None,
            )
        for credit in line[:taken]:
            credit.fate = "spent"
        self.units_in_use += [self.next_renewal(now)] * units
        return Drawn(
            units=units,
            credits=dict(Counter(credit.lot for credit in line[:taken])),
            order=list(dict.fromkeys(credit.lot for credit in line[:taken])),
        )


def end_of_validity(start: datetime, months: int, zone: str) -> datetime:
    """Count months one by one, then walk to the end of the day."""
    day = start.astimezone(ZoneInfo(zone)).date()
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    last_day = next(d for d in (day.day, 30, 29, 28) if d <= day.day and exists(year, month, d))
    return first_instant(date(year, month, last_day) + timedelta(days=1), zone)


def next_renewal(now: datetime, anchor_day: int, zone: str) -> datetime:
    """Look at one day after the other until one is the anchor, or the end of a month that lacks the anchor."""
    return next(start for start in renewals(now.astimezone(ZoneInfo(zone)).date(), anchor_day, zone) if start > now)


def renewals(start: date, anchor_day: int, zone: str) -> Iterator[datetime]:
    for days in range(-2, 70):
        day = start + timedelta(days=days)
        ends_month = (day + timedelta(days=1)).month != day.month
        if day.day == anchor_day or (ends_month and day.day < anchor_day):
            yield first_instant(day, zone)


@cache
def first_instant(day: date, zone: str) -> datetime:
    """Walk in steps of a quarter of an hour to the first instant whose civil date is `day` or later."""
    instant = datetime.combine(day, time(), tzinfo=UTC) - timedelta(hours=18)
    while instant.astimezone(ZoneInfo(zone)).date() < day:
        instant += timedelta(minutes=15)
    return instant


def exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
