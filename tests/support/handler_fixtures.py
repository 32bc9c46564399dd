"""Fixtures of the functions' handlers. A conftest imports them and adds `table`, in an AWS with `secret_texts()`."""

import hashlib
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fake_stripe.faults import Fault
from fake_stripe.server import RunningFake
from prepaid import wiring
from prepaid.api import http
from prepaid.store import managers
from prepaid.store.dynamodb import Table
from prepaid.store.secrets import Secret
from tests.support.api import Service
from tests.support.apps import load_app
from tests.support.handlers import (
    FAKES_TIME,
    NAMES,
    RETURN_URL,
    RIGHTS,
    Clock,
    Output,
    listen,
    serving,
)
from tests.support.iam_rights import acting
from tests.support.stripe_purchases import SHOP_KEY, STRIPE_KEYS, Till


@pytest.fixture(autouse=True)
def quick_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing codes is slow on purpose, and these tests do it a thousand times."""
    monkeypatch.setitem(managers.SCRYPT, "n", 2**4)


@pytest.fixture(scope="session")
def deployed() -> Iterator[None]:
    """The environment that the template gives the functions."""
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


@pytest.fixture
def service(apps: dict[str, ModuleType], table: Table, clock: Clock, output: Output) -> Iterator[Service]:
    """The functions at an empty table; afterwards nothing private may be in what they printed."""
    with pytest.MonkeyPatch.context() as patch:
        yield from serving(apps, table, output, patch)


@pytest.fixture(scope="session")
def running_fake() -> Iterator[RunningFake]:
    with RunningFake(api_keys={SHOP_KEY: None, **RIGHTS}, now=FAKES_TIME) as fake:
        yield fake


@pytest.fixture
def fake(running_fake: RunningFake, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningFake]:
    """Stripe, as far as the functions can tell: empty, and at the same time as they."""
    monkeypatch.setattr(FAKES_TIME, "clock", clock)
    # The SDK's pauses between its retries are real seconds; nothing here is about them.
    monkeypatch.setattr("stripe.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)
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


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One item for each time that a code was worked on."""
    made: list[int] = []

    def counted(*given: Any, **named: Any) -> bytes:
        made.append(1)
        return hashlib.scrypt(*given, **named)

    monkeypatch.setattr(managers, "scrypt", counted)
    return made
