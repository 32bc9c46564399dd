"""Where the handlers' tests run: an AWS in this process, and no socket but the fake Stripe's."""

from collections.abc import Iterator
from types import ModuleType

import pytest
from pytest_socket import enable_socket, socket_allow_hosts

from tests.support.aws_in_process import empty_table
from tests.support.functions import Deployment
from tests.support.handlers import Clock, listen, serving
from tests.support.in_process import Service
from tests.support.moto_fixtures import aws, table
from tests.support.store_driver import Stored

__all__ = ["aws", "table"]


@pytest.fixture
def unchanged(service: Service) -> Iterator[Service]:
    """An account with one credit; the test must write nothing."""
    service.open(credits=1)
    before = service.stored()
    yield service
    assert service.stored() == before


@pytest.fixture(scope="module")
def counter(apps: dict[str, ModuleType], deployment: Deployment, aws: None) -> Iterator[Service]:
    """One account in one table for the whole module: nothing here may change either."""
    with pytest.MonkeyPatch.context() as patch:
        table = empty_table()
        for service in serving(deployment.at(apps, table, Clock()), table, listen(patch)):
            service.open("acme", credits=100)
            service.spend(1, key="taken")
            yield service


@pytest.fixture(scope="module")
def untouched(counter: Service) -> Stored:
    """What the module's table holds before its first test."""
    return counter.stored()


@pytest.fixture
def refused(counter: Service, untouched: Stored) -> Iterator[Service]:
    """The functions; after each test the table must be what it was before the first."""
    yield counter
    assert counter.stored() == untouched


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """A handler that reaches for another address than this machine's fails at once."""
    socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)
    yield
    enable_socket()
