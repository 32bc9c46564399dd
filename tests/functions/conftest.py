"""Where the handlers' tests run: an AWS in this process, and no socket but the fake Stripe's."""

from collections.abc import Iterator

import pytest
from pytest_socket import enable_socket, socket_allow_hosts

from prepaid.store.dynamodb import Table
from tests.support.aws_in_process import aws_in_process, create_secrets, empty_table
from tests.support.handler_fixtures import (
    apps,
    clock,
    comparisons,
    deployment,
    fake,
    impatient,
    output,
    running_fake,
    service,
    till,
)
from tests.support.handlers import secret_texts
from tests.support.in_process import Service

__all__ = [
    "apps",
    "clock",
    "comparisons",
    "deployment",
    "fake",
    "impatient",
    "output",
    "running_fake",
    "service",
    "till",
]


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """An AWS in this process, with what the template keeps in Secrets Manager."""
    with aws_in_process():
        create_secrets(secret_texts())
        yield


@pytest.fixture
def table(aws: None) -> Iterator[Table]:
    """An empty table."""
    table = empty_table()
    yield table
    table.client.delete_table(TableName=table.name)


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
