"""The sweep: records the end of lots whose day has come. It decides nothing: see due.py and rule 2."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from prepaid.core.catalog import Catalog
from prepaid.core.ledger import Settle
from prepaid.store import keys
from prepaid.store.due import Checkpoint, DueLot, forget, read_checkpoint, read_due, save_checkpoint, sort_key
from prepaid.store.dynamodb import Patience, Table, persist
from prepaid.store.ledger import append

PAGE_ROWS = 100
# How far back the first sweep of a table looks: it covers a schedule that was switched on late.
INITIAL_LOOKBACK = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What one sweep did. recorded: expired lots whose end is now in the ledger. failed: lots left for the next run.

    finished: whether it came to today's end; if not, the next run goes on from the checkpoint.
    """

    recorded: int
    failed: int
    finished: bool


def sweep(
    table: Table,
    *,
    catalog: Catalog,
    now: datetime,
    patience: Patience,
    has_time: Callable[[], bool],
    on_failure: Callable[[DueLot, Exception], None],
) -> SweepResult:
    """Record every lot that has ended by `now`, day by day and shard by shard, while there is time.

    Repeatable at any point, and by several at once: settling is conditional on the account's newest entry, and a row
    goes only after its lot's end is in the ledger. Raises Busy when rows or checkpoint can't be read or kept.
    """
    today = now.astimezone(UTC).date()
    # A lot granted just before midnight may be stored just after it: a day is closed only when the next one is over.
    first_open_day = today - timedelta(days=1)
    place = persist(patience, read_checkpoint, table) or Checkpoint(day=today - INITIAL_LOOKBACK)
    recorded = failed = 0
    while place.day <= today and has_time():
        if place.day >= first_open_day:
            place = _to_return(place)
        rows = persist(patience, read_due, table, place, PAGE_ROWS)
        if not rows:
            place = _next_shard(place)
        for row in rows:
            if row.expires_at <= now:
                if not has_time():
                    break
                try:
                    _record(table, row, catalog, now, patience)
                    recorded += 1
                except Exception as error:  # noqa: BLE001 - one account that can't be settled must not hold up the others
                    on_failure(row, error)
                    failed += 1
                    place = _to_return(place)
            place = replace(place, after=sort_key(row))
    finished = place.day > today
    resume = Checkpoint(day=min(place.return_to or first_open_day, first_open_day)) if finished else place
    persist(patience, save_checkpoint, table, resume)
    return SweepResult(recorded=recorded, failed=failed, finished=finished)


def _record(table: Table, row: DueLot, catalog: Catalog, now: datetime, patience: Patience) -> None:
    """Have the lot's end in the ledger (a debit may have recorded it already), then drop its row."""
    append(table, row.account, Settle(), catalog=catalog, now=now, patience=patience)
    persist(patience, forget, table, row)


def _to_return(place: Checkpoint) -> Checkpoint:
    """The same place, remembering that its day isn't done with. Days only grow: the first one noted is the earliest."""
    return replace(place, return_to=place.return_to or place.day)


def _next_shard(place: Checkpoint) -> Checkpoint:
    """After the last row of a shard: the next shard, or the next day."""
    if place.shard + 1 < keys.DUE_SHARDS:
        return replace(place, shard=place.shard + 1, after="")
    return replace(place, day=place.day + timedelta(days=1), shard=0, after="")
