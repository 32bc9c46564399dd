"""An account after an entry, and how time changes it. A lot is its stored row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from tests.oracle.calendar import instant, next_renewal
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.rows import (
    EXPIRES_AT,
    FEATURE,
    GRANTED,
    GRANTED_AT,
    HOLD_NUMBER,
    KIND,
    LAPSES_AT,
    LOTS,
    NUMBER,
    QUOTA,
    REMAINING,
    Row,
    Unit,
    period_held,
    units_held,
)

# The terms' names, in the order of the row that the ledger stores.
TERMS = ("plan", "ai_enabled", "quota_anchor_day", "time_zone", "currency")
# At the row's end, and left out there as long as everything from here on has its default.
LATER_TERMS = {"low_credit_threshold": 10, "status": "active"}


@dataclass(frozen=True)
class State:
    """terms: by name. used: units of quota by feature, in the period that ends at renews_at.

    lots: in draw order, none empty. owed: credits. holds: in order of their numbers.
    """

    terms: Json
    used: dict[str, int]
    renews_at: int
    lots: tuple[Row, ...] = ()
    owed: int = 0
    holds: tuple[Row, ...] = ()

    @classmethod
    def of(cls, stored: Json) -> "State":
        """The `state` of a stored entry."""
        terms = LATER_TERMS | dict(zip((*TERMS, *LATER_TERMS), stored["terms"], strict=False))
        lots = tuple(stored["lots"])
        owed, holds = stored.get("owed", 0), tuple(stored.get("holds", ()))
        return cls(terms, stored["quotas_used"], stored["quota_renews_at"], lots, owed, holds)

    def stored(self) -> Json:
        """As an entry stores it."""
        owed = {"owed": self.owed} if self.owed else {}
        return {
            "terms": self._terms(),
            "quotas_used": self.used,
            "quota_renews_at": self.renews_at,
            "lots": list(self.lots),
            **owed,
            **({"holds": list(self.holds)} if self.holds else {}),
        }

    def _terms(self) -> Row:
        row = [self.terms[name] for name in TERMS]
        later = [self.terms.get(name, default) for name, default in LATER_TERMS.items()]
        defaults = list(LATER_TERMS.values())
        while later and later[-1] == defaults[len(later) - 1]:
            later.pop()
        return row + later

    @property
    def active(self) -> bool:
        return bool(self.terms.get("status", "active") == "active")

    @property
    def available(self) -> int:
        return sum(int(row[REMAINING]) for row in self.lots)

    @property
    def held(self) -> int:
        """Credits that holds reserve."""
        return sum(int(row[REMAINING]) for hold in self.holds for row in hold[LOTS])

    @property
    def period(self) -> str:
        """The period of the quotas, by the month in which it ends: no two end in one month."""
        return f"{instant(self.renews_at).astimezone(ZoneInfo(self.terms['time_zone'])):%Y-%m}"

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
        """The account at `now` (rules 2, 8, 16): expiries, lapses and renewals one by one, each at its instant."""
        state = self
        while (event := min(state._events(), default=None)) and event[0] <= now:
            state = state._after(*event, now)
        return state

    def _events(self) -> Iterator[tuple[int, int, int]]:
        """When, which kind of event, and of which lot or hold. At one instant a lot ends before a hold lapses."""
        yield from ((row[EXPIRES_AT], 0, row[NUMBER]) for row in self.lots)
        yield from ((hold[LAPSES_AT], 1, hold[HOLD_NUMBER]) for hold in self.holds)
        yield self.renews_at, 2, 0

    def _after(self, at: int, kind: int, number: int, now: int) -> "State":
        if kind == 0:
            return replace(self, lots=tuple(row for row in self.lots if row[NUMBER] != number))
        if kind == 1:
            back = Back(self)
            back.end([hold for hold in self.holds if hold[HOLD_NUMBER] == number], at)
            return back.state
        # Earlier periods without an entry leave no trace.
        return replace(self, used={}, renews_at=renewal(now, self.terms))


@dataclass
class Back:
    """An account while units come back to it. returned, lost: credits by lot. quota: units by feature."""

    state: State
    returned: Counter[int] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)
    quota: Counter[str] = field(default_factory=Counter)

    def end(self, holds: list[Row], at: int) -> None:
        """End holds and take back all that they reserve."""
        for hold in holds:
            self.state = replace(self.state, holds=tuple(other for other in self.state.holds if other != hold))
            # A renewal between the last entry and the lapse, which no entry states yet, ended the quota's period.
            same_period = period_held(hold) == self.state.period and min(hold[LAPSES_AT], at) <= self.state.renews_at
            rows = {row[NUMBER]: row for row in hold[LOTS]}
            self.take(units_held(hold), hold[FEATURE], rows, at, same_period=same_period)

    def take(self, units: Iterable[Unit], feature: str, rows: dict[int, Row], at: int, *, same_period: bool) -> None:
        """Take back units. Their credits pay debts first, then return to a lot that hasn't ended; others are lost.

        rows: the lots as they were, for one that is empty now. same_period: whether quota can return.
        """
        owed, coming, used = self.state.owed, Counter[int](), dict(self.state.used)
        for unit in units:
            if unit == QUOTA:
                if same_period:
                    used[feature] -= 1
                    self.quota[feature] += 1
                continue
            for lot in unit:
                assert isinstance(lot, int)
                if owed:
                    owed -= 1
                elif rows[lot][EXPIRES_AT] > at:
                    coming[lot] += 1
                else:
                    self.lost[lot] += 1
        lots = {row[NUMBER]: row for row in self.state.lots}
        for lot, credits in coming.items():
            row = lots.get(lot) or [*rows[lot][:REMAINING], 0, *rows[lot][GRANTED_AT:]]
            filled = row[REMAINING] + credits
            lots[lot] = [*row[:GRANTED], max(row[GRANTED], filled), filled, *row[GRANTED_AT:]]
        self.returned += coming
        self.state = replace(
            self.state,
            owed=owed,
            used={name: count for name, count in used.items() if count},
            lots=tuple(sorted(lots.values(), key=draw_order)),
        )


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
