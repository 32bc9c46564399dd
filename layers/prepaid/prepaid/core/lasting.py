"""Estimates how long credits last, from the rate at which the account has spent credits recently."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal

from prepaid.core.entry import Entry

LOOK_BACK = timedelta(days=90)
# A shorter history is too little for an estimate.
LEAST_HISTORY = timedelta(days=7)
DAY = timedelta(days=1)
WEEK_DAYS, MONTH_DAYS = 7, 30

type Duration = tuple[Literal["week", "month"], int]


def credits_per_day(entries: Sequence[Entry], now: datetime) -> Fraction | None:
    """The credits used per day within LOOK_BACK; None when none were used, or the account is too new for an estimate.

    entries: newest first. If they don't reach back as far as LOOK_BACK, the average covers only their own time.
    """
    recent = [entry for entry in entries if entry.at > now - LOOK_BACK]
    if not recent:
        return None
    used = sum(entry.spent for entry in recent)
    is_complete = len(recent) < len(entries)
    since = now - LOOK_BACK if is_complete else recent[-1].at
    too_new = recent[-1].number == 1 and now - since < LEAST_HISTORY
    if used <= 0 or too_new:
        return None
    return used / Fraction(max(now - since, DAY) / DAY)


def lasts(credits: int, per_day: Fraction, valid_months: int) -> Duration | None:
    """How long the credits last, in weeks below a month and in months from then on; None if they expire before."""
    days = Fraction(credits) / per_day
    if days >= valid_months * MONTH_DAYS:
        return None
    if days < MONTH_DAYS:
        return "week", max(1, round(days / WEEK_DAYS))
    return "month", round(days / MONTH_DAYS)
