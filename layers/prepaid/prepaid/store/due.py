"""Due rows: lots by day of expiry and holds by day of lapse, spread over shards, for the sweep. A row stays until the
end is recorded.

No balance depends on these rows: a lot expires and a hold lapses by its date, recorded or not (rules 2, 16).
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zlib import crc32

from prepaid.core.account import Lot
from prepaid.core.calendar import instant, milliseconds
from prepaid.core.ids import hold_id
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, delete, get, put, query


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRow:
    """A lot or hold that ends at ends_at, as one row of its day and shard. what: the id of the lot or hold."""

    account: str
    what: str
    ends_at: datetime
    day: date
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePlace:
    """A place among the due rows: in `shard` of `day`, after row `after` ("" is the start of the shard)."""

    day: date
    shard: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepCheckpoint(DuePlace):
    """Where a sweep continues.

    return_to: the earliest unfinished day before this place, to which the next sweep returns. A day is unfinished when
    an end couldn't be recorded, or when the day wasn't over: more may end and more rows may appear.
    """

    return_to: date | None = None


def lot_due_item(account: str, lot: Lot) -> Item:
    """The row of a lot."""
    return _due_item(account, lot.id, lot.expires_at)


def hold_due_item(account: str, number: int, lapses_at: datetime) -> Item:
    """The row of the hold that entry `number` placed. It stays until lapses_at, also when the hold ends earlier."""
    return _due_item(account, hold_id(number), lapses_at)


def _due_item(account: str, what: str, ends_at: datetime) -> Item:
    # The shard depends on the account, so that one reader gets all of an account's rows of a day.
    day, shard = ends_at.astimezone(UTC).date(), crc32(account.encode()) % keys.DUE_SHARDS
    return {
        **keys.due(day, shard, account, what),
        "account": {"S": account},
        "what": {"S": what},
        "ends_at": {"N": str(milliseconds(ends_at))},
    }


def read_due(table: Table, place: DuePlace, limit: int) -> tuple[DueRow, ...]:
    """At most `limit` rows of the place's shard, after its row. Empty when the shard is done. Raises Busy."""
    items = query(
        table,
        keys.due_partition(place.day, place.shard),
        # The key right after `after`: BETWEEN includes its ends.
        first=place.after + "\x00",
        last="\U0010ffff",
        limit=limit,
    )
    return tuple(
        DueRow(
            account=item["account"]["S"],
            what=item["what"]["S"],
            ends_at=instant(int(item["ends_at"]["N"])),
            day=place.day,
            shard=place.shard,
        )
        for item in items
    )


def next_shard[Place: DuePlace](place: Place) -> Place:
    """The start of the next shard; after the last one, of the next day."""
    if place.shard + 1 < keys.DUE_SHARDS:
        return replace(place, shard=place.shard + 1, after="")
    return replace(place, day=place.day + timedelta(days=1), shard=0, after="")


def delete_due(table: Table, row: DueRow) -> None:
    """Delete the row of a lot or hold whose end is in the ledger. Raises Busy."""
    delete(table, keys.due(row.day, row.shard, row.account, row.what))


def sort_key(row: DueRow) -> str:
    """The row's sort key within its shard."""
    return keys.due(row.day, row.shard, row.account, row.what)["SK"]["S"]


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
