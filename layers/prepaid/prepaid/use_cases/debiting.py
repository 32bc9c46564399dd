"""Debiting: one or many debits of an account, each with its own key. When requests race, one of them appends for all.

A debit without a rival reads the newest entry and writes its entry and claim in one transaction. A debit that lost a
race leaves a row and pauses. So does one whose process lost a race on the account within the last second (`Crowds`).
The next request to append carries the waiting debits along, in the same transaction:

    A reads tail 7       B reads tail 7            C reads tail 7
    A appends 8   ok     B loses, leaves a row     C loses, leaves a row
                         B pauses                  C pauses
                         B has no claim,
                         reads tail 8, then rows
                         B appends 9 for itself
                           and 10 for C   ok       C's claim names entry 10: C returns from it

Exactness depends on the transaction alone: the number of each entry is free, and the key of each claim is unused. Rows
are hints. A row that is lost, late, doubled or removed can change which request appends a debit, but can't make it
happen twice. The rules keep a refusal final for the request that gets it:

    1. A request leaves a row only while its key has no claim, and only if nothing is in the row's place.
    2. Rows are read after the newest entry. A waiting debit is carried only if `apply` accepts it twice, with the row's
       own time and catalog version: alone, directly after the newest entry; and in turn, after the debits before it.
    3. A request that left a row returns 402 only after these steps: it puts a tombstone in the row's place, reads the
       newest entry again, then reads its claim. A tombstone stays until its TTL. A request that gives up (503) also
       places its tombstone first.
    4. A row is ignored 10 seconds after its request began. A request that read it just before may still append the
       debit within its own time. After that, the row of a killed function has no effect.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from prepaid.core.account import Account
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import Busy, IdempotencyKeyReused, Refused
from prepaid.core.ledger import Debit, apply
from prepaid.store.catalog import catalog_at_least
from prepaid.store.dynamodb import MAX_ATTEMPTS, ConditionFailed, Deadline, Item, Table, within
from prepaid.store.items import key_digest, request_hash
from prepaid.store.ledger import (
    CLAIM,
    MAX_BYTES,
    MAX_WRITES,
    Appended,
    Draft,
    Effect,
    NewestEntries,
    Tail,
    bytes_of_writes,
    claim_put,
    commit,
    find_effects,
    has_texts_of,
    read_newest,
    read_tail,
)
from prepaid.store.waiting import (
    MAX_ROWS,
    ROW_LIFE,
    KeyedDebit,
    WaitingDebit,
    is_behind,
    leave,
    place_tombstone,
    read_waiting,
    row_of,
)

# The most debits, the request's own included, and bytes in a transaction that carries others. A failed transaction
# costs as much as a successful one.
MAX_CARRIED = 45
MAX_CARRIED_BYTES = 300_000
# How many entries before its own place a request searches for rows. The owner of an older row appends it itself.
REACH = 64
# How many times a request lets the owner of an older row append first, and only reads its own claim meanwhile. Bounded,
# because that owner may have been killed.
MAX_YIELDS = 3
# The length of a pause, as a multiple of the request's last write and within these bounds. PAUSE_FACTOR: time for
# others to leave their rows. TURN_FACTOR: time for a request that goes first to read and append.
PAUSE_FACTOR, TURN_FACTOR = 2.5, 8.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.75
# Extra time for the tombstone of a request whose deadline has passed.
TOMBSTONE_SECONDS = 0.25
CROWDED_SECONDS = 1.0
# Entries that no spending client appends: whoever appended one is no quick rival.
ARRIVALS = ("purchase", "grant", "adjustment")

type Outcome = Appended | Refused


class Crowds:
    """The accounts on which this process lost a race within the last second. Their debits leave a row immediately.

    This saves a transaction that would probably fail. Nothing else depends on it. Each change makes a new dictionary,
    because threads share it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._raced_at: dict[str, float] = {}

    def note(self, account_id: str) -> None:
        """Note that requests race on the account."""
        now = self._clock()
        recent = {id_: at for id_, at in self._raced_at.items() if now - at < CROWDED_SECONDS}
        self._raced_at = {**recent, account_id: now}

    def forget(self, account_id: str) -> None:
        """Note that no other request used the account."""
        self._raced_at = {id_: at for id_, at in self._raced_at.items() if id_ != account_id}

    def __contains__(self, account_id: str) -> bool:
        at = self._raced_at.get(account_id)
        return at is not None and self._clock() - at < CROWDED_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class DebitRequest:
    """A request's debits of one account that have no outcome yet, with their dependencies and what is known so far.

    effects: the known effects of keys. own_rows: the sort keys of the rows that the request left.
    claimed: other requests' keys that turned out to be claimed. began: when the request began, on the deadline's clock.
    """

    table: Table
    account_id: str
    debits: Sequence[KeyedDebit]
    catalog: Catalog
    now: datetime
    salt: bytes
    crowds: Crowds
    began: float
    effects: dict[str, Effect] = field(default_factory=dict)
    own_rows: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)

    @property
    def time(self) -> datetime:
        """The current time."""
        return self.now + timedelta(seconds=self.table.deadline.clock() - self.began)


@dataclass(slots=True)
class Part:
    """One transaction: the first of a request's debits, as many as fit. outcomes: of each debit, if the part commits.

    account: after the part's entries. carried: the keys of other requests' debits.
    size: bytes of all writes; 0 until a second debit is added.
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

    def add(self, keyed: KeyedDebit, entries: tuple[Entry, ...], salt: bytes) -> Effect | None:
        """Add a debit's entries, the last one with its key's digest. Returns their effect; None if they don't fit."""
        *settled, entry = entries
        entry = replace(entry, key=key_digest(keyed.key))
        row = keyed.sort if isinstance(keyed, WaitingDebit) else None
        effect = Effect(request_hash(keyed.debit), entry, row)
        claim = claim_put(entry.after.id, keyed.key, effect)
        # The first debit always fits. Computing its size would double the time of a debit, so only the second one does.
        if self.claims:
            self.size = self.size or bytes_of_writes(self.draft.entries, self.claims.values(), salt)
            size = bytes_of_writes([*settled, entry], [claim], salt)
            if not self.has_room(len(entries) + 1, size):
                return None
            self.size += size
        self.draft.entries += (*settled, entry)
        self.claims[f"{CLAIM} {keyed.key}"] = claim
        self.account = entry.after
        return effect


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
    debits = [KeyedDebit(idempotency_key, debit)]
    [outcome] = append_each(table, account_id, debits, catalog=catalog, now=now, salt=salt, crowds=crowds)
    if isinstance(outcome, Refused):
        raise outcome
    return outcome


def append_each(
    table: Table,
    account_id: str,
    debits: Sequence[KeyedDebit],
    *,
    catalog: Catalog,
    now: datetime,
    salt: bytes = b"",
    crowds: Crowds,
) -> tuple[Outcome, ...]:
    """Carry out each debit in turn, at most once per key, permanently (rules 5, 18). Returns an outcome for each.

    salt: sixteen random bytes, for debits with texts.
    A refused debit doesn't stop the others. A second debit with the same key is a replay of the first, or refused.
    Raises AccountNotFound, and Busy: then some may have taken effect, and a retry with the same keys returns them.
    """
    request = DebitRequest(
        table=table,
        account_id=account_id,
        debits=debits,
        catalog=catalog,
        now=now,
        salt=salt,
        crowds=crowds,
        began=table.deadline.clock(),
    )
    outcomes: list[Outcome] = []
    tail: Tail | None = read_tail(table, account_id)
    while len(outcomes) < len(debits):
        remaining = replace(request, debits=debits[len(outcomes) :]) if outcomes else request
        outcomes += _append_part(remaining, tail)
        tail = None
    # As in `append`, the claim takes precedence over a refusal: its own debit may have spent the last credit.
    refused = {
        keyed.key
        for keyed, outcome in zip(debits, outcomes, strict=True)
        if isinstance(outcome, Refused) and keyed.key not in request.effects
    }
    earlier = find_effects(table, account_id, refused)
    return tuple(
        _outcome_of(earlier[keyed.key], keyed, request) if keyed.key in earlier else outcome
        for keyed, outcome in zip(debits, outcomes, strict=True)
    )


def _append_part(request: DebitRequest, tail: Tail | None) -> list[Outcome]:
    """Commit the first of the debits, as many as fit in a transaction. Raises Busy."""
    tail = tail or read_tail(request.table, request.account_id)
    part = _compose(request, tail)
    if not part.claims:
        return part.outcomes
    single = len(request.debits) == 1
    crowded = single and request.account_id in request.crowds
    if not crowded and _commit(request, part) == "written":
        return part.outcomes
    tail = part.draft.rival or tail
    if single and not part.draft.rival:
        # Rule 1. A transaction that lost only its number proves that the key has no claim. Here there was none.
        _read_effects(request)
    part = _compose(request, tail)
    if not part.claims and _is_refused_too_early(request, part):
        tail = read_tail(request.table, request.account_id)
        part = _compose(request, tail)
    if not part.claims:
        return part.outcomes
    # With several debits left, a batch leaves no row: it carries them out in one transaction anyway.
    row = _row_of(request, part.catalog.version, tail.entry.number) if single else None
    try:
        return _take_turns(request, tail.entry.number, row)
    except Busy:
        if row:
            with suppress(Busy):
                place_tombstone(within(request.table, TOMBSTONE_SECONDS), row)
        raise


def _is_refused_too_early(request: DebitRequest, part: Part) -> bool:
    """Whether a debit is refused on a state before the known effects, so that it doesn't count what they spent."""
    newest = max((effect.entry.number for effect in request.effects.values() if effect.entry), default=0)
    return newest > part.draft.tail.entry.number and any(isinstance(outcome, Refused) for outcome in part.outcomes)


def _take_turns(request: DebitRequest, place: int, row: Item | None) -> list[Outcome]:
    """Wait until another request has appended the debit, or append it together with the waiting ones. Raises Busy.

    place: the newest entry's number when the race was lost. row: the request's own; it is left first.
    """
    clock = request.table.deadline.clock
    began = clock()
    if row and leave(request.table, row):
        request.own_rows.add(row["SK"]["S"])
    seconds, alone, yielded, hurried = clock() - began, True, False, False
    yields = MAX_YIELDS if row and is_behind(request.table, row) else 0
    for _ in range(MAX_ATTEMPTS):
        if _was_appended(request, row, seconds, yields):
            return _answers(request)
        newest = _read_newest(request, place, 1 if hurried else MAX_ROWS)
        part = _compose(request, newest.tail)
        if row and not part.claims:
            # Rule 3. Credits may have arrived meanwhile: then the debit goes on without its row.
            place_tombstone(request.table, row)
            row, newest = None, _read_newest(request, place, MAX_ROWS)
            part = _compose(request, newest.tail)
        if not part.claims:
            return part.outcomes
        waiting = [] if hurried else _read_waiting(request, newest, part.catalog.version)
        older = _count_older(row, part, waiting) if row else 0
        if older and not yielded:
            yields, yielded = min(older + 1, MAX_YIELDS), True
            continue
        _carry(request, part, waiting)
        began = clock()
        result = _commit(request, part)
        if result == "written":
            if alone and not part.carried:
                request.crowds.forget(request.account_id)
            else:
                request.crowds.note(request.account_id)
            return part.outcomes
        # A rival that has never lost a race appends its debits alone, faster than rows can be read. So every other time
        # append alone too: then the rival loses and leaves a row for its next debit. A rival that adds credits appends
        # only once.
        hurried = result == "overtaken" and not _credits_arrived(part) and not hurried
        seconds = 0.0 if hurried else clock() - began
        yields, yielded, alone = 0, False, False
    raise Busy


def _was_appended(request: DebitRequest, row: Item | None, seconds: float, yields: int) -> bool:
    """Whether another request appended the debit during a pause. Raises Busy.

    yields: how many longer pauses come first, for the owners of older rows. seconds: the duration of a write.
    """
    for yields_left in range(yields, -1, -1):
        _pause(request.table.deadline, seconds * (TURN_FACTOR if yields_left else PAUSE_FACTOR))
        if row:
            _read_effects(request)
        if not _unanswered(request):
            request.crowds.note(request.account_id)
            return True
    return False


def _pause(deadline: Deadline, seconds: float) -> None:
    """Sleep for about this long, so that others can go first. Raises Busy if the deadline would pass meanwhile."""
    pause = min(max(seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
    pause *= 0.75 + deadline.jitter() / 2
    if deadline.clock() + pause >= deadline.at:
        raise Busy
    deadline.sleep(pause)


def _compose(request: DebitRequest, tail: Tail) -> Part:
    """The entries of the request's debits, each computed on the state after the one before it."""
    catalog = catalog_at_least(request.table, request.catalog, tail.entry.catalog_version)
    part = Part(Draft(tail, ()), tail.entry.after, catalog)
    for keyed in request.debits:
        effect = part.effects.get(keyed.key) or request.effects.get(keyed.key)
        if effect:
            part.outcomes.append(_outcome_of(effect, keyed, request))
            continue
        try:
            entries = apply(part.account, keyed.debit, catalog=catalog, now=request.now)
        except Refused as refused:
            part.outcomes.append(refused)
            continue
        effect = part.add(keyed, entries, request.salt)
        if not effect:
            break
        part.outcomes.append(Appended(part.draft.entries[-len(entries) :], replayed=False))
        part.effects[keyed.key] = effect
    return part


def _carry(request: DebitRequest, part: Part, waiting: Iterable[WaitingDebit]) -> None:
    """Add the debits of others to the part, oldest first, as many as fit (rule 2)."""
    own_keys = {keyed.key for keyed in request.debits}
    for keyed in waiting:
        if len(part.claims) >= MAX_CARRIED or part.size >= MAX_CARRIED_BYTES:
            return
        if keyed.key in own_keys or keyed.key in part.carried:
            continue
        try:
            apply(part.draft.tail.entry.after, keyed.debit, catalog=part.catalog, now=keyed.now)
            entries = apply(part.account, keyed.debit, catalog=part.catalog, now=keyed.now)
            if part.add(keyed, entries, request.salt):
                part.carried.add(keyed.key)
        except Exception:  # noqa: BLE001, S112 - another request's faulty row must not fail this request
            continue


def _count_older(row: Item, part: Part, waiting: Iterable[WaitingDebit]) -> int:
    """How many older rows there are, counted from the oldest whose debit can be carried; 0 if none can.

    The owner of that row is about to append, unless it was killed.
    """
    older = [keyed for keyed in waiting if keyed.sort < row["SK"]["S"]]
    for index, keyed in enumerate(older):
        with suppress(Exception):
            apply(part.draft.tail.entry.after, keyed.debit, catalog=part.catalog, now=keyed.now)
            return len(older) - index
    return 0


def _commit(request: DebitRequest, part: Part) -> Literal["written", "overtaken", "claimed"]:
    """Write the part. Raises Busy.

    overtaken: another append took its number, or is in progress. claimed: a key already has a claim; the effects of the
    request's own keys are then in `effects`, and other requests' keys in `claimed`.
    """
    try:
        if commit(request.table, part.draft, part.claims, salt=request.salt):
            request.effects.update(part.effects)
            return "written"
        request.crowds.note(request.account_id)
        return "overtaken"
    except ConditionFailed as failed:
        claimed = {name.removeprefix(f"{CLAIM} ") for name in failed.existing if name in part.claims}
        request.claimed.update(claimed & part.carried)
        request.effects.update(find_effects(request.table, request.account_id, claimed - part.carried))
        return "claimed"


def _credits_arrived(part: Part) -> bool:
    """Whether the entry that took the part's number is a purchase, a grant or an adjustment.

    False after a conflict, which doesn't show the entry: most entries in a crowd are debits.
    """
    rival = part.draft.rival
    return rival is not None and rival.entry.type in ARRIVALS


def _read_newest(request: DebitRequest, place: int, limit: int) -> NewestEntries:
    """The newest entries down to some below the request's place, or `limit` of them. Raises Busy."""
    return read_newest(request.table, request.account_id, first=max(1, place - REACH), limit=limit)


def _read_waiting(request: DebitRequest, newest: NewestEntries, version: int) -> list[WaitingDebit]:
    """The waiting debits, oldest first, without those that one of the newest entries has recorded. Raises Busy.

    It reads no rows from before these entries, because it can't tell whether those debits were appended.
    """
    waiting = read_waiting(request.table, request.account_id, place=newest.first - 1)
    oldest = request.time - ROW_LIFE
    waiting = [keyed for keyed in waiting if keyed.now > oldest and keyed.version == version]
    return [
        keyed for keyed in waiting if keyed.key not in request.claimed and key_digest(keyed.key) not in newest.digests
    ]


def _row_of(request: DebitRequest, version: int, place: int) -> Item:
    """The row of a request with one debit. place: the newest entry that the request knows."""
    [keyed] = request.debits
    return row_of(request.account_id, keyed, now=request.now, version=version, place=place)


def _unanswered(request: DebitRequest) -> list[str]:
    return [keyed.key for keyed in request.debits if keyed.key not in request.effects]


def _answers(request: DebitRequest) -> list[Outcome]:
    return [_outcome_of(request.effects[keyed.key], keyed, request) for keyed in request.debits]


def _read_effects(request: DebitRequest) -> None:
    request.effects.update(find_effects(request.table, request.account_id, _unanswered(request)))


def _outcome_of(effect: Effect, keyed: KeyedDebit, request: DebitRequest) -> Outcome:
    """The outcome of a debit whose key has taken effect. A debit that another request carried is no replay."""
    entry = effect.entry
    if effect.request_hash != request_hash(keyed.debit) or entry is None or not has_texts_of(entry, keyed.debit):
        return IdempotencyKeyReused()
    return Appended((entry,), replayed=effect.row not in request.own_rows)
