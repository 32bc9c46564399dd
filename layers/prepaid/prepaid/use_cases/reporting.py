"""Reports: statements of an account's months, and its use in any span.

A statement of a closed month is computed once and stored, the current one is computed for each request.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain

from prepaid.core.calendar import EPOCH, civil, day_start, earliest_month_start, month_of, months_later
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import Busy, InvalidRequest
from prepaid.core.ledger import settle
from prepaid.core.statement import Statement, is_closed, month_start, opening_month, statements_of
from prepaid.core.usage import By, PeriodOfUse, uses_by_period
from prepaid.store.catalog import catalog_at_least
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import entries_from, find_entry_at, read_entry, read_tail
from prepaid.store.statements import read_statements, record_statement

MILLISECOND = timedelta(milliseconds=1)
# Uses in one answer: about a megabyte.
MAX_USES = 5_000
# A span whose first period has so many entries read, and more, is too long; with fewer, the database is slow.
LONG = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The first and the newest entry of a ledger: all that statements sum up lies between them."""

    opened: Entry
    newest: Entry


def read_span(table: Table, account_id: str) -> Span:
    """The span of an account's ledger now. Raises AccountNotFound, Busy."""
    return span_until(table, read_tail(table, account_id).entry)


def span_until(table: Table, newest: Entry) -> Span:
    """The span of the ledger up to an entry. Raises Busy."""
    return Span(opened=newest if newest.number == 1 else read_entry(table, newest.after.id, 1), newest=newest)


def statement_of_month(table: Table, span: Span, month: date, *, catalog: Catalog, now: datetime) -> Statement:
    """The statement of the month that begins on the day `month`; until `now` for the current one.

    Raises InvalidRequest for a month in the future or before the account's first, Busy.
    """
    found = statements_between(table, span, month, month, catalog=catalog, now=now)
    if not found:
        raise InvalidRequest((("month", "must not be in the future or before the account was opened"),))
    return found[0]


def statements_between(
    table: Table, span: Span, first: date, last: date, *, catalog: Catalog, now: datetime
) -> tuple[Statement, ...]:
    """The statements of the months `first` to `last`, at most twelve, oldest first. Stores those of closed months.

    Leaves out months in the future or before the account's first. Once the closed months are stored, it reads their
    rows, the one before them, and the current month's entries. Raises Busy.
    """
    opened, tail, account_id = span.opened, span.newest, span.newest.after.id
    first = max(first, opening_month(opened))
    last = min(last, month_of(max(now, tail.at), tail.after.terms.time_zone))
    if last < first:
        return ()
    stored = read_statements(table, account_id, months_later(first, -1), last)
    by_month = {statement.month: statement for statement in stored}
    missing = first
    while missing in by_month:
        missing = months_later(missing, 1)
    if missing <= last:
        catalog = catalog_at_least(table, catalog, tail.catalog_version)
        # Not in the ledger yet: lots that have expired, and a quota that was renewed, since its newest entry.
        _, unwritten = settle(tail.after, catalog=catalog, now=now)
        number, starts_at = _beginning(table, opened, tail, missing, by_month.get(months_later(missing, -1)))
        entries = chain(entries_from(table, account_id, first=number, last=tail.number), unwritten)
        for statement in _from_entries(missing, last, starts_at, entries):
            if statement.month not in by_month and is_closed(statement, now):
                record_statement(table, account_id, statement)
            by_month.setdefault(statement.month, _of_written(statement, tail.number))
    return tuple(by_month[month] for month in sorted(by_month) if month >= first)


def _of_written(statement: Statement, newest: int) -> Statement:
    """The statement with only written entries in its counts. Its sums include the unwritten entries' credits."""
    unwritten = max(0, statement.last_entry - newest)
    return replace(statement, entries=statement.entries - unwritten, last_entry=statement.last_entry - unwritten)


def computed_statement(table: Table, account_id: str, month: date) -> Statement | None:
    """The statement of a closed month, from its entries and no stored row; None before the account was opened.

    Raises AccountNotFound, Busy.
    """
    span = read_span(table, account_id)
    number, starts_at = _beginning(table, span.opened, span.newest, month, None)
    entries = entries_from(table, account_id, first=number, last=span.newest.number)
    return next(_from_entries(month, month, starts_at, entries), None)


def _beginning(
    table: Table, opened: Entry, newest: Entry, month: date, previous: Statement | None
) -> tuple[int, datetime]:
    """The number of an entry before the month, or of the first entry, and the time at which the month begins."""
    if previous:
        return previous.last_entry, previous.ends_at
    earlier = find_entry_at(table, newest.after.id, newest, earliest_month_start(month) - MILLISECOND)
    return (earlier or opened).number, month_start(month, earlier, opened)


def _from_entries(first: date, last: date, starts_at: datetime, entries: Iterator[Entry]) -> Iterator[Statement]:
    """The statements of the months from `starts_at`. entries: oldest first, may begin before that."""
    before = None
    for entry in entries:
        if entry.at >= starts_at:
            return statements_of(first, last, starts_at, before, chain((entry,), entries))
        before = entry.after
    return statements_of(first, last, starts_at, before, ())


@dataclass(frozen=True, slots=True)
class UseOfSpan:
    """periods: those that were added up, oldest first. next_from: the first day of the period that wasn't; None: none.

    zone: whose civil days they are.
    """

    zone: str
    periods: tuple[PeriodOfUse, ...]
    next_from: date | None


def use_of_span(
    table: Table, account_id: str, since: date | datetime | None, until: date | datetime | None, by: By
) -> UseOfSpan:
    """The account's use from `since` up to, not including, `until`, by civil days or months of its present zone.

    since: None for all there is; until: None for up to now. Stops at the table's deadline and at MAX_USES, with the
    periods that are complete by then. Raises AccountNotFound, InvalidRequest if not even the first one is, Busy.
    """
    newest = read_tail(table, account_id).entry
    zone = newest.after.terms.time_zone
    first, last = 1, newest.number
    if until is not None:
        end = find_entry_at(table, account_id, newest, _instant(until, zone) - MILLISECOND)
        last = end.number if end else 0
    if since is not None:
        earlier = find_entry_at(table, account_id, newest, _instant(since, zone) - MILLISECOND)
        first = earlier.number + 1 if earlier else 1
    periods: list[PeriodOfUse] = []
    read = _Read()
    try:
        for period in uses_by_period(read.of(entries_from(table, account_id, first=first, last=last)), by, zone):
            if sum(len(known.uses) for known in periods) + len(period.uses) > MAX_USES:
                return UseOfSpan(zone, tuple(periods), period.first)
            periods.append(period)
    except Busy:
        if periods:
            day = civil(read.at, zone).date()
            return UseOfSpan(zone, tuple(periods), day if by == "day" else day.replace(day=1))
        if read.count < LONG:
            raise
        raise InvalidRequest((("from", f"too much use in the first {by}: name a shorter span, as times"),)) from None
    return UseOfSpan(zone, tuple(periods), None)


class _Read:
    """How far a ledger was read."""

    def __init__(self) -> None:
        self.count, self.at = 0, EPOCH

    def of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.count, self.at = self.count + 1, entry.at
            yield entry


def _instant(bound: date | datetime, zone: str) -> datetime:
    return bound if isinstance(bound, datetime) else day_start(bound, zone)
