"""Rows of the publisher and the webhook. No credit depends on them, and the ledger has every event.

These checks can't detect the following losses and changes:

    PUBLISHED       a cursor moved back or removed: events are sent again; one moved ahead: events are in the API only
    its alerts      whether one exists: an alert is sent again or not at all
    PUBLISHING      earlier times and places: events or warnings are sent again; later ones, up to an hour ahead: some
                    are not sent
    FEED            whether a row exists, and the text of its events: the ledger has the same events
    WEBHOOK         whether it exists, its address: deliveries stop, with an alarm, or continue
"""

import json
from collections.abc import Iterator
from datetime import UTC, timedelta

from prepaid.core.calendar import instant
from prepaid.core.events import EXPIRY_WARNING_DAYS
from prepaid.store import keys
from prepaid.store.dynamodb import Item
from prepaid.store.publishing import KEEP_FEED, cursor_from_item
from prepaid.store.warning import warning_pass_from_item
from prepaid.use_cases.verifying.auxiliary_rows import AHEAD, fits
from prepaid.use_cases.verifying.lookup import RowLookup


def needed(account: str, item: Item) -> Iterator[keys.Key]:
    """The entry up to which an account is published. Raises KeyError, ValueError."""
    if item["SK"]["S"] == keys.PUBLISHED:
        yield keys.entry(account, cursor_from_item(item).entry)


def wrong_in_published(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of an account's cursor, or of the row of a published alert. Raises KeyError, ValueError."""
    account = keys.split(item["PK"]["S"])[1]
    if item["SK"]["S"].startswith(keys.ALERT_PREFIX):
        if not fits(item, {"ttl": "N"}):
            yield "attributes"
        return
    if not fits(item, {"published": "N", "at": "N"}) or item["SK"]["S"] != keys.PUBLISHED:
        yield "attributes"
        return
    cursor = cursor_from_item(item)
    if lookup.row(keys.entry(account, cursor.entry)) is None:
        yield "published"
    if cursor.at > lookup.now + AHEAD:
        yield "at"


def wrong_in_publishing(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of the time at which events begin, or of a place of the scheduled runs.
    Raises KeyError, ValueError."""
    if item["SK"] == keys.WARNINGS["SK"]:
        yield from _wrong_in_warnings(item, lookup)
    elif item["SK"] == keys.HEALING["SK"]:
        if not fits(item, {"after": "S"}, {"failed_after": "S"}):
            yield "attributes"
    elif item["SK"] != keys.PUBLISHING["SK"] or not fits(item, {"since": "N"}):
        yield "attributes"
    elif instant(int(item["since"]["N"])) > lookup.now + AHEAD:
        yield "since"


def _wrong_in_warnings(item: Item, lookup: RowLookup) -> Iterator[str]:
    place_attributes = {"day": "S", "shard": "N", "after": "S"} if "day" in item else {}
    if not fits(item, {"since": "N", "until": "N", "days": "N", **place_attributes}, {"failed_since": "N"}):
        yield "attributes"
        return
    warning_pass = warning_pass_from_item(item)
    if not warning_pass.since <= warning_pass.until <= lookup.now + AHEAD:
        yield "until"
    if warning_pass.days not in EXPIRY_WARNING_DAYS:
        yield "days"
    if warning_pass.place and not 0 <= warning_pass.place.shard < keys.DUE_SHARDS:
        yield "shard"


def wrong_in_feed(item: Item) -> Iterator[str]:
    """The invalid parts of a row of the feed. Raises KeyError, ValueError."""
    if not fits(item, {"events": "L", "ttl": "N"}):
        yield "attributes"
        return
    published_at = instant(int(item["ttl"]["N"]) * 1000).astimezone(UTC) - KEEP_FEED
    moments = (published_at + timedelta(milliseconds=milliseconds) for milliseconds in (0, 999))
    earliest, latest = (keys.feed_sort(moment, "") for moment in moments)
    if item["PK"]["S"] != keys.feed_partition(published_at) or not earliest <= item["SK"]["S"] < f"{latest}\U0010ffff":
        yield "ttl"
    if not item["events"]["L"] or not all("id" in json.loads(event["S"]) for event in item["events"]["L"]):
        yield "events"


def wrong_in_webhook(item: Item) -> Iterator[str]:
    """The invalid parts of the note that the webhook wants no more events. Raises ValueError."""
    if not fits(item, {"target": "S", "at": "N"}) or item["SK"] != keys.WEBHOOK_STOPPED["SK"]:
        yield "attributes"
        return
    instant(int(item["at"]["N"]))
