"""Following: the published events of all accounts, in the order of publishing."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prepaid.store import keys
from prepaid.store.dynamodb import Table
from prepaid.store.publishing import KEEP_FEED, read_feed

# Readers get only rows that are older than this, so no row can appear before one that a reader already has. A publisher
# writes a row at most 17 seconds after the time in its key (10 of retries, 7 of one call); the rest is for clocks that
# differ.
SETTLED = timedelta(seconds=30)
# The most hours that one request reads. Each hour is a partition.
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
    """The events of at most `limit` rows of the feed after `position`; "" is before the oldest row.

    position: a row's sort key, which begins with a UTC time to the millisecond. Raises ValueError if it doesn't, Busy.
    """
    readable, oldest = now - SETTLED, now - KEEP_FEED
    position = max(position, keys.feed_sort(oldest, ""))
    hour = _hour_of(position)
    events: list[str] = []
    for _ in range(MAX_HOURS):
        while limit and (rows := read_feed(table, hour, after=position, before=readable, limit=limit)):
            events += [event for row in rows for event in row.events]
            position, limit = rows[-1].sort, limit - len(rows)
        if not limit:
            return FeedPage(tuple(events), position, more=True)
        # Not `hour + HOUR > readable`: after the last hour of the year 9999 there is none.
        if hour > readable - HOUR:
            return FeedPage(tuple(events), position, more=False)
        hour += HOUR
        # No more rows are written to an hour that has ended.
        position = keys.feed_sort(hour, "")
    return FeedPage(tuple(events), position, more=True)


def _hour_of(position: str) -> datetime:
    at = datetime.fromisoformat(f"{position[:TIME_LENGTH]}+00:00").astimezone(UTC)
    return at.replace(minute=0, second=0, microsecond=0)
