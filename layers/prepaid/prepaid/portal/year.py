"""Twelve months of an account for the page's charts: use by feature and by what paid for it, and the balance."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from prepaid.core.calendar import months_later
from prepaid.core.statement import FeatureUse, Statement
from prepaid.portal.charts import MAX_PARTS

MONTHS = 12

type PaidBy = Literal["quota", "credits", "free"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The uses of one feature that one source paid for, month by month. feature: None for all features together that
    have no part of their own."""

    feature: str | None
    paid_by: PaidBy | None
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The months, oldest first. balances: credits at each month's end; None before the account was opened."""

    months: tuple[date, ...]
    parts: tuple[Part, ...]
    balances: tuple[int | None, ...]

    @property
    def columns(self) -> tuple[tuple[int, ...], ...]:
        """The units of each month, part by part."""
        return tuple(zip(*(part.units for part in self.parts), strict=True)) or ((),) * len(self.months)

    @property
    def totals(self) -> tuple[int, ...]:
        """The units of each month."""
        return tuple(sum(column) for column in self.columns)


def year_of(statements: Iterable[Statement], last: date) -> Year:
    """The twelve months up to `last`, whatever months the statements leave out: those have no use."""
    months = tuple(months_later(last, step) for step in range(1 - MONTHS, 1))
    by_month = {statement.month: statement for statement in statements}
    units: defaultdict[tuple[str, PaidBy], dict[date, int]] = defaultdict(dict)
    for month, statement in by_month.items():
        for use in statement.uses:
            for paid_by, count in _sources(use):
                units[use.feature, paid_by][month] = count
    parts = [
        Part(feature=feature, paid_by=paid_by, units=tuple(counts.get(month, 0) for month in months))
        for (feature, paid_by), counts in units.items()
    ]
    balances = tuple(by_month[month].closing if month in by_month else None for month in months)
    return Year(months=months, parts=_largest(parts), balances=balances)


def _sources(use: FeatureUse) -> Iterator[tuple[PaidBy, int]]:
    """The units of a use by what paid for them, without zeros."""
    if use.quota_units:
        yield "quota", use.quota_units
    if use.units > use.quota_units:
        yield "credits" if use.credits else "free", use.units - use.quota_units


def _largest(parts: list[Part]) -> tuple[Part, ...]:
    """The parts with the most units, and the others as one; the parts of a feature stand together, quota first."""
    by_size = sorted(parts, key=lambda part: sum(part.units), reverse=True)
    own = by_size if len(parts) <= MAX_PARTS else by_size[: MAX_PARTS - 1]
    others = by_size[len(own) :]
    order = {part.feature: -place for place, part in enumerate(reversed(own))}
    sources = ("quota", "credits", "free")
    shown = sorted(own, key=lambda part: (order[part.feature], sources.index(part.paid_by or "free")))
    if others:
        units = tuple(map(sum, zip(*(part.units for part in others), strict=True)))
        shown.append(Part(feature=None, paid_by=None, units=units))
    return tuple(shown)
