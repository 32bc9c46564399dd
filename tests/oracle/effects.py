"""What a rule does to an account, and the entry that records it, with its sums."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tests.oracle.account import State
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.rows import Row

SERVICE = "prepaid"


@dataclass(frozen=True)
class Entry:
    """line: what the entry stores of what happened. after: the account after it."""

    line: Json
    after: State


@dataclass(frozen=True)
class Refusal:
    """code: of the answer. facts: what the answer states besides."""

    code: str
    facts: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """An entry without its sums. says: members of the line besides type, time and sums."""

    type: str
    after: State
    draws: list[Row] = field(default_factory=list)
    says: Json = field(default_factory=dict)


def entry(
    effect: Effect, before: State, left_before: dict[str, int], request: Any, at: int, catalog: CatalogVersion
) -> Entry:
    """An effect with its sums, as the ledger stores it (rule 6). request: None for an entry that follows from time."""
    after, left, feature = effect.after, effect.after.left(catalog), effect.says.get("feature")
    moved = {
        name: left.get(name, 0) - left_before.get(name, 0)
        for name in {**left_before, **left}
        if left.get(name, 0) != left_before.get(name, 0)
    }
    line: Json = {
        "at": at,
        "type": effect.type,
        "credits": after.available - before.available,
        "quota": sum(moved.values()),
        "balance_after": after.available,
        # Of the feature that the entry is about, where the plan has a quota of it.
        "quota_remaining": left[feature] if feature in left else sum(left.values()),
        "draws": effect.draws,
        "actor": request.actor if request else SERVICE,
        "catalog_version": catalog.version,
        **effect.says,
    }
    if moved and feature is None:
        line["quotas"] = moved
    key = getattr(request, "key", None)
    if key is not None:
        line["key"] = key_digest(key)
    if after.owed != before.owed:
        line["owed"] = after.owed - before.owed
    return Entry(line, after)


def key_digest(key: str | None) -> str | None:
    """What an entry stores of the key of its request."""
    return urlsafe_b64encode(sha256(key.encode()).digest()).decode()[:6] if key is not None else None
