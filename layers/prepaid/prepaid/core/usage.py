"""A year of use, for charts: twelve months of use by feature and source, and the balance at each month's end."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from prepaid.core.calendar import months_later
from prepaid.core.statement import FeatureUse, Statement

MONTHS = 12


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
    found = [by_month[month] for month in months if month in by_month]
    features = sorted({use.feature for statement in found for use in statement.uses})
    return tuple(_month_of_use(month, by_month.get(month), features) for month in months)


def _month_of_use(month: date, statement: Statement | None, features: Iterable[str]) -> MonthOfUse:
    uses = {use.feature: use for use in statement.uses} if statement else {}
    unused = {feature: FeatureUse(feature=feature, units=0, quota_units=0, credits=0) for feature in features}
    return MonthOfUse(
        month=month,
        uses=tuple((unused | uses)[feature] for feature in unused),
        closing=statement.closing if statement else 0,
    )
