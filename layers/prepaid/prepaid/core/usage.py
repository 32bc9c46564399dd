"""Use by period: any span by day or month; and for charts a year, with the balance at the end of each month."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from prepaid.core.calendar import civil, months_later
from prepaid.core.entry import Entry
from prepaid.core.statement import FeatureUse, Statement, with_use

MONTHS = 12

By = Literal["day", "month"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Units of a feature that one source paid for, less what was reversed. credits: 0 for the quota's units.

    Units of a free feature count as paid by credits.
    """

    feature: str
    source: Literal["quota", "credits"]
    units: int
    credits: int


@dataclass(frozen=True, slots=True)
class PeriodOfUse:
    """A day or month of use. first: its first civil day. uses: in order of feature and source, without zeros."""

    first: date
    uses: tuple[Use, ...]


def uses_by_period(entries: Iterable[Entry], by: By, zone: str) -> Iterator[PeriodOfUse]:
    """The periods with use, oldest first, each once it is complete. entries: oldest first. zone: of the civil days."""
    current: date | None = None
    uses: dict[str, FeatureUse] = {}
    for entry in entries:
        day = civil(entry.at, zone).date()
        period = day if by == "day" else day.replace(day=1)
        if current is not None and period != current:
            yield PeriodOfUse(current, tuple(_by_source(uses.values())))
            uses = {}
        current = period
        if entry.feature is not None and entry.units:
            uses[entry.feature] = with_use(uses.get(entry.feature), entry)
    if current is not None:
        yield PeriodOfUse(current, tuple(_by_source(uses.values())))


def total_use(periods: Iterable[PeriodOfUse]) -> tuple[Use, ...]:
    """What the periods add up to."""
    sums: dict[str, FeatureUse] = {}
    for use in (use for period in periods for use in period.uses):
        total = sums.get(use.feature, FeatureUse(feature=use.feature, units=0, quota_units=0, credits=0))
        sums[use.feature] = FeatureUse(
            feature=use.feature,
            units=total.units + use.units,
            quota_units=total.quota_units + (use.units if use.source == "quota" else 0),
            credits=total.credits + use.credits,
        )
    return tuple(_by_source(sums.values()))


def _by_source(uses: Iterable[FeatureUse]) -> Iterator[Use]:
    for use in sorted(uses, key=lambda use: use.feature):
        if use.quota_units:
            yield Use(feature=use.feature, source="quota", units=use.quota_units, credits=0)
        paid_units = use.units - use.quota_units
        if paid_units or use.credits:
            yield Use(feature=use.feature, source="credits", units=paid_units, credits=use.credits)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthOfUse:
    """month: its first day. uses: one for each feature of the year, in the same order in every month, zeros included.

    closing: credits at the month's end; in the current month, now.
    """

    month: date
    uses: tuple[FeatureUse, ...]
    closing: int


def year_of_use(statements: Iterable[Statement], last: date) -> tuple[MonthOfUse, ...]:
    """Twelve months up to `last`, oldest first. A month before the account was opened has no statement, and zeros."""
    by_month = {statement.month: statement for statement in statements}
    months = [months_later(last, offset) for offset in range(1 - MONTHS, 1)]
    existing = [by_month[month] for month in months if month in by_month]
    features = sorted({use.feature for statement in existing for use in statement.uses})
    return tuple(_month_of_use(month, by_month.get(month), features) for month in months)


def _month_of_use(month: date, statement: Statement | None, features: Iterable[str]) -> MonthOfUse:
    uses = {use.feature: use for use in statement.uses} if statement else {}
    unused = {feature: FeatureUse(feature=feature, units=0, quota_units=0, credits=0) for feature in features}
    return MonthOfUse(
        month=month,
        uses=tuple((unused | uses)[feature] for feature in unused),
        closing=statement.closing if statement else 0,
    )
