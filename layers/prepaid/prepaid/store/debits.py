"""Debits of an account, one or many at once, each with its own key. Where callers race, one of them appends for all.

A debit without a rival reads the newest entry and writes its entry and claim in one transaction. A debit that lost a
race leaves a row and pauses. The next one to append carries the waiting debits along, in the same transaction:

    A reads tail 7       B reads tail 7            C reads tail 7
    A appends 8   ok     B loses, leaves a row     C loses, leaves a row
                         B pauses                  C pauses
                         B has no claim,
                         reads tail 8, then rows
                         B appends 9 for itself
                           and 10 for C   ok       C's claim names entry 10: C answers from it

Exactness depends on the transaction alone: the number of each entry is free, and the key of each claim is unused. Rows
are hints. A row that is lost, late, doubled or removed changes who appends a debit, and never whether it happens twice.
The rules keep a refusal final for the request that gets it:

    1. A request leaves a row only while its key has no claim, and only if nothing is in the row's place.
    2. Rows are read after the newest entry. A waiting debit is carried only if it is granted alone on that very entry,
       by the row's own time and catalog version, and again in turn, after the debits in front of it.
    3. A request that left a row answers 402 only after it has put a mark in the row's place, has read the newest entry
       again, and then its claim. A mark stays until its TTL. A request that gives up (503) puts its mark first.
    4. A row is ignored 10 seconds after its request began: that of a killed function has no effect later.
"""

import json
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from prepaid.core.account import Account
from prepaid.core.calendar import instant, milliseconds
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import Busy, IdempotencyKeyReused, Refused
from prepaid.core.ledger import Debit, apply
from prepaid.store import keys
from prepaid.store.catalog import catalog_at_least
from prepaid.store.dynamodb import (
    IF_ABSENT,
    MAX_ATTEMPTS,
    ConditionFailed,
    Deadline,
    Item,
    Table,
    get,
    get_many,
    put,
    query,
    within,
)
from prepaid.store.items import GENESIS_HASH, digest_of_key_in, entry_to_item, key_digest, request_hash
from prepaid.store.ledger import (
    CLAIM,
    Appended,
    Draft,
    Tail,
    claim_put,
    commit,
    find_entries,
    has_texts_of,
    read_entry,
    read_tail,
    tail_from_item,
)

# DynamoDB's limits for a transaction are 100 writes and 4 MB. The rest of the bytes is for escapes in the request, that
# DynamoDB Local counts: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
MAX_WRITES = 100
MAX_BYTES = 3_000_000
# Debits in a transaction that carries others, and their bytes: a lost transaction is paid for in full.
MAX_CARRIED = 45
MAX_CARRIED_BYTES = 300_000

ROW_FORM = 1
ROW_LIFE = timedelta(seconds=10)
# Longer than any call may be under way, so that a late write of a row finds its mark.
ROW_TTL = timedelta(minutes=10)
# How many entries below its own place a request looks for rows. A row that is further behind is appended by its owner.
REACH = 64
MAX_ROWS = 400
# How often a request looks at its claim only, while the owner of an older row is about to append. It may be killed.
MAX_YIELDS = 3
# A pause is so many times as long as the request's own last write, within these bounds: time for others to leave their
# rows, and, for a request that lets another one go first, for that one to read and append.
PAUSE_FACTOR, TURN_FACTOR = 2.5, 8.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.75
# For the mark of a request whose own time is up.
MARK_SECONDS = 0.25
CROWDED_SECONDS = 1.0
ARRIVALS = ("purchase", "grant", "adjustment")


@dataclass(frozen=True, slots=True)
class Keyed:
    """A debit with the idempotency key of its request."""

    key: str
    debit: Debit


type Outcome = Appended | Refused


@dataclass(frozen=True, slots=True)
class Effect:
    """What a key did. entry: that it added; None if what it did is no entry, such as a purchase.

    row: from which another request carried it.
    """

    request_hash: bytes
    entry: Entry | None
    row: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting(Keyed):
    """A debit that another request left in a row. now, version: by which it is judged. sort: the row's own key."""

    now: datetime
    version: int
    sort: str


class Crowds:
    """The accounts on which this process lost a race within the last second. Their debits leave a row immediately.

    It saves the transaction that would be lost. Nothing else depends on it. No dictionary changes once threads see it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._raced_at: dict[str, float] = {}

    def note(self, account_id: str) -> None:
        """A race was lost, or debits of several requests were appended together."""
        now = self._clock()
        recent = {other: at for other, at in self._raced_at.items() if now - at < CROWDED_SECONDS}
        self._raced_at = {**recent, account_id: now}

    def forget(self, account_id: str) -> None:
        """No other request was on the account."""
        self._raced_at = {other: at for other, at in self._raced_at.items() if other != account_id}

    def __contains__(self, account_id: str) -> bool:
        at = self._raced_at.get(account_id)
        return at is not None and self._clock() - at < CROWDED_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request's debits of one account that still have no outcome, and what they are carried out with.

    effects: what keys did, as far as known. left: the request's own row.
    gone: other requests' keys that turned out to be claimed. began: on the deadline's clock.
    """

    table: Table
    account_id: str
    asked: Sequence[Keyed]
    catalog: Catalog
    now: datetime
    salt: bytes
    crowds: Crowds
    began: float
    effects: dict[str, Effect] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    @property
    def time(self) -> datetime:
        """The present."""
        return self.now + timedelta(seconds=self.table.deadline.clock() - self.began)


@dataclass(slots=True)
class Part:
    """The first of the debits that are asked for, as many as fit in one transaction. outcomes: of each, if it commits.

    account: after the part's entries. carried: the keys of other requests' debits. size: of all, once they are two.
    """

    draft: Draft
    account: Account
    catalog: Catalog
    claims: dict[str, Item] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    effects: dict[str, Effect] = field(default_factory=dict)
    carried: set[str] = field(default_factory=set)
    size: int = 0

    def has_room(self, writes: int, size: int) -> bool:
        """Whether more writes fit."""
        used = len(self.draft.entries) + len(self.claims)
        return used + writes <= MAX_WRITES and self.size + size <= MAX_BYTES

    def add(self, one: Keyed, entries: tuple[Entry, ...], salt: bytes) -> tuple[Entry, ...] | None:
        """Add a debit's entries, the last one with its key's digest. None if they don't fit."""
        *settled, own = entries
        entries = (*settled, replace(own, key=key_digest(one.key)))
        claim = claim_put(own.after.id, one.key, one.debit, own.number)
        if isinstance(one, Waiting):
            # Tells the owner that its own request took effect, and not another one with its key.
            claim["Item"]["row"] = {"S": one.sort}
        # The first debit always fits. Its size takes as long as the rest of a debit, so only the second one needs it.
        if self.claims:
            self.size = self.size or _bytes_of_writes(self.draft.entries, self.claims.values(), salt)
            size = _bytes_of_writes(entries, [claim], salt)
            if not self.has_room(len(entries) + 1, size):
                return None
            self.size += size
        self.draft.entries += entries
        self.claims[f"{CLAIM} {one.key}"] = claim
        self.account = own.after
        return entries


@dataclass(frozen=True, slots=True)
class View:
    """The newest entries of an account, read at once. first: the lowest of their numbers. digests: of their keys."""

    tail: Tail
    first: int
    digests: Collection[str]


def append_debit(
    table: Table,
    account_id: str,
    debit: Debit,
    *,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str,
    salt: bytes = b"",
    crowds: Crowds,
) -> Appended:
    """Carry out one debit, at most once per key, permanently (rule 5).

    salt: sixteen random bytes, for a debit with texts. Raises AccountNotFound, any Refused of the core,
    IdempotencyKeyReused, Busy: then it may have taken effect, and a retry with the same key returns it.
    """
    asked = [Keyed(idempotency_key, debit)]
    [outcome] = append_each(table, account_id, asked, catalog=catalog, now=now, salt=salt, crowds=crowds)
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def append_each(
    table: Table,
    account_id: str,
    asked: Sequence[Keyed],
    *,
    catalog: Catalog,
    now: datetime,
    salt: bytes = b"",
    crowds: Crowds,
) -> tuple[Outcome, ...]:
    """Carry out each debit in turn, at most once per key, permanently (rules 5, 18). Returns an outcome for each.

    salt: sixteen random bytes, for debits with texts.
    A debit that is refused doesn't stop the others. The second one with a key is a replay of the first, or refused.
    Raises AccountNotFound, and Busy: then some may have taken effect, and a retry with the same keys returns them.
    """
    whole = Asking(
        table=table,
        account_id=account_id,
        asked=asked,
        catalog=catalog,
        now=now,
        salt=salt,
        crowds=crowds,
        began=table.deadline.clock(),
    )
    outcomes: list[Outcome] = []
    tail: Tail | None = read_tail(table, account_id)
    while len(outcomes) < len(asked):
        rest = replace(whole, asked=asked[len(outcomes) :]) if outcomes else whole
        outcomes += _append_part(rest, tail)
        tail = None
    # As in `append`, the claim takes precedence over a refusal: its own debit may have spent the last credit.
    refused = {
        one.key
        for one, outcome in zip(asked, outcomes, strict=True)
        if isinstance(outcome, Refused) and one.key not in whole.effects
    }
    earlier = _find_effects(table, account_id, refused)
    return tuple(
        _outcome_of(earlier[one.key], one, whole) if one.key in earlier else outcome
        for one, outcome in zip(asked, outcomes, strict=True)
    )


def _append_part(asking: Asking, tail: Tail | None) -> list[Outcome]:
    """Commit the first of the debits, as many as fit in a transaction. Raises Busy."""
    tail = tail or read_tail(asking.table, asking.account_id)
    part = _compose(asking, tail)
    if not part.claims:
        return part.outcomes
    single = len(asking.asked) == 1
    crowded = single and asking.account_id in asking.crowds
    if not crowded and _committed(asking, part):
        return part.outcomes
    tail = part.draft.rival or tail
    if single and not part.draft.rival:
        # Rule 1. A transaction that lost its number has seen that there is no claim. Here none has.
        _read_effects(asking)
    part = _compose(asking, tail)
    if not part.claims:
        return part.outcomes
    # With several debits left, a batch leaves no row: it carries them out in one transaction anyway.
    row = _row_of(asking, part.catalog.version, tail.entry.number) if single else None
    try:
        return _take_turns(asking, tail.entry.number, row)
    except Busy:
        if row:
            with suppress(Busy):
                _mark(replace(asking, table=within(asking.table, MARK_SECONDS)), row)
        raise


def _take_turns(asking: Asking, place: int, row: Item | None) -> list[Outcome]:
    """Wait until another request has appended the debit, or append it together with those that wait. Raises Busy.

    place: the newest entry's number when the race was lost. row: of the request, which it leaves first.
    """
    clock = asking.table.deadline.clock
    began = clock()
    if row:
        _leave(asking, row)
    seconds, alone, yielded, hurried = clock() - began, True, False, False
    yields = MAX_YIELDS if row and _is_behind(asking, row) else 0
    for _ in range(MAX_ATTEMPTS):
        if _was_appended(asking, row, seconds, yields):
            return _answers(asking)
        view = _look(asking, place, 1 if hurried else MAX_ROWS)
        part = _compose(asking, view.tail)
        if row and not part.claims:
            # Rule 3. Credits may have arrived meanwhile: then the debit goes on without its row.
            _mark(asking, row)
            row, view = None, _look(asking, place, MAX_ROWS)
            part = _compose(asking, view.tail)
        if not part.claims:
            return part.outcomes
        waiting = [] if hurried else _read_waiting(asking, view, part.catalog.version)
        older = _count_older(row, part, waiting) if row else 0
        if older and not yielded:
            yields, yielded = min(older + 1, MAX_YIELDS), True
            continue
        _carry(asking, part, waiting)
        began = clock()
        if _committed(asking, part):
            if alone and not part.carried:
                asking.crowds.forget(asking.account_id)
            else:
                asking.crowds.note(asking.account_id)
            return part.outcomes
        # A rival that never lost a race appends its debits alone, and quicker than rows can be read. Append alone too,
        # every other time: the rival loses, and leaves a row for its next debit. Credits that arrive are no such rival.
        rival = part.draft.rival
        hurried = rival is not None and rival.entry.type not in ARRIVALS and not hurried
        seconds = 0.0 if hurried else clock() - began
        yields, yielded, alone = 0, False, False
    raise Busy


def _was_appended(asking: Asking, row: Item | None, seconds: float, yields: int) -> bool:
    """Whether another request appended the debit during a pause. yields: longer pauses before that one, as often as the
    owner of an older row goes first. seconds: of a write. Raises Busy."""
    for left in range(yields, -1, -1):
        _pause(asking.table.deadline, seconds * (TURN_FACTOR if left else PAUSE_FACTOR))
        if row:
            _read_effects(asking)
        if not _unanswered(asking):
            asking.crowds.note(asking.account_id)
            return True
    return False


def _pause(deadline: Deadline, seconds: float) -> None:
    """Give the others about so long. Raises Busy when the deadline passes meanwhile."""
    pause = min(max(seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
    pause *= 0.75 + deadline.jitter() / 2
    if deadline.clock() + pause >= deadline.at:
        raise Busy
    deadline.sleep(pause)


def _compose(asking: Asking, tail: Tail) -> Part:
    """The entries of the request's debits in turn, each on the state that the one before it leaves."""
    catalog = catalog_at_least(asking.table, asking.catalog, tail.entry.catalog_version)
    part = Part(Draft(tail, ()), tail.entry.after, catalog)
    for one in asking.asked:
        effect = part.effects.get(one.key) or asking.effects.get(one.key)
        if effect:
            part.outcomes.append(_outcome_of(effect, one, asking))
            continue
        try:
            entries = apply(part.account, one.debit, catalog=catalog, now=asking.now)
        except Refused as refused:
            part.outcomes.append(refused)
            continue
        added = part.add(one, entries, asking.salt)
        if not added:
            break
        part.outcomes.append(Appended(added, replayed=False))
        claim = part.claims[f"{CLAIM} {one.key}"]["Item"]
        part.effects[one.key] = Effect(claim["request_hash"]["B"], added[-1])
    return part


def _carry(asking: Asking, part: Part, waiting: Iterable[Waiting]) -> None:
    """Add the debits of others to the part, oldest first, as many as fit (rule 2)."""
    mine = {one.key for one in asking.asked}
    for one in waiting:
        if len(part.claims) >= MAX_CARRIED or part.size >= MAX_CARRIED_BYTES:
            return
        if one.key in mine or one.key in part.carried:
            continue
        try:
            apply(part.draft.tail.entry.after, one.debit, catalog=part.catalog, now=one.now)
            entries = apply(part.account, one.debit, catalog=part.catalog, now=one.now)
            if part.add(one, entries, asking.salt):
                part.carried.add(one.key)
        except Exception:  # noqa: BLE001, S112 - whatever is wrong with another request's row is no fault of this one
            continue


def _count_older(row: Item, part: Part, waiting: Iterable[Waiting]) -> int:
    """How many rows are older, from the first one on that could be carried; 0 if none could. Its owner, unless it was
    killed, is about to append."""
    older = [one for one in waiting if one.sort < row["SK"]["S"]]
    for place, one in enumerate(older):
        with suppress(Exception):
            apply(part.draft.tail.entry.after, one.debit, catalog=part.catalog, now=one.now)
            return len(older) - place
    return 0


def _committed(asking: Asking, part: Part) -> bool:
    """Whether the part was written. If not, what the keys of lost claims did is in `effects`, or they are `gone`."""
    try:
        if commit(asking.table, part.draft, part.claims, salt=asking.salt):
            asking.effects.update(part.effects)
            return True
        asking.crowds.note(asking.account_id)
    except ConditionFailed as failed:
        claimed = {name.removeprefix(f"{CLAIM} ") for name in failed.existing if name in part.claims}
        asking.gone.update(claimed & part.carried)
        asking.effects.update(_find_effects(asking.table, asking.account_id, claimed - part.carried))
    return False


def _look(asking: Asking, place: int, limit: int) -> View:
    """The newest entries down to some below the request's place, or `limit` of them, in one read. Raises Busy."""
    items = query(
        asking.table,
        keys.ledger(asking.account_id),
        first=keys.entry_sort(max(1, place - REACH)),
        last=keys.LAST_ENTRY,
        limit=limit,
        newest_first=True,
    )
    digests = {digest for item in items if (digest := digest_of_key_in(item))}
    return View(tail_from_item(items[0]), keys.entry_number(items[-1]["SK"]["S"]), digests)


def _read_waiting(asking: Asking, view: View, version: int) -> list[Waiting]:
    """The debits that wait, oldest first, without those that an entry of the view has recorded. Raises Busy.

    Only rows that were left no earlier than the view begins: whether older ones were appended isn't known.
    """
    items = query(
        asking.table,
        keys.waiting(asking.account_id),
        first=keys.waiting_sort(view.first - 1),
        last=keys.LAST_WAITING,
        limit=MAX_ROWS,
    )
    oldest = asking.time - ROW_LIFE
    done = view.digests
    waiting = [one for item in items if (one := waiting_from_item(item))]
    waiting = [one for one in waiting if one.now > oldest and one.version == version]
    return [one for one in waiting if one.key not in asking.gone and key_digest(one.key) not in done]


def _row_of(asking: Asking, version: int, place: int) -> Item:
    """The row of a request with one debit, left when entry `place` was the newest that it knew."""
    [one] = asking.asked
    debit = {name: value for name, value in asdict(one.debit).items() if value is not None}
    return {
        **keys.waiting_row(asking.account_id, place, milliseconds(asking.now), key_digest(one.key)),
        "form": {"N": str(ROW_FORM)},
        "debit": {"S": json.dumps({"key": one.key, **debit}, separators=(",", ":"), ensure_ascii=False)},
        "now": {"N": str(milliseconds(asking.now))},
        "catalog": {"N": str(version)},
        "ttl": {"N": str(int((asking.now + ROW_TTL).timestamp()))},
    }


def waiting_from_item(item: Item) -> Waiting | None:
    """The debit that waits in a row. None for a mark, and for a row that this version can't read."""
    if "debit" not in item:
        return None
    try:
        if item["form"]["N"] != str(ROW_FORM):
            return None
        asked = json.loads(item["debit"]["S"])
        key, quantity = asked.pop("key"), asked.pop("quantity")
        # A row that somebody forged must not make credits.
        if not isinstance(quantity, int) or quantity < 1 or not all(isinstance(text, str) for text in asked.values()):
            return None
        if not item["SK"]["S"].endswith(key_digest(key)):
            return None
        debit = Debit(quantity=quantity, **asked)
        now, version = instant(int(item["now"]["N"])), int(item["catalog"]["N"])
        return Waiting(key=key, debit=debit, now=now, version=version, sort=item["SK"]["S"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return None


def _leave(asking: Asking, row: Item) -> None:
    """Store the row, unless its key already holds a row or a mark. Raises Busy."""
    with suppress(ConditionFailed):
        put(asking.table, {"Item": row, "ConditionExpression": IF_ABSENT})
        asking.left.add(row["SK"]["S"])


def _mark(asking: Asking, row: Item) -> None:
    """Put a mark in the row's place, whatever is there. Raises Busy."""
    put(asking.table, {"Item": {name: row[name] for name in ("PK", "SK", "ttl")}})


def _is_behind(asking: Asking, row: Item) -> bool:
    """Whether another request waits that left its row earlier, and at the same entry. Raises Busy."""
    place = row["SK"]["S"].partition("#")[0]
    items = query(asking.table, row["PK"]["S"], first=place, last=row["SK"]["S"], limit=1)
    return bool(items) and items[0]["SK"] != row["SK"] and "debit" in items[0]


def _unanswered(asking: Asking) -> list[str]:
    return [one.key for one in asking.asked if one.key not in asking.effects]


def _answers(asking: Asking) -> list[Outcome]:
    return [_outcome_of(asking.effects[one.key], one, asking) for one in asking.asked]


def _read_effects(asking: Asking) -> None:
    asking.effects.update(_find_effects(asking.table, asking.account_id, _unanswered(asking)))


def _outcome_of(effect: Effect, one: Keyed, asking: Asking) -> Outcome:
    """The outcome of a debit whose key has had its effect. A debit that was carried is no replay."""
    entry = effect.entry
    if effect.request_hash != request_hash(one.debit) or entry is None or not has_texts_of(entry, one.debit):
        return IdempotencyKeyReused()
    return Appended((entry,), replayed=effect.row not in asking.left)


def _find_effects(table: Table, account_id: str, claimed: Collection[str]) -> dict[str, Effect]:
    """What these keys did, of those that did anything. Two reads for a hundred of them. Raises Busy."""
    if len(claimed) == 1:
        [key] = claimed
        item = get(table, keys.claim(account_id, key))
        claims = {key: item} if item else {}
    else:
        by_row = {keys.claim(account_id, key)["PK"]["S"]: key for key in claimed}
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


def _bytes_of_writes(entries: Iterable[Entry], claims: Iterable[Item], salt: bytes) -> int:
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
