"""Fixtures of the store's tests: a client whose requests are intercepted, and an empty table for each test."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from uuid import uuid4

import pytest
from botocore.session import Session, get_session

from local.cloud import environment_at
from prepaid.aws import open_dynamodb
from prepaid.store.dynamodb import Table
from tests.support.store_driver import NO_DEADLINE, StoreDriver, create_table
from tests.support.wire import Wire


@cache
def shared_session() -> Session:
    """Reads the model of DynamoDB's API once: clients are cheap then."""
    return get_session()


@pytest.fixture
def table(table_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The client under observation, a new one for each test: after many failures botocore stops retrying."""
    monkeypatch.setattr("boto3.client", shared_session().create_client)
    client = open_dynamodb()
    yield Table(client=client, name=table_name, deadline=NO_DEADLINE)
    client.close()


@pytest.fixture
def table_on_dynamodb_local(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The same on AWS's own emulator: for what MiniStack doesn't do exactly."""
    for name, value in environment_at(dynamodb_local).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.client", shared_session().create_client)
    table = create_table(Table(client=open_dynamodb(), name=f"test-{uuid4().hex}", deadline=NO_DEADLINE))
    yield table
    table.client.close()


@pytest.fixture
def driver(table: Table) -> StoreDriver:
    """The store's operations on this test's table."""
    return StoreDriver(table)


@pytest.fixture
def rival(theirs: Table, table_name: str) -> StoreDriver:
    """Another process on the same table, with its own client."""
    return StoreDriver(replace(theirs, name=table_name))


@pytest.fixture
def wire(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Intercepts the client's requests, to record and to fail them."""
    # botocore's pauses between its retries take real time, and no test is about them.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with Wire.tapped(table.client) as tapped:
        yield tapped
