"""Rows that debits leave while they wait for each other."""

from typing import Any

from prepaid.store import keys
from prepaid.store.dynamodb import Item
from prepaid.store.items import key_digest


def a_waiting_row(account: str, place: int, at: int, key: str, debit: str | None = None, **changes: Any) -> Item:
    """As a request leaves it that began at `at`, in milliseconds, and knew entry `place`. debit: its JSON."""
    return {
        **keys.waiting_row(account, place, at, key_digest(key)),
        "form": {"N": "1"},
        "debit": {"S": debit or f'{{"key":"{key}","actor":"app","feature":"sticker","quantity":1}}'},
        "now": {"N": str(at)},
        "catalog": {"N": "1"},
        "ttl": {"N": str(at // 1000 + 600)},
        **changes,
    }
