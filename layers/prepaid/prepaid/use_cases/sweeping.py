"""The sweep: records in the ledger that lots expired and holds lapsed. No balance depends on it: both are comparisons
(rules 2, 16)."""

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

# What became of a due row: recorded, left because the time was up, or the error that it failed with.
RECORDED, LEFT = "recorded", "left"
type Outcome = str | Exception
# A function over several arguments: one after another, in any order, or at the same time.
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

    piece: returns the table with a new deadline, for one row or page; a slow one must not use up the run. has_time and
    piece are called by whatever `spread` runs accounts on, such as the threads of a pool; on_failure, with a row whose
    end couldn't be recorded, by the caller's own thread.
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

    The accounts of a page are spread, each account's rows stay in order, and the next page is read when a page is done.
    A sweep can stop at any point, and two can run at once: settling is conditional on the account's newest entry, and
    a row is deleted only after its end is in the ledger. Raises Busy when rows or the checkpoint can't be read
    or written.
    """
    today = context.now.astimezone(UTC).date()
    # A lot granted just before midnight may be stored just after it: a day is closed only after the next day has ended.
    first_open_day = today - timedelta(days=1)
    place = read_checkpoint(context.piece()) or SweepCheckpoint(day=today - context.initial_lookback)
    recorded = failed = 0
    while place.day <= today and context.has_time():
        if place.day >= first_open_day:
            place = _to_return(place)
        rows = read_due(context.piece(), place, context.page_rows)
        if not rows:
            place = next_shard(place)
        outcomes = _record_due(context, [row for row in rows if row.ends_at <= context.now])
        for row, outcome in outcomes.items():
            if isinstance(outcome, Exception):
                context.on_failure(row, outcome)
                failed += 1
                place = _to_return(place)
            recorded += outcome == RECORDED
        place = _after_page(place, rows, outcomes)
    finished = place.day > today
    resume = SweepCheckpoint(day=min(place.return_to or first_open_day, first_open_day)) if finished else place
    save_checkpoint(context.piece(), resume)
    return SweepResult(recorded=recorded, failed=failed, finished=finished)


def _record_due(context: SweepContext, due: Iterable[DueRow]) -> dict[DueRow, Outcome]:
    """What became of each row, in the rows' order. An account's rows are adjacent."""
    accounts = [list(rows) for _, rows in groupby(due, key=lambda row: row.account)]
    done: Iterable[dict[DueRow, Outcome]] = context.spread(partial(_record_account, context), accounts)
    return {row: outcome for account in done for row, outcome in account.items()}


def _record_account(context: SweepContext, rows: Sequence[DueRow]) -> dict[DueRow, Outcome]:
    """What became of each row of one account."""
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


def _after_page(place: SweepCheckpoint, rows: Iterable[DueRow], outcomes: Mapping[DueRow, Outcome]) -> SweepCheckpoint:
    """The place before the first row that was left, or after the last row. Rows behind a left one may be recorded: the
    next run doesn't find them any more."""
    for row in rows:
        if outcomes.get(row) == LEFT:
            break
        place = replace(place, after=sort_key(row))
    return place


def _to_return(place: SweepCheckpoint) -> SweepCheckpoint:
    """The same place, with its day noted as unfinished. Days only increase, so the first one noted is the earliest."""
    return replace(place, return_to=place.return_to or place.day)
