"""Finds entries of an account's ledger: those within dates that match filters, newest first, page by page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prepaid.core.calendar import day_start
from prepaid.core.entry import Entry
from prepaid.core.errors import Busy
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import PAGE_ENTRIES, find_entry_at, read_entries, read_tail

# When few entries match, a page ends after this many reads, and the next one continues.
MAX_READS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Conditions on an entry; None matches any. since: inclusive; until: exclusive; a day of the account's zone begins
    at its first instant.
    """

    type: str | None
    feature: str | None
    source: str | None
    since: date | datetime | None
    until: date | datetime | None
    customer: str | None = None
    reference: str | None = None

    @property
    def selective(self) -> bool:
        """Whether entries within the dates may not match."""
        return bool(self.type or self.feature or self.source or self.customer or self.reference)


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Matching entries, and the number below which the next page starts; None if no further entry can match."""

    entries: tuple[Entry, ...]
    before: int | None


def entry_range(table: Table, account_id: str, filters: Filters, before: int | None) -> tuple[int, int]:
    """The first and last number of the entries below `before` and within the dates. Raises AccountNotFound, Busy."""
    newest = read_tail(table, account_id).entry
    first, last = numbers_between(table, newest, filters.since, filters.until)
    return first, last if before is None else min(before - 1, last)


def numbers_between(
    table: Table, newest: Entry, since: date | datetime | None, until: date | datetime | None
) -> tuple[int, int]:
    """The first and last number of the entries from `since` up to, not including, `until`. Raises Busy.

    newest: the account's newest entry, in whose zone the days are. Dates never decrease as numbers increase, so dates
    become bounds on numbers.
    """
    first, last = 1, newest.number
    if until is not None:
        end = _last_before(table, newest, until)
        last = end.number if end else 0
    if since is not None:
        earlier = _last_before(table, newest, since)
        first = earlier.number + 1 if earlier else 1
    return first, last


def _last_before(table: Table, newest: Entry, bound: date | datetime) -> Entry | None:
    account = newest.after
    at = bound if isinstance(bound, datetime) else day_start(bound, account.terms.time_zone)
    return find_entry_at(table, account.id, newest, at - timedelta(milliseconds=1))


def read_page(table: Table, account_id: str, filters: Filters, first: int, last: int, limit: int) -> EntryPage:
    """At most `limit` matching entries with numbers `last` down to `first`. Raises Busy."""
    selective = filters.selective
    # With filters, read larger pages, because most entries won't match.
    read_size = PAGE_ENTRIES if selective else limit
    matching: list[Entry] = []
    for _ in range(MAX_READS):
        # Without filters, every older entry is a match, so a full page needs no further read.
        if last < first or (len(matching) == limit and not selective):
            break
        for entry in read_entries(table, account_id, first=first, last=last, limit=read_size):
            if _matches(entry, filters):
                if len(matching) == limit:
                    return EntryPage(tuple(matching), last + 1)
                matching.append(entry)
            last = entry.number - 1
    return EntryPage(tuple(matching), last + 1 if last >= first else None)


def _matches(entry: Entry, filters: Filters) -> bool:
    return (
        filters.type in {None, entry.type}
        and filters.feature in {None, entry.feature}
        # The source "quota" or "credits" also matches entries paid from both.
        and (filters.source is None or entry.source in {filters.source, "both"})
        and filters.customer in {None, entry.customer}
        and filters.reference in {None, entry.reference}
    )


def search(
    table: Table,
    account_id: str,
    filters: Filters,
    bounds: tuple[int, int],
    limit: int,
    *,
    shown: Callable[[Entry], bool] | None = None,
) -> Iterator[EntryPage]:
    """Pages of matching entries with numbers in `bounds`, newest first; at most `limit` entries in all.

    shown: which of them count; None: all. Ends early at the table's deadline: the last page's `before` continues it.
    Raises Busy if nothing was read before the deadline.
    """
    first, last = bounds
    before, found = last + 1, 0
    while before > first and found < limit:
        try:
            page = read_page(
                table, account_id, filters, first, before - 1, min(limit - found, MAX_READS * PAGE_ENTRIES)
            )
        except Busy:
            if before > last:
                raise
            return
        before = page.before or first
        entries = page.entries if shown is None else tuple(filter(shown, page.entries))
        found += len(entries)
        yield EntryPage(entries, page.before)


def find_entries(
    table: Table,
    account_id: str,
    filters: Filters,
    bounds: tuple[int, int],
    limit: int,
    *,
    shown: Callable[[Entry], bool] | None = None,
) -> EntryPage:
    """All that `search` finds, as one page. Raises Busy if nothing was read before the deadline."""
    pages = tuple(search(table, account_id, filters, bounds, limit, shown=shown))
    return EntryPage(tuple(entry for page in pages for entry in page.entries), pages[-1].before if pages else None)
