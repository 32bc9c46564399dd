"""Stored state of publishing: each account's cursor, a row per alert without an entry, and the feed of all accounts.

An account's cursor and the feed's rows are written in one transaction, so each entry is in the feed exactly once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prepaid.core.calendar import instant, milliseconds
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Table, get, get_many, put, query, transact

# How long the feed keeps what was published; DynamoDB's TTL deletes it some time later.
KEEP_FEED = timedelta(days=30)
TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """entry: the number of the account's last published entry. at: the time of its row in the feed."""

    entry: int
    at: datetime


@dataclass(frozen=True, slots=True)
class SearchPlace:
    """Where a search of all accounts continues: after the account `after`; "" is the start.

    failed_after: where to return to: an account before the first one that failed; None when none failed.
    """

    after: str = ""
    failed_after: str | None = None


@dataclass(frozen=True, slots=True)
class FeedRow:
    """Published events as JSON texts. sort: the row's place in its hour; empty for a row that isn't stored yet."""

    what: str
    events: tuple[str, ...]
    sort: str = ""


def feed_row_of_entry(account_id: str, number: int, events: Iterable[str]) -> FeedRow:
    """The row of an entry. Rows of one account and millisecond are in the order of their entries."""
    return FeedRow(f"{account_id}#{number:012d}", tuple(events))


def read_start(table: Table, proposed: datetime) -> datetime:
    """The time from which entries are published: the stored one, or `proposed`, which it then stores. Raises Busy."""
    item = get(table, keys.PUBLISHING)
    if item is None:
        try:
            row = {**keys.PUBLISHING, "since": {"N": str(milliseconds(proposed))}}
            # Closes the race of two first runs: both publish from the same time on.
            put(table, {"Item": row, "ConditionExpression": IF_ABSENT})
        except ConditionFailed as failed:
            item = failed.existing["item"] or get(table, keys.PUBLISHING)
    return instant(int(item["since"]["N"])) if item else proposed


def read_cursor(table: Table, account_id: str) -> Cursor | None:
    """How far the account's entries are published; None before the first of them. Raises Busy."""
    item = get(table, keys.published(account_id))
    return cursor_from_item(item) if item else None


def cursor_from_item(item: Item) -> Cursor:
    """The cursor stored in an item. Raises KeyError, ValueError."""
    return Cursor(int(item["published"]["N"]), instant(int(item["at"]["N"])))


def cursor_item(account_id: str, entry: int, at: datetime) -> Item:
    """The item of an account's cursor at this entry. at: the time of its row in the feed."""
    return {**keys.published(account_id), "published": {"N": str(entry)}, "at": {"N": str(milliseconds(at))}}


def record_published(
    table: Table, account_id: str, rows: Sequence[FeedRow], *, over: Cursor | None, entry: int, now: datetime
) -> None:
    """Move the account's cursor from `over`, as it was read, to `entry`, and add `rows` to the feed.

    Raises ConditionFailed when another publisher was first, Busy.
    """
    # Clocks differ: an account's rows stay in the order of its entries.
    at = max(now, over.at + TICK) if over else now
    # Either condition closes the race of two publishers: only one of them writes the feed.
    condition: Item = {"ConditionExpression": IF_ABSENT}
    if over:
        condition = {
            "ConditionExpression": "published = :seen",
            "ExpressionAttributeValues": {":seen": {"N": str(over.entry)}},
        }
    writes = {"cursor": {"Item": cursor_item(account_id, entry, at), **condition}}
    transact(table, writes | {f"feed {row.what}": {"Item": feed_item(row, at)} for row in rows})


def read_search(table: Table) -> SearchPlace:
    """Where the search for unpublished entries continues. Raises Busy."""
    item = get(table, keys.HEALING)
    if item is None:
        return SearchPlace()
    return SearchPlace(item["after"]["S"], item["failed_after"]["S"] if "failed_after" in item else None)


def save_search(table: Table, place: SearchPlace) -> None:
    """Store where the search continues. Raises Busy.

    Unconditional: when two searches run at once, either one published what is before its place, or noted a failure.
    """
    failed = {} if place.failed_after is None else {"failed_after": {"S": place.failed_after}}
    put(table, {"Item": {**keys.HEALING, "after": {"S": place.after}, **failed}})


def is_alert_published(table: Table, account_id: str, event_id: str) -> bool:
    """Whether an alert without an entry is published. Raises Busy."""
    return get(table, keys.published_alert(account_id, event_id)) is not None


def record_alert(table: Table, account_id: str, event_id: str, text: str, now: datetime) -> None:
    """Record that an alert without an entry is published, and add it to the feed.

    Raises ConditionFailed when another publisher was first, Busy.
    """
    published = {**keys.published_alert(account_id, event_id), "ttl": _ttl(now)}
    row = FeedRow(f"{account_id}#{event_id}", (text,))
    transact(
        table,
        {
            # Closes the race of two publishers: only one of them writes the feed.
            "alert": {"Item": published, "ConditionExpression": IF_ABSENT},
            "feed": {"Item": feed_item(row, now)},
        },
    )


def behind(table: Table, account_ids: Sequence[str]) -> tuple[str, ...]:
    """The accounts that have unpublished entries, or no cursor yet. Two reads per hundred accounts. Raises Busy."""
    cursor_keys = {account_id: keys.published(account_id) for account_id in account_ids}
    items = get_many(table, cursor_keys.values(), consistent=True)
    cursors = {
        account_id: cursor_from_item(items[key["PK"]["S"], key["SK"]["S"]]).entry
        for account_id, key in cursor_keys.items()
        if (key["PK"]["S"], key["SK"]["S"]) in items
    }
    following = {account_id: keys.entry(account_id, number + 1) for account_id, number in cursors.items()}
    unpublished = get_many(table, following.values(), consistent=True) if following else {}
    return tuple(
        account_id
        for account_id in account_ids
        if account_id not in following
        or (following[account_id]["PK"]["S"], following[account_id]["SK"]["S"]) in unpublished
    )


def read_feed(table: Table, hour: datetime, *, after: str, before: datetime, limit: int) -> tuple[FeedRow, ...]:
    """At most `limit` rows of this hour, after the row at `after` ("" is the start), published before `before`.

    May return fewer than `limit` when rows are large; the caller continues after the last one. Raises Busy.
    """
    last = keys.feed_sort(before, "")
    # The key right after `after`: BETWEEN includes its ends.
    first = after + "\x00"
    if first > last:
        return ()
    items = query(table, keys.feed_partition(hour), first=first, last=last, limit=limit)
    return tuple(
        FeedRow(
            item["SK"]["S"].partition("#")[2],
            tuple(event["S"] for event in item["events"]["L"]),
            item["SK"]["S"],
        )
        for item in items
    )


def feed_item(row: FeedRow, at: datetime) -> Item:
    """The item of a row in the feed."""
    return {
        **keys.feed(at, row.what),
        "events": {"L": [{"S": event} for event in row.events]},
        "ttl": _ttl(at),
    }


def _ttl(at: datetime) -> dict[str, str]:
    return {"N": str(int((at + KEEP_FEED).timestamp()))}
