"""An account as an entry leaves it, and what time makes of it. A lot is its stored row."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tests.oracle.calendar import next_renewal
from tests.oracle.catalog import CatalogVersion, Json

# [number, kind, granted, remaining, granted at, expires at], as the ledger stores it.
type Row = list[Any]
NUMBER, KIND, GRANTED, REMAINING, GRANTED_AT, EXPIRES_AT = range(6)

# The terms' names, in the order of the row that the ledger stores.
TERMS = ("plan", "ai_enabled", "quota_anchor_day", "time_zone", "currency")


@dataclass(frozen=True)
class State:
    """terms: by name. used: units of quota by feature, in the period that ends at renews_at.

    lots: in draw order, none empty. owed: credits.
    """

    terms: Json
    used: dict[str, int]
    renews_at: int
    lots: tuple[Row, ...] = ()
    owed: int = 0

    @classmethod
    def of(cls, stored: Json) -> "State":
        """The `state` of a stored entry."""
        terms, lots = dict(zip(TERMS, stored["terms"], strict=True)), tuple(stored["lots"])
        return cls(terms, stored["quotas_used"], stored["quota_renews_at"], lots, stored.get("owed", 0))

    def stored(self) -> Json:
        """As an entry stores it."""
        owed = {"owed": self.owed} if self.owed else {}
        return {
            "terms": [self.terms[name] for name in TERMS],
            "quotas_used": self.used,
            "quota_renews_at": self.renews_at,
            "lots": list(self.lots),
            **owed,
        }

    @property
    def available(self) -> int:
        return sum(int(row[REMAINING]) for row in self.lots)

    def limits(self, catalog: CatalogVersion) -> dict[str, int]:
        """Units of quota a period, by feature, as the catalog lists the features."""
        included = catalog.quotas[self.terms["plan"]] if self.terms["ai_enabled"] else {}
        return {feature: included[feature] for feature in catalog.prices if included.get(feature, 0) > 0}

    def left(self, catalog: CatalogVersion) -> dict[str, int]:
        """Units of quota, by feature. A smaller plan takes nothing back that was used (rule 9)."""
        return {feature: max(0, units - self.used.get(feature, 0)) for feature, units in self.limits(catalog).items()}

    def left_for(self, feature: str | None, catalog: CatalogVersion) -> int:
        """Units of quota that a feature may use: its own (rule 7)."""
        return sum(units for owner, units in self.left(catalog).items() if owner == feature)

    def at(self, now: int) -> "State":
        """What a reader sees at `now`: without lots that have ended, and with the quota renewed (rules 2 and 8)."""
        lots = self.lots
        # In draw order the lot that ends first is the first.
        if lots and lots[0][EXPIRES_AT] <= now:
            lots = tuple(row for row in lots if row[EXPIRES_AT] > now)
        if self.renews_at <= now:
            return replace(self, used={}, renews_at=renewal(now, self.terms), lots=lots)
        return self if lots is self.lots else replace(self, lots=lots)


def renewal(now: int, terms: Json) -> int:
    """When the quota renews after `now`."""
    return next_renewal(now, terms["quota_anchor_day"], terms["time_zone"])


def draw_order(row: Row) -> tuple[int, int, int, int]:
    """Soonest expiry, promotional credits before purchased ones, granted first, lot id (rule 3)."""
    return (row[EXPIRES_AT], 1 if row[KIND] == "purchase" else 0, row[GRANTED_AT], row[NUMBER])


def take(lots: tuple[Row, ...], credits: int) -> tuple[tuple[Row, ...], list[Row]]:
    """Draw credits from lots in draw order: the lots that remain, and the draws as an entry stores them."""
    left: list[Row] = []
    draws: list[Row] = []
    for row in lots:
        drawn = min(credits, row[REMAINING])
        if drawn:
            draws.append(["lot", row[NUMBER], drawn, row[EXPIRES_AT]])
            credits -= drawn
        if row[REMAINING] > drawn:
            left.append(with_remaining(row, row[REMAINING] - drawn))
    return tuple(left), draws


def with_remaining(row: Row, remaining: int) -> Row:
    return [*row[:REMAINING], remaining, *row[GRANTED_AT:]]


def with_row(lots: Iterable[Row], row: Row) -> tuple[Row, ...]:
    """The lots with one more, in draw order. An empty one does not count."""
    return tuple(sorted([*lots, row] if row[REMAINING] else lots, key=draw_order))
