"""Where the handlers' tests run: an AWS in this process, and no socket but the fake Stripe's."""

from collections.abc import Iterator

import pytest
from pytest_socket import enable_socket, socket_allow_hosts

from tests.support.in_process import Service
from tests.support.moto_fixtures import aws, table

__all__ = ["aws", "table"]


@pytest.fixture
def unchanged(service: Service) -> Iterator[Service]:
    """An account with one credit; the test must write nothing."""
    service.open(credits=1)
    before = service.stored()
    yield service
    assert service.stored() == before


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """A handler that reaches for another address than this machine's fails at once."""
    socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)
    yield
    enable_socket()
