"""Fixtures of the functions' handlers. A conftest adds `table`."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

from fake_stripe.faults import Fault
from fake_stripe.server import RunningFake
from prepaid.store.dynamodb import Table
from tests.support.apps import load_app
from tests.support.functions import NAMES, Deployment
from tests.support.handlers import (
    CURSOR_SECRET,
    PEPPER,
    RETURN_URL,
    RIGHTS,
    Clock,
    FakesTime,
    Output,
    listen,
    serving,
)
from tests.support.in_process import Service
from tests.support.store_driver import FakeTime
from tests.support.stripe_line import no_pauses_of_the_sdk, stripe_in_process
from tests.support.stripe_purchases import CURRENT_SECRET, PREVIOUS_SECRET, SHOP_KEY, STRIPE_KEYS, Storefront


@pytest.fixture(scope="session")
def apps() -> Iterator[dict[str, ModuleType]]:
    """Each function's file, loaded by its path as Lambda does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_SERVICE_NAME", "prepaid-test")
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Prepaid")
        yield {name: load_app(name) for name in NAMES}


@pytest.fixture(scope="session")
def deployment(running_fake: RunningFake) -> Deployment:
    """What the template and its secrets give the functions."""
    return Deployment(
        stripe_url=running_fake.url,
        stripe_keys=STRIPE_KEYS,
        webhook_secrets=(CURRENT_SECRET, PREVIOUS_SECRET),
        cursor_secret=CURSOR_SECRET,
        pepper=PEPPER,
        return_url=RETURN_URL,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def output(apps: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Output:
    """What this test's requests print."""
    lines = listen(monkeypatch)
    lines.capsys = capsys
    return lines


@pytest.fixture
def service(
    apps: dict[str, ModuleType], deployment: Deployment, table: Table, clock: Clock, output: Output
) -> Iterator[Service]:
    """The functions at an empty table; afterwards, fails if they printed anything private."""
    yield from serving(deployment.at(apps, table, clock), table, output)


@pytest.fixture(scope="session")
def fakes_time() -> FakesTime:
    return FakesTime()


@pytest.fixture(scope="session")
def running_fake(fakes_time: FakesTime) -> Iterator[RunningFake]:
    with RunningFake(api_keys={SHOP_KEY: None, **RIGHTS}, now=fakes_time) as fake:
        yield fake


@pytest.fixture
def fake(running_fake: RunningFake, fakes_time: FakesTime, clock: Clock) -> Iterator[RunningFake]:
    """Stripe, as far as the functions can tell: empty, and with the same clock."""
    fakes_time.clock = clock
    with running_fake.state.lock:
        running_fake.state.clear()
        running_fake.api.idempotency.clear()
    with stripe_in_process(running_fake.api), no_pauses_of_the_sdk():
        yield running_fake
    running_fake.api.faults.plan(0, Fault())
    fakes_time.clock = None


@pytest.fixture
def storefront(service: Service, fake: RunningFake, clock: Clock) -> Storefront:
    """Where account acme, which has no credits yet, buys some."""
    service.open()
    service.set_code()
    return Storefront(service, fake, clock)


@pytest.fixture
def no_pauses(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of failures that last: the pauses between retries take no time."""
    service.functions.change(table=replace(service.table, deadline=FakeTime().deadline()))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


@pytest.fixture
def comparisons(service: Service) -> list[int]:
    """One item for each time that a code was hashed."""
    hashes: list[int] = []
    codes = service.codes_of("checkout")

    def counted(peppered: bytes, salt: bytes) -> bytes:
        hashes.append(1)
        return codes.slow_digest(peppered, salt)

    service.functions.change("checkout", codes=lambda _: replace(codes, slow_digest=counted))
    return hashes
