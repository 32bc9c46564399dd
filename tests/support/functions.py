"""The functions at one table, each with the dependencies that its own settings give it. A test may change them."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import ModuleType
from typing import Any
from unittest import mock

from prepaid import wiring
from prepaid.deps import Deps
from prepaid.settings import from_environment
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table
from prepaid.use_cases.approving import CodeSecrets
from tests.support.apps import load_app

NAMES = ("accounts", "balance_query", "checkout", "consume", "expiry_sweep", "purchase_webhook", "reconcile", "verify")
# Comparing codes is slow on purpose, and happens a thousand times here.
QUICK_SCRYPT_COST = 2**4

type AnyHandler = Callable[[Any, Any], dict[str, Any]]


@dataclass(frozen=True)
class BuiltFunction:
    """A function's file, loaded by its path as Lambda does, and what wiring built for it."""

    app: ModuleType
    deps: Deps


def build_function(name: str, environment: Mapping[str, str]) -> BuiltFunction:
    """The function as it starts with these variables."""
    with mock.patch.dict(os.environ, environment):
        return BuiltFunction(load_app(name), wiring.build(from_environment()))


@dataclass
class Functions(Mapping[str, AnyHandler]):
    """Handlers by function. deps, limits: what each works with, from the next request on."""

    apps: Mapping[str, ModuleType]
    deps: dict[str, Deps]
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)

    def change(self, *names: str, **changes: Any) -> None:
        """Give functions (all, unless named) other dependencies."""
        for name in names or NAMES:
            self.deps[name] = replace(self.deps[name], **changes)

    def __getitem__(self, name: str) -> AnyHandler:
        handler: AnyHandler = self.apps[name].make_handler(self.deps[name], **self.limits.get(name, {}))
        return handler

    def __iter__(self) -> Iterator[str]:
        return iter(self.apps)

    def __len__(self) -> int:
        return len(self.apps)


def at_table(built: Mapping[str, BuiltFunction], table: Table, clock: Callable[[], datetime]) -> Functions:
    """The functions at this table and time. All of them share one copy of the catalog, as one process would."""
    catalog = CatalogCache(time.monotonic)
    deps = {
        name: replace(function.deps, table=table, clock=clock, catalog=catalog, codes=quick(function.deps.codes))
        for name, function in built.items()
    }
    return Functions({name: function.app for name, function in built.items()}, deps)


def quick(codes: Callable[[], CodeSecrets]) -> Callable[[], CodeSecrets]:
    """The same codes, hashed at once."""
    return lambda: replace(codes(), scrypt_cost=QUICK_SCRYPT_COST)
