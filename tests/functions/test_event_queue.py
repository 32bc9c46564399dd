"""From the ledger through a queue to the webhook: dead letters are sent again, and no text of a customer leaves."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from prepaid.aws import open_sqs
from prepaid.deps import Outbox, Webhook
from prepaid.messaging.bus import put_events
from prepaid.messaging.queue import hide, send
from prepaid.messaging.webhook import post
from tests.support.api import CONSUME, PATCH_ACCOUNT, PLACE_HOLD
from tests.support.gateway_events import Context
from tests.support.handlers import PAYER, Clock, Output
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.publishing import published_rows
from tests.support.receiver import Answer, Receiver, receiver
from tests.support.stripe_purchases import Storefront

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"
DAY = timedelta(days=1)


class Bus:
    """A client of EventBridge that records each request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def put_events(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in request["Entries"]]}


@dataclass
class Line:
    """Both functions, with a queue and dead letters of SQS between them. seen: every message as it was received."""

    service: Service
    receiver: Receiver
    sqs: "SQSClient" = field(default_factory=open_sqs)
    bus: Any = field(default_factory=Bus)
    seen: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue, self.dead_letters = (
            self.sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
            for name in ("events", "dead-letters")
        )
        self.service.functions.change(
            "publish",
            outbox=Outbox(
                to_webhook=lambda event: send(self.sqs, self.queue, event.account, event.id, event.text),
                to_bus=partial(put_events, self.bus, "prepaid"),
            ),
        )
        self.service.functions.change(
            "deliver",
            webhook=Webhook(
                target=self.receiver.url,
                secret=lambda _: json.dumps({"secrets": [SECRET]}),
                post=post,
                hide=partial(hide, self.sqs, self.queue),
                give_up=partial(send, self.sqs, self.dead_letters),
            ),
        )

    def publish(self, *changed: tuple[str, str]) -> None:
        """What the stream names, then everything else."""
        records = [{"dynamodb": {"Keys": {"PK": {"S": key[0]}, "SK": {"S": key[1]}}}} for key in changed]
        with acting_as("publish"):
            self.service.functions["publish"]({"Records": records}, Context(remaining=300_000))
            self.service.functions["publish"]({"source": "aws.scheduler"}, Context(remaining=300_000))

    def deliver(self) -> bool:
        """The next message, once. Returns whether there was one."""
        got = self.receive(self.queue)
        if got is None:
            return False
        attributes = {name: str(value) for name, value in got["Attributes"].items()}
        record = {"messageId": got["MessageId"], "receiptHandle": got["ReceiptHandle"], "body": got["Body"]}
        with acting_as("deliver"):
            answer = self.service.functions["deliver"]({"Records": [{**record, "attributes": attributes}]}, Context())
        if not answer["batchItemFailures"]:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=got["ReceiptHandle"])
        return True

    def receive(self, queue: str) -> Any:
        """The next message of a queue; None without one."""
        answer = self.sqs.receive_message(QueueUrl=queue, AttributeNames=["All"], MessageAttributeNames=["All"])
        self.seen += answer.get("Messages", [])
        return next(iter(answer.get("Messages", [])), None)

    def redrive(self) -> None:
        """What start-message-move-task does, which moto hasn't: each dead letter is a new message of the queue."""
        while got := self.receive(self.dead_letters):
            send(self.sqs, self.queue, got["Attributes"]["MessageGroupId"], got["MessageId"], got["Body"])
            self.sqs.delete_message(QueueUrl=self.dead_letters, ReceiptHandle=got["ReceiptHandle"])


@pytest.fixture
def line(service: Service) -> Iterator[Line]:
    with receiver() as running:
        events_line = Line(service, running)
        yield events_line
        for queue in (events_line.queue, events_line.dead_letters):
            events_line.sqs.delete_queue(QueueUrl=queue)


def test_a_dead_letter_that_is_sent_again_is_delivered_and_signed(line: Line, service: Service, clock: Clock) -> None:
    service.open(credits=5)
    line.publish()
    line.receiver.answer = lambda _: Answer(500)
    clock.now = datetime.now(clock.now.tzinfo) + 3 * DAY
    while line.deliver():
        pass
    refused = list(line.receiver.received)
    line.receiver.answer = lambda _: Answer(204)
    clock.now = datetime.now(clock.now.tzinfo)

    line.redrive()
    while line.deliver():
        pass

    again = line.receiver.received[len(refused) :]
    assert [json.loads(delivery.body)["type"] for delivery in again] == [
        "prepaid.entry.plan_change",
        "prepaid.entry.grant",
    ]
    assert [delivery.body for delivery in again] == [delivery.body for delivery in refused]
    assert [Verifier(SECRET).verify(delivery.body, delivery.headers)["id"] for delivery in again] == [
        delivery.headers["webhook-id"] for delivery in refused
    ]
    assert (line.receive(line.queue), line.receive(line.dead_letters)) == (None, None)


def test_dead_letters_keep_the_account_and_the_id(line: Line, service: Service, clock: Clock) -> None:
    service.open()
    line.publish()
    line.receiver.answer = lambda _: Answer(410)

    line.deliver()

    dead = line.receive(line.dead_letters)
    assert dead["Attributes"]["MessageGroupId"] == "acme"
    assert dead["Attributes"]["MessageDeduplicationId"] == json.loads(dead["Body"])["id"]
    assert line.receiver.received[0].body == dead["Body"]


TEXTS = {
    "name": "Petshop Zefirina",
    "manager_contact": "quiteria@zefirina.example",
    "customer": "Aparecida Bonfim",
    "description": "retrato do Rabicho",
    "reference": "ordem-vermelha-77",
    "reason": "cortesia da Zoraide",
}


@pytest.fixture
def eventful(line: Line, storefront: Storefront, service: Service) -> Line:
    """An account with a distinctive text at each place that takes one, whose events are published and refused."""
    account = {name: TEXTS[name] for name in ("name", "manager_contact")}
    charge = {name: TEXTS[name] for name in ("customer", "description", "reference")}
    assert service(PATCH_ACCOUNT, json=account).status == 200
    grant = service.give(30, reason=TEXTS["reason"])
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    spent = service(CONSUME, json={"feature": "sticker", "quantity": 2, **charge})
    held = service(PLACE_HOLD, json={"feature": "sticker", "quantity": 2, **charge})
    assert service.capture(held.body["id"], 1).status < 300
    assert service.reverse(spent.body["id"]).status < 300
    assert service.void(grant["id"], credits=1).status < 300
    storefront.deliver_all(storefront.refund(purchase))
    assert service.erase(TEXTS["customer"]).status < 300
    service(CONSUME, json={"feature": "sticker", **charge})
    line.publish(*(key for key in service.stored() if key[1].startswith(("PURCHASE#", "MANAGER"))))
    line.receiver.answer = lambda _: Answer(500)
    while line.deliver():
        pass
    return line


def test_no_text_of_a_customer_leaves_or_is_stored_with_events(
    eventful: Line, service: Service, output: Output
) -> None:
    stored = service.stored()

    places = {
        "the bus": eventful.bus.requests,
        "the queue": eventful.seen,
        "the webhook": eventful.receiver.received,
        "rows of the feed and the cursors": [stored[key] for key in published_rows(stored)],
        # The table's stream has the keys of every row, and nothing else of it.
        "the stream": list(stored),
        "the log": output.lines,
    }

    assert {name for name, found in places.items() if not found} == set()
    assert TEXTS["description"] in str(stored), "the history has them"
    for name, found in places.items():
        assert not [text for text in TEXTS.values() if text in spelled(found)], name
        assert not PAYER.search(spelled(found)), name


def spelled(found: Any) -> str:
    """As JSON and as Python spell it, so that no escape hides a text."""
    return json.dumps(found, default=str, ensure_ascii=False) + str(found)
