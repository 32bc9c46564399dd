"""What the functions' tests stand on: the real handlers, an emulated AWS, a clock to turn, and an ear on every log."""

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.session import get_session

from fake_stripe.faults import Fault
from fake_stripe.server import RunningFake
from local.deploy import STRIPE_RIGHTS
from prepaid import wiring
from prepaid.api import http
from prepaid.store import managers
from prepaid.store.dynamodb import Table, open_client
from prepaid.store.secrets import Secret
from tests.support.api import Service
from tests.support.apps import load_app
from tests.support.gateway_events import TOKEN
from tests.support.iam_rights import acting, watch
from tests.support.stripe_purchases import CURRENT_SECRET, OTHER_SECRET, PREVIOUS_SECRET, SHOP_KEY, STRIPE_KEYS, Till

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

NAMES = ("accounts", "balance_query", "checkout", "consume", "expiry_sweep", "purchase_webhook", "reconcile", "verify")
CURSOR_SECRET = "cursor-secret-5d1e0a"
PEPPER = "pepper-secret-b7c2f4"
SIGNING_SECRETS = (CURRENT_SECRET, PREVIOUS_SECRET, OTHER_SECRET)
SECRETS = (*STRIPE_KEYS.values(), SHOP_KEY, *SIGNING_SECRETS, CURSOR_SECRET, PEPPER, TOKEN)
# What the fake Stripe lets each key do.
RIGHTS = {STRIPE_KEYS[name]: STRIPE_RIGHTS[name.title().replace("_", "")] for name in STRIPE_KEYS}
# Who pays at the fake Stripe, and numbers of documents as Brazil writes them.
PAYER = re.compile(r"Maria de Teste|maria@example|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}/")
REAL_SCRYPT = dict(managers.SCRYPT)
RETURN_URL = "https://shop.example.com/credits"
START = datetime.fromisoformat("2026-06-16T13:00:00Z")


class Clock:
    """The time that the functions believe in; stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(wiring, "datetime", SimpleNamespace(now=lambda _: self.now))


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


@pytest.fixture(autouse=True)
def quick_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing codes is meant to be slow, and done a thousand times here."""
    monkeypatch.setitem(managers.SCRYPT, "n", 2**4)


@pytest.fixture(scope="session")
def deployed(cloud: None) -> Iterator[None]:
    """What the template gives the functions: their environment and the secrets it names."""
    secrets: SecretsManagerClient = get_session().create_client("secretsmanager")  # type: ignore[assignment]
    stripe: dict[str, dict[str, Any]] = {name: {"api_key": key} for name, key in STRIPE_KEYS.items()}
    stripe["purchase_webhook"]["webhook_secrets"] = [CURRENT_SECRET, PREVIOUS_SECRET]
    texts = {"cursor": CURSOR_SECRET, "pepper": PEPPER}
    texts |= {f"stripe-{name}": json.dumps(secret) for name, secret in stripe.items()}
    for name, text in texts.items():
        # Another worker, or another suite, may have created it.
        with suppress(secrets.exceptions.ResourceExistsException):
            secrets.create_secret(Name=name, SecretString=text)
    own = {name: Secret(f"stripe-{name}", time.monotonic) for name in STRIPE_KEYS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CURSOR_SECRET_NAME", "cursor")
        patch.setenv("PEPPER_SECRET_NAME", "pepper")
        # All functions are one process here, but each reads the secret that its own environment would name.
        patch.setattr(wiring, "stripe_secret_text", lambda: own[acting()])
        patch.setenv("PAYMENT_METHODS", "card,pix,boleto")
        patch.setenv("RETURN_URL", RETURN_URL)
        patch.setenv("POWERTOOLS_SERVICE_NAME", "prepaid-test")
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Prepaid")
        yield


@pytest.fixture(scope="session")
def apps(deployed: None) -> dict[str, ModuleType]:
    """Each function's file, loaded by its path as Lambda does."""
    return {name: load_app(name) for name in NAMES}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def output(apps: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Output:
    """What this test's requests print."""
    heard = listen(apps, monkeypatch)
    heard.capsys = capsys
    return heard


def listen(apps: dict[str, ModuleType], patch: pytest.MonkeyPatch) -> Output:
    """The functions' log from here on."""
    heard = Output()
    for logger in (http.logger, apps["expiry_sweep"].logger, apps["reconcile"].logger):
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
    return Table(open_client(), "none")


@pytest.fixture
def service(
    apps: dict[str, ModuleType], theirs: Table, table_name: str, clock: Clock, output: Output
) -> Iterator[Service]:
    """The functions at an empty table; afterwards nothing private may be in what they printed."""
    with pytest.MonkeyPatch.context() as patch:
        yield from serving(apps, theirs.client, table_name, output, patch)


def serving(
    apps: dict[str, ModuleType],
    client: "DynamoDBClient",
    table_name: str,
    output: Output,
    patch: pytest.MonkeyPatch,
) -> Iterator[Service]:
    """The functions wired to one table for as long as the caller wants."""
    patch.setenv("TABLE_NAME", table_name)
    patch.setattr(wiring, "open_client", lambda: client)
    rewire()
    watch(client)
    service = Service(Table(client, table_name), {name: app.handler for name, app in apps.items()})
    yield service
    rewire()
    check_discreet(output, service)


def rewire() -> None:
    """What a fresh function would build anew. Secrets stay: they are the same for the whole session."""
    for built in (wiring.settings, wiring.table, wiring.catalog, wiring.checkout_config):
        built.cache_clear()


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
    monkeypatch.setenv("STRIPE_API_BASE", running_fake.url)
    for built in (wiring.settings, wiring.checkout_config):
        built.cache_clear()
    yield running_fake
    running_fake.api.faults.plan(0, Fault())


@pytest.fixture
def till(service: Service, fake: RunningFake, clock: Clock) -> Till:
    """Where account acme, which has no credits yet, buys some."""
    service.open()
    service.set_code()
    return Till(service, fake, clock)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what never gets well: give up soon."""
    monkeypatch.setattr(http, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
