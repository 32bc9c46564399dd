"""The deliverer: what it sends to the platform's webhook, and what becomes of an event that isn't accepted."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from threading import Thread

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from prepaid.core.calendar import milliseconds
from prepaid.deps import Webhook
from prepaid.messaging.webhook import post
from tests.support.gateway_events import Context
from tests.support.handlers import Clock, Output
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.receiver import Answer, Receiver, receiver

NEW, OLD = (f"whsec_{base64.b64encode(bytes([digit]) * 32).decode()}" for digit in (1, 2))
TEXT = json.dumps({"id": "evt_1", "type": "prepaid.entry.grant", "subject": "acme"}, separators=(",", ":"))
MESSAGE = "message-1"
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
# Long for a receiver on this machine, short for a test.
SECONDS = 0.5


@dataclass
class Deliverer:
    """The function at a receiver. hidden: seconds of each wait. given_up: account, id and text of each."""

    service: Service
    receiver: Receiver
    clock: Clock
    hidden: list[int] = field(default_factory=list)
    given_up: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.at(self.receiver.url)

    def at(self, target: str, *secrets: str) -> None:
        """Deliver to this address, signed with these secrets."""
        webhook = Webhook(
            target=target,
            secret=lambda _: json.dumps({"secrets": secrets or (NEW, OLD)}),
            post=partial(post, seconds=SECONDS),
            hide=lambda _receipt, seconds: self.hidden.append(seconds),
            give_up=lambda *dead: self.given_up.append(dead),
        )
        self.service.functions.change("deliver", webhook=webhook)

    def __call__(self, *, tries: int = 1, queued_at: datetime | None = None) -> bool:
        """One message. Returns whether it left the queue."""
        attributes = {
            "ApproximateReceiveCount": str(tries),
            "SentTimestamp": str(milliseconds(queued_at or self.clock.now)),
            "MessageGroupId": "acme",
            "MessageDeduplicationId": "evt_1",
        }
        record = {"messageId": MESSAGE, "receiptHandle": "receipt", "body": TEXT, "attributes": attributes}
        with acting_as("deliver"):
            answer = self.service.functions["deliver"]({"Records": [record]}, Context())
        assert answer in ({"batchItemFailures": []}, {"batchItemFailures": [{"itemIdentifier": MESSAGE}]})
        return answer == {"batchItemFailures": []}


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def deliver(service: Service, receiving: Receiver, clock: Clock) -> Deliverer:
    return Deliverer(service, receiving, clock)


def answers(receiving: Receiver, *given: Answer | None) -> None:
    """The receiver's next answers; the last one repeats."""
    left = list(given)
    receiving.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_an_accepted_event_leaves_the_queue(
    deliver: Deliverer, receiving: Receiver, output: Output, status: int
) -> None:
    answers(receiving, Answer(status))

    assert deliver()

    assert [(delivery.path, delivery.body) for delivery in receiving.received] == [("/hooks", TEXT)]
    assert (deliver.hidden, deliver.given_up) == ([], [])
    assert output.metric("EndpointDeliveries") == [1]


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_an_event_is_signed_with_every_secret(
    deliver: Deliverer, receiving: Receiver, clock: Clock, secret: str
) -> None:
    clock.now = datetime.now(clock.now.tzinfo)

    deliver()

    [got] = receiving.received
    assert Verifier(secret).verify(got.body, got.headers) == json.loads(TEXT)
    assert (got.headers["webhook-id"], got.headers["content-type"]) == ("evt_1", "application/json")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503])
def test_a_refused_event_stays_and_waits(deliver: Deliverer, receiving: Receiver, output: Output, status: int) -> None:
    elsewhere = receiving.url.replace("/hooks", "/elsewhere")
    answers(receiving, Answer(status, {"location": elsewhere}))

    assert not deliver()

    # A redirect isn't followed: nobody promised that its target is the platform's.
    assert [delivery.path for delivery in receiving.received] == ["/hooks"]
    assert (deliver.hidden, deliver.given_up) == ([5], [])
    assert output.metric("EndpointDeliveriesFailed") == [1]


@pytest.mark.parametrize("answer", [None, Answer(wait_seconds=3 * SECONDS)], ids=["hangs up", "hangs"])
def test_a_receiver_without_an_answer_is_tried_again(
    deliver: Deliverer, receiving: Receiver, answer: Answer | None
) -> None:
    answers(receiving, answer)

    assert not deliver()

    assert deliver.hidden == [5]


def test_a_slow_receiver_may_use_its_time(deliver: Deliverer, receiving: Receiver) -> None:
    answers(receiving, Answer(wait_seconds=SECONDS / 5))

    assert deliver()


def test_a_receiver_that_drips_is_late(deliver: Deliverer) -> None:
    """Each byte comes in time, and the answer never ends."""

    def drip(server: socket.socket) -> None:
        with server.accept()[0] as connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(SECONDS / 10)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=drip, args=(server,), daemon=True).start()
        deliver.at(f"http://127.0.0.1:{server.getsockname()[1]}/")
        started = time.monotonic()

        assert not deliver()

    assert time.monotonic() - started < 5 * SECONDS
    assert deliver.hidden == [5]


def test_a_receiver_that_is_down_is_tried_again(deliver: Deliverer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    deliver.at(f"http://127.0.0.1:{port}/")

    assert not deliver()

    assert deliver.hidden == [5]


def test_a_receiver_that_lies_gets_the_same_event_again(deliver: Deliverer, receiving: Receiver, clock: Clock) -> None:
    """It stored the event and returned 500: the id tells it that this is a repeat."""
    answers(receiving, Answer(500), Answer(200))

    assert not deliver()
    clock.now += 5 * SECOND
    assert deliver(tries=2)

    first, again = receiving.received
    assert (first.body, first.headers["webhook-id"]) == (again.body, again.headers["webhook-id"])
    assert first.headers["webhook-signature"] != again.headers["webhook-signature"]


@pytest.mark.parametrize(
    ("tries", "seconds"),
    [(1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18_000), (6, 36_000), (7, 39_600), (8, 39_600), (99, 39_600)],
)
def test_the_pauses_grow_to_eleven_hours(deliver: Deliverer, receiving: Receiver, tries: int, seconds: int) -> None:
    answers(receiving, Answer(500))

    deliver(tries=tries)

    assert deliver.hidden == [seconds]


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "60", 60),
        (503, "60", 60),
        (503, "1", 5),
        (503, "999999999999", 39_600),
        (503, "soon", 5),
        (503, "-60", 5),
        (503, "\u0661\u0662\u0663".encode().decode("latin-1"), 5),
        (500, "60", 5),
    ],
)
def test_retry_after_is_honoured(
    deliver: Deliverer, receiving: Receiver, status: int, retry_after: str, seconds: int
) -> None:
    answers(receiving, Answer(status, {"retry-after": retry_after}))

    deliver()

    assert deliver.hidden == [seconds]


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90), (-90, 5)])
def test_retry_after_may_be_a_date(
    deliver: Deliverer, receiving: Receiver, clock: Clock, ahead: int, seconds: int
) -> None:
    answers(receiving, Answer(503, {"retry-after": format_datetime(clock.now + ahead * SECOND, usegmt=True)}))

    deliver()

    assert deliver.hidden == [seconds]


def test_an_event_is_given_up_after_three_days(
    deliver: Deliverer, receiving: Receiver, clock: Clock, output: Output
) -> None:
    answers(receiving, Answer(500))

    assert not deliver(tries=12, queued_at=clock.now - 3 * DAY + SECOND)
    assert deliver(tries=1, queued_at=clock.now - 3 * DAY)

    # What waited behind an old one is sent once, and then given up too.
    assert deliver.given_up == [("acme", "evt_1", TEXT)]
    assert output.metric("EndpointDeliveriesGivenUp") == [1]


def test_an_old_event_that_is_accepted_is_delivered(deliver: Deliverer, clock: Clock) -> None:
    assert deliver(queued_at=clock.now - 10 * DAY)

    assert deliver.given_up == []


def test_410_stops_the_deliveries(deliver: Deliverer, receiving: Receiver, output: Output) -> None:
    answers(receiving, Answer(410), Answer(200))

    assert deliver()
    assert deliver()

    assert len(receiving.received) == 1
    assert deliver.given_up == [("acme", "evt_1", TEXT)] * 2
    assert output.metric("EndpointDeliveriesGivenUp") == [1, 1]


def test_another_address_is_not_stopped(deliver: Deliverer, receiving: Receiver) -> None:
    answers(receiving, Answer(410), Answer(200))
    deliver()

    deliver.at(f"{receiving.url}/new")

    assert deliver()
    assert [delivery.path for delivery in receiving.received] == ["/hooks", "/hooks/new"]


def test_a_stop_ends_with_its_row(deliver: Deliverer, receiving: Receiver, service: Service) -> None:
    answers(receiving, Answer(410), Answer(200))
    deliver()

    service.table.client.delete_item(TableName=service.table.name, Key={"PK": {"S": "WEBHOOK"}, "SK": {"S": "STOPPED"}})

    assert deliver()
    assert len(receiving.received) == 2


def test_nothing_is_sent_without_a_secret(deliver: Deliverer, receiving: Receiver) -> None:
    webhook = deliver.service.functions.deps["deliver"].webhook
    assert webhook
    deliver.service.functions.change("deliver", webhook=replace(webhook, secret=lambda _: '{"secrets": []}'))

    with pytest.raises(ValueError, match="the secret must be"):
        deliver()

    assert receiving.received == []


def test_the_log_has_no_event(deliver: Deliverer, receiving: Receiver, output: Output) -> None:
    """What the platform answers may hold anything, and so may its address."""
    receiving.answer = lambda _: Answer(500, {"x-secret": "of the platform"})

    deliver()

    [line] = [line for line in output.lines if line.get("message") == "webhook"]
    assert (line["outcome"], line["status"], line["tries"]) == ("failed", 500, 1)
    text = json.dumps(output.lines)
    assert not any(word in text for word in ("acme", "evt_1", "of the platform", "127.0.0.1"))
