"""Due rows: lots by day of expiry, spread over shards, for the sweep. A row stays until the expiry is recorded.

No balance depends on these rows: a lot expires by its date, whether or not the expiry is recorded (rule 2).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zlib import crc32

from prepaid.core.account import Lot
from prepaid.core.calendar import instant, milliseconds
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, delete, get, put, query


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRow:
    """A lot that expires at expires_at, as one row of its day and shard."""

    account: str
    lot: str
    expires_at: datetime
    day: date
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepCheckpoint:
    """Where a sweep continues: at `shard` of `day`, after row `after` ("" is the start of the shard).

    return_to: the earliest unfinished day before this place, to which the next sweep returns. A day is unfinished when
    a lot's expiry couldn't be recorded, or when the day wasn't over: more lots may expire and more rows may appear.
    """

    day: date
    shard: int = 0
    after: str = ""
    return_to: date | None = None


def due_item(account: str, lot: Lot) -> Item:
    """The row of a lot. The shard depends on the account, so that one reader gets all of an account's lots of a day."""
    day, shard = lot.expires_at.astimezone(UTC).date(), crc32(account.encode()) % keys.DUE_SHARDS
    return {
        **keys.due(day, shard, account, lot.id),
        "account": {"S": account},
        "lot": {"S": lot.id},
        "expires_at": {"N": str(milliseconds(lot.expires_at))},
    }


def read_due(table: Table, checkpoint: SweepCheckpoint, limit: int) -> tuple[DueRow, ...]:
    """At most `limit` rows of the checkpoint's shard, after its last row. Empty when the shard is done.
    Raises Busy."""
    items = query(
        table,
        keys.due_partition(checkpoint.day, checkpoint.shard),
        # The key right after `after`: BETWEEN includes its ends.
        first=checkpoint.after + "\x00",
        last="\U0010ffff",
        limit=limit,
    )
    return tuple(
        DueRow(
            account=item["account"]["S"],
            lot=item["lot"]["S"],
            expires_at=instant(int(item["expires_at"]["N"])),
            day=checkpoint.day,
            shard=checkpoint.shard,
        )
        for item in items
    )


def delete_due(table: Table, row: DueRow) -> None:
    """Delete the row of a lot whose expiry is in the ledger. Raises Busy."""
    delete(table, keys.due(row.day, row.shard, row.account, row.lot))


def sort_key(row: DueRow) -> str:
    """The row's sort key within its shard."""
    return keys.due(row.day, row.shard, row.account, row.lot)["SK"]["S"]


def read_checkpoint(table: Table) -> SweepCheckpoint | None:
    """Where the last sweep stopped; None before the first sweep. Raises Busy."""
    item = get(table, keys.CHECKPOINT)
    if item is None:
        return None
    return SweepCheckpoint(
        day=date.fromisoformat(item["day"]["S"]),
        shard=int(item["shard"]["N"]),
        after=item["after"]["S"],
        return_to=date.fromisoformat(item["return_to"]["S"]) if "return_to" in item else None,
    )


def save_checkpoint(table: Table, checkpoint: SweepCheckpoint) -> None:
    """Store where the next sweep continues. Raises Busy.

    Unconditional: when two sweeps run at once, either checkpoint is safe. A sweep passes a row only after it recorded
    the expiry, found the row deleted or noted its day in return_to. So an older checkpoint repeats some reads, and a
    newer one loses nothing.
    """
    return_to = {"return_to": {"S": checkpoint.return_to.isoformat()}} if checkpoint.return_to else {}
    item = {
        **keys.CHECKPOINT,
        "day": {"S": checkpoint.day.isoformat()},
        "shard": {"N": str(checkpoint.shard)},
        "after": {"S": checkpoint.after},
        **return_to,
    }
    put(table, {"Item": item})
