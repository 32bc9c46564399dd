"""Every file in events/ works unchanged with its handler."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_stripe.server import RunningFake
from local.demo import CODE
from local.stack import SAMPLE_WEBHOOK_SECRET
from prepaid.deps import Webhook
from prepaid.messaging.webhook import Reply
from tests.support.functions import NAMES
from tests.support.gateway_events import Context
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
ENVIRONMENT: dict[str, dict[str, str]] = json.loads((EVENTS / "env.json").read_text("utf-8"))
FILES = sorted(file.stem for file in EVENTS.glob("*.json") if file.stem != "env")
SIGNING_SECRETS = ["whsec_of_the_day", SAMPLE_WEBHOOK_SECRET]
SCHEDULED = ("expiry_sweep", "reconcile", "verify")
STATUS = {
    "accounts": 201,
    "accounts_list": 200,
    "accounts_events": 200,
    "accounts_patch": 200,
    "accounts_put": 200,
    "accounts_void": 201,
    "balance_query": 200,
    "balance_query_events": 200,
    "balance_query_history": 200,
    "balance_query_statement": 200,
    "balance_query_usage": 200,
    "balance_query_quote": 200,
    "checkout": 201,
    "checkout_purchases": 200,
    "checkout_purchases_by_state": 200,
    "consume": 201,
    "consume_batch": 200,
    "consume_capture": 200,
    "consume_find": 200,
    "consume_hold": 201,
    "consume_release": 200,
    "consume_reversal": 201,
    "consume_show": 200,
    "consume_show_hold": 200,
    "erasures": 201,
    # A link works once, so the sample's link is unknown.
    "portal": 410,
    "purchase_webhook": 200,
}
# What the samples of LATER are about, in this order.
FIRST = ("accounts", "consume", "consume_hold")
LATER = {
    "accounts_void": "grant_not_found",
    "consume_capture": "hold_not_found",
    "consume_find": "consumption_not_found",
    "consume_release": "hold_not_found",
    "consume_reversal": "consumption_not_found",
    "consume_show": "consumption_not_found",
    "consume_show_hold": "hold_not_found",
}


class _Loader(yaml.SafeLoader):
    """YAML that ignores CloudFormation's own tags."""


_Loader.add_multi_constructor("!", lambda *_: None)


def function_of(file: str) -> str:
    return next(name for name in NAMES if file.startswith(name))


def event_of(file: str) -> Any:
    return json.loads((EVENTS / f"{file}.json").read_text("utf-8"))


@pytest.fixture
def demo(service: Service, fake: RunningFake) -> Service:
    """What `make run` provides, and the settings of env.json."""
    service.open("petshop-1", name="Pet Shop One", plan="trio", ai_enabled=True)
    service.set_code(CODE, "petshop-1")
    tolerance = ENVIRONMENT["PurchaseWebhookFunction"]["WEBHOOK_TOLERANCE_SECONDS"]
    service.functions.change(
        "purchase_webhook",
        webhook_tolerance_seconds=int(tolerance),
        # What `make run` signs with.
        webhook_secrets=lambda _deadline: tuple(SIGNING_SECRETS),
    )
    return service


def test_every_function_has_a_sample() -> None:
    assert {function_of(file) for file in FILES} == set(NAMES)


@pytest.mark.parametrize("file", sorted(STATUS))
def test_a_sample_request_works_unchanged(demo: Service, file: str) -> None:
    event = event_of(file)
    if file in LATER:
        assert demo.send(event).code == LATER[file]
        for earlier in FIRST:
            demo.send(event_of(earlier))
    assert demo.send(event).status == STATUS[file]
    # Once more: a sample may be tried twice.
    assert demo.send(event).status == STATUS[file]


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_sample_schedule_works_unchanged(demo: Service, name: str) -> None:
    with acting_as(name):
        assert demo.functions[name](event_of(name), Context(remaining=120_000))["finished"]


def test_a_sample_change_works_as_it_stands(demo: Service) -> None:
    with acting_as("publish"):
        for events in (1, 0):
            assert demo.functions["publish"](event_of("publish"), Context(remaining=300_000)) == {
                "events": events,
                "failed": 0,
                "finished": True,
            }


def test_a_sample_message_works_as_it_stands(demo: Service) -> None:
    sent: list[tuple[str, str]] = []

    def post(target: str, body: str, _: Any) -> Reply:
        sent.append((target, json.loads(body)["subject"]))
        return Reply(204)

    webhook = Webhook(
        target="https://app.example.com/prepaid",
        secret=lambda _: json.dumps({"secrets": [f"whsec_{'A' * 43}="]}),
        post=post,
        hide=lambda *_: None,
        give_up=lambda *_: None,
    )
    demo.functions.change("deliver", webhook=webhook)

    with acting_as("deliver"):
        assert demo.functions["deliver"](event_of("deliver"), Context()) == {"batchItemFailures": []}
    assert sent == [("https://app.example.com/prepaid", "petshop-1")]


def test_every_sample_has_a_test() -> None:
    assert set(FILES) == {*STATUS, *SCHEDULED, "publish", "deliver"}


def test_sam_passes_every_variable() -> None:
    template = yaml.load((ROOT / "template.yaml").read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    everywhere = set(template["Globals"]["Function"]["Environment"]["Variables"])
    for function, variables in ENVIRONMENT.items():
        if function == "Parameters":
            assert set(variables) <= everywhere
            continue
        own = template["Resources"][function]["Properties"]["Environment"]["Variables"]
        assert set(variables) <= everywhere | set(own)


def test_the_local_stack_accepts_the_sample_delivery() -> None:
    """Signed long ago with the secret that `make run` accepts besides its own."""
    event = event_of("purchase_webhook")
    moment, _, signature = event["headers"]["stripe-signature"].removeprefix("t=").partition(",v1=")
    signed = hmac.new(SAMPLE_WEBHOOK_SECRET.encode(), f"{moment}.{event['body']}".encode(), "sha256")
    assert signed.hexdigest() == signature
