"""One running fake a test module, empty for every test, and a webhook endpoint."""

from collections.abc import Iterator

import pytest
import requests
import stripe
from pytest_socket import enable_socket, socket_allow_hosts

from fake_stripe.server import RunningFake
from fake_stripe.tests.support import KEY, SECRET, Clock, Controls, Receiver, Sdk
from fake_stripe.webhooks import Settings


@pytest.fixture(autouse=True)
def _loopback_only() -> Iterator[None]:
    """A test that reaches for the internet fails at once instead of hanging."""
    socket_allow_hosts(["127.0.0.1", "::1"])
    yield
    enable_socket()


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def running(clock: Clock) -> Iterator[RunningFake]:
    keys: dict[str, dict[str, str] | None] = {KEY: None}
    with RunningFake(api_keys=keys, now=clock) as fake:
        yield fake


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def controls(running: RunningFake) -> Controls:
    return Controls(running.url)


@pytest.fixture
def fake(running: RunningFake, clock: Clock, controls: Controls, endpoint: Receiver) -> Iterator[RunningFake]:
    clock.at = 1_800_000_000.0
    with running.webhooks.changed:
        running.webhooks.settings = Settings(url=endpoint.url, secret=SECRET, retry_seconds=[0.01, 0.02, 0.04])
    endpoint.reset()
    controls.post("reset")
    yield running
    endpoint.reset()
    running.webhooks.discard()
    running.webhooks.drain(5)


@pytest.fixture
def sdk(fake: RunningFake) -> Iterator[Sdk]:
    with requests.Session() as session:
        client = stripe.StripeClient(
            KEY,
            base_addresses={"api": fake.url},
            http_client=stripe.RequestsClient(session=session),
            max_network_retries=0,
        )
        yield Sdk(client)
