"""The data of the page's charts: a year of uses, by feature and by what paid for them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prepaid.core.statement import FeatureUse
from prepaid.core.usage import MonthOfUse
from prepaid.portal.charts import MAX_PARTS

PAID_BY = ("quota", "credits", "free")

type PaidBy = Literal["quota", "credits", "free"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of each month's bar. units: month by month.

    feature, paid_by: None for the part that combines the smallest ones.
    """

    feature: str | None
    paid_by: PaidBy | None
    units: tuple[int, ...]


def parts_of(year: Sequence[MonthOfUse]) -> tuple[Part, ...]:
    """The largest parts, and the others combined into one. The parts of a feature are adjacent, its quota first."""
    units: defaultdict[tuple[str, PaidBy], list[int]] = defaultdict(lambda: [0] * len(year))
    for index, month in enumerate(year):
        for use in month.uses:
            for paid_by, count in _sources(use):
                units[use.feature, paid_by][index] = count
    by_size = sorted(units, key=lambda key: sum(units[key]), reverse=True)
    separate = by_size if len(by_size) <= MAX_PARTS else by_size[: MAX_PARTS - 1]
    features = [feature for feature, _ in separate]
    parts = [
        Part(feature=feature, paid_by=paid_by, units=tuple(units[feature, paid_by]))
        for feature, paid_by in sorted(separate, key=lambda key: (features.index(key[0]), PAID_BY.index(key[1])))
    ]
    combined = by_size[len(separate) :]
    if combined:
        sums = tuple(sum(counts) for counts in zip(*(units[key] for key in combined), strict=True))
        parts.append(Part(feature=None, paid_by=None, units=sums))
    return tuple(parts)


def columns_of(year: Sequence[MonthOfUse], parts: Sequence[Part]) -> tuple[tuple[int, ...], ...]:
    """The units of each month, part by part."""
    return tuple(tuple(part.units[index] for part in parts) for index in range(len(year)))


def _sources(use: FeatureUse) -> Iterator[tuple[PaidBy, int]]:
    """The units of a use by what paid for them, without zeros."""
    if use.quota_units:
        yield "quota", use.quota_units
    other_units = use.units - use.quota_units
    if other_units:
        # Negative if a use of an earlier month was reversed.
        yield "free" if other_units > 0 and not use.credits else "credits", other_units
