"""The calls to AWS of a new process's first request of each main route, in order.

They are what a cold start waits for besides its imports, which tests/infra/test_imports.py counts.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from prepaid.core.ids import consumption_number
from prepaid.deps import Deps, Outbox, Webhook
from prepaid.messaging.webhook import Reply
from prepaid.store import keys
from prepaid.store.catalog import CatalogCache
from prepaid.store.due import SweepCheckpoint, save_checkpoint
from prepaid.store.dynamodb import Deadline
from prepaid.use_cases.debiting import Crowds
from tests.support.api import (
    ACCOUNTS,
    CODE,
    CONSUMPTION,
    GET_ACCOUNT,
    GET_CATALOG,
    HISTORY,
    PATCH_ACCOUNT,
    PURCHASES,
    STATEMENT,
    USAGE,
    Answer,
)
from tests.support.functions import NAMES
from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.page_visits import entered
from tests.support.publishing import publish_entry, record
from tests.support.stripe_purchases import Storefront
from tests.support.wire import Wire

EVENTS = Path(__file__).parents[2] / "events"


@dataclass(frozen=True)
class Ids:
    """The ids of what the account has."""

    consumption: str
    hold: str
    grant: str


@pytest.fixture
def ids(service: Service) -> Ids:
    """An account with a grant, a consumption and a hold."""
    service.open()
    grant = service.give(100)["id"]
    consumption = service.spend(3, key="spent").body["id"]
    return Ids(consumption=consumption, hold=service.hold(2).body["id"], grant=grant)


def webhook_to(calls: list[str]) -> Webhook:
    """A receiver that accepts everything."""

    def secret(_: Deadline) -> str:
        calls.append("webhook secret")
        return json.dumps({"secrets": [f"whsec_{'A' * 43}="]})

    def post(*_: Any) -> Reply:
        calls.append("POST")
        return Reply(204)

    return Webhook(
        target="https://app.example.com/prepaid",
        secret=secret,
        post=post,
        hide=lambda *_: calls.append("ChangeMessageVisibility"),
        give_up=lambda *_: calls.append("SendMessage"),
    )


def start_anew(service: Service, calls: list[str]) -> None:
    """New processes of every function: they remember no catalog, no race and no secret."""

    def started(deps: Deps) -> Deps:
        def cursor_secrets(deadline: Deadline) -> Any:
            calls.append("cursor secret")
            return deps.cursor_secrets(deadline)

        def codes(deadline: Deadline) -> Any:
            calls.append("pepper secret")
            return deps.codes(deadline)

        def stripe(deadline: Deadline) -> Any:
            calls.append("Stripe secret")
            return deps.stripe(deadline)

        outbox = Outbox(to_webhook=lambda _: calls.append("SendMessage"), to_bus=lambda _: calls.append("PutEvents"))
        return replace(
            deps,
            catalog=CatalogCache(time.monotonic),
            crowds=Crowds(time.monotonic),
            cursor_secrets=cursor_secrets,
            codes=codes,
            stripe=stripe,
            outbox=outbox,
            webhook=webhook_to(calls),
        )

    for name in NAMES:
        service.functions.deps[name] = started(service.functions.deps[name])


def first(service: Service, act: Callable[[], object]) -> list[str]:
    """The calls of one request to a new process. A process reads each secret once."""
    with Wire.tapped(service.table.client) as wire:
        start_anew(service, wire.calls)
        act()
    return [
        call for place, call in enumerate(wire.calls) if not call.endswith("secret") or call not in wire.calls[:place]
    ]


# The catalog is the GetItem before an append.
APPEND = ["GetItem", "Query", "TransactWriteItems"]
type Ask = Callable[[Service, Ids], Answer]
REQUESTS: dict[str, tuple[Ask, list[str]]] = {
    "consume": (lambda service, _: service.spend(), APPEND),
    "batch": (lambda service, _: service.batch(("a", 1), ("b", 2)), APPEND),
    "hold": (lambda service, _: service.hold(), APPEND),
    "capture": (
        lambda service, ids: service.capture(ids.hold, 1),
        ["GetItem", "Query", "GetItem", "TransactWriteItems"],
    ),
    "release": (
        lambda service, ids: service.release(ids.hold),
        ["GetItem", "GetItem", "Query", "TransactWriteItems"],
    ),
    "reverse": (
        lambda service, ids: service.reverse(ids.consumption),
        ["GetItem", "Query", "GetItem", "BatchGetItem", "TransactWriteItems"],
    ),
    "consumption by id": (lambda service, ids: service(CONSUMPTION, id=ids.consumption), ["GetItem"]),
    "consumption by key": (lambda service, _: service.find("spent"), ["GetItem", "GetItem"]),
    "quote": (lambda service, _: service.quote(), ["Query", "GetItem"]),
    "balance": (lambda service, _: service("GET /v1/accounts/{account}/balance"), ["Query", "GetItem"]),
    "history": (lambda service, _: service(HISTORY), ["Query", "Query"]),
    "history's first page": (
        lambda service, _: service(HISTORY, query={"limit": "2"}),
        ["Query", "Query", "cursor secret"],
    ),
    "statement": (
        lambda service, _: service(STATEMENT, month="2026-06"),
        ["Query", "GetItem", "GetItem", "Query", "GetItem", "GetItem", "Query"],
    ),
    "usage": (lambda service, _: service(USAGE), ["Query", "Query"]),
    "account": (lambda service, _: service(GET_ACCOUNT), ["GetItem", "Query"]),
    "accounts": (lambda service, _: service(ACCOUNTS), ["GetItem", "Query", "BatchGetItem", "Query"]),
    "change of an account": (
        lambda service, _: service(PATCH_ACCOUNT, json={"plan": "trio"}),
        ["GetItem", "GetItem", "Query", "TransactWriteItems"],
    ),
    "catalog": (lambda service, _: service(GET_CATALOG), ["GetItem"]),
    "grant": (
        lambda service, _: service(
            "POST /v1/accounts/{account}/grants", json={"credits": 1, "kind": "promotion", "reason": "r"}
        ),
        APPEND,
    ),
    "void": (lambda service, ids: service.void(ids.grant), ["GetItem", "GetItem", "Query", "TransactWriteItems"]),
    "erasure": (
        lambda service, _: service.erase("c"),
        ["GetItem", "cursor secret", "Query", "GetItem", "PutItem", "Query", "PutItem", "TransactWriteItems"],
    ),
    "purchases": (lambda service, _: service(PURCHASES), ["GetItem", "Query", "Query"]),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_first_request_makes_these_calls(service: Service, ids: Ids, name: str) -> None:
    ask, calls = REQUESTS[name]
    answers: list[Answer] = []

    assert first(service, lambda: answers.append(ask(service, ids))) == calls
    assert answers[0].status in (200, 201)


def test_a_first_purchase_makes_these_calls(service: Service, storefront: Storefront) -> None:
    session = service.manager_session()

    assert first(service, lambda: service.buy(session=session)) == [
        *["GetItem", "Query", "GetItem", "Stripe secret", "GetItem", "GetItem", "GetItem", "TransactWriteItems"],
        *["GetItem", "PutItem", "PutItem"],
    ]


def test_a_first_delivery_makes_these_calls(service: Service, storefront: Storefront) -> None:
    [event, *_] = storefront.pay(storefront.sell())

    assert first(service, lambda: storefront.deliver(event)) == [
        "Stripe secret",
        *["GetItem", "GetItem", "Query", "TransactWriteItems"],
    ]


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (
            "verify",
            ["GetItem", "GetItem", "Scan", "BatchGetItem", "PutItem", "PutItem", "GetItem", "PutItem", "PutItem"],
        ),
        ("reconcile", ["GetItem", "GetItem", "Stripe secret", "Query", "PutItem", "Query", "Query"]),
    ],
)
def test_a_jobs_first_run_makes_these_calls(
    service: Service, storefront: Storefront, function: str, calls: list[str]
) -> None:
    assert first(service, lambda: service.functions[function]({}, Context(remaining=900_000))) == calls


def test_a_first_sweep_makes_these_calls(service: Service, clock: Clock) -> None:
    """Of a lot that has ended, after the run before has ended with yesterday."""
    service.open()
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    clock.now += timedelta(hours=2)
    save_checkpoint(service.table, SweepCheckpoint(day=clock.now.date()))

    assert first(service, lambda: service.functions["expiry_sweep"]({}, Context(remaining=900_000))) == [
        # Catalog and checkpoint, the shards of the day up to the lot's, the account, then the rest of the shards.
        *["GetItem", "GetItem", *["Query"] * 7, "Query", "TransactWriteItems", "DeleteItem"],
        *["Query", "Query", "PutItem"],
    ]


def test_a_first_publishing_makes_these_calls(service: Service, ids: Ids) -> None:
    """Of a new entry, after those before it were published."""
    publish_entry(service, "acme", 1)
    number = consumption_number(service.spend().body["id"])
    changes = {"Records": [record(keys.entry("acme", number))]}

    assert first(service, lambda: service.functions["publish"](changes, Context(remaining=900_000))) == [
        *["GetItem", "GetItem", "Query", "SendMessage", "PutEvents", "TransactWriteItems"],
        # Nothing came meanwhile.
        *["GetItem", "Query"],
    ]


def test_a_first_message_makes_these_calls(service: Service) -> None:
    message = json.loads((EVENTS / "deliver.json").read_text("utf-8"))

    assert first(service, lambda: service.functions["deliver"](message, Context())) == [
        "GetItem",
        "webhook secret",
        "POST",
    ]


def test_a_first_page_makes_these_calls(service: Service) -> None:
    """Of a signed-in manager."""
    service.open()
    service.set_code(CODE)
    browser = entered(service)

    assert first(service, lambda: browser.open("/portal")) == [
        *["GetItem", "GetItem", "GetItem", "Query", "GetItem", "Query", "Query", "Query", "Query"]
    ]
