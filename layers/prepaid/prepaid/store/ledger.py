"""An account's ledger: append with its claim in one transaction, replay, read.

Nothing here updates or deletes. Each Put of an entry demands that its number be free, so of two rivals that read the
same tail one writes and the other computes again on what the first one left:

    A reads tail 7          B reads tail 7
    A puts ENTRY#8  ok      B puts ENTRY#8  refused: the item found there is B's new tail
                            B computes on 8, puts ENTRY#9  ok
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import AccountNotFound, IdempotencyKeyReused, Refused
from prepaid.core.ledger import Debit, Grant, Operation, apply
from prepaid.store import due, keys
from prepaid.store.catalog import catalog_at_least
from prepaid.store.dynamodb import (
    IF_ABSENT,
    ConditionFailed,
    Item,
    Patience,
    Table,
    Transient,
    attempts,
    get,
    persist,
    query,
    transact,
)
from prepaid.store.items import GENESIS_HASH, entry_from_item, entry_to_item, key_digest, request_hash

ENTRY = "entry"
CLAIM = "claim"
PAGE_ENTRIES = 200

type Puts = Mapping[str, Item]


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest entry and the hash that the next one chains to."""

    entry: Entry
    hash: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """entries: what the operation left in the ledger, its own entry last; none when it changed nothing.

    replayed: whether the key had that effect before; then `entries` is that one entry.
    """

    entries: tuple[Entry, ...]
    replayed: bool


def nothing_more(_: tuple[Entry, ...]) -> Puts:
    """No other write travels with the entries."""
    return {}


def append(
    table: Table,
    account_id: str,
    operation: Operation,
    *,
    catalog: Catalog,
    now: datetime,
    patience: Patience,
    idempotency_key: str | None = None,
    also: Callable[[tuple[Entry, ...]], Puts] = nothing_more,
) -> Appended:
    """Carry `operation` out on the account's newest state, once for its key for ever (rule 5).

    also: from the new entries to further writes, by name, that share their transaction.
    Raises AccountNotFound, any Refused of the core, IdempotencyKeyReused, Busy, and ConditionFailed when a write of
    `also` lost its own condition (the caller re-reads what that write was about).
    """
    tail: Tail | None = None
    for attempt in attempts(patience):
        try:
            tail = tail or read_tail(table, account_id)
            # A warm function's catalog may be older than the one this account was changed under: its plan may be new.
            catalog = catalog_at_least(table, catalog, tail.entry.catalog_version)
            return _append_to(tail, table, operation, catalog, now, idempotency_key, also)
        except Transient:
            tail = None
        except ConditionFailed as failed:
            rival = failed.existing.get(ENTRY)
            if ENTRY not in failed.existing:
                raise
            # The entry that beat us is a newer tail for free. Beaten again, there are many: read where they are now.
            tail = tail_from_item(rival) if rival and attempt == 0 else None
    raise AssertionError("attempts() ends by raising")


def _append_to(
    tail: Tail,
    table: Table,
    operation: Operation,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str | None,
    also: Callable[[tuple[Entry, ...]], Puts],
) -> Appended:
    """One attempt. Raises ConditionFailed when `tail` isn't the newest entry any more."""
    account = tail.entry.after
    try:
        entries = apply(account, operation, catalog=catalog, now=now)
    except Refused:
        # The key that took the last credit must hear its own answer, not that nothing is left (rule 5).
        earlier = find_replay(table, account.id, operation, idempotency_key)
        if earlier:
            return earlier
        raise
    if idempotency_key is not None and entries:
        entries = (*entries[:-1], replace(entries[-1], key=key_digest(idempotency_key)))
    puts = {**_entry_puts(tail, entries), **also(entries)}
    if idempotency_key is not None and entries:
        puts[CLAIM] = _claim_put(account.id, idempotency_key, operation, entries[-1].number)
    if not puts:
        return Appended((), replayed=False)
    try:
        transact(table, puts)
    except ConditionFailed as failed:
        # Before the lost race: our own response may have been lost, and then this claim is ours.
        earlier = find_replay(table, account.id, operation, idempotency_key) if CLAIM in failed.existing else None
        if earlier:
            return earlier
        raise
    return Appended(entries, replayed=False)


def find_replay(table: Table, account_id: str, operation: Operation, idempotency_key: str | None) -> Appended | None:
    """What this key did before on this account, if anything. Raises IdempotencyKeyReused, Transient."""
    if idempotency_key is None:
        return None
    claim = get(table, keys.claim(account_id, idempotency_key))
    if claim is None:
        return None
    if claim["request_hash"]["B"] != request_hash(_claimable(operation)):
        raise IdempotencyKeyReused
    return Appended((read_entry(table, account_id, int(claim["number"]["N"])),), replayed=True)


def open_ledger(table: Table, first: Entry, also: Puts) -> None:
    """Write the account's first entry together with `also`.

    Raises ConditionFailed when the account exists, Transient.
    """
    transact(table, {ENTRY: {"Item": entry_to_item(first, GENESIS_HASH), "ConditionExpression": IF_ABSENT}, **also})


def read_tail(table: Table, account_id: str) -> Tail:
    """The account as its newest entry left it. Raises AccountNotFound, Transient."""
    items = query(
        table, keys.ledger(account_id), first=keys.entry_sort(0), last=keys.LAST_ENTRY, limit=1, newest_first=True
    )
    if not items:
        raise AccountNotFound
    return tail_from_item(items[0])


def tail_from_item(item: Item) -> Tail:
    """A stored entry as something to append to."""
    return Tail(entry_from_item(item), bytes(item["hash"]["B"]))


def read_entry(table: Table, account_id: str, number: int) -> Entry:
    """Entry `number`, which must exist: numbers have no gaps. Raises Transient."""
    item = get(table, keys.entry(account_id, number))
    assert item is not None, f"entry {number} is missing"
    return entry_from_item(item)


def read_entries(table: Table, account_id: str, *, first: int, last: int, limit: int) -> tuple[Entry, ...]:
    """Entries `last` down to `first`, newest first, at most `limit` of them. Raises Transient.

    May hold fewer than asked when they are large; the caller goes on below the last one it got.
    """
    if last < first:
        # DynamoDB refuses such a range: below the first entry there is nothing more.
        return ()
    items = query(
        table,
        keys.ledger(account_id),
        first=keys.entry_sort(first),
        last=keys.entry_sort(last),
        limit=min(limit, PAGE_ENTRIES),
        newest_first=True,
    )
    return tuple(entry_from_item(item) for item in items)


def find_entry_at(table: Table, account_id: str, newest: Entry, at: datetime, patience: Patience) -> Entry | None:
    """The account's last entry at or before `at`; None when the account is younger.

    Numbers have no gaps and time never runs backwards along them, so a binary search finds it in log2(n) reads.
    """
    if newest.at <= at:
        return newest
    found: Entry | None = None
    low, high = 1, newest.number - 1
    while low <= high:
        middle = (low + high) // 2
        entry = persist(patience, read_entry, table, account_id, middle)
        if entry.at <= at:
            found, low = entry, middle + 1
        else:
            high = middle - 1
    return found


def _entry_puts(tail: Tail, entries: tuple[Entry, ...]) -> dict[str, Item]:
    """The entries' writes. The first is named ENTRY: it is the one whose number a rival may have taken."""
    puts: dict[str, Item] = {}
    previous_hash = tail.hash
    for entry in entries:
        item = entry_to_item(entry, previous_hash)
        previous_hash = item["hash"]["B"]
        name = f"{ENTRY} {entry.number}" if puts else ENTRY
        puts[name] = {"Item": item, "ConditionExpression": IF_ABSENT}
        if entry.lot:
            puts[f"due {entry.number}"] = {"Item": due.due_item(entry.after.id, entry.lot)}
    return puts


def _claim_put(account_id: str, idempotency_key: str, operation: Operation, number: int) -> Item:
    return {
        "Item": {
            **keys.claim(account_id, idempotency_key),
            "number": {"N": str(number)},
            "request_hash": {"B": request_hash(_claimable(operation))},
        },
        "ConditionExpression": IF_ABSENT,
    }


def _claimable(operation: Operation) -> Debit | Grant:
    assert isinstance(operation, Debit | Grant), "only what a client asks with a key is claimed"
    return operation
