"""Sweeping: record in the ledger that lots expired and holds lapsed.

No balance depends on the sweep, because lots expire and holds lapse by their dates (rules 2, 16).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from prepaid.core.catalog import Catalog
from prepaid.core.ledger import Settle
from prepaid.store.due import (
    DueRow,
    SweepCheckpoint,
    delete_due,
    next_shard,
    read_checkpoint,
    read_due,
    save_checkpoint,
    sort_key,
)
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import append

PAGE_ROWS = 100
# How far back the first sweep of a table starts, in case the schedule was enabled late.
INITIAL_LOOKBACK = timedelta(days=31)
# The deadline of one row or page.
PIECE_SECONDS = 10.0

# The outcome of a due row: recorded, left because the time was up, or the error with which it failed.
RECORDED, LEFT = "recorded", "left"
type Outcome = str | Exception
# Calls a function with each of several arguments, as `map` does: in any order, or in parallel.
type Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """The result of one sweep. recorded: lots and holds whose end is in the ledger. failed: those left.

    finished: whether the sweep is complete for today; if not, the next run continues from the checkpoint.
    """

    recorded: int
    failed: int
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepContext:
    """The dependencies and limits of a sweep.

    piece: returns the table with a new deadline, for one row or page; a slow one must not use up the run.
    spread: runs the accounts of a page, perhaps on several threads, which also call `piece` and `has_time`.
    on_failure: called on the caller's thread with each row whose end couldn't be recorded.
    """

    piece: Callable[[], Table]
    catalog: Catalog
    now: datetime
    has_time: Callable[[], bool]
    on_failure: Callable[[DueRow, Exception], None]
    spread: Spread = map
    page_rows: int = PAGE_ROWS
    initial_lookback: timedelta = INITIAL_LOOKBACK


def sweep(context: SweepContext) -> SweepResult:
    """Record every lot and hold that has ended by now, day by day and shard by shard, while there is time.

    The accounts of a page may run in parallel, but each account's rows run in order, and a page ends before the next
    one is read. A sweep can stop at any point, and two can run at once: settling is conditional on the account's newest
    entry, and a row is deleted only after its end is in the ledger. Raises Busy when rows or the checkpoint can't be
    read or written.
    """
    today = context.now.astimezone(UTC).date()
    # A lot granted just before midnight may be stored just after it, so a day stays open until the next day has ended.
    first_open_day = today - timedelta(days=1)
    checkpoint = read_checkpoint(context.piece()) or SweepCheckpoint(day=today - context.initial_lookback)
    recorded = failed = 0
    while checkpoint.day <= today and context.has_time():
        if checkpoint.day >= first_open_day:
            checkpoint = _to_return(checkpoint)
        rows = read_due(context.piece(), checkpoint, context.page_rows)
        if not rows:
            checkpoint = next_shard(checkpoint)
        outcomes = _record_due(context, [row for row in rows if row.ends_at <= context.now])
        for row, outcome in outcomes.items():
            if isinstance(outcome, Exception):
                context.on_failure(row, outcome)
                failed += 1
                checkpoint = _to_return(checkpoint)
            recorded += outcome == RECORDED
        checkpoint = _after_page(checkpoint, rows, outcomes)
    finished = checkpoint.day > today
    next_checkpoint = (
        SweepCheckpoint(day=min(checkpoint.return_to or first_open_day, first_open_day)) if finished else checkpoint
    )
    save_checkpoint(context.piece(), next_checkpoint)
    return SweepResult(recorded=recorded, failed=failed, finished=finished)


def _record_due(context: SweepContext, rows: Iterable[DueRow]) -> dict[DueRow, Outcome]:
    """Record the ends of a page's rows, in which each account's rows are adjacent. Returns each row's outcome."""
    accounts = [list(account_rows) for _, account_rows in groupby(rows, key=lambda row: row.account)]
    outcomes: Iterable[dict[DueRow, Outcome]] = context.spread(partial(_record_account, context), accounts)
    return {row: outcome for account_outcomes in outcomes for row, outcome in account_outcomes.items()}


def _record_account(context: SweepContext, rows: Sequence[DueRow]) -> dict[DueRow, Outcome]:
    """Record the ends of one account's rows, in order. Returns each row's outcome."""
    outcomes: dict[DueRow, Outcome] = {}
    for row in rows:
        if not context.has_time():
            outcomes[row] = LEFT
            continue
        try:
            _record(context, row)
            outcomes[row] = RECORDED
        except Exception as error:  # noqa: BLE001 - one account that can't be settled must not block the others
            outcomes[row] = error
    return outcomes


def _record(context: SweepContext, row: DueRow) -> None:
    """Record the end in the ledger (another entry may have done so already), then delete the row."""
    table = context.piece()
    append(table, row.account, Settle(), catalog=context.catalog, now=context.now)
    delete_due(table, row)


def _after_page(
    checkpoint: SweepCheckpoint, rows: Iterable[DueRow], outcomes: Mapping[DueRow, Outcome]
) -> SweepCheckpoint:
    """The checkpoint before the first row that was left, or after the last row.

    Rows after a left one may already be recorded and deleted, so the next run doesn't find them.
    """
    for row in rows:
        if outcomes.get(row) == LEFT:
            break
        checkpoint = replace(checkpoint, after=sort_key(row))
    return checkpoint


def _to_return(checkpoint: SweepCheckpoint) -> SweepCheckpoint:
    """The checkpoint with its day noted as unfinished. Days only increase, so the first one noted is the earliest."""
    return replace(checkpoint, return_to=checkpoint.return_to or checkpoint.day)
