"""Reporting: statements of an account's months, its use in any span, and its recent use per day.

The statement of a closed month is computed once and stored. The current month's is computed for each request.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import chain

from prepaid.core.calendar import EPOCH, civil, earliest_month_start, month_of, months_later
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import Busy, InvalidRequest
from prepaid.core.lasting import LOOK_BACK, credits_per_day
from prepaid.core.statement import Statement, is_closed, month_start, opening_month, statements_of
from prepaid.core.usage import By, PeriodOfUse, uses_by_period
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import entries_from, find_entry_at, read_entries, read_entry, read_tail
from prepaid.store.statements import read_statements, record_statement
from prepaid.use_cases.reading import account_now
from prepaid.use_cases.searching import numbers_between

MILLISECOND = timedelta(milliseconds=1)
# The most uses in one response: about a megabyte.
MAX_USES = 5_000
# If time is up within the first period: the span is too long if at least this many entries were read; with fewer, the
# database is slow.
LONG = 1_000
# How many entries are read at most to estimate an account's recent use.
MAX_RECENT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The first and the newest entry of a ledger. Statements sum up the entries between them."""

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
    statements = statements_between(table, span, month, month, catalog=catalog, now=now)
    if not statements:
        raise InvalidRequest((("month", "must not be in the future or before the account was opened"),))
    return statements[0]


def statements_between(
    table: Table, span: Span, first: date, last: date, *, catalog: Catalog, now: datetime
) -> tuple[Statement, ...]:
    """The statements of the months `first` to `last`, at most twelve, oldest first. Stores those of closed months.

    Leaves out months in the future or before the account's first. Once the closed months are stored, it reads only
    those rows, the row before them, and the current month's entries. Raises Busy.
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
        unwritten = account_now(table, tail, catalog=catalog, now=now).unwritten
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
    """The statement of a closed month, computed from entries alone; None before the account was opened.

    Raises AccountNotFound, Busy.
    """
    span = read_span(table, account_id)
    number, starts_at = _beginning(table, span.opened, span.newest, month, None)
    entries = entries_from(table, account_id, first=number, last=span.newest.number)
    return next(_from_entries(month, month, starts_at, entries), None)


def _beginning(
    table: Table, opened: Entry, newest: Entry, month: date, previous: Statement | None
) -> tuple[int, datetime]:
    """The number of the entry from which to read for a month, and the time at which the month begins."""
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
    """An account's use in a span. zone: the time zone of its civil days. periods: the complete ones, oldest first.

    next_from: the first day of the next period, if time or space ended before it; None if the span is complete.
    """

    zone: str
    periods: tuple[PeriodOfUse, ...]
    next_from: date | None


def use_of_span(
    table: Table, account_id: str, since: date | datetime | None, until: date | datetime | None, by: By
) -> UseOfSpan:
    """The account's use from `since` up to, not including, `until`, by civil days or months in its current zone.

    since: None for the account's beginning. until: None for now. Stops at the table's deadline or at MAX_USES and
    returns the complete periods. Raises AccountNotFound, InvalidRequest if the first period is too long, Busy.
    """
    newest = read_tail(table, account_id).entry
    zone = newest.after.terms.time_zone
    first, last = numbers_between(table, newest, since, until)
    periods: list[PeriodOfUse] = []
    progress = _Progress()
    try:
        for period in uses_by_period(progress.of(entries_from(table, account_id, first=first, last=last)), by, zone):
            if sum(len(complete_period.uses) for complete_period in periods) + len(period.uses) > MAX_USES:
                return UseOfSpan(zone, tuple(periods), period.first)
            periods.append(period)
    except Busy:
        if periods:
            day = civil(progress.at, zone).date()
            return UseOfSpan(zone, tuple(periods), day if by == "day" else day.replace(day=1))
        if progress.count < LONG:
            raise
        raise InvalidRequest((("from", f"too much use in the first {by}: name a shorter span, as times"),)) from None
    return UseOfSpan(zone, tuple(periods), None)


class _Progress:
    """Counts the entries that pass through `of`. at: the time of the last one."""

    def __init__(self) -> None:
        self.count, self.at = 0, EPOCH

    def of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.count, self.at = self.count + 1, entry.at
            yield entry


def recent_use(table: Table, newest: Entry, *, now: datetime) -> Fraction | None:
    """The credits that an account used per day lately, by its newest entries; None if it is too new to tell.

    newest: its newest entry. Raises Busy.
    """
    entries: list[Entry] = []
    last = newest.number
    while last >= 1 and len(entries) < MAX_RECENT:
        read = read_entries(table, newest.after.id, first=1, last=last, limit=MAX_RECENT - len(entries))
        entries.extend(read)
        if not read or read[-1].at <= now - LOOK_BACK:
            break
        last = read[-1].number - 1
    return credits_per_day(entries, now)
