"""Warnings of expiry: alerts of the lots with credits that expire in 30, 7 or 1 days, each once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from prepaid.core.events import EXPIRY_WARNING_DAYS, event_of_expiring_lot, expiring_in
from prepaid.core.ledger import settle
from prepaid.store import keys
from prepaid.store.catalog import catalog_at_least
from prepaid.store.due import DueRow, SweepCheckpoint, read_due, sort_key
from prepaid.store.ledger import read_tail
from prepaid.store.publishing import read_warned_until, save_warned_until
from prepaid.use_cases.publishing import (
    PublishContext,
    Published,
    attempt,
    publish_alert,
    require_time,
    while_there_is_time,
)

DAY = timedelta(days=1)
# A lot that was granted a moment before a run may be stored a moment after it.
OVERLAP = timedelta(minutes=5)
PAGE_ROWS = 100


def publish_warnings(context: PublishContext) -> Published:
    """Publish each warning that has become due since the last run. Balances do not depend on it.

    After a run that failed or is unfinished, the next one starts again from the same time; what is published is skipped
    then. Raises Busy.
    """
    now = context.clock()
    until = read_warned_until(context.piece()) or now - DAY
    published = Published()
    with while_there_is_time(published):
        for days in EXPIRY_WARNING_DAYS:
            # Earlier lots have expired, or their next warning is due.
            since = max(until - OVERLAP, now - timedelta(days=days))
            for row in _due_between(context, since + timedelta(days=days), now + timedelta(days=days)):
                require_time(context)
                attempt(context, published, row.account, partial(_publish_warning, context, published, row, days, now))
    if published.finished and not published.failed:
        save_warned_until(context.piece(), now)
    return published


def _due_between(context: PublishContext, first: datetime, last: datetime) -> Iterator[DueRow]:
    """The rows of lots and holds that end in this span."""
    day = first.astimezone(UTC).date()
    while day <= last.astimezone(UTC).date():
        for shard in range(keys.DUE_SHARDS):
            place = SweepCheckpoint(day=day, shard=shard)
            while rows := read_due(context.piece(), place, PAGE_ROWS):
                yield from (row for row in rows if first <= row.ends_at <= last)
                place = replace(place, after=sort_key(rows[-1]))
        day += DAY


def _publish_warning(context: PublishContext, published: Published, row: DueRow, days: int, now: datetime) -> None:
    table = context.piece()
    entry = read_tail(table, row.account).entry
    catalog = catalog_at_least(table, context.catalog, entry.catalog_version)
    account, _ = settle(entry.after, catalog=catalog, now=now)
    lot = next((lot for lot in account.lots if lot.id == row.what), None)
    if lot is None or not lot.remaining or expiring_in(lot, now) != days:
        return
    publish_alert(context, published, event_of_expiring_lot(account, lot, days))
