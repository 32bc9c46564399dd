"""Many debits of one account at once: carried out in turn, each with its own key and outcome.

The outcomes are those of the same debits sent one after another. They share transactions: as many entries and claims as
fit into one are written together. When a commit finds that a key had its effect before, that debit is answered from the
effect, and the others are computed again without it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import Busy, IdempotencyKeyReused, Refused
from prepaid.core.ledger import Debit, apply
from prepaid.store import keys
from prepaid.store.catalog import catalog_at_least
from prepaid.store.dynamodb import ConditionFailed, Item, Table, attempts, get_many
from prepaid.store.items import GENESIS_HASH, entry_to_item, key_digest, request_hash
from prepaid.store.ledger import CLAIM, Appended, Draft, Tail, claim_put, commit, find_entries, has_texts_of, read_tail

# DynamoDB's limits for a transaction are 100 writes and 4 MB. The rest of the bytes is for escapes in the request, that
# DynamoDB Local counts: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
MAX_WRITES = 100
MAX_BYTES = 3_000_000


@dataclass(frozen=True, slots=True)
class Keyed:
    """A debit with the idempotency key of its request."""

    key: str
    debit: Debit


type Outcome = Appended | Refused


@dataclass(frozen=True, slots=True)
class Effect:
    """What a key did. entry: that it added; None if what it did is no entry, such as a purchase."""

    request_hash: bytes
    entry: Entry | None


@dataclass(slots=True)
class Part:
    """The first of the waiting debits, as many as fit in one transaction. outcomes: of each of them, if it commits."""

    draft: Draft
    claims: dict[str, Item] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    effects: dict[str, Effect] = field(default_factory=dict)
    bytes: int = 0

    def has_room(self, writes: int, size: int) -> bool:
        """Whether more writes fit. The first debit's always do."""
        used = len(self.draft.entries) + len(self.claims)
        return not self.claims or (used + writes <= MAX_WRITES and self.bytes + size <= MAX_BYTES)


def append_each(
    table: Table, account_id: str, asked: Sequence[Keyed], *, catalog: Catalog, now: datetime, salt: bytes = b""
) -> tuple[Outcome, ...]:
    """Carry out each debit in turn, at most once per key, permanently (rules 5, 18). Returns an outcome for each.

    salt: sixteen random bytes, for debits with texts.
    A debit that is refused doesn't stop the others. The second one with a key is a replay of the first, or refused.
    Raises AccountNotFound, and Busy: then some may have taken effect, and a retry with the same keys returns them.
    """
    outcomes: list[Outcome] = []
    effects: dict[str, Effect] = {}
    tail: Tail | None = read_tail(table, account_id)
    while len(outcomes) < len(asked):
        waiting = asked[len(outcomes) :]
        outcomes += _append_part(table, account_id, waiting, effects, tail, catalog=catalog, now=now, salt=salt)
        tail = None
    # As in `append`, the claim takes precedence over a refusal: its own debit may have spent the last credit.
    refused = {
        one.key
        for one, outcome in zip(asked, outcomes, strict=True)
        if isinstance(outcome, Refused) and one.key not in effects
    }
    earlier = _find_effects(table, account_id, refused)
    return tuple(
        _outcome_of(earlier[one.key], one.debit) if one.key in earlier else outcome
        for one, outcome in zip(asked, outcomes, strict=True)
    )


def _append_part(
    table: Table,
    account_id: str,
    asked: Sequence[Keyed],
    effects: dict[str, Effect],
    tail: Tail | None,
    *,
    catalog: Catalog,
    now: datetime,
    salt: bytes,
) -> list[Outcome]:
    """Commit the first of the debits, as many as fit, and add what keys did to `effects`. Raises Busy."""
    for attempt in attempts(table.deadline):
        tail = tail or read_tail(table, account_id)
        catalog = catalog_at_least(table, catalog, tail.entry.catalog_version)
        part = _compose(tail, asked, effects, catalog, now, salt)
        try:
            if commit(table, part.draft, part.claims, salt=salt):
                effects |= part.effects
                return part.outcomes
        except ConditionFailed as failed:
            claimed = [name.removeprefix(f"{CLAIM} ") for name in failed.existing if name in part.claims]
            effects |= _find_effects(table, account_id, claimed)
        # As in `drafts`: the entry that took the number is a newer tail at no cost, but only once.
        tail = part.draft.rival if attempt == 0 else None
    raise Busy


def _compose(
    tail: Tail, asked: Sequence[Keyed], effects: Mapping[str, Effect], catalog: Catalog, now: datetime, salt: bytes
) -> Part:
    """The entries of the debits in turn, each on the state that the one before it leaves."""
    part, account = Part(Draft(tail, ())), tail.entry.after
    for one in asked:
        effect = part.effects.get(one.key) or effects.get(one.key)
        if effect:
            part.outcomes.append(_outcome_of(effect, one.debit))
            continue
        try:
            *settled, own = apply(account, one.debit, catalog=catalog, now=now)
        except Refused as refused:
            part.outcomes.append(refused)
            continue
        entries = (*settled, replace(own, key=key_digest(one.key)))
        claim = claim_put(account.id, one.key, one.debit, own.number)
        size = _bytes_of(claim["Item"]) + sum(_bytes_of(entry_to_item(entry, GENESIS_HASH, salt)) for entry in entries)
        if not part.has_room(len(entries) + 1, size):
            break
        part.draft.entries += entries
        part.claims[f"{CLAIM} {one.key}"] = claim
        part.outcomes.append(Appended(entries, replayed=False))
        part.effects[one.key] = Effect(request_hash(one.debit), entries[-1])
        part.bytes += size
        account = own.after
    return part


def _outcome_of(effect: Effect, debit: Debit) -> Outcome:
    """The outcome of a debit whose key has had its effect."""
    entry = effect.entry
    if effect.request_hash != request_hash(debit) or entry is None or not has_texts_of(entry, debit):
        return IdempotencyKeyReused()
    return Appended((entry,), replayed=True)


def _find_effects(table: Table, account_id: str, claimed: Iterable[str]) -> dict[str, Effect]:
    """What these keys did, of those that did anything. Two reads for a hundred of them. Raises Busy."""
    by_row = {keys.claim(account_id, key)["PK"]["S"]: key for key in claimed}
    if not by_row:
        return {}
    rows = get_many(table, [keys.claim(account_id, key) for key in by_row.values()], consistent=True)
    claims = {by_row[partition]: item for (partition, _), item in rows.items()}
    numbers = {key: int(item["number"]["N"]) for key, item in claims.items() if "number" in item}
    entries = find_entries(table, account_id, numbers.values())
    return {
        key: Effect(bytes(item["request_hash"]["B"]), entries[numbers[key]] if key in numbers else None)
        for key, item in claims.items()
    }


def _bytes_of(item: Item) -> int:
    """The bytes of an item's names, texts and binary; a number counts a little more than in DynamoDB."""
    return sum(
        len(name) + len(value.encode() if isinstance(value, str) else value)
        for name, typed in item.items()
        for value in typed.values()
    )
