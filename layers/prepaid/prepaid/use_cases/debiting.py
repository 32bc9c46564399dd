"""Debits of an account, one or many at once, each with its own key. Where callers race, one of them appends for all.

A debit without a rival reads the newest entry and writes its entry and claim in one transaction. A debit that lost a
race, or whose process lost one on the account within the last second (`Crowds`), leaves a row and pauses. The next one
to append carries the waiting debits along, in the same transaction:

    A reads tail 7       B reads tail 7            C reads tail 7
    A appends 8   ok     B loses, leaves a row     C loses, leaves a row
                         B pauses                  C pauses
                         B has no claim,
                         reads tail 8, then rows
                         B appends 9 for itself
                           and 10 for C   ok       C's claim names entry 10: C answers from it

Exactness depends on the transaction alone: the number of each entry is free, and the key of each claim is unused. Rows
are hints. A row that is lost, late, doubled or removed can change which request appends a debit, but can't make it
happen twice. The rules keep a refusal final for the request that gets it:

    1. A request leaves a row only while its key has no claim, and only if nothing is in the row's place.
    2. Rows are read after the newest entry. A waiting debit is carried only if it is granted alone on that very entry,
       by the row's own time and catalog version, and again in turn, after the debits in front of it.
    3. A request that left a row answers 402 only after it has put a tombstone in the row's place, has read the newest
       entry again, and then its claim. A tombstone stays until its TTL. A request that gives up (503) places its
       tombstone first.
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

# Debits in a transaction that carries others, and their bytes: a lost transaction is paid for in full.
MAX_CARRIED = 45
MAX_CARRIED_BYTES = 300_000
# How many entries below its own place a request looks for rows. A row that is further behind is appended by its owner.
REACH = 64
# How often a request looks at its claim only, while the owner of an older row is about to append. That owner may have
# been killed.
MAX_YIELDS = 3
# A pause is so many times as long as the request's own last write, within these bounds: time for others to leave their
# rows, and, for a request that lets another one go first, for that one to read and append.
PAUSE_FACTOR, TURN_FACTOR = 2.5, 8.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.005, 0.75
# For the tombstone of a request whose own time is up.
TOMBSTONE_SECONDS = 0.25
CROWDED_SECONDS = 1.0
ARRIVALS = ("purchase", "grant", "adjustment")

type Outcome = Appended | Refused


class Crowds:
    """The accounts on which this process lost a race within the last second. Their debits leave a row immediately.

    It saves the transaction that would be lost. Nothing else depends on it. A new dictionary replaces the old one,
    because threads share it.
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
class DebitRequest:
    """A request's debits of one account that still have no outcome, and what they are carried out with.

    effects: what keys did, as far as known. own_rows: the sort keys of the rows that the request left.
    claimed: other requests' keys that turned out to be claimed. began: on the deadline's clock.
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
        """The present."""
        return self.now + timedelta(seconds=self.table.deadline.clock() - self.began)


@dataclass(slots=True)
class Part:
    """The first of a request's debits, as many as fit in one transaction. outcomes: of each, if it commits.

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
        """Add a debit's entries, the last one with its key's digest. Returns what they do; None if they don't fit."""
        *settled, own = entries
        own = replace(own, key=key_digest(keyed.key))
        row = keyed.sort if isinstance(keyed, WaitingDebit) else None
        effect = Effect(request_hash(keyed.debit), own, row)
        claim = claim_put(own.after.id, keyed.key, effect)
        # The first debit always fits. Its size takes as long as the rest of a debit, so only the second one needs it.
        if self.claims:
            self.size = self.size or bytes_of_writes(self.draft.entries, self.claims.values(), salt)
            size = bytes_of_writes([*settled, own], [claim], salt)
            if not self.has_room(len(entries) + 1, size):
                return None
            self.size += size
        self.draft.entries += (*settled, own)
        self.claims[f"{CLAIM} {keyed.key}"] = claim
        self.account = own.after
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
    A debit that is refused doesn't stop the others. The second one with a key is a replay of the first, or refused.
    Raises AccountNotFound, and Busy: then some may have taken effect, and a retry with the same keys returns them.
    """
    whole = DebitRequest(
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
        rest = replace(whole, debits=debits[len(outcomes) :]) if outcomes else whole
        outcomes += _append_part(rest, tail)
        tail = None
    # As in `append`, the claim takes precedence over a refusal: its own debit may have spent the last credit.
    refused = {
        keyed.key
        for keyed, outcome in zip(debits, outcomes, strict=True)
        if isinstance(outcome, Refused) and keyed.key not in whole.effects
    }
    earlier = find_effects(table, account_id, refused)
    return tuple(
        _outcome_of(earlier[keyed.key], keyed, whole) if keyed.key in earlier else outcome
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
        # Rule 1. A transaction that lost its number has seen that there is no claim. Here none has.
        _read_effects(request)
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


def _take_turns(request: DebitRequest, place: int, row: Item | None) -> list[Outcome]:
    """Wait until another request has appended the debit, or append it together with those that wait. Raises Busy.

    place: the newest entry's number when the race was lost. row: of the request, which it leaves first.
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
        # A rival that never lost a race appends its debits alone, and quicker than rows can be read. Append alone too,
        # every other time: the rival loses, and leaves a row for its next debit. Credits that arrive are no such rival.
        hurried = result == "overtaken" and not _credits_arrived(part) and not hurried
        seconds = 0.0 if hurried else clock() - began
        yields, yielded, alone = 0, False, False
    raise Busy


def _was_appended(request: DebitRequest, row: Item | None, seconds: float, yields: int) -> bool:
    """Whether another request appended the debit during a pause. yields: longer pauses before that one, as often as the
    owner of an older row goes first. seconds: of a write. Raises Busy."""
    for yields_left in range(yields, -1, -1):
        _pause(request.table.deadline, seconds * (TURN_FACTOR if yields_left else PAUSE_FACTOR))
        if row:
            _read_effects(request)
        if not _unanswered(request):
            request.crowds.note(request.account_id)
            return True
    return False


def _pause(deadline: Deadline, seconds: float) -> None:
    """Give the others about so long. Raises Busy when the deadline passes meanwhile."""
    pause = min(max(seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
    pause *= 0.75 + deadline.jitter() / 2
    if deadline.clock() + pause >= deadline.at:
        raise Busy
    deadline.sleep(pause)


def _compose(request: DebitRequest, tail: Tail) -> Part:
    """The entries of the request's debits in turn, each on the state that the one before it leaves."""
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
    own = {keyed.key for keyed in request.debits}
    for other in waiting:
        if len(part.claims) >= MAX_CARRIED or part.size >= MAX_CARRIED_BYTES:
            return
        if other.key in own or other.key in part.carried:
            continue
        try:
            apply(part.draft.tail.entry.after, other.debit, catalog=part.catalog, now=other.now)
            entries = apply(part.account, other.debit, catalog=part.catalog, now=other.now)
            if part.add(other, entries, request.salt):
                part.carried.add(other.key)
        except Exception:  # noqa: BLE001, S112 - whatever is wrong with another request's row is no fault of this one
            continue


def _count_older(row: Item, part: Part, waiting: Iterable[WaitingDebit]) -> int:
    """The number of older rows, counted from the oldest that can be carried. The owner of that row is about to append,
    unless it was killed."""
    older = [other for other in waiting if other.sort < row["SK"]["S"]]
    for place, other in enumerate(older):
        with suppress(Exception):
            apply(part.draft.tail.entry.after, other.debit, catalog=part.catalog, now=other.now)
            return len(older) - place
    return 0


def _commit(request: DebitRequest, part: Part) -> Literal["written", "overtaken", "claimed"]:
    """Write the part. Raises Busy.

    overtaken: another append took its number, or is under way. claimed: a key has a claim already; what the request's
    own keys did is then in `effects`, and other requests' keys are in `claimed`.
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
    """Whether the entry that took the part's number brought credits. A conflict doesn't tell: most entries of a crowd
    are debits, so that counts as one."""
    rival = part.draft.rival
    return rival is not None and rival.entry.type in ARRIVALS


def _read_newest(request: DebitRequest, place: int, limit: int) -> NewestEntries:
    """The newest entries down to some below the request's place, or `limit` of them. Raises Busy."""
    return read_newest(request.table, request.account_id, first=max(1, place - REACH), limit=limit)


def _read_waiting(request: DebitRequest, newest: NewestEntries, version: int) -> list[WaitingDebit]:
    """The debits that wait, oldest first, without those that one of the newest entries has recorded. Raises Busy.

    Only rows that were left no earlier than these entries begin: whether older ones were appended isn't known.
    """
    waiting = read_waiting(request.table, request.account_id, place=newest.first - 1)
    oldest = request.time - ROW_LIFE
    waiting = [other for other in waiting if other.now > oldest and other.version == version]
    return [
        other for other in waiting if other.key not in request.claimed and key_digest(other.key) not in newest.digests
    ]


def _row_of(request: DebitRequest, version: int, place: int) -> Item:
    """The row of a request with one debit, left when entry `place` was the newest that it knew."""
    [keyed] = request.debits
    return row_of(request.account_id, keyed, now=request.now, version=version, place=place)


def _unanswered(request: DebitRequest) -> list[str]:
    return [keyed.key for keyed in request.debits if keyed.key not in request.effects]


def _answers(request: DebitRequest) -> list[Outcome]:
    return [_outcome_of(request.effects[keyed.key], keyed, request) for keyed in request.debits]


def _read_effects(request: DebitRequest) -> None:
    request.effects.update(find_effects(request.table, request.account_id, _unanswered(request)))


def _outcome_of(effect: Effect, keyed: KeyedDebit, request: DebitRequest) -> Outcome:
    """The outcome of a debit whose key has had its effect. A debit that was carried is no replay."""
    entry = effect.entry
    if effect.request_hash != request_hash(keyed.debit) or entry is None or not has_texts_of(entry, keyed.debit):
        return IdempotencyKeyReused()
    return Appended((entry,), replayed=effect.row not in request.own_rows)
