"""Scenarios of the publisher and the deliverer."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from prepaid.core.calendar import milliseconds
from prepaid.core.errors import Unavailable
from prepaid.core.purchase import Purchase
from prepaid.store import keys
from prepaid.store.warning import WarningPass, save_warning_pass
from tests.simulation.bench import Bench, Context
from tests.simulation.outside import NoAnswer
from tests.simulation.scenarios.scenario import SCHEDULED, Outcome, Scenario, bought, opened, spends, spent_before

EVENT = "evt_6adfc490d9735580526c1dc53c"
MESSAGE = "message-1"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def publish(bench: Bench, event: dict[str, Any]) -> Outcome:
    """One run. Whatever it raises, the stream or the scheduler starts it again."""
    app = bench.service.functions.apps["publish"]
    try:
        bench.service.functions["publish"](event, Context(bench))
    except app.NotPublished:
        return 500, None
    return 200, None


def changed(*rows: keys.Key) -> Callable[[Bench, Any], Outcome]:
    """The stream names these rows."""
    records = [{"eventName": "INSERT", "dynamodb": {"Keys": key}} for key in rows]
    return lambda bench, _: publish(bench, {"Records": records})


def a_purchase_changed(bench: Bench, purchase: Purchase) -> Outcome:
    return changed(keys.purchase(purchase.account, purchase.id))(bench, None)


def on_schedule(bench: Bench, _: Any) -> Outcome:
    return publish(bench, SCHEDULED)


def pending(bench: Bench) -> Purchase:
    purchase = bought(bench)
    bench.storefront.deliver_all(bench.storefront.happen(purchase, "confirm", "boleto"))
    return purchase


def expiring(bench: Bench) -> None:
    """Two accounts whose entries no change named, and a lot that ends in a week. The last run was an hour ago."""
    opened(bench)
    bench.service.open("zoo")
    bench.service.give(7, expires_at="2026-06-23T12:30:00Z")
    # After a day, the run reads each place of the lots that end twice as often, and finds no more.
    last = bench.now - HOUR
    save_warning_pass(bench.service.table, WarningPass(since=last - HOUR, until=last, days=30, place=None))


def queued(bench: Bench, *, status: int, age: timedelta = timedelta()) -> dict[str, Any]:
    """A message of the queue. status: what the receiver answers to it."""
    opened(bench)
    bench.outside.status = status
    attributes = {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": str(milliseconds(bench.now - age)),
        "MessageGroupId": "acme",
        "MessageDeduplicationId": EVENT,
    }
    body = json.dumps({"id": EVENT, "type": "prepaid.entry.grant", "subject": "acme"})
    record = {"messageId": MESSAGE, "receiptHandle": "receipt", "body": body, "attributes": attributes}
    return {"Records": [record]}


def deliver(bench: Bench, message: dict[str, Any]) -> Outcome:
    """One try. A message that stays in the queue comes again."""
    try:
        answer = bench.service.functions["deliver"](message, Context(bench))
    except (NoAnswer, Unavailable):
        return 500, None
    return (500 if answer["batchItemFailures"] else 200), None


SCENARIOS = (
    Scenario("publish: entries", spent_before, changed(keys.entry("acme", 2), keys.entry("acme", 3)), spends),
    Scenario("publish: a purchase", pending, a_purchase_changed, spends),
    Scenario("publish: on schedule", expiring, on_schedule, spends),
    Scenario("deliver: accepted", lambda bench: queued(bench, status=204), deliver, spends),
    Scenario("deliver: gone", lambda bench: queued(bench, status=410), deliver, spends),
    Scenario("deliver: given up", lambda bench: queued(bench, status=500, age=4 * DAY), deliver, spends),
)
