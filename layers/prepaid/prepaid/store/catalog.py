"""Stored catalog versions. Every version is kept; CURRENT is a copy of the newest, so that reading it is one read.

Version 1 ships with the code and never changes (a test checks its hash), so a new stack can sell immediately.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.catalog import Catalog, Feature, Pack, Plan
from prepaid.store import keys
from prepaid.store.dynamodb import (
    IF_ABSENT,
    Item,
    Table,
    get,
    transact,
)
from prepaid.store.items import checksummed

FIRST_CATALOG = Path(__file__).parents[1] / "core" / "first_catalog.json"
# The most versions searched after the known one. An administrator creates each version by hand.
MAX_VERSIONS = 100


def read_catalog(table: Table) -> Catalog:
    """The current version. Raises Busy."""
    item = get(table, keys.CATALOG)
    return catalog_from_item(item) if item else first_catalog()


def read_catalog_version(table: Table, version: int) -> Catalog:
    """The version that an entry names, which must exist. Raises Busy."""
    if version == first_catalog().version:
        return first_catalog()
    item = get(table, keys.catalog_version(version))
    assert item is not None, f"catalog version {version} is missing"
    return catalog_from_item(item)


def read_catalog_at(table: Table, at: datetime, known: int) -> Catalog:
    """The version in force at `at`, which is `known` or later. Raises Busy."""
    catalog = read_catalog_version(table, known)
    for version in range(known + 1, known + MAX_VERSIONS):
        item = get(table, keys.catalog_version(version))
        if item is None or instant(int(item["since"]["N"])) > at:
            break
        catalog = catalog_from_item(item)
    return catalog


def catalog_at_least(table: Table, catalog: Catalog, version: int) -> Catalog:
    """`catalog`, or the stored `version` if newer; only then is there a read. Raises Busy."""
    if catalog.version >= version:
        return catalog
    item = get(table, keys.catalog_version(version))
    assert item is not None, f"catalog version {version} is missing"
    return catalog_from_item(item)


@cache
def first_catalog() -> Catalog:
    """The catalog of a new stack."""
    return catalog_from(json.loads(FIRST_CATALOG.read_text("utf-8")))


def catalog_from(value: dict[str, Any]) -> Catalog:
    """A catalog from its parsed JSON value, which must be well formed."""
    return Catalog(
        version=value["version"],
        features=tuple(Feature(**feature) for feature in value["features"]),
        plans=tuple(Plan(**plan) for plan in value["plans"]),
        packs=tuple(Pack(**pack) for pack in value["packs"]),
    )


def write_catalog(table: Table, catalog: Catalog, now: datetime) -> None:
    """Store `catalog` as the version after the current one. Raises ConditionFailed if another came first, Busy."""
    version, previous = str(catalog.version), str(catalog.version - 1)
    body = {
        "version": {"N": version},
        "since": {"N": str(milliseconds(now))},
        "body": {"S": json.dumps(asdict(catalog), separators=(",", ":"), ensure_ascii=False)},
    }
    writes = {
        # Closes the race of two successors of one version: only the first write finds the number free.
        "version": {
            "Item": checksummed({**keys.catalog_version(catalog.version), **body}),
            "ConditionExpression": IF_ABSENT,
        },
        # Closes the race with an even newer version: CURRENT advances by exactly one version at a time.
        "current": {
            "Item": checksummed({**keys.CATALOG, **body}),
            "ConditionExpression": "attribute_not_exists(PK) OR version = :previous",
            "ExpressionAttributeValues": {":previous": {"N": previous}},
        },
    }
    transact(table, writes)


def catalog_from_item(item: Item) -> Catalog:
    """The catalog version stored in an item."""
    return catalog_from(json.loads(item["body"]["S"]))


class CatalogCache:
    """The current version, cached for `seconds`: every warm function picks up a change within that time."""

    def __init__(self, clock: Callable[[], float], seconds: float = 30.0) -> None:
        self._clock, self._seconds = clock, seconds
        self._catalog: Catalog | None = None
        self._read_at = 0.0

    def invalidate(self) -> None:
        """Drop the cached version, because this process changed the catalog."""
        self._catalog = None

    def __call__(self, table: Table) -> Catalog:
        """The cached version, or the current one from `table` when the cache has expired. Raises Busy."""
        if self._catalog is None or self._clock() - self._read_at >= self._seconds:
            self._catalog = read_catalog(table)
            self._read_at = self._clock()
        return self._catalog
