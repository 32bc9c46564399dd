"""A consumer that ignores what docs/events.md says: it handles each event once, and alerts of every type."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from prepaid.core.events import Alert, alert_event
from prepaid.store import keys
from tests.support.api import PATCH_ACCOUNT
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.publishing import Publish, first_deliveries, ids
from tests.support.stripe_purchases import Storefront

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"
RULES = [
    "- an event whose `entry` is below the last one;",
    "- an event whose `id` you have seen.",
    "For each account, store the last `entry` and the ids of its events.",
    "have no `entry`: store their ids for 30 days.",
]
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
ALERTS = {alert_event(alert) for alert in get_args(Alert)}


@dataclass
class Consumer:
    """handled: the events that it acts on. It remembers no more than the document asks for."""

    handled: list[Any] = field(default_factory=list)
    last: dict[str, tuple[int, set[str]]] = field(default_factory=dict)
    without_entry: set[str] = field(default_factory=set)

    def receive(self, event: Any) -> None:
        account, number = event["subject"], event["data"].get("entry")
        last, known = self.last.get(account, (0, set()))
        if number is None:
            known = self.without_entry
        elif number < last:
            return
        elif number > last:
            known = set()
            self.last[account] = (number, known)
        if event["id"] not in known:
            known.add(event["id"])
            self.handled.append(event)


@pytest.fixture
def sent(service: Service, storefront: Storefront, clock: Clock) -> list[Any]:
    """What the webhook's queue gets of an account that raises every alert."""
    publish = Publish(service)
    assert service(PATCH_ACCOUNT, json={"plan": "individual", "ai_enabled": True}).status == 200
    service.give(20, expires_at="2026-07-20T13:00:00Z")
    publish.heal()
    paid, failed = storefront.buy(), storefront.buy()
    for purchase in (paid, failed):
        storefront.deliver_all(storefront.happen(purchase, "confirm", "boleto"))
        publish(keys.purchase("acme", purchase.id))
    storefront.deliver_all(storefront.happen(paid, "pay"))
    storefront.deliver_all(storefront.happen(failed, "fail"))
    publish(keys.purchase("acme", failed.id))
    service.spend(85, "ai_service")
    service.spend(15, "ai_service")
    clock.now += 10 * DAY
    publish.heal()
    service.spend(115)
    service.spend(5)
    storefront.deliver_all(storefront.refund(paid))
    for _ in range(5):
        service.try_code("830164")
    clock.now += 6 * SECOND
    publish(keys.manager("acme"))
    publish.heal()
    return publish.outside.queue


def received(events: Iterator[Any] | list[Any]) -> list[Any]:
    consumer = Consumer()
    for event in events:
        consumer.receive(event)
    return consumer.handled


def late(sent: list[Any]) -> Iterator[Any]:
    """Each event, and after it all events from the start, as a publisher sends them whose cursor stayed behind."""
    for place, event in enumerate(sent, start=1):
        yield event
        yield from sent[:place]


def test_the_document_states_the_consumers_rule() -> None:
    text = DOCUMENT.read_text("utf-8")

    assert [rule for rule in RULES if rule not in text] == []


def test_a_consumer_gets_alerts_of_every_type(sent: list[Any]) -> None:
    handled = received(sent)

    assert {event["type"] for event in handled} >= ALERTS
    assert handled == sent


def test_a_consumer_ignores_repeats_however_late(sent: list[Any]) -> None:
    handled = received(late(sent))

    assert ids(handled) == first_deliveries(sent)


def test_the_document_names_the_alerts_without_an_entry(sent: list[Any]) -> None:
    without = {event["type"].removeprefix("prepaid.alert.") for event in sent if "entry" not in event["data"]}

    [line] = [line for line in DOCUMENT.read_text("utf-8").splitlines() if "have no `entry`" in line]
    assert {alert for alert in get_args(Alert) if f"`{alert}`" in line} == without
