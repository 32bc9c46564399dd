"""Events of the deployed service: a debit arrives at the platform's webhook, signed and in order."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from local.deploy import client
from local.stack import Stack
from tests.support.api import EVENTS
from tests.support.over_http import HttpApi, new_account
from tests.support.receiver import Answer, Received, Receiver

SECONDS = 60.0


def wait_for(found: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it didn't arrive"
        time.sleep(0.2)


def test_debits_arrive_signed_and_in_order(api: HttpApi, stack: Stack, webhook: Receiver) -> None:
    account = api.open(new_account())
    api.give(12, account)
    for _ in range(6):
        api.spend(2, account=account)
    expected = api(EVENTS, account).body["events"]

    wait_for(lambda: len(webhook.bodies(account)) >= len(expected))

    got = webhook.bodies(account)
    verifier = Webhook(stack.addresses.events_secret)
    assert [verifier.verify(delivery.body, delivery.headers) for delivery in got] == expected
    assert [delivery.headers["webhook-id"] for delivery in got] == [event["id"] for event in expected]


def test_an_account_waits_for_its_failed_event_alone(api: HttpApi, webhook: Receiver) -> None:
    slow, quick = api.open(new_account()), api.open(new_account())
    api.give(5, slow)
    wait_for(lambda: len(webhook.bodies(slow)) >= 2)
    failures: list[Received] = []

    def fail_once(got: Received) -> Answer:
        if f'"subject":"{slow}"' in got.body and not failures:
            failures.append(got)
            return Answer(500)
        return Answer()

    webhook.answer = fail_once
    api.spend(1, account=slow)
    api.spend(2, account=slow)
    api.give(1, quick)
    wait_for(lambda: len(webhook.bodies(slow)) >= 5 and len(webhook.bodies(quick)) >= 2)

    numbers = [json.loads(delivery.body)["data"]["entry"] for delivery in webhook.bodies(slow)]
    assert numbers == [1, 2, 3, 3, 4]
    first, again = [delivery for delivery in webhook.bodies(slow) if '"entry":3' in delivery.body]
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert again.at - first.at >= 4


@pytest.fixture
def on_the_bus(stack: Stack) -> Callable[[], list[dict[str, Any]]]:
    """The events that a rule of the bus has put into a queue since the fixture began."""
    sqs, events = client(stack.deployed.cloud, "sqs"), client(stack.deployed.cloud, "events")
    bus = stack.deployed.outputs["EventBusName"]
    queue = sqs.create_queue(QueueName="bus-canary")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["prepaid"], "detail-type": [{"prefix": "prepaid.entry."}]})
    events.put_rule(Name="canary", EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule="canary", EventBusName=bus, Targets=[{"Id": "canary", "Arn": arn}])
    found: list[dict[str, Any]] = []

    def receive() -> list[dict[str, Any]]:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    return receive


def test_a_rule_of_the_bus_gets_the_events(api: HttpApi, on_the_bus: Callable[[], list[dict[str, Any]]]) -> None:
    account = api.open(new_account())
    expected = api(EVENTS, account).body["events"]

    def of_account() -> list[Any]:
        return [event["detail"] for event in on_the_bus() if event["detail"]["subject"] == account]

    wait_for(lambda: bool(of_account()))
    assert of_account() == expected
