"""Erasing: remove the texts of every entry that names a customer, page by page (rule 22)."""

import hmac
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from prepaid.core.catalog import Catalog
from prepaid.core.errors import Busy, IdempotencyKeyReused
from prepaid.core.ledger import Erase
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.erasures import begin_walk, erase_page, save_walk
from prepaid.store.ledger import Appended, append, find_replay, read_tail
from prepaid.store.secrets import Versions


def erase_customer(
    table: Table,
    account_id: str,
    customer: str,
    *,
    actor: str,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str,
    secrets: Versions,
) -> Appended:
    """Erase the texts of the account's entries that name `customer`, and record how many there were.

    Afterwards, no entry before the erasure's own names the customer. The erasure doesn't store the name either: a retry
    is recognized by a keyed digest, made with any version of the secret that still exists. If the deadline ends the
    walk, a retry continues after the last page. Raises AccountNotFound, IdempotencyKeyReused, Busy.
    """
    tail = read_tail(table, account_id)
    earlier = _earlier(table, account_id, actor, _subjects(account_id, customer, secrets), idempotency_key)
    if earlier:
        return earlier
    subject = next(_subjects(account_id, customer, secrets))
    walk = begin_walk(table, account_id, idempotency_key, subject, now)
    if walk.subject not in _subjects(account_id, customer, secrets):
        raise IdempotencyKeyReused
    for attempt in attempts(table.deadline):
        if attempt:
            tail = read_tail(table, account_id)
        while walk.next <= tail.entry.number:
            walk = erase_page(table, account_id, customer, walk, tail.entry.number, idempotency_key)
            save_walk(table, account_id, idempotency_key, walk, now)
        erasure = Erase(actor=actor, subject=walk.subject, entries=walk.entries)
        try:
            return append(
                table, account_id, erasure, catalog=catalog, now=now, idempotency_key=idempotency_key, tail=tail
            )
        except ConditionFailed:
            # Another entry was first, and may name the customer: walk over it too.
            continue
    raise Busy


def _earlier(
    table: Table, account_id: str, actor: str, subjects: Iterator[str], idempotency_key: str
) -> Appended | None:
    """The key's earlier effect, for any of the subjects; None without one. Raises IdempotencyKeyReused, Busy."""
    for subject in subjects:
        with suppress(IdempotencyKeyReused):
            return find_replay(table, account_id, Erase(actor=actor, subject=subject), idempotency_key)
    raise IdempotencyKeyReused


def _subjects(account_id: str, customer: str, secrets: Versions) -> Iterator[str]:
    return (subject_of(account_id, customer, secret) for secret in secrets.accepted())


def subject_of(account_id: str, customer: str, secret: str) -> str:
    """A digest that identifies a customer, but doesn't reveal the name without the secret."""
    return hmac.digest(secret.encode(), f"erasure\n{account_id}\n{customer}".encode(), "sha256").hex()
