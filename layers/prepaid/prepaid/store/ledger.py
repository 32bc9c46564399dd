"""An account's ledger: append an entry and its claim in one transaction, replay a retried request, read entries.

Nothing here updates or deletes an item. Each Put of an entry requires its number to be free. When two requests read the
same tail, one writes; the other recomputes on the entry that the first one wrote:

    A reads tail 7          B reads tail 7
    A puts ENTRY#8  ok      B puts ENTRY#8  rejected: the existing item is B's new tail
                            B recomputes on 8, puts ENTRY#9  ok
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import AccountNotFound, Busy, IdempotencyKeyReused, Refused
from prepaid.core.ledger import Operation, apply
from prepaid.store import keys
from prepaid.store.catalog import catalog_at_least
from prepaid.store.dynamodb import (
    IF_ABSENT,
    ConditionFailed,
    Conflict,
    Item,
    Table,
    attempts,
    get,
    get_many,
    query,
    transact,
)
from prepaid.store.items import (
    GENESIS_HASH,
    Claimable,
    digest_of_key_in,
    entry_from_item,
    entry_to_item,
    key_digest,
    request_hash,
    request_texts,
    salt_of,
)

ENTRY = "entry"
CLAIM = "claim"
PAGE_ENTRIES = 200
# About a megabyte, the most that a Query returns at once.
READ_AHEAD_ENTRIES = 1_000
# DynamoDB's limits for a transaction are 100 writes and 4 MB. MAX_BYTES leaves room for the request's escape
# characters, which DynamoDB Local counts:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
MAX_WRITES = 100
MAX_BYTES = 3_000_000

type Puts = Mapping[str, Item]
NO_PUTS: Puts = {}


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest entry, and its hash, which the next entry's hash covers."""

    entry: Entry
    hash: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """entries: the entries that the operation added, its own entry last; none when it changed nothing.

    replayed: whether an earlier request with the key had taken effect; then `entries` holds only its entry.
    """

    entries: tuple[Entry, ...]
    replayed: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of an idempotency key. entry: the entry that it added; None for an effect without one (a purchase).

    row: the sort key of the waiting row, if another request appended the debit from there.
    """

    request_hash: bytes
    entry: Entry | None
    row: str | None = None


@dataclass(frozen=True, slots=True)
class NewestEntries:
    """An account's newest entries, from one read. first: the lowest of their numbers. digests: of their keys."""

    tail: Tail
    first: int
    digests: Collection[str]


@dataclass(slots=True)
class Draft:
    """The entries that an operation adds after `tail`. rival: the newer tail, once a commit found one."""

    tail: Tail
    entries: tuple[Entry, ...]
    rival: Tail | None = None


def append(
    table: Table,
    account_id: str,
    operation: Operation,
    *,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str | None = None,
    salt: bytes = b"",
    also: Puts = NO_PUTS,
    tail: Tail | None = None,
) -> Appended:
    """Carry out `operation` on the account's newest state, at most once per key, permanently (rule 5).

    salt: sixteen random bytes, for an operation with texts. also: further writes in the same transaction.
    tail: for an operation that depends on more than the account's state: the newest entry when the caller read the
    rest. Raises AccountNotFound, any Refused of the core, IdempotencyKeyReused, Busy; with `tail` also ConditionFailed,
    when another entry follows it or a condition in `also` failed.
    """
    try:
        for draft in drafts(table, account_id, operation, catalog=catalog, now=now, tail=tail):
            if not draft.entries:
                return Appended((), replayed=False)
            claim = _claim(draft, operation, idempotency_key)
            try:
                committed = commit(table, draft, {**claim, **also}, salt=salt)
            except ConditionFailed:
                earlier = find_replay(table, account_id, operation, idempotency_key)
                if earlier:
                    return earlier
                # The transaction with that claim didn't commit after all, or a condition in `also` failed.
                committed = False
            if committed:
                return Appended(draft.entries, replayed=False)
            if tail is not None:
                raise ConditionFailed({})
    except (AccountNotFound, IdempotencyKeyReused):
        raise
    except Refused:
        # The claim takes precedence: if a request spent the last credit or its reply was lost, its retry must get the
        # original response, not insufficient credits (rule 5).
        earlier = find_replay(table, account_id, operation, idempotency_key)
        if earlier:
            return earlier
        raise
    raise Busy


def drafts(
    table: Table,
    account_id: str,
    operation: Operation,
    *,
    catalog: Catalog,
    now: datetime,
    tail: Tail | None = None,
) -> Iterator[Draft]:
    """The operation's entries on the account's newest state, recomputed for each attempt to commit them.

    tail: the newest entry, if the caller has just read it.
    The caller stops once a commit succeeds, and raises Busy when the drafts end: the deadline has passed.
    Raises AccountNotFound, any Refused of the core, Busy.
    """
    for attempt in attempts(table.deadline):
        tail = tail or read_tail(table, account_id)
        # A warm function's catalog may be older than the account's newest entry, and lack the account's plan.
        catalog = catalog_at_least(table, catalog, tail.entry.catalog_version)
        draft = Draft(tail, apply(tail.entry.after, operation, catalog=catalog, now=now))
        yield draft
        # After the first attempt, the entry that took the number is a newer tail at no cost. After later attempts there
        # is much contention: read the newest entry instead.
        tail = draft.rival if attempt == 0 else None


def commit(table: Table, draft: Draft, also: Puts, *, salt: bytes = b"") -> bool:
    """Write the draft's entries and `also`, all or none. False when another append took the number: draft again.

    salt: sixteen random bytes, for entries with texts. Raises ConditionFailed when a condition in `also` failed, Busy.
    """
    writes = {**_entry_puts(draft.tail, draft.entries, salt), **also}
    if not writes:
        return True
    try:
        transact(table, writes, retry_conflicts=False)
    except Conflict:
        # Another request is writing to this account, so the draft is out of date.
        return False
    except ConditionFailed as failed:
        # An existing claim takes precedence over the lost number: both may be this request's own, with its reply lost.
        if ENTRY not in failed.existing or any(name.startswith(CLAIM) for name in failed.existing):
            raise
        existing = failed.existing[ENTRY]
        draft.rival = tail_from_item(existing) if existing else None
        return False
    return True


def find_replay(table: Table, account_id: str, operation: Operation, idempotency_key: str | None) -> Appended | None:
    """The earlier effect of this key on this account, or None. Raises IdempotencyKeyReused, Busy."""
    if idempotency_key is None:
        return None
    claim = get(table, keys.claim(account_id, idempotency_key))
    if claim is None:
        return None
    request = _claimable(operation)
    if claim["request_hash"]["B"] != request_hash(request):
        raise IdempotencyKeyReused
    entry = read_entry(table, account_id, int(claim["number"]["N"]))
    if not has_texts_of(entry, request):
        raise IdempotencyKeyReused
    return Appended((entry,), replayed=True)


def find_effects(table: Table, account_id: str, idempotency_keys: Collection[str]) -> dict[str, Effect]:
    """The effects of those keys that had one, by key. Two reads per hundred keys. Raises Busy."""
    if len(idempotency_keys) == 1:
        [key] = idempotency_keys
        item = get(table, keys.claim(account_id, key))
        claims = {key: item} if item else {}
    else:
        by_row = {keys.claim(account_id, key)["PK"]["S"]: key for key in idempotency_keys}
        rows = get_many(table, [keys.claim(account_id, key) for key in by_row.values()], consistent=True)
        claims = {by_row[partition]: item for (partition, _), item in rows.items()}
    numbers = {key: int(item["number"]["N"]) for key, item in claims.items() if "number" in item}
    if len(numbers) == 1:
        entries = {number: read_entry(table, account_id, number) for number in numbers.values()}
    else:
        entries = find_entries(table, account_id, numbers.values())
    return {
        key: Effect(
            request_hash=bytes(item["request_hash"]["B"]),
            entry=entries[numbers[key]] if key in numbers else None,
            row=item["row"]["S"] if "row" in item else None,
        )
        for key, item in claims.items()
    }


def has_texts_of(entry: Entry, request: Claimable) -> bool:
    """Whether the entry's texts are the request's. Erased texts can't be compared, so they count as equal."""
    return entry.erased or all(getattr(entry, name) == text for name, text in request_texts(request))


def find_by_key(table: Table, account_id: str, idempotency_key: str) -> Entry | None:
    """The entry that a request with this key added; None if the key had no effect, or one without an entry.

    Raises Busy.
    """
    claim = get(table, keys.claim(account_id, idempotency_key))
    if claim is None or "number" not in claim:
        return None
    return read_entry(table, account_id, int(claim["number"]["N"]))


def open_ledger(table: Table, first: Entry, also: Puts) -> None:
    """Write the account's first entry together with `also`.

    Raises ConditionFailed when the account exists, Busy.
    """
    transact(table, {ENTRY: {"Item": entry_to_item(first, GENESIS_HASH), "ConditionExpression": IF_ABSENT}, **also})


def read_tail(table: Table, account_id: str) -> Tail:
    """The account's newest entry, with its hash. Raises AccountNotFound, Busy."""
    items = query(
        table, keys.ledger(account_id), first=keys.entry_sort(0), last=keys.LAST_ENTRY, limit=1, newest_first=True
    )
    if not items:
        raise AccountNotFound
    return tail_from_item(items[0])


def read_newest(table: Table, account_id: str, *, first: int, limit: int) -> NewestEntries:
    """The newest entries down to entry `first`, or `limit` of them, in one read. Raises Busy."""
    items = query(
        table,
        keys.ledger(account_id),
        first=keys.entry_sort(first),
        last=keys.LAST_ENTRY,
        limit=limit,
        newest_first=True,
    )
    digests = {digest for item in items if (digest := digest_of_key_in(item))}
    return NewestEntries(tail_from_item(items[0]), keys.entry_number(items[-1]["SK"]["S"]), digests)


def tail_from_item(item: Item) -> Tail:
    """A stored entry as a tail."""
    return Tail(entry_from_item(item), bytes(item["hash"]["B"]))


def read_entry(table: Table, account_id: str, number: int) -> Entry:
    """Entry `number`, which must exist: numbers have no gaps. Raises Busy."""
    entry = find_entry(table, account_id, number)
    assert entry is not None, f"entry {number} is missing"
    return entry


def find_entry(table: Table, account_id: str, number: int) -> Entry | None:
    """Entry `number`; None when the account has no such entry. Raises Busy."""
    item = get(table, keys.entry(account_id, number))
    return entry_from_item(item) if item else None


def find_entries(table: Table, account_id: str, numbers: Iterable[int]) -> dict[int, Entry]:
    """The entries with these numbers, in one read per hundred. Raises Busy."""
    items = get_many(table, [keys.entry(account_id, number) for number in numbers], consistent=True)
    entries = (entry_from_item(item) for item in items.values())
    return {entry.number: entry for entry in entries}


def read_entries(table: Table, account_id: str, *, first: int, last: int, limit: int) -> tuple[Entry, ...]:
    """Entries `last` down to `first`, newest first, at most `limit` of them. Raises Busy.

    May return fewer than `limit` when entries are large; the caller continues below the last one.
    """
    if last < first:
        # DynamoDB rejects an empty range; there are no entries below the first.
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


def next_entries(table: Table, account_id: str, *, first: int, limit: int) -> tuple[Entry, ...]:
    """Entries from `first` on, oldest first, at most `limit` of them; none when there is no entry `first`. Raises Busy.

    May return fewer than `limit` when entries are large; the caller continues after the last one.
    """
    items = query(
        table,
        keys.ledger(account_id),
        first=keys.entry_sort(first),
        last=keys.LAST_ENTRY,
        limit=min(limit, PAGE_ENTRIES),
    )
    return tuple(entry_from_item(item) for item in items)


def entries_from(table: Table, account_id: str, *, first: int, last: int) -> Iterator[Entry]:
    """Entries `first` to `last`, which must exist, oldest first. Reads page by page, as they are used. Raises Busy."""
    while first <= last:
        items = query(
            table,
            keys.ledger(account_id),
            first=keys.entry_sort(first),
            last=keys.entry_sort(last),
            limit=READ_AHEAD_ENTRIES,
        )
        assert items, f"entry {first} is missing"
        for item in items:
            yield entry_from_item(item)
        first += len(items)


def find_entry_at(table: Table, account_id: str, newest: Entry, at: datetime) -> Entry | None:
    """The account's last entry at or before `at`; None when the account was opened later.

    Numbers have no gaps and dates never decrease, so a binary search finds the entry in log2(n) reads.
    """
    if newest.at <= at:
        return newest
    latest: Entry | None = None
    low, high = 1, newest.number - 1
    while low <= high:
        middle = (low + high) // 2
        entry = read_entry(table, account_id, middle)
        if entry.at <= at:
            latest, low = entry, middle + 1
        else:
            high = middle - 1
    return latest


def find_end_of_hold(table: Table, account_id: str, hold: int, newest: Entry) -> Entry:
    """The entry that ended the hold that entry `hold` placed. newest: an entry after which the hold no longer exists.

    A hold that has ended never comes back, so a binary search finds the entry in log2(n) reads.
    """
    ending, low, high = newest, hold + 1, newest.number - 1
    while low <= high:
        middle = (low + high) // 2
        entry = read_entry(table, account_id, middle)
        if has_hold(entry, hold):
            low = middle + 1
        else:
            ending, high = entry, middle - 1
    return ending


def has_hold(entry: Entry, hold: int) -> bool:
    """Whether the account has the hold after the entry."""
    return any(live.number == hold for live in entry.after.holds)


def _entry_puts(tail: Tail, entries: tuple[Entry, ...], salt: bytes) -> dict[str, Item]:
    """The entries' writes. The first is named ENTRY: another request may have taken its number."""
    puts: dict[str, Item] = {}
    previous_hash = tail.hash
    for entry in entries:
        item = entry_to_item(entry, previous_hash, salt_of(salt, entry.number))
        previous_hash = item["hash"]["B"]
        name = f"{ENTRY} {entry.number}" if puts else ENTRY
        puts[name] = {"Item": item, "ConditionExpression": IF_ABSENT}
        if row := _due_item(entry):
            puts[f"due {entry.number}"] = {"Item": row}
    return puts


def _due_item(entry: Entry) -> Item | None:
    """The due row of the lot that an entry grants, or of the hold that it places; None for other entries."""
    if not entry.lot and not entry.lapses_at:
        return None
    from prepaid.store import due  # noqa: PLC0415 - a debit writes no due row, and starts quicker without it

    if entry.lot:
        return due.lot_due_item(entry.after.id, entry.lot)
    assert entry.lapses_at
    return due.hold_due_item(entry.after.id, entry.number, entry.lapses_at)


def _claim(draft: Draft, operation: Operation, idempotency_key: str | None) -> Puts:
    """The claim of the draft's last entry, which also gets the digest of the key; no claim without a key."""
    if idempotency_key is None:
        return NO_PUTS
    *settled, entry = draft.entries
    draft.entries = (*settled, replace(entry, key=key_digest(idempotency_key)))
    effect = Effect(request_hash(_claimable(operation)), entry)
    return {CLAIM: claim_put(entry.after.id, idempotency_key, effect)}


def claim_put(account_id: str, idempotency_key: str, effect: Effect) -> Item:
    """The write of a key's claim, which names the entry that the key added."""
    assert effect.entry is not None
    # The row shows the owner of a carried debit that its own request took effect, and not another one with its key.
    row = {"row": {"S": effect.row}} if effect.row else {}
    return {
        "Item": {
            **keys.claim(account_id, idempotency_key),
            "number": {"N": str(effect.entry.number)},
            "request_hash": {"B": effect.request_hash},
            **row,
        },
        "ConditionExpression": IF_ABSENT,
    }


def bytes_of_writes(entries: Iterable[Entry], claims: Iterable[Item], salt: bytes) -> int:
    """The bytes of these entries and claims in a transaction."""
    items = [*(entry_to_item(entry, GENESIS_HASH, salt) for entry in entries), *(claim["Item"] for claim in claims)]
    return sum(_bytes_of(item) for item in items)


def _bytes_of(item: Item) -> int:
    """The bytes of an item's names, texts and binary; a number counts a little more than in DynamoDB."""
    return sum(
        len(name) + len(value.encode() if isinstance(value, str) else value)
        for name, typed in item.items()
        for value in typed.values()
    )


def _claimable(operation: Operation) -> Claimable:
    assert isinstance(operation, Claimable), "only what a client asks with a key is claimed"
    return operation
