"""The catalog's versions: every one is kept, CURRENT repeats the newest so that reading it is one read.

Version 1 ships with the code and never changes (a test holds its hash): a fresh stack sells at once.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib.resources import files
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

# Between two entries of one account; each of them is a version that somebody put in force.
MAX_VERSIONS = 100


def read_catalog(table: Table) -> Catalog:
    """The current version. Raises Busy."""
    item = get(table, keys.CATALOG)
    return catalog_from_item(item) if item else first_catalog()


def read_catalog_version(table: Table, version: int) -> Catalog:
    """A version that an entry names. Raises Busy."""
    if version == first_catalog().version:
        return first_catalog()
    item = get(table, keys.catalog_version(version))
    assert item is not None, f"catalog version {version} is missing"
    return catalog_from_item(item)


def read_catalog_at(table: Table, at: datetime, known: int) -> Catalog:
    """The version in force at `at`, which is version `known` or a later one. Raises Busy."""
    catalog = read_catalog_version(table, known)
    for version in range(known + 1, known + MAX_VERSIONS):
        item = get(table, keys.catalog_version(version))
        if item is None or instant(int(item["since"]["N"])) > at:
            break
        catalog = catalog_from_item(item)
    return catalog


def catalog_at_least(table: Table, catalog: Catalog, version: int) -> Catalog:
    """`catalog`, or the stored `version` when that is newer. No read unless it is. Raises Busy."""
    if catalog.version >= version:
        return catalog
    item = get(table, keys.catalog_version(version))
    assert item is not None, f"catalog version {version} is missing"
    return catalog_from_item(item)


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


def write_catalog(table: Table, catalog: Catalog, now: datetime) -> None:
    """Put the version after the current one in force. Raises ConditionFailed when another one was put first, Busy."""
    version, previous = str(catalog.version), str(catalog.version - 1)
    body = {
        "version": {"N": version},
        "since": {"N": str(milliseconds(now))},
        "body": {"S": json.dumps(asdict(catalog), separators=(",", ":"))},
    }
    writes = {
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
    transact(table, writes)


def catalog_from_item(item: Item) -> Catalog:
    """The version an item holds."""
    return catalog_from(json.loads(item["body"]["S"]))


class CatalogCache:
    """The current version, read again at most every `seconds`: every warm function sees a change within that time."""

    def __init__(self, clock: Callable[[], float], seconds: float = 30.0) -> None:
        self._clock, self._seconds = clock, seconds
        self._catalog: Catalog | None = None
        self._read_at = 0.0

    def invalidate(self) -> None:
        """Read it again next time: this process changed it."""
        self._catalog = None

    def __call__(self, table: Table) -> Catalog:
        """The version that is kept, or the one that `table` holds now. Raises Busy."""
        if self._catalog is None or self._clock() - self._read_at >= self._seconds:
            self._catalog = read_catalog(table)
            self._read_at = self._clock()
        return self._catalog
