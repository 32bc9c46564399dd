"""Lots by the day they end, spread over shards: what the sweep reads. A row stands until the lot's end is recorded.

Nothing decides about credits by these rows: an expired lot is worthless by its date, recorded or not (rule 2).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zlib import crc32

from prepaid.core.account import Lot, lot_id
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, delete, get, put, query
from prepaid.store.items import instant, milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DueLot:
    """A lot that ends at expires_at, as one row of its day and shard."""

    account: str
    lot: str
    expires_at: datetime
    day: date
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a sweep goes on: at `shard` of `day`, after the row `after` ("" from the shard's start).

    return_to: the earliest day passed on the way here that isn't done with: a lot there couldn't be recorded, or the
    day wasn't over, so that lots of it were still to end and rows to come. The sweep returns to it.
    """

    day: date
    shard: int = 0
    after: str = ""
    return_to: date | None = None


def due_item(account: str, lot: Lot) -> Item:
    """The row of a lot. Shards are by account, so that one account's lots of a day meet the same reader."""
    day, shard = lot.expires_at.astimezone(UTC).date(), crc32(account.encode()) % keys.DUE_SHARDS
    return {
        **keys.due(day, shard, account, lot_id(lot.number)),
        "account": {"S": account},
        "lot": {"S": lot.id},
        "expires_at": {"N": str(milliseconds(lot.expires_at))},
    }


def read_due(table: Table, checkpoint: Checkpoint, limit: int) -> tuple[DueLot, ...]:
    """At most `limit` rows of the checkpoint's shard, after its last row. None left means the shard is done.
    Raises Transient."""
    items = query(
        table,
        keys.due_partition(checkpoint.day, checkpoint.shard),
        # The key right after `after`: BETWEEN includes its ends.
        first=checkpoint.after + "\x00",
        last="\U0010ffff",
        limit=limit,
    )
    return tuple(
        DueLot(
            account=item["account"]["S"],
            lot=item["lot"]["S"],
            expires_at=instant(int(item["expires_at"]["N"])),
            day=checkpoint.day,
            shard=checkpoint.shard,
        )
        for item in items
    )


def forget(table: Table, row: DueLot) -> None:
    """Remove the row of a lot whose end is in the ledger. Raises Transient."""
    delete(table, keys.due(row.day, row.shard, row.account, row.lot))


def sort_key(row: DueLot) -> str:
    """The row's place within its shard."""
    return keys.due(row.day, row.shard, row.account, row.lot)["SK"]["S"]


def read_checkpoint(table: Table) -> Checkpoint | None:
    """Where the last sweep left off; None before the first. Raises Transient."""
    item = get(table, keys.CHECKPOINT)
    if item is None:
        return None
    return Checkpoint(
        day=date.fromisoformat(item["day"]["S"]),
        shard=int(item["shard"]["N"]),
        after=item["after"]["S"],
        return_to=date.fromisoformat(item["return_to"]["S"]) if "return_to" in item else None,
    )


def save_checkpoint(table: Table, checkpoint: Checkpoint) -> None:
    """Remember where to go on. Raises Transient.

    Without a condition: of two sweeps at once either place is safe. Each passes a row only after it did it itself,
    found it gone or noted its day in return_to, so the other's older place costs a second look and its newer one
    loses nothing.
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
