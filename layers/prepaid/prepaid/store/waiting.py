"""Rows of waiting debits: a request that lost a race leaves a row, and another request may append the debit for it.

Rows are hints: no credit depends on them. use_cases/debiting.py has the rules for leaving, reading and replacing them.
A row, or the tombstone in its place, stays until its TTL.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.ledger import Debit
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Table, put, query
from prepaid.store.items import key_digest

ROW_FORM = 1
ROW_LIFE = timedelta(seconds=10)
# Longer than any call can take, so that a late write of a row still finds its tombstone.
ROW_TTL = timedelta(minutes=10)
MAX_ROWS = 400


@dataclass(frozen=True, slots=True)
class KeyedDebit:
    """A debit with the idempotency key of its request."""

    key: str
    debit: Debit


@dataclass(frozen=True, slots=True)
class WaitingDebit(KeyedDebit):
    """A debit that another request left in a row. now, version: its time and catalog. sort: the row's sort key."""

    now: datetime
    version: int
    sort: str


def row_of(account_id: str, keyed: KeyedDebit, *, now: datetime, version: int, place: int) -> Item:
    """The row of a debit. version: of the catalog. place: the number of the newest entry that its request knows."""
    debit = {name: value for name, value in asdict(keyed.debit).items() if value is not None}
    return {
        **keys.waiting_row(account_id, place, milliseconds(now), key_digest(keyed.key)),
        "form": {"N": str(ROW_FORM)},
        "debit": {"S": json.dumps({"key": keyed.key, **debit}, separators=(",", ":"), ensure_ascii=False)},
        "now": {"N": str(milliseconds(now))},
        "catalog": {"N": str(version)},
        "ttl": {"N": str(int((now + ROW_TTL).timestamp()))},
    }


def waiting_from_item(item: Item) -> WaitingDebit | None:
    """The debit that waits in a row. None for a tombstone, and for a row that this version can't read."""
    if "debit" not in item:
        return None
    try:
        if item["form"]["N"] != str(ROW_FORM):
            return None
        texts = json.loads(item["debit"]["S"])
        key, quantity = texts.pop("key"), texts.pop("quantity")
        # A forged row must not create credits.
        if not isinstance(quantity, int) or quantity < 1 or not all(isinstance(text, str) for text in texts.values()):
            return None
        if not item["SK"]["S"].endswith(key_digest(key)):
            return None
        debit = Debit(quantity=quantity, **texts)
        now, version = instant(int(item["now"]["N"])), int(item["catalog"]["N"])
        return WaitingDebit(key=key, debit=debit, now=now, version=version, sort=item["SK"]["S"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def leave(table: Table, row: Item) -> bool:
    """Store the row. False if its key already holds a row or a tombstone. Raises Busy."""
    with suppress(ConditionFailed):
        # A row that is written late, or twice, must not replace its tombstone.
        put(table, {"Item": row, "ConditionExpression": IF_ABSENT})
        return True
    return False


def place_tombstone(table: Table, row: Item) -> None:
    """Replace the row, or prevent a late write of it. Raises Busy."""
    put(table, {"Item": {name: row[name] for name in ("PK", "SK", "ttl")}})


def read_waiting(table: Table, account_id: str, *, place: int) -> list[WaitingDebit]:
    """The debits that wait, oldest first, of rows left when entry `place` or a later one was the newest.

    Raises Busy.
    """
    items = query(
        table,
        keys.waiting(account_id),
        first=keys.waiting_sort(place),
        last=keys.LAST_WAITING,
        limit=MAX_ROWS,
    )
    return [debit for item in items if (debit := waiting_from_item(item))]


def is_behind(table: Table, row: Item) -> bool:
    """Whether an older row of another waiting debit was left at the same entry. Raises Busy."""
    place = row["SK"]["S"].partition("#")[0]
    items = query(table, row["PK"]["S"], first=place, last=row["SK"]["S"], limit=1)
    return bool(items) and items[0]["SK"] != row["SK"] and "debit" in items[0]
