"""Each function may do what it does and nothing else: every right of its role is used, every call it makes is allowed.

The tests record the life of a few accounts through all functions, each with the environment that the template gives it.
A right, a secret or a variable that this life doesn't use fails here by its name: remove it, or extend the life, whose
steps are in tests/support/steps_of_functions.py.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest

from fake_stripe.server import RunningFake
from prepaid import wiring
from prepaid.aws import open_event_bridge, open_sqs
from prepaid.deps import Deps
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.portal_config import PortalConfig
from prepaid.settings import Settings, from_environment
from prepaid.store.dynamodb import Deadline
from tests.support import steps_of_functions as steps
from tests.support.api import EVENTS
from tests.support.aws_in_process import create_secrets
from tests.support.functions import NAMES, STACK, quick
from tests.support.handlers import RETURN_URL, Clock, secret_texts
from tests.support.iam_rights import BY, acting, touched
from tests.support.in_process import Service
from tests.support.steps_of_functions import QUEUES, REPLIES
from tests.support.stripe_purchases import Storefront
from tests.support.template import Template, actions_of, logical, read_template, resources_of, statements_of
from tests.support.watched_outside import watched_outbox, watched_webhook

OF_STREAM = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")
OF_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
# Rights and variables that Lambda or a library uses, not the function's own code, so no call is recorded.
BY_LAMBDA = {
    "logs:CreateLogStream": "the runtime writes the function's own log group",
    "logs:PutLogEvents": "the runtime writes the function's own log group",
    "sqs:SendMessage": "Lambda hands over what was given up: EventInvokeConfig's OnFailure, tested in tests/infra",
    **dict.fromkeys(OF_STREAM, "Lambda reads the table's stream"),
    **dict.fromkeys(OF_QUEUE, "Lambda takes messages from the webhook's queue"),
}
BY_LIBRARIES = {
    "LOG_LEVEL": "Powertools' logger",
    "POWERTOOLS_SERVICE_NAME": "Powertools' logger and metrics",
    "PYDANTIC_DISABLE_PLUGINS": "pydantic, while it builds the first model",
    "PYTHONTZPATH": "zoneinfo, for the first time zone",
    "POWERTOOLS_METRICS_NAMESPACE": "Powertools' metrics",
    "AWS_ENDPOINT_URL": "botocore, beside `sam local` only",
}


SENT_BY_CODE = {("sqs:SendMessage", "WebhookQueue"), ("sqs:SendMessage", "WebhookDeadLetters")}
WEBHOOK_SECRET = f'{{"secrets": ["whsec_{b64encode(bytes(32)).decode()}"]}}'


@dataclass(frozen=True)
class Recorded:
    """calls: (function, action, partition of the table or name of a secret). reads: (function, setting)."""

    calls: set[tuple[str, str, str]] = field(default_factory=set)
    reads: set[tuple[str, str]] = field(default_factory=set)


# The settings that each dependency is made of.
SETTINGS_OF = {
    "cursor_secrets": ("cursor_secret_name",),
    "codes": ("pepper_secret_name",),
    # A function that reads sessions at Stripe knows the name of its own stack.
    "stripe": ("stripe_secret_name", "stripe_api_base", "stripe_stack"),
    # A function that verifies a delivery also bounds its age.
    "webhook_secrets": ("stripe_secret_name", "webhook_tolerance_seconds"),
}
OF_PORTAL = {
    "url": "portal_url",
    "return_url": "return_url",
    "return_origins": "portal_return_origins",
    "checkout_origin": "checkout_origin",
    "embed_origins": "portal_embed_origins",
    "accent": "portal_accent",
    "accent_dark": "portal_accent_dark",
    "name": "portal_name",
    "logo": "portal_logo",
    "logo_dark": "portal_logo_dark",
}
# purchases_url isn't a setting: the page gives it with each purchase.
OF_CHECKOUT = {"live": "live_mode", "payment_methods": "payment_methods", "return_url": "return_url"}


def watched(deps: Deps, recorded: Recorded) -> Deps:
    """The same dependencies, noting the settings of those that a function uses."""

    def note(setting: str) -> None:
        recorded.reads.add((acting(), setting))

    def noting(name: str) -> Any:
        use = getattr(deps, name)

        def noted(deadline: Deadline) -> Any:
            recorded.reads.update((acting(), setting) for setting in SETTINGS_OF[name])
            return use(deadline)

        return noted

    class Checkout(CheckoutConfig):
        def __getattribute__(self, name: str) -> Any:
            if name in OF_CHECKOUT and getattr(BY, "function", None):
                recorded.reads.add((acting(), OF_CHECKOUT[name]))
            return super().__getattribute__(name)

    class Portal(PortalConfig):
        def __getattribute__(self, name: str) -> Any:
            if name in OF_PORTAL and getattr(BY, "function", None):
                recorded.reads.add((acting(), OF_PORTAL[name]))
            return super().__getattribute__(name)

    pages = deps.portal
    portal = pages and Portal(**{name: getattr(pages, name) for name in OF_PORTAL})
    config = deps.checkout
    checkout = config and Checkout(
        live=config.live, stack=config.stack, payment_methods=config.payment_methods, return_url=config.return_url
    )
    outside: dict[str, Any] = {
        "outbox": watched_outbox(deps.outbox, note),
        "webhook": watched_webhook(deps.webhook, note, REPLIES),
    }
    return replace(deps, checkout=checkout, portal=portal, **outside, **{name: noting(name) for name in SETTINGS_OF})


@pytest.fixture(scope="module")
def template() -> Template:
    return read_template()


def variables(template: Template, function: str) -> dict[str, Any]:
    """What the template gives the function, by name."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    own = template["Resources"][f"{logical(function)}Function"]["Properties"].get("Environment", {})
    return {**common, **own.get("Variables", {})}


@pytest.fixture(scope="module")
def deployed_secrets(aws: None) -> None:
    """The secrets, the bus and the queues that the template names."""
    create_secrets(secret_texts() | {"webhook": WEBHOOK_SECRET})
    open_event_bridge().create_event_bus(Name="EventBus")
    for name in ("WebhookQueue", "WebhookDeadLetters"):
        open_sqs().create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})


@pytest.fixture
def recorded(
    template: Template, deployed_secrets: None, service: Service, fake: RunningFake, clock: Clock
) -> Iterator[Recorded]:
    """Every call of the functions to AWS, each function with its own variables and empty caches."""
    recorded = Recorded()

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        if function := getattr(BY, "function", None):
            recorded.calls.update((function, *used) for used in used_by(model, params))

    with pytest.MonkeyPatch.context() as patch:
        # Each client that a session opens copies the session's listeners.
        session = boto3.Session()
        session.events.register("provide-client-params.*.*", note)
        patch.setattr("boto3.client", session.client)
        for function in NAMES:
            deps = wiring.build(deployed_with(variables(template, function), function, service, fake))
            deps = replace(deps, clock=clock, codes=quick(deps.codes))
            # Every function uses its table.
            recorded.reads.add((function, "table_name"))
            service.functions.deps[function] = watched(deps, recorded)
        # The verifier reads it while it starts.
        recorded.reads.add(("verify", "verify_whole_days"))
        yield recorded


def deployed_with(variables: Template, function: str, service: Service, fake: RunningFake) -> Settings:
    """The function's settings when it has exactly these variables."""
    values = {
        "TABLE_NAME": service.table.name,
        "STRIPE_API_BASE": fake.url,
        "STRIPE_STACK": STACK,
        "RETURN_URL": RETURN_URL,
        "PORTAL_ACCENT": "#14614b",
        "PORTAL_ACCENT_DARK": "#6fd3b1",
        "PORTAL_NAME": "Vet Cloud",
        "PORTAL_LOGO": "https://www.example.com/logo.svg",
        "PORTAL_LOGO_DARK": "https://www.example.com/logo-dark.svg",
        "CHECKOUT_ORIGIN": "https://checkout.example.com",
        "PORTAL_URL": "https://api.example.com",
        "EVENT_SOURCE": "prepaid/test",
        "EVENT_BUS_NAME": "EventBus",
        "WEBHOOK_QUEUE_URL": f"{QUEUES}/WebhookQueue.fifo",
        "WEBHOOK_DEAD_LETTERS_URL": f"{QUEUES}/WebhookDeadLetters.fifo",
        "WEBHOOK_TARGET": "https://app.example.com/prepaid",
        **{name: secret_name(name, function) for name in variables if name.endswith("_SECRET_NAME")},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.__dataclass_fields__:
            patch.delenv(name.upper(), raising=False)
        for name in variables.keys() & values.keys():
            patch.setenv(name, values[name])
        return from_environment()


def secret_name(variable: str, function: str) -> str:
    """The name of this variable's secret in the tests."""
    kind = variable.removesuffix("_SECRET_NAME").lower()
    return f"stripe-{function}" if kind == "stripe" else kind


def used_by(model: Any, params: dict[str, Any]) -> list[tuple[str, str]]:
    """The rights that a call needs, as (action, partition or secret). model: botocore's, of the operation."""
    service, operation = model.service_model.service_name, model.name
    if service == "dynamodb":
        return [(f"dynamodb:{verb}", partition) for verb, partition in touched(operation, params)]
    if service == "sqs":
        return [(f"sqs:{operation}", params["QueueUrl"].rpartition("/")[2].removesuffix(".fifo"))]
    if service == "events":
        return [(f"events:{operation}", entry["EventBusName"]) for entry in params["Entries"]]
    return [(f"{service}:{operation}", params.get("SecretId", ""))]


@pytest.fixture
def life(recorded: Recorded, service: Service, storefront: Storefront, clock: Clock) -> Recorded:
    """Everything that the functions do at least once, with acme as the customer."""
    steps.administer(service)
    steps.spend_and_look(service, clock)
    see_the_source(service, recorded)
    steps.erase(service)
    steps.buy(service, storefront)
    steps.visit_the_page(service, clock)
    steps.hear_of_money(storefront)
    steps.reconcile(service, storefront, clock)
    steps.sweep(service, clock)
    steps.publish(service)
    steps.deliver(service)
    steps.verify(service, clock)
    return recorded


def see_the_source(service: Service, recorded: Recorded) -> None:
    """A text can't note its reader, but each event names it."""
    assert {event["source"] for event in service(EVENTS, query={"limit": "5"}).body["events"]} == {"prepaid/test"}
    recorded.reads.update((function, "event_source") for function in ("balance_query", "publish"))


def rights(template: Template, function: str) -> set[tuple[str, str]]:
    """What the function's role allows, as (action, partition pattern or secret)."""
    found = set()
    for statement in statements_of(template, f"{logical(function)}Role"):
        for action in actions_of(statement):
            if action.startswith("dynamodb:") and action not in OF_STREAM:
                # A Scan has no partition key, so no condition.
                condition = statement.get("Condition", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*"]}})
                patterns = condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
                found |= {(action, pattern) for pattern in patterns}
            else:
                found |= {(action, name_of(resource)) for resource in resources_of(statement)}
    return found


def name_of(resource: Any) -> str:
    """The logical name of a resource; of a conditional one, when it exists; of the stack's own table."""
    tag, value = resource
    if tag == "If":
        condition, then, otherwise = value
        return name_of(otherwise if condition == "HasExistingTable" else then)
    return str(value).partition(".")[0]


def uses(template: Template, recorded: Recorded, function: str) -> set[tuple[str, str]]:
    """The calls of the function, with secrets by their resource's name."""
    secret_of = {
        secret_name(name, function): value[1]
        for name, value in variables(template, function).items()
        if name.endswith("_SECRET_NAME")
    }
    return {(action, secret_of.get(on, on)) for who, action, on in recorded.calls if who == function}


def test_every_right_is_used(template: Template, life: Recorded) -> None:
    unused = {
        (function, action, pattern)
        for function in NAMES
        for action, pattern in rights(template, function)
        if not (action in BY_LAMBDA and not (action == "sqs:SendMessage" and pattern.startswith("Webhook")))
        and not any(action == done and fnmatchcase(on, pattern) for done, on in uses(template, life, function))
    }
    assert unused == set()


def test_every_call_is_allowed(template: Template, life: Recorded) -> None:
    """Including secrets and unexpected services."""
    forbidden = {
        (function, done, on)
        for function in NAMES
        for done, on in uses(template, life, function)
        if not any(action == done and fnmatchcase(on, pattern) for action, pattern in rights(template, function))
    }
    assert forbidden == set()


def test_a_function_gets_the_variables_that_it_reads(template: Template, life: Recorded) -> None:
    given = {function: set(variables(template, function)) - set(BY_LIBRARIES) for function in NAMES}
    assert given == {function: {name.upper() for who, name in life.reads if who == function} for function in NAMES}


@pytest.mark.parametrize("function", NAMES)
def test_rights_used_by_lambda_itself_name_one_resource(template: Template, function: str) -> None:
    """The only rights that no code of ours uses: each for its one resource of the function's own."""
    role, destination = logical(function), template["Resources"][f"{logical(function)}Function"]["Properties"]
    given_up = destination.get("EventInvokeConfig", {}).get("DestinationConfig", {}).get("OnFailure", {})
    expected = {("logs:CreateLogStream", f"{role}Log"), ("logs:PutLogEvents", f"{role}Log")}
    if given_up:
        expected.add(("sqs:SendMessage", given_up["Destination"][1].partition(".")[0]))
    for event in destination["Events"].values():
        if event["Type"] == "DynamoDB":
            expected |= {(action, "Table") for action in OF_STREAM}
        if event["Type"] == "SQS":
            expected |= {(action, "WebhookQueue") for action in OF_QUEUE}
    found = {right for right in rights(template, function) if right[0] in BY_LAMBDA}
    # What the function's own code sends.
    assert {right for right in found if right not in SENT_BY_CODE} == expected
