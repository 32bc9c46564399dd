"""The catalog's versions: every one is kept, CURRENT repeats the newest so that reading it is one read.

Version 1 ships with the code and never changes (a test holds its hash): a fresh stack sells at once.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from prepaid.core.catalog import Catalog, Feature, Pack, Plan, check_successor
from prepaid.core.errors import VersionConflict
from prepaid.store import keys
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
    transact,
)
from prepaid.store.items import checksummed, instant, milliseconds

# Between two entries of one account; each of them is a version that somebody put in force.
MAX_VERSIONS = 100


def read_catalog(table: Table, patience: Patience) -> Catalog:
    """The current version. Raises Busy."""
    return persist(patience, _read_current, table)


def read_catalog_version(table: Table, version: int, patience: Patience) -> Catalog:
    """A version that an entry names. Raises Busy."""
    if version == first_catalog().version:
        return first_catalog()
    item = persist(patience, get, table, keys.catalog_version(version))
    assert item is not None, f"catalog version {version} is missing"
    return catalog_from_item(item)


def read_catalog_at(table: Table, at: datetime, known: int, patience: Patience) -> Catalog:
    """The version in force at `at`, which is version `known` or a later one. Raises Busy."""
    catalog = read_catalog_version(table, known, patience)
    for version in range(known + 1, known + MAX_VERSIONS):
        item = persist(patience, get, table, keys.catalog_version(version))
        if item is None or instant(int(item["since"]["N"])) > at:
            break
        catalog = catalog_from_item(item)
    return catalog


def catalog_at_least(table: Table, catalog: Catalog, version: int) -> Catalog:
    """`catalog`, or the stored `version` when that is newer. No read unless it is. Raises Transient."""
    if catalog.version >= version:
        return catalog
    item = get(table, keys.catalog_version(version))
    assert item is not None, f"catalog version {version} is missing"
    return catalog_from_item(item)


def replace_catalog(
    table: Table, successor: Catalog, *, expected_version: int, now: datetime, patience: Patience
) -> Catalog:
    """Make `successor` the version after `expected_version`. Raises VersionConflict, InvalidRequest, Busy."""
    for _ in attempts(patience):
        try:
            current = _read_current(table)
            numbered = replace(successor, version=expected_version + 1)
            if current == numbered:
                # Our own earlier attempt, whose answer was lost, or a repeat of it: it is so already.
                return numbered
            if current.version != expected_version:
                raise VersionConflict(current.version)
            check_successor(current, numbered)
            transact(table, _version_puts(numbered, now))
            return numbered
        except (ConditionFailed, Transient):
            continue
    raise AssertionError("attempts() ends by raising")


@cache
def first_catalog() -> Catalog:
    """The catalog a stack starts with."""
    return catalog_from(json.loads(files("prepaid.core").joinpath("first_catalog.json").read_text("utf-8")))


def catalog_from(value: dict[str, Any]) -> Catalog:
    """A catalog from its plain JSON value, which must be well formed."""
    return Catalog(
        version=value["version"],
        features=tuple(Feature(**feature) for feature in value["features"]),
        plans=tuple(Plan(**plan) for plan in value["plans"]),
        packs=tuple(Pack(**pack) for pack in value["packs"]),
    )


def _read_current(table: Table) -> Catalog:
    item = get(table, keys.CATALOG)
    return catalog_from_item(item) if item else first_catalog()


def _version_puts(catalog: Catalog, now: datetime) -> dict[str, Item]:
    version, previous = str(catalog.version), str(catalog.version - 1)
    body = {
        "version": {"N": version},
        "since": {"N": str(milliseconds(now))},
        "body": {"S": json.dumps(asdict(catalog), separators=(",", ":"))},
    }
    return {
        # Closes the race of two successors of one version: only one finds the number free.
        "version": {
            "Item": checksummed({**keys.catalog_version(catalog.version), **body}),
            "ConditionExpression": IF_ABSENT,
        },
        # Closes the race with a still newer version: CURRENT only ever moves on by one.
        "current": {
            "Item": checksummed({**keys.CATALOG, **body}),
            "ConditionExpression": "attribute_not_exists(PK) OR version = :previous",
            "ExpressionAttributeValues": {":previous": {"N": previous}},
        },
    }


def catalog_from_item(item: Item) -> Catalog:
    """The version an item holds."""
    return catalog_from(json.loads(item["body"]["S"]))


class CatalogCache:
    """The current version, read again at most every `seconds`: a change is seen by every warm function within that."""

    def __init__(self, table: Table, clock: Callable[[], float], seconds: float = 30.0) -> None:
        self._table, self._clock, self._seconds = table, clock, seconds
        self._catalog: Catalog | None = None
        self._read_at = 0.0

    def forget(self) -> None:
        """Read it anew next time: it was changed here."""
        self._catalog = None

    def __call__(self, patience: Patience) -> Catalog:
        if self._catalog is None or self._clock() - self._read_at >= self._seconds:
            self._catalog = read_catalog(self._table, patience)
            self._read_at = self._clock()
        return self._catalog
