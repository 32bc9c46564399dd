"""Civil time by walking: months one by one, renewals day by day, midnights in quarters of an hour.

Slow, and short enough to be read as right. Instants are milliseconds since 1970.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

DAY = 86_400_000
WEEK = 7 * DAY


def instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def time_text(at: int) -> str:
    """An instant as requests and answers write it: RFC 3339 in UTC, with milliseconds."""
    return instant(at).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def civil_day(at: int, zone: str) -> date:
    return instant(at).astimezone(ZoneInfo(zone)).date()


def bound(at: int | str, zone: str) -> int:
    """The instant of a bound: an instant, or a civil day as YYYY-MM-DD, which begins with its first instant."""
    return at if isinstance(at, int) else first_instant(date.fromisoformat(at), zone)


def milliseconds_of(text: str) -> int:
    """The instant that a time in an answer names."""
    return milliseconds(datetime.fromisoformat(text))


def end_of_validity(start: int, months: int, zone: str) -> int:
    """The first instant after the civil day that lies so many months later (rule 1). Counts months one by one."""
    day = instant(start).astimezone(ZoneInfo(zone)).date()
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    last_day = next(number for number in (day.day, 30, 29, 28) if number <= day.day and exists(year, month, number))
    return first_instant(date(year, month, last_day) + timedelta(days=1), zone)


def next_renewal(now: int, anchor_day: int, zone: str) -> int:
    """The first renewal after an instant (rule 7)."""
    today = instant(now).astimezone(ZoneInfo(zone)).date()
    return next(start for start in renewals(today, anchor_day, zone) if start > now)


def moved_renewal(renews_at: int, old_zone: str, terms: dict[str, Any]) -> int:
    """The renewal of the same civil month by another anchor day and zone (rule 9). It may already have passed."""
    month = instant(renews_at).astimezone(ZoneInfo(old_zone)).date().replace(day=1)
    zone = terms["time_zone"]
    starts = renewals(month, terms["quota_anchor_day"], zone)
    return next(start for start in starts if instant(start).astimezone(ZoneInfo(zone)).month == month.month)


def renewals(first: date, anchor_day: int, zone: str) -> Iterator[int]:
    """Look at each day: is it the anchor day, or the last day of a month that has no such day?"""
    for days in range(-2, 70):
        day = first + timedelta(days=days)
        ends_month = (day + timedelta(days=1)).month != day.month
        if day.day == anchor_day or (ends_month and day.day < anchor_day):
            yield first_instant(day, zone)


@cache
def first_instant(day: date, zone: str) -> int:
    """Walk in quarters of an hour to the first instant whose civil date is `day` or later."""
    at = datetime.combine(day, time(), tzinfo=UTC) - timedelta(hours=18)
    while at.astimezone(ZoneInfo(zone)).date() < day:
        at += timedelta(minutes=15)
    return milliseconds(at)


def exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
