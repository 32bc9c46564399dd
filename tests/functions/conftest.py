"""What the functions' tests stand on: the real handlers, an emulated AWS, a clock to turn, and an ear on every log."""

import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import get_session

from fake_stripe.faults import Fault
from fake_stripe.server import RunningFake
from local.deploy import STRIPE_RIGHTS
from prepaid.core.calendar import floor_to_millisecond
from prepaid.store.dynamodb import Table, open_client
from prepaid.telemetry import logger
from tests.support.api import Service
from tests.support.functions import NAMES, BuiltFunction, at_table, build_function
from tests.support.gateway_events import TOKEN
from tests.support.iam_rights import watch
from tests.support.store_driver import NO_DEADLINE, FakeTime
from tests.support.stripe_purchases import CURRENT_SECRET, OTHER_SECRET, PREVIOUS_SECRET, SHOP_KEY, STRIPE_KEYS, Till

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

CURSOR_SECRET = "cursor-secret-5d1e0a"
PEPPER = "pepper-secret-b7c2f4"
SIGNING_SECRETS = (CURRENT_SECRET, PREVIOUS_SECRET, OTHER_SECRET)
SECRETS = (*STRIPE_KEYS.values(), SHOP_KEY, *SIGNING_SECRETS, CURSOR_SECRET, PEPPER, TOKEN)
# What the fake Stripe lets each key do.
RIGHTS = {STRIPE_KEYS[name]: STRIPE_RIGHTS[name.title().replace("_", "")] for name in STRIPE_KEYS}
# Who pays at the fake Stripe, and numbers of documents as Brazil writes them.
PAYER = re.compile(r"Maria de Teste|maria@example|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}/")
RETURN_URL = "https://shop.example.com/credits"
START = datetime.fromisoformat("2026-06-16T13:00:00Z")


class Clock:
    """The time that the functions believe in; stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return floor_to_millisecond(self.now)


class Output(io.StringIO):
    """Everything that the functions print. Metrics go through print, and pytest hears that first."""

    capsys: pytest.CaptureFixture[str] | None = None

    def __init__(self) -> None:
        super().__init__()
        # What libraries warn of, which Lambda writes as it comes.
        self.warnings = io.StringIO()

    def getvalue(self) -> str:
        for text in self.capsys.readouterr() if self.capsys else ():
            self.write(text)
        return super().getvalue()

    def forget(self) -> None:
        """Listen from here."""
        self.getvalue()
        self.seek(0)
        self.truncate()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line must be one JSON object: what else is printed is lost on CloudWatch's queries."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def metric(self, name: str) -> list[int]:
        """The values counted under this name, in Embedded Metric Format."""
        return [value for line in self.lines if "_aws" in line and name in line for value in line[name]]


@pytest.fixture(scope="session")
def deployed(cloud: None, running_fake: RunningFake) -> dict[str, BuiltFunction]:
    """Each function as the template deploys it: with its own environment, and the secrets that this names."""
    secrets: SecretsManagerClient = get_session().create_client("secretsmanager")  # type: ignore[assignment]
    stripe: dict[str, dict[str, Any]] = {name: {"api_key": key} for name, key in STRIPE_KEYS.items()}
    stripe["purchase_webhook"]["webhook_secrets"] = [CURRENT_SECRET, PREVIOUS_SECRET]
    texts = {"cursor": CURSOR_SECRET, "pepper": PEPPER}
    texts |= {f"stripe-{name}": json.dumps(secret) for name, secret in stripe.items()}
    for name, text in texts.items():
        # Another worker, or another suite, may have created it.
        with suppress(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name=name, SecretString=text)
    environment = {
        "TABLE_NAME": "none",
        "CURSOR_SECRET_NAME": "cursor",
        "PEPPER_SECRET_NAME": "pepper",
        "PAYMENT_METHODS": "card,pix,boleto",
        "RETURN_URL": RETURN_URL,
        "STRIPE_API_BASE": running_fake.url,
        "POWERTOOLS_SERVICE_NAME": "prepaid-test",
        "POWERTOOLS_METRICS_NAMESPACE": "Prepaid",
    }
    os.environ.update({name: value for name, value in environment.items() if name.startswith("POWERTOOLS_")})
    return {name: build_function(name, {**environment, "STRIPE_SECRET_NAME": f"stripe-{name}"}) for name in NAMES}


@pytest.fixture(scope="session")
def apps(deployed: dict[str, BuiltFunction]) -> dict[str, ModuleType]:
    """Each function's file."""
    return {name: function.app for name, function in deployed.items()}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def output(apps: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Output:
    """What this test's requests print."""
    heard = listen(apps, monkeypatch)
    heard.capsys = capsys
    return heard


def listen(apps: dict[str, ModuleType], patch: pytest.MonkeyPatch) -> Output:
    """The functions' log from here on."""
    heard = Output()
    for handler in logger.handlers:
        assert isinstance(handler, logging.StreamHandler)
        patch.setattr(handler, "stream", heard)
    foreign = logging.StreamHandler(heard.warnings)
    foreign.setLevel(logging.WARNING)
    patch.setattr(logging.root, "handlers", [*logging.root.handlers, foreign])
    return heard


@pytest.fixture(scope="session")
def ours(cloud: None) -> Table:
    """A client to be listened to. Its table is named by each test."""
    return Table(client=open_client(), name="none", deadline=NO_DEADLINE)


@pytest.fixture
def service(
    deployed: dict[str, BuiltFunction], theirs: Table, table_name: str, clock: Clock, output: Output
) -> Iterator[Service]:
    """The functions at an empty table; afterwards nothing private may be in what they printed."""
    yield from serving(deployed, theirs.client, table_name, output, clock)


def serving(
    deployed: dict[str, BuiltFunction],
    client: "DynamoDBClient",
    table_name: str,
    output: Output,
    clock: Callable[[], datetime],
) -> Iterator[Service]:
    """The functions at one table for as long as the caller wants."""
    watch(client)
    table = Table(client=client, name=table_name, deadline=NO_DEADLINE)
    service = Service(table, at_table(deployed, table, clock))
    yield service
    check_discreet(output, service)


def check_discreet(output: Output, service: Service) -> None:
    """Every line is JSON, and none holds a secret, a token, a signature, a body, a code or who paid."""
    assert output.lines is not None
    text = output.getvalue() + output.warnings.getvalue()
    assert not PAYER.search(text), "a log line holds who paid"
    for code in service.codes:
        assert not re.search(rf"(?<![0-9]){re.escape(code)}(?![0-9])", text), "a log line holds a manager's code"
    for private in {*SECRETS, *service.private}:
        assert private not in text, f"a log line holds {private[:40]!r}"
        assert json.dumps(private)[1:-1] not in text, f"a log line holds {private[:40]!r}"


@dataclass
class FakesTime:
    """The fake Stripe's clock, which follows the test's own."""

    clock: Clock | None = None

    def __call__(self) -> float:
        return (self.clock.now if self.clock else START).timestamp()


FAKES_TIME = FakesTime()


@pytest.fixture(scope="session")
def running_fake() -> Iterator[RunningFake]:
    with RunningFake(api_keys={SHOP_KEY: None, **RIGHTS}, now=FAKES_TIME) as fake:
        yield fake


@pytest.fixture
def fake(running_fake: RunningFake, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningFake]:
    """Stripe, as far as the functions can tell: empty, and at the same time as they."""
    monkeypatch.setattr(FAKES_TIME, "clock", clock)
    with running_fake.state.lock:
        running_fake.state.clear()
        running_fake.api.idempotency.clear()
    yield running_fake
    running_fake.api.faults.plan(0, Fault())


@pytest.fixture
def till(service: Service, fake: RunningFake, clock: Clock) -> Till:
    """Where account acme, which has no credits yet, buys some."""
    service.open()
    service.set_code()
    return Till(service, fake, clock)


@pytest.fixture
def impatient(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what never gets well: the pauses between retries take no time."""
    service.functions.change(table=replace(service.table, deadline=FakeTime().deadline()))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
