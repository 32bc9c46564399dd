"""Following: what was published of all accounts, in the order of publishing."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prepaid.store import keys
from prepaid.store.dynamodb import Table
from prepaid.store.publishing import KEEP_FEED, read_feed

# A publisher writes a row at most 10 seconds of retries and one call of 6 seconds after the time in its key. With
# clocks that differ by a little, no row appears behind a reader who is shown what is older than this.
SETTLED = timedelta(seconds=30)
# An hour is one partition. A request that finds nothing reads so many.
MAX_HOURS = 48
HOUR = timedelta(hours=1)
# The digits of a time at the beginning of a position.
TIME_LENGTH = len("2026-11-26T17:02:11.123")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """events: as JSON texts. next: the position to continue from. more: whether to continue at once."""

    events: tuple[str, ...]
    next: str
    more: bool


def feed_after(table: Table, position: str, *, limit: int, now: datetime) -> FeedPage:
    """The events of at most `limit` rows of the feed after `position`; "" is the oldest that is kept.

    position: a time, to the millisecond in UTC, and what was published then. Raises ValueError for no such time, Busy.
    """
    readable, oldest = now - SETTLED, now - KEEP_FEED
    place = max(position, keys.feed_sort(oldest, ""))
    hour = _hour_of(place)
    events: list[str] = []
    for _ in range(MAX_HOURS):
        while limit and (rows := read_feed(table, hour, after=place, before=readable, limit=limit)):
            events += [event for row in rows for event in row.events]
            place, limit = rows[-1].sort, limit - len(rows)
        if not limit:
            return FeedPage(tuple(events), place, more=True)
        # Not `hour + HOUR > readable`: after the last hour of the year 9999 there is none.
        if hour > readable - HOUR:
            return FeedPage(tuple(events), place, more=False)
        hour += HOUR
        # Nothing more is written to an hour that has ended.
        place = keys.feed_sort(hour, "")
    return FeedPage(tuple(events), place, more=True)


def _hour_of(place: str) -> datetime:
    at = datetime.fromisoformat(f"{place[:TIME_LENGTH]}+00:00").astimezone(UTC)
    return at.replace(minute=0, second=0, microsecond=0)
