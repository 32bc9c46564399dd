"""The publisher's handler: what starts it, what it sends to the bus and the webhook's queue, and how it fails."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest

from prepaid.aws import open_event_bridge, open_sqs
from prepaid.core.ids import PURCHASE_PREFIX
from prepaid.deps import Outbox
from prepaid.messaging.bus import NotAccepted, SentEvent, put_events
from prepaid.messaging.queue import hide, send
from prepaid.store import keys
from prepaid.store.publishing import read_cursor
from tests.support.account_life import DETAILS
from tests.support.api import CONSUME, EVENTS
from tests.support.gateway_events import Context
from tests.support.handlers import Clock, Output
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.publishing import Outside, Publish, feed, ids, nothing, record
from tests.support.stripe_purchases import Storefront

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


@dataclass(frozen=True)
class Ending(Context):
    """A context whose time ends when the bus has accepted something."""

    outside: Outside = field(default_factory=Outside)

    def get_remaining_time_in_millis(self) -> int:
        return 20_000 if self.outside.bus else 300_000


def logged(output: Output, message: str) -> list[dict[str, Any]]:
    """The log lines with this message."""
    return [line for line in output.lines if line.get("message") == message]


@pytest.fixture
def publish(service: Service) -> Publish:
    return Publish(service)


def test_the_events_are_those_of_the_api(publish: Publish, service: Service, output: Output, clock: Clock) -> None:
    service.open(credits=12)
    assert service(CONSUME, json={"feature": "sticker", "quantity": 10, **DETAILS}).status == 201

    assert publish(keys.entry("acme", 3)) == {"events": 4, "failed": 0, "finished": True}

    expected = service(EVENTS).body["events"]
    assert publish.outside.queue == publish.outside.bus == feed(service.table, since=clock.now) == expected
    assert output.metric("EventsPublished") == [4]
    assert not any(text in json.dumps(expected, ensure_ascii=False) for text in DETAILS.values())


def test_the_same_change_twice_is_published_once(publish: Publish, service: Service) -> None:
    service.open(credits=12)
    change = keys.entry("acme", 2)

    publish(change, change)
    publish(change)

    assert publish.types() == ["entry.plan_change", "entry.grant"]


def test_the_schedule_finds_what_no_change_named(publish: Publish, service: Service) -> None:
    service.open(credits=12)
    service.open("zoo")

    assert publish.heal() == {"events": 3, "failed": 0, "finished": True}
    assert publish.heal() == {"events": 0, "failed": 0, "finished": True}


def test_only_scheduled_runs_report_what_they_found(publish: Publish, service: Service, output: Output) -> None:
    """A scheduled run that finds nothing reports 0. Changes that the stream named are no news of the schedule."""
    service.open()
    publish(keys.entry("acme", 1))
    assert output.metric("EventsFoundLate") == []

    publish.heal()

    assert output.metric("EventsFoundLate") == [0]


@pytest.mark.parametrize(("minutes", "found"), [(4, 0), (5, 2)])
def test_what_only_the_schedule_found_is_counted(
    publish: Publish, service: Service, output: Output, clock: Clock, minutes: int, found: int
) -> None:
    """The stream names an entry within seconds, so a young entry tells nothing."""
    service.open(credits=12)
    clock.now += minutes * 60 * SECOND

    assert publish.heal()["events"] == 2

    assert output.metric("EventsFoundLate") == [found]


def test_entries_before_the_first_run_are_not_published(publish: Publish, service: Service, clock: Clock) -> None:
    service.open(credits=12)
    clock.now += DAY
    service.open("zoo")
    publish(keys.entry("zoo", 1))
    service.spend(1)

    publish(keys.entry("acme", 3))
    publish.heal()

    assert [(event["subject"], event["data"]["entry"]) for event in publish.outside.queue] == [("zoo", 1), ("acme", 3)]


def test_without_a_webhook_events_go_to_the_bus_alone(publish: Publish, service: Service) -> None:
    service.functions.change("publish", outbox=Outbox(to_webhook=None, to_bus=publish.outside.to_bus))
    service.open()

    publish(keys.entry("acme", 1))

    assert (len(publish.outside.queue), len(publish.outside.bus)) == (0, 1)


def test_an_account_that_fails_does_not_hold_up_others(publish: Publish, service: Service, output: Output) -> None:
    service.open()
    service.open("zoo")
    refused = service.functions.apps["publish"].NotPublished

    def refuse(call: str) -> None:
        if call == "send" and not publish.outside.queue:
            publish.outside.before = lambda _: None
            raise NotAccepted("ThrottlingException")

    publish.outside.before = refuse
    with pytest.raises(refused):
        publish(keys.entry("acme", 1), keys.entry("zoo", 1))
    assert [event["subject"] for event in publish.outside.queue] == ["zoo"]
    [failure] = logged(output, "not published")
    assert failure["account"] == "acme"

    publish(keys.entry("acme", 1), keys.entry("zoo", 1))

    assert [event["subject"] for event in publish.outside.queue] == ["zoo", "acme"]


def test_a_run_out_of_time_fails_so_that_it_comes_again(publish: Publish, service: Service, output: Output) -> None:
    service.open()

    with pytest.raises(service.functions.apps["publish"].NotPublished):
        publish(keys.entry("acme", 1), remaining=20_000)

    assert publish.types() == []
    assert logged(output, "not published") == []
    assert publish(keys.entry("acme", 1)) == {"events": 1, "failed": 0, "finished": True}


def test_time_that_ends_amid_an_account_is_no_failure(publish: Publish, service: Service, output: Output) -> None:
    service.open()
    service.open("zoo")
    changes = {"Records": [record(keys.entry(account, 1)) for account in ("acme", "zoo")]}

    with pytest.raises(service.functions.apps["publish"].NotPublished):
        publish.run(changes, Ending(outside=publish.outside))

    assert [event["subject"] for event in publish.outside.queue] == ["acme"]
    assert logged(output, "not published") == []
    [line] = logged(output, "published")
    assert (line["events"], line["failed"], line["finished"]) == (1, 0, False)
    assert output.metric("EventsPublished") == [1]


def test_a_scheduled_run_out_of_time_leaves_the_rest(publish: Publish, service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-08-01T13:00:00Z")
    publish.heal()
    clock.now += 17 * DAY
    service.spend(1)

    with pytest.raises(service.functions.apps["publish"].NotPublished):
        publish.heal(remaining=20_000)
    assert publish.days() == []

    assert publish.heal() == {"events": 2, "failed": 0, "finished": True}
    assert publish.days() == [30]


# Alerts without an entry


def test_each_state_of_a_purchase_is_published_once(
    publish: Publish, service: Service, storefront: Storefront, clock: Clock
) -> None:
    purchase = storefront.buy()
    row = keys.purchase("acme", purchase.id)
    publish(row)
    storefront.deliver_all(storefront.happen(purchase, "confirm", "boleto"))

    publish(row)
    publish(row, row)
    clock.now += SECOND
    storefront.deliver_all(storefront.happen(purchase, "fail"))
    publish(row)

    assert publish.types() == ["alert.purchase_pending", "alert.purchase_failed"]
    assert publish.outside.queue[0]["data"]["purchase"].startswith(PURCHASE_PREFIX)
    assert ids(publish.outside.queue) == ids(publish.outside.bus) == ids(feed(service.table))


def test_the_fifth_wrong_code_is_an_alert(publish: Publish, service: Service, clock: Clock) -> None:
    service.open()
    service.set_code()
    for _ in range(4):
        service.try_code("830164")
    clock.now += DAY
    publish(keys.manager("acme"))
    service.try_code("830164")
    clock.now += 6 * SECOND

    publish(keys.manager("acme"))
    publish(keys.manager("acme"))

    assert publish.types() == ["alert.code_locked"]


def test_a_fifth_try_that_is_right_locks_nothing(
    publish: Publish, service: Service, clock: Clock, no_pauses: None
) -> None:
    """The try is counted before the code is compared. The publisher waits until it is."""
    service.open()
    service.set_code()
    for _ in range(4):
        service.try_code("830164")
    service.try_code("830164")
    # As the table is between the count and the comparison: its row changes at once.
    before = service.stored()["ACCOUNT#acme", "MANAGER"]
    assert before["tries"] == {"N": "5"}

    def compared(_: float) -> None:
        row = {**before, "tries": {"N": "0"}, "revision": {"N": "99"}}
        with acting_as("checkout"):
            service.table.client.put_item(TableName=service.table.name, Item=row)

    table = service.functions.deps["publish"].table
    service.functions.change("publish", table=replace(table, deadline=replace(table.deadline, sleep=compared)))
    publish(keys.manager("acme"))

    assert publish.types() == []


def test_a_lot_warns_30_7_and_1_days_before_its_end(publish: Publish, service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-08-01T13:00:00Z")
    service.spend(2)

    for days in (15, 1, 22, 2, 5, 1):
        publish.heal()
        clock.now += days * DAY
        publish.heal()

    assert publish.days() == [30, 7, 1]
    first = next(event for event in publish.outside.queue if event["type"] == "prepaid.alert.lot_expiring")
    assert first["data"] == {
        "account": "acme",
        "lot": "lot_000000000002",
        "credits": 3,
        "days": 30,
        "expires_at": "2026-08-01T13:00:00.000Z",
    }
    assert ids(publish.outside.queue) == ids(publish.outside.bus)


def test_a_warning_comes_within_the_hour(publish: Publish, service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-06-24T02:30:00Z")
    clock.now += 13 * HOUR
    publish.heal()
    assert publish.days() == []

    clock.now += HOUR
    publish.heal()

    assert publish.days() == [7]


def test_after_an_outage_only_the_nearest_warning_comes(publish: Publish, service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-08-01T13:00:00Z")
    publish.heal()
    clock.now += 40 * DAY

    publish.heal()

    assert publish.days() == [7]


def test_a_lot_that_is_spent_warns_of_nothing(publish: Publish, service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-08-01T13:00:00Z")
    service.spend(5)

    publish.heal()
    clock.now += 17 * DAY
    publish.heal()

    assert publish.days() == []


def test_a_lot_that_is_on_hold_warns_of_nothing(publish: Publish, service: Service, clock: Clock) -> None:
    """It is still the account's, unlike a spent one, but has no credits left to lose."""
    service.open()
    service.give(5, expires_at="2026-08-01T13:00:00Z")
    publish.heal()
    clock.now += 17 * DAY
    assert service.hold(5).status == 201

    publish.heal()

    assert publish.days() == []


def test_a_warning_that_fails_is_published_later(publish: Publish, service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-08-01T13:00:00Z")
    publish.heal()
    clock.now += 17 * DAY

    def refuse(_: str) -> None:
        raise NotAccepted("ThrottlingException")

    publish.outside.before = refuse
    with pytest.raises(service.functions.apps["publish"].NotPublished):
        publish.heal()
    publish.outside.before = nothing
    clock.now += HOUR
    publish.heal()

    assert publish.days() == [30]


# EventBridge and SQS


def sent(at: datetime) -> SentEvent:
    return SentEvent("acme", "evt_1", "prepaid.entry.grant", at, '{"id":"evt_1"}')


class Bus:
    """A client of EventBridge with one answer, which records each request."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []

    def put_events(self, **request: Any) -> Any:
        self.requests.append(request)
        return self.answer


def test_an_event_on_the_bus_names_its_type(clock: Clock) -> None:
    bus: Any = Bus({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})

    put_events(bus, "prepaid", [sent(clock.now)])

    entry = {
        "EventBusName": "prepaid",
        "Source": "prepaid",
        "DetailType": "prepaid.entry.grant",
        "Time": clock.now,
        "Detail": '{"id":"evt_1"}',
    }
    assert bus.requests == [{"Entries": [entry]}]


def test_a_bus_accepts_events(aws: None, clock: Clock) -> None:
    events = open_event_bridge()
    events.create_event_bus(Name="prepaid")

    put_events(events, "prepaid", [sent(clock.now)] * 10)


def test_a_bus_that_refuses_one_of_two_events_fails_the_call(aws: None, clock: Clock) -> None:
    events = open_event_bridge()
    events.create_event_bus(Name="strict")
    broken = replace(sent(clock.now), text="no JSON")

    with pytest.raises(NotAccepted, match="MalformedDetail"):
        put_events(events, "strict", [sent(clock.now), broken])


def test_an_event_that_the_bus_refuses_keeps_the_cursor(publish: Publish, service: Service, clock: Clock) -> None:
    """The bus of moto, asked by the handler: it accepts one of two events, and returns 200."""
    events = open_event_bridge()
    events.create_event_bus(Name="half")
    service.open(credits=5)

    def to_bus(some: Sequence[SentEvent]) -> None:
        put_events(events, "half", [replace(some[0], text="no JSON"), *some[1:]])

    service.functions.change("publish", outbox=Outbox(to_webhook=None, to_bus=to_bus))
    with pytest.raises(service.functions.apps["publish"].NotPublished):
        publish(keys.entry("acme", 2))

    assert (read_cursor(service.table, "acme"), feed(service.table, since=clock.now)) == (None, [])
    service.functions.change("publish", outbox=Outbox(to_webhook=None, to_bus=partial(put_events, events, "half")))
    assert publish(keys.entry("acme", 2)) == {"events": 2, "failed": 0, "finished": True}
    cursor = read_cursor(service.table, "acme")
    assert cursor
    assert (cursor.entry, len(feed(service.table, since=clock.now))) == (2, 2)


@pytest.mark.parametrize(
    "answer",
    [
        {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"ErrorCode": "InternalFailure", "ErrorMessage": "x"}]},
        {"FailedEntryCount": 1, "Entries": [{"EventId": "1"}, {"EventId": "2"}]},
        {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}]},
    ],
)
def test_a_part_that_the_bus_refuses_fails_the_call(answer: dict[str, Any], clock: Clock) -> None:
    bus: Any = Bus(answer)
    with pytest.raises(NotAccepted) as refused:
        put_events(bus, "prepaid", [sent(clock.now)] * 2)
    assert "x" not in str(refused.value).split(", ")


def test_the_queue_keeps_an_accounts_order_and_drops_repeats(aws: None) -> None:
    sqs = open_sqs()
    url = sqs.create_queue(QueueName="events.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]

    for event in ("evt_1", "evt_2", "evt_2"):
        send(sqs, url, "acme", event, json.dumps({"id": event}))

    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert [json.loads(message["Body"])["id"] for message in received] == ["evt_1", "evt_2"]
    assert {message["Attributes"]["MessageGroupId"] for message in received} == {"acme"}
    hide(sqs, url, received[0]["ReceiptHandle"], 30)


def test_a_queue_that_is_gone_is_an_error(aws: None) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="gone.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)

    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        send(open_sqs(), url, "acme", "evt_1", "{}")
