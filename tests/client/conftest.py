"""Where the client's tests run: the functions on an AWS in this process, behind a port of the loopback interface."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import enable_socket, socket_allow_hosts

from tests.support.command_line import CommandLine, logged_in
from tests.support.in_process import Service
from tests.support.moto_fixtures import aws, table
from tests.support.served import Served, serve
from tests.support.token_endpoint import TokenEndpoint, token_endpoint

__all__ = ["aws", "table"]


@pytest.fixture
def served(service: Service) -> Iterator[Served]:
    """The service, with no account."""
    with serve(service) as served:
        yield served


@pytest.fixture
def shop(served: Served) -> Served:
    """The service, where account acme has ten credits."""
    served.service.open(credits=10)
    return served


@pytest.fixture
def prepaid(tmp_path: Path, served: Served) -> CommandLine:
    """Logged in as all clients of the service."""
    return logged_in(tmp_path, served.url)


@pytest.fixture
def tokens() -> Iterator[TokenEndpoint]:
    with token_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    # A shell that starts the tests in the background has SIGINT ignored, and the programs of the tests inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
