"""Checks of stored statements: each against the four entries around its ends, and a sample against all its entries."""

from collections.abc import Iterator
from hashlib import sha256

from prepaid.core.calendar import day_start, milliseconds, months_later
from prepaid.core.entry import Entry
from prepaid.core.errors import Busy
from prepaid.core.statement import Statement, is_closed
from prepaid.store import keys
from prepaid.store.dynamodb import Item, within
from prepaid.store.items import CHECKSUM, entry_from_item
from prepaid.store.statements import statement_from_item, statement_to_item
from prepaid.use_cases.reporting import computed_statement
from prepaid.use_cases.verifying.account_audit import AccountAudit, check_sum
from prepaid.use_cases.verifying.auxiliary_rows import AHEAD
from prepaid.use_cases.verifying.lookup import RowLookup

# A month of a hundred thousand entries takes about ten seconds.
RECOMPUTE_SECONDS = 20.0


def needed(account: str, item: Item) -> Iterator[keys.Key]:
    """The keys of the entries on both sides of the month's beginning and end."""
    for number in _edges(statement_from_item(item)):
        yield keys.entry(account, number)


def check(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    """Check the row of a statement."""
    check_sum(audit, item)
    where = f"statement {item['SK']['S']}"
    statement = statement_from_item(item)
    rebuilt = statement_to_item(audit.account, statement)
    if {**item, CHECKSUM: None} != {**rebuilt, CHECKSUM: None}:
        audit.finding("statement_differs", f"{where} form")
    for name, expected, found in _facts(audit.account, statement, lookup):
        if expected != found:
            audit.finding("statement_differs", f"{where} {name}", expected, found)
    if audit.findings or not _in_sample(item, lookup):
        return
    try:
        computed = computed_statement(within(lookup.piece(), RECOMPUTE_SECONDS), audit.account, statement.month)
    except Busy:
        # A month too large for the time, or a slow database: another pass recomputes it.
        return
    if computed != statement:
        audit.finding("statement_differs", where, computed, statement)


def _facts(account: str, statement: Statement, lookup: RowLookup) -> Iterator[tuple[str, object, object]]:
    """The values that must be equal: (name, expected from the entries or the statement's other fields, stored)."""
    previous, first, last, next_entry = (_entry(account, number, lookup) for number in _edges(statement))
    begins_inside = previous is None or previous.at < statement.starts_at
    ends_inside = last is not None and last.at < statement.ends_at
    yield (
        "beginning",
        True,
        begins_inside and (not statement.entries or bool(first and first.at >= statement.starts_at)),
    )
    yield "end", True, ends_inside and (next_entry is None or next_entry.at >= statement.ends_at)
    yield "opening", previous.after.available if previous else 0, statement.opening
    yield "closing", last.after.available if last else 0, statement.closing
    yield "owed opening", previous.after.owed if previous else 0, statement.owed_opening
    yield "owed closing", last.after.owed if last else 0, statement.owed_closing
    yield "movements", statement.closing - statement.opening, statement.moved.total
    yield "spent", -sum(use.credits for use in statement.uses), statement.moved.spent + statement.moved.reversed
    yield "ends_at", day_start(months_later(statement.month, 1), statement.zone), statement.ends_at
    yield "closed", True, is_closed(statement, lookup.now + AHEAD)


def _edges(statement: Statement) -> tuple[int, int, int, int]:
    """The numbers of the last entry before the month, of its first and last entry, and of the first entry after it."""
    before = statement.last_entry - statement.entries
    return before, before + 1, statement.last_entry, statement.last_entry + 1


def _entry(account: str, number: int, lookup: RowLookup) -> Entry | None:
    row = lookup.row(keys.entry(account, number))
    return entry_from_item(row) if row else None


def _in_sample(item: Item, lookup: RowLookup) -> bool:
    """Whether this pass recomputes the row. Another pass chooses others."""
    seed = f"{item['PK']['S']} {item['SK']['S']} {milliseconds(lookup.cutoff)}".encode()
    return int.from_bytes(sha256(seed).digest()[:4]) % lookup.recompute_one_in == 0
