"""Publishing: the events of an account's entries, in the ledger's order, at least once (rule 20).

The ledger is the log, and the table's stream only names what changed. Each account has a cursor at its last published
entry. So a publisher can be killed at any point, run twice at once or start late: no entry is missed, and first
deliveries are in order. Alerts without an entry depend on the stream, which keeps a change for a day.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import batched

from prepaid.core.catalog import Catalog
from prepaid.core.cloud_events import cloud_event_text
from prepaid.core.entry import Entry
from prepaid.core.errors import InvalidRequest
from prepaid.core.events import Event, event_of_lock, event_of_purchase, events_of
from prepaid.core.manager_code import MAX_TRIES
from prepaid.core.statement import moves_of
from prepaid.messaging.bus import SentEvent
from prepaid.store import keys
from prepaid.store.accounts import read_account_ids
from prepaid.store.catalog import read_catalog_version
from prepaid.store.dynamodb import ConditionFailed, Table
from prepaid.store.ledger import find_entry_at, next_entries, read_tail
from prepaid.store.manager_codes import read_code
from prepaid.store.publishing import (
    TICK,
    SearchPlace,
    behind,
    feed_row_of_entry,
    is_alert_published,
    read_cursor,
    read_search,
    read_start,
    record_alert,
    record_published,
    save_search,
)
from prepaid.store.purchases import read_purchase

# Entries between two moves of the cursor. Their rows in the feed and the cursor fit in one transaction.
ROUND_ENTRIES = 25
# The most that PutEvents takes at once.
BUS_EVENTS = 10
# The deadline of one round. It is well below the age (SETTLED) from which the feed's readers get a row.
PIECE_SECONDS = 10.0
PAGE_ACCOUNTS = 100
# A stack's events begin this long before its first run, because the entries that started it are older than the run.
FIRST_LOOKBACK = timedelta(hours=1)
# The fifth try is reserved before it is compared. If the code is right, it isn't locked, and its row changes again
# within this time.
COMPARED_AFTER = timedelta(seconds=5)
# The stream names an entry within seconds. An event that is this old counts as late, for the alarm EventsLate.
LATE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class EventPage:
    """events: of whole entries, in order. last: the number of the last of these entries; without any, the request's
    `after`."""

    events: tuple[Event, ...]
    last: int


class OutOfTime(Exception):
    """The run must stop. What it published stays published, and its result is marked as unfinished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishContext:
    """The dependencies of the publisher.

    piece: returns the table with a new deadline, for one round. source: names the stack in events. to_webhook: sends
    one event; None without a webhook. to_bus: sends at most ten events. Both raise unless everything was accepted.
    on_failure: called immediately with an account whose events couldn't be published.
    """

    piece: Callable[[], Table]
    catalog: Catalog
    clock: Callable[[], datetime]
    has_time: Callable[[], bool]
    source: str
    to_webhook: Callable[[SentEvent], None] | None
    to_bus: Callable[[Sequence[SentEvent]], None]
    on_failure: Callable[[str, Exception], None]


@dataclass(slots=True)
class Published:
    """The result of a run. events: how many it published. late: how many of them were LATE. codes_locked: how many of
    them were alerts of a locked code.

    figures: the credits that the entries moved, by line of the statement; spent credits also by feature.
    failed: accounts whose events couldn't be published. finished: whether no work is left for the next run.
    """

    events: int = 0
    late: int = 0
    codes_locked: int = 0
    figures: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    failed: int = 0
    finished: bool = True


def publish_changes(context: PublishContext, changed: Iterable[tuple[str, str]]) -> Published:
    """Publish the events of changed rows. changed: partition and sort keys, from the table's stream.

    An account that fails doesn't delay the others. After a failure or an unfinished run, the caller retries with the
    same rows; published events are skipped.
    """
    rows = dict.fromkeys(changed)
    accounts = {keys.split(partition)[1]: None for partition, sort in rows if sort.startswith(keys.ENTRY_PREFIX)}
    alerts = [(keys.split(partition)[1], sort) for partition, sort in rows if not sort.startswith(keys.ENTRY_PREFIX)]
    published = Published()
    with while_there_is_time(published):
        for account_id in accounts:
            attempt(context, published, account_id, partial(_publish_account, context, published, account_id))
        for account_id, sort in alerts:
            attempt(context, published, account_id, partial(_publish_row, context, published, account_id, sort))
    return published


def publish_missing(context: PublishContext) -> Published:
    """Publish the entries that the stream missed: of every account with entries after its cursor, in order.

    A run that is out of time stores its place, and the next run continues there. After the last account, the search
    returns to accounts that failed in an earlier run. Raises Busy.
    """
    published, stored = Published(), read_search(context.piece())
    place = stored
    with while_there_is_time(published):
        while True:
            account_ids = read_account_ids(context.piece(), after=place.after, limit=PAGE_ACCOUNTS)
            if account_ids:
                place = _publish_page(context, published, place, account_ids)
                require_time(context)
            elif place.failed_after is None or published.failed:
                place = SearchPlace()
                break
            else:
                place = SearchPlace(place.failed_after)
    if place != stored:
        save_search(context.piece(), place)
    return published


def _publish_page(
    context: PublishContext, published: Published, place: SearchPlace, account_ids: Sequence[str]
) -> SearchPlace:
    """Publish these accounts' entries after their cursors. Returns the place after them. Raises OutOfTime, Busy."""
    failed = published.failed
    for account_id in behind(context.piece(), account_ids):
        attempt(context, published, account_id, partial(_publish_account, context, published, account_id))
    failed_after = place.after if published.failed > failed else None
    return SearchPlace(account_ids[-1], failed_after if place.failed_after is None else place.failed_after)


@contextmanager
def while_there_is_time(published: Published) -> Iterator[None]:
    """End the run's work when its time is up, and mark its result as unfinished."""
    try:
        yield
    except OutOfTime:
        published.finished = False


def require_time(context: PublishContext) -> None:
    """Raises OutOfTime."""
    if not context.has_time():
        raise OutOfTime


def attempt(context: PublishContext, published: Published, account_id: str, publish: Callable[[], None]) -> bool:
    """Publish one account's events. Returns whether that succeeded, and counts a failure. Raises OutOfTime."""
    try:
        publish()
    except OutOfTime:
        raise
    except Exception as error:  # noqa: BLE001 - one account that can't be published must not delay the others
        context.on_failure(account_id, error)
        published.failed += 1
        return False
    return True


def _publish_account(context: PublishContext, published: Published, account_id: str) -> None:
    """Publish the account's entries after its cursor, round by round. Raises OutOfTime."""
    while True:
        require_time(context)
        table = context.piece()
        cursor = read_cursor(table, account_id)
        after = cursor.entry if cursor else _first_entry(context, table, account_id) - 1
        entries = _entries_with_events(table, account_id, after, limit=ROUND_ENTRIES, catalog=context.catalog)
        assert entries is not None, f"entry {after} is missing"
        if cursor and not entries:
            return
        events_by_entry = {
            entry.number: [_sent(event, context.source) for event in events] for entry, events in entries
        }
        _send(context, [event for events in events_by_entry.values() for event in events])
        rows = [
            feed_row_of_entry(account_id, number, (event.text for event in events))
            for number, events in events_by_entry.items()
        ]
        try:
            last = max(events_by_entry, default=after)
            # Not the table above: its deadline may have passed while the events were sent.
            record_published(context.piece(), account_id, rows, over=cursor, entry=last, now=context.clock())
        except ConditionFailed:
            # Another publisher sent the same events and moved the cursor: continue from there.
            continue
        published.events += sum(map(len, events_by_entry.values()))
        published.late += sum(
            context.clock() - event.at >= LATE for events in events_by_entry.values() for event in events
        )
        for entry, _ in entries:
            _add_figures(published, entry)


def _add_figures(published: Published, entry: Entry) -> None:
    """Add the credits that the entry moved. Called after the cursor has moved, so each entry counts only once."""
    for line, credits in moves_of(entry):
        published.figures[line, entry.feature if line == "spent" else None] += abs(credits)
    published.figures["owed", None] += max(entry.owed, 0)


def _first_entry(context: PublishContext, table: Table, account_id: str) -> int:
    """The number of the account's first entry to publish: the first after the stack began to publish events."""
    since = read_start(table, context.clock() - FIRST_LOOKBACK)
    previous = find_entry_at(table, account_id, read_tail(table, account_id).entry, since - TICK)
    return previous.number + 1 if previous else 1


def publish_alert(context: PublishContext, published: Published, event: Event) -> bool:
    """Publish an alert that has no entry, unless it is published. Returns whether this run published it."""
    account_id = event.data["account"]
    if is_alert_published(context.piece(), account_id, event.id):
        return False
    sent_event = _sent(event, context.source)
    if context.to_webhook is not None:
        context.to_webhook(sent_event)
    context.to_bus([sent_event])
    try:
        record_alert(context.piece(), account_id, event.id, sent_event.text, context.clock())
    except ConditionFailed:
        # Another publisher sent the same event.
        return False
    published.events += 1
    return True


def _publish_row(context: PublishContext, published: Published, account_id: str, sort: str) -> None:
    """Publish the alert that follows from a row's current state, if any. Raises OutOfTime."""
    require_time(context)
    event = _alert_of(context, account_id, sort)
    if event and publish_alert(context, published, event) and sort == keys.MANAGER:
        published.codes_locked += 1


def _alert_of(context: PublishContext, account_id: str, sort: str) -> Event | None:
    if sort.startswith(keys.PURCHASE_ROW_PREFIX):
        purchase = read_purchase(context.piece(), account_id, sort.removeprefix(keys.PURCHASE_ROW_PREFIX))
        return event_of_purchase(purchase) if purchase else None
    return _alert_of_code(context, account_id) if sort == keys.MANAGER else None


def _alert_of_code(context: PublishContext, account_id: str) -> Event | None:
    table = context.piece()
    code = read_code(table, account_id)
    wait = code.tried_at + COMPARED_AFTER - context.clock()
    if code.tries >= MAX_TRIES and wait > timedelta(0):
        table.deadline.sleep(min(wait, COMPARED_AFTER).total_seconds())
        code = read_code(context.piece(), account_id)
    return event_of_lock(account_id, code.revision, code.tried_at) if code.tries >= MAX_TRIES else None


def _send(context: PublishContext, events: Sequence[SentEvent]) -> None:
    """Send a round's events to the webhook's queue and the bus. Raises OutOfTime; the next run sends them all again."""
    # One message per call: in a batch, one message can fail alone, and the next one would overtake it.
    if context.to_webhook is not None:
        for event in events:
            require_time(context)
            context.to_webhook(event)
    for batch in batched(events, BUS_EVENTS, strict=False):
        require_time(context)
        context.to_bus(batch)


def _sent(event: Event, source: str) -> SentEvent:
    return SentEvent(event.data["account"], event.id, event.type, event.at, cloud_event_text(event, source))


def events_after(table: Table, account_id: str, after: int, *, limit: int, catalog: Catalog) -> EventPage:
    """The events of at most `limit` entries that follow entry `after`; 0 for the first ones.

    catalog: any version. Raises AccountNotFound, InvalidRequest when the account has no entry `after` yet, Busy.
    """
    entries = _entries_with_events(table, account_id, after, limit=limit, catalog=catalog)
    if entries is None:
        newest = read_tail(table, account_id).entry.number
        raise InvalidRequest((("after", f"must be at most {newest}, the number of the account's newest entry"),))
    return EventPage(
        tuple(event for _, events in entries for event in events), entries[-1][0].number if entries else after
    )


def _entries_with_events(
    table: Table, account_id: str, after: int, *, limit: int, catalog: Catalog
) -> list[tuple[Entry, tuple[Event, ...]]] | None:
    """At most `limit` entries that follow entry `after`, in order, each with its events.

    None when the account has no entry `after`. Raises Busy.
    """
    # Alerts compare the account after an entry with the account before it, which the previous entry carries.
    entries = next_entries(table, account_id, first=max(after, 1), limit=limit + min(after, 1))
    if not entries:
        return None
    catalogs = {catalog.version: catalog}
    before = entries[0].after if after else None
    pairs: list[tuple[Entry, tuple[Event, ...]]] = []
    for entry in entries[1:] if after else entries:
        version = entry.catalog_version
        if version not in catalogs:
            catalogs[version] = read_catalog_version(table, version)
        pairs.append((entry, events_of(before, entry, catalogs[version])))
        before = entry.after
    return pairs
