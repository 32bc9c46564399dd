"""A deliverer that fails by itself: no event leaves the webhook's queue within three days, whatever the reason."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Never

import pytest

from prepaid.core.calendar import milliseconds
from prepaid.core.errors import Busy
from prepaid.deps import Webhook
from prepaid.messaging.webhook import Reply
from tests.support.gateway_events import Context
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.no_database import no_database
from tests.support.template import read_template

DAYS_3, MINUTE = timedelta(days=3), timedelta(minutes=1)
QUEUE: dict[str, Any] = read_template()["Resources"]["WebhookQueue"]["Properties"]
TIME_OUT = timedelta(seconds=QUEUE["VisibilityTimeout"])
USABLE = json.dumps({"secrets": [f"whsec_{base64.b64encode(bytes(32)).decode()}"]})


@dataclass
class Waiting:
    """A message of the queue."""

    id: str
    sent_at: datetime
    received: int = 0
    visible_at: datetime | None = None


@dataclass
class Queue:
    """One account's group of the template's queue. delivered, given_up: when each message left.

    dead: those that SQS moved to the dead letters by itself, because they were received too often.
    """

    service: Service
    clock: Clock
    status: int = 200
    secret: Callable[[], str] = lambda: USABLE
    waiting: list[Waiting] = field(default_factory=list)
    delivered: list[tuple[str, datetime]] = field(default_factory=list)
    given_up: list[tuple[str, datetime]] = field(default_factory=list)
    dead: list[tuple[str, datetime]] = field(default_factory=list)

    def __post_init__(self) -> None:
        webhook = Webhook(
            target="https://app.example.com/prepaid",
            secret=lambda _: self.secret(),
            post=lambda *_: Reply(self.status),
            hide=self.hide,
            give_up=lambda _account, event, _text: self.given_up.append((event, self.clock.now)),
        )
        self.service.functions.change("deliver", webhook=webhook)

    def send(self, *events: str) -> None:
        self.waiting += [Waiting(event, self.clock.now) for event in events]

    def hide(self, receipt: str, seconds: int) -> None:
        [message] = [message for message in self.waiting if message.id == receipt]
        message.visible_at = self.clock.now + timedelta(seconds=seconds)

    def work(self, until: datetime) -> None:
        """Hand out messages as SQS does, until this time or until there are none. Only the oldest one is handed out."""
        while self.waiting:
            message = self.waiting[0]
            at = max(self.clock.now, message.visible_at or self.clock.now)
            if at >= until:
                self.clock.now = until
                return
            self.clock.now = at
            message.received += 1
            if message.received > QUEUE["RedrivePolicy"]["maxReceiveCount"]:
                self.dead.append((self.waiting.pop(0).id, at))
                continue
            message.visible_at = at + TIME_OUT
            if self.leaves(message):
                self.waiting.remove(message)

    def leaves(self, message: Waiting) -> bool:
        attributes = {
            "ApproximateReceiveCount": str(message.received),
            "SentTimestamp": str(milliseconds(message.sent_at)),
            "MessageGroupId": "acme",
            "MessageDeduplicationId": message.id,
        }
        body = f'{{"id":"{message.id}"}}'
        record = {"messageId": message.id, "receiptHandle": message.id, "body": body, "attributes": attributes}
        try:
            answer = self.service.functions["deliver"]({"Records": [record]}, Context())
        except Exception:  # noqa: BLE001 - as Lambda: any exception leaves the message in the queue
            return False
        if answer["batchItemFailures"]:
            return False
        if (message.id, self.clock.now) not in self.given_up:
            self.delivered.append((message.id, self.clock.now))
        return True


@pytest.fixture
def queue(service: Service, clock: Clock, output: Output) -> Queue:
    queue = Queue(service, clock)
    queue.send("evt_1", "evt_2")
    return queue


def raises(error: Exception) -> Callable[[], str]:
    def secret() -> Never:
        raise error

    return secret


ERRORS = {
    "no secret": lambda: '{"secrets": []}',
    "busy": raises(Busy()),
    "a bug": raises(ZeroDivisionError()),
}


@pytest.mark.parametrize("secret", ERRORS.values(), ids=ERRORS)
def test_an_error_of_the_deliverer_loses_no_event(queue: Queue, clock: Clock, secret: Callable[[], str]) -> None:
    queue.secret = secret
    start = clock.now

    queue.work(start + DAYS_3 - MINUTE)
    queue.secret = lambda: USABLE
    queue.work(start + DAYS_3 + 60 * MINUTE)

    assert (queue.given_up, queue.dead, queue.waiting) == ([], [], [])
    assert [event for event, _ in queue.delivered] == ["evt_1", "evt_2"]


def test_a_table_that_does_not_answer_loses_no_event(queue: Queue, service: Service, clock: Clock) -> None:
    start = clock.now

    with no_database(service):
        queue.work(start + 120 * MINUTE)
    queue.work(start + 130 * MINUTE)

    assert (queue.given_up, queue.dead, queue.waiting) == ([], [], [])
    assert [event for event, _ in queue.delivered] == ["evt_1", "evt_2"]


def test_a_mended_deliverer_delivers_within_minutes(queue: Queue, clock: Clock) -> None:
    queue.secret = raises(ZeroDivisionError())
    queue.work(clock.now + DAYS_3 / 2)
    mended = clock.now

    queue.secret = lambda: USABLE
    queue.work(mended + DAYS_3)

    assert max(at for _, at in queue.delivered) <= mended + TIME_OUT


def test_an_error_for_three_days_gives_up_all_that_are_old(queue: Queue, clock: Clock) -> None:
    """Not the first one alone, with three more days for the next."""
    queue.secret = raises(ZeroDivisionError())
    start = clock.now
    queue.work(start + DAYS_3 / 2)
    queue.send("evt_3")

    queue.work(start + DAYS_3 + TIME_OUT + MINUTE)

    assert [event for event, _ in queue.given_up] == ["evt_1", "evt_2"]
    assert all(at >= start + DAYS_3 for _, at in queue.given_up)
    assert (queue.dead, [message.id for message in queue.waiting]) == ([], ["evt_3"])


def test_the_queue_outlasts_the_deliverers_three_days() -> None:
    """Of a deliverer that crashes each time, so that nothing of it gives up."""
    assert TIME_OUT * QUEUE["RedrivePolicy"]["maxReceiveCount"] > DAYS_3


def test_a_refused_event_is_tried_at_growing_intervals(queue: Queue, clock: Clock) -> None:
    queue.status = 500
    start = clock.now

    queue.work(start + 2 * DAYS_3)

    assert [event for event, _ in queue.given_up] == ["evt_1", "evt_2"]
    assert start + DAYS_3 <= queue.given_up[0][1] <= start + DAYS_3 + timedelta(hours=11)
