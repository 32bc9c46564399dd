"""The warning about credits that expire soon: one for all lots, as urgent as the first of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prepaid.core.account import Lot
from prepaid.core.calendar import civil, last_usable_day

# The days left at which a lot gets a warning: its last day is tomorrow, within a week, within a month.
DAYS = (1, 7, 30)
# The most ends that the warning lists: it is not a second table of lots.
LISTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The warning. days: the smallest of DAYS within which credits expire. ends: pairs of a lot's expires_at and the
    credits that expire then, soonest first. more: credits that expire later within thirty days."""

    days: int
    ends: tuple[tuple[datetime, int], ...]
    more: int


def ending_soon(lots: Sequence[Lot], now: datetime, zone: str) -> Ending | None:
    """The warning about the lots that expire within thirty days, or None."""
    today = civil(now, zone).date()
    credits: Counter[datetime] = Counter()
    for lot in lots:
        if (last_usable_day(lot.expires_at, zone) - today).days <= DAYS[-1]:
            credits[lot.expires_at] += lot.remaining
    if not credits:
        return None
    ends = sorted(credits.items())
    days_left = (last_usable_day(ends[0][0], zone) - today).days
    return Ending(
        days=next(days for days in DAYS if days_left <= days),
        ends=tuple(ends[:LISTED]),
        more=sum(count for _, count in ends[LISTED:]),
    )
