"""The walk of an erasure over a ledger. It replaces texts by placeholders: no other write ever changes an entry.

Each placeholder names its erasure, so a retry that walks over a page again counts the same entries. The walk is saved
after each page, and DynamoDB's TTL deletes its row.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Table, get, put, query, replace_text
from prepaid.store.items import customer_of, erased_by

PAGE_ENTRIES = 1_000
# Clients may retry with the key for this long. A later retry begins a new walk, which finds the placeholders.
KEEP_WALKS = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The progress of an erasure. subject: a keyed digest of the customer. next: the number of the next entry to check.

    entries: how many entries before `next` this erasure has erased.
    """

    subject: str
    next: int = 1
    entries: int = 0


def begin_walk(table: Table, account_id: str, idempotency_key: str, subject: str, now: datetime) -> Walk:
    """The walk of this key: the saved one, whatever its subject is, or else a new one for `subject`. Raises Busy."""
    walk = Walk(subject=subject)
    write = {"Item": _item(account_id, idempotency_key, walk, now), "ConditionExpression": IF_ABSENT}
    try:
        # Closes the race of two requests that use one key for two customers: neither uses the other's placeholder.
        put(table, write)
    except ConditionFailed as failed:
        item = failed.existing["item"]
        assert item is not None, "the condition fails for an existing item only"
        return Walk(subject=item["subject"]["S"], next=int(item["next"]["N"]), entries=int(item["entries"]["N"]))
    return walk


def save_walk(table: Table, account_id: str, idempotency_key: str, walk: Walk, now: datetime) -> None:
    """Save a walk that has begun. Raises Busy."""
    # Unconditional: when two walks of one key run at once, each saves a place with the right count up to that place.
    put(table, {"Item": _item(account_id, idempotency_key, walk, now)})


def _item(account_id: str, idempotency_key: str, walk: Walk, now: datetime) -> Item:
    return {
        **keys.erasure(account_id, idempotency_key),
        "subject": {"S": walk.subject},
        "next": {"N": str(walk.next)},
        "entries": {"N": str(walk.entries)},
        "ttl": {"N": str(int((now + KEEP_WALKS).timestamp()))},
    }


def erase_page(table: Table, account_id: str, customer: str, walk: Walk, last: int, idempotency_key: str) -> Walk:
    """Erase the customer's texts in the next page of entries up to `last`. Returns the walk after it. Raises Busy."""
    placeholder = erased_by(idempotency_key)
    items = query(
        table,
        keys.ledger(account_id),
        first=keys.entry_sort(walk.next),
        last=keys.entry_sort(last),
        limit=PAGE_ENTRIES,
    )
    assert items, f"entry {walk.next} is missing"
    erased = sum(_erase(table, item, customer, placeholder) for item in items)
    return replace(walk, next=walk.next + len(items), entries=walk.entries + erased)


def _erase(table: Table, item: Item, customer: str, placeholder: str) -> bool:
    """Whether the entry is erased by this erasure, now or by an earlier attempt."""
    if item.get("texts") == {"S": placeholder}:
        return True
    if customer_of(item) != customer:
        return False
    try:
        replace_text(table, {"PK": item["PK"], "SK": item["SK"]}, "texts", item["texts"]["S"], placeholder)
    except ConditionFailed:
        # Another erasure was first, or this one was and its reply was lost.
        now = get(table, {"PK": item["PK"], "SK": item["SK"]})
        return now is not None and now.get("texts") == {"S": placeholder}
    return True
