"""Where events go in the tests: a queue and a bus that remember what they accepted, and publishers in front of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prepaid.core.catalog import Catalog
from prepaid.deps import Outbox
from prepaid.messaging.bus import SentEvent
from prepaid.store import keys
from prepaid.store.catalog import first_catalog
from prepaid.store.dynamodb import Table
from prepaid.store.publishing import KEEP_FEED, read_feed
from prepaid.use_cases.publishing import PublishContext
from tests.support.gateway_events import Context
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.store_driver import NOW, Stored

SOURCE = "prepaid/test"
HOUR = timedelta(hours=1)
ON_SCHEDULE = {"version": "0", "source": "aws.scheduler"}


class Refused(Exception):
    """The queue or the bus didn't accept something."""


def nothing(_call: str) -> None:
    """Nothing happens before or after a call."""


@dataclass
class Outside:
    """queue, bus: the accepted events. before, after: called with each call's name; either may raise."""

    queue: list[dict[str, Any]] = field(default_factory=list)
    bus: list[dict[str, Any]] = field(default_factory=list)
    before: Callable[[str], object] = nothing
    after: Callable[[str], object] = nothing

    def to_webhook(self, event: SentEvent) -> None:
        self.before("send")
        self.queue.append(json.loads(event.text))
        self.after("send")

    def to_bus(self, events: Sequence[SentEvent]) -> None:
        assert 1 <= len(events) <= 10
        self.before("put events")
        self.bus += [json.loads(event.text) for event in events]
        self.after("put events")


@dataclass
class Publisher:
    """A publisher's dependencies, with defaults for what a test is seldom about."""

    table: Table
    outside: Outside
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    now: datetime = NOW
    catalog: Catalog = field(default_factory=first_catalog)
    has_webhook: bool = True
    has_time: Callable[[], bool] = lambda: True

    def context(self) -> PublishContext:
        return PublishContext(
            piece=lambda: self.table,
            catalog=self.catalog,
            clock=lambda: self.now,
            has_time=self.has_time,
            source=SOURCE,
            to_webhook=self.outside.to_webhook if self.has_webhook else None,
            to_bus=self.outside.to_bus,
            on_failure=lambda account, error: self.failures.append((account, error)),
        )


def record(key: keys.Key) -> dict[str, Any]:
    """A record of the table's stream, as Lambda hands it over."""
    return {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {"Keys": key}}


@dataclass
class Publish:
    """The function, with a queue and a bus that remember what they accepted."""

    service: Service
    outside: Outside = field(default_factory=Outside)

    def __post_init__(self) -> None:
        self.service.functions.change(
            "publish", outbox=Outbox(to_webhook=self.outside.to_webhook, to_bus=self.outside.to_bus)
        )

    def __call__(self, *changed: keys.Key, remaining: int = 300_000) -> dict[str, Any]:
        return self.run({"Records": [record(key) for key in changed]}, Context(remaining=remaining))

    def heal(self, remaining: int = 300_000) -> dict[str, Any]:
        return self.run(ON_SCHEDULE, Context(remaining=remaining))

    def run(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        with acting_as("publish"):
            answer: dict[str, Any] = self.service.functions["publish"](event, context)
        return answer

    def types(self) -> list[str]:
        return [event["type"].removeprefix("prepaid.") for event in self.outside.queue]

    def days(self) -> list[int]:
        """How many days ahead each warning of a lot's end was sent."""
        return [event["data"]["days"] for event in self.outside.queue if event["type"] == "prepaid.alert.lot_expiring"]


def row_of_entry(account: str, number: int) -> tuple[str, str]:
    """What the stream names when this entry is written."""
    key = keys.entry(account, number)
    return key["PK"]["S"], key["SK"]["S"]


def publish_entry(service: Service, account: str, entry: int) -> None:
    """Run the publisher as the stream does after this entry."""
    service.functions.change("publish", outbox=Outbox(to_webhook=None, to_bus=lambda _: None))
    records = [{"dynamodb": {"Keys": keys.entry(account, entry)}}]
    with acting_as("publish"):
        service.functions["publish"]({"Records": records}, Context(remaining=300_000))


def feed(table: Table, *, since: datetime = NOW - 2 * HOUR, hours: int = 4) -> list[dict[str, Any]]:
    """All events of the feed, in the order in which it returns them."""
    found: list[dict[str, Any]] = []
    for hour in range(hours):
        after = ""
        at = since + hour * HOUR
        while rows := read_feed(table, at, after=after, before=at + KEEP_FEED, limit=100):
            found += [json.loads(event) for row in rows for event in row.events]
            after = rows[-1].sort
    return found


def ids(events: list[dict[str, Any]]) -> list[str]:
    return [event["id"] for event in events]


def first_deliveries(events: list[dict[str, Any]]) -> list[str]:
    """The ids without their repeats."""
    return list(dict.fromkeys(ids(events)))


def published_rows(items: Stored) -> list[tuple[str, str]]:
    """The keys of the publisher's own rows."""
    return sorted(key for key in items if key[0].partition("#")[0] in {"PUBLISHED", "PUBLISHING", "FEED"})
