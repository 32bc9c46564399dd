"""What the store's tests stand on: an emulated DynamoDB for the session, an empty table for each test."""

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from uuid import uuid4

import pytest
from botocore.session import Session, get_session

from local.cloud import emulator
from prepaid.store.dynamodb import Table, open_client
from tests.support.store_driver import Desk
from tests.support.template import table_schema
from tests.support.wire import Wire


@cache
def shared_session() -> Session:
    """Reads the model of DynamoDB's API once: clients are cheap then."""
    return get_session()


@pytest.fixture(scope="session")
def cloud(worker_id: str) -> Iterator[None]:
    """An AWS of our own; every AWS client of this process, and of those it starts, finds it and nothing else."""
    with emulator(name=f"store-{worker_id}") as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def theirs(cloud: None) -> Table:
    """Everybody else's client: nothing is injected there."""
    return Table(open_client(), "none")


@pytest.fixture
def table_name(theirs: Table) -> str:
    """A fresh table, with the schema that the template deploys."""
    name = f"test-{uuid4().hex}"
    theirs.client.create_table(TableName=name, **table_schema())
    return name


@pytest.fixture
def table(table_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """The client under observation, a new one for each test: after many failures botocore stops retrying."""
    monkeypatch.setattr("prepaid.store.dynamodb.get_session", shared_session)
    client = open_client()
    yield Table(client, table_name)
    client.close()


@pytest.fixture
def desk(table: Table) -> Desk:
    """Where this test's requests are made."""
    return Desk(table)


@pytest.fixture
def rival(theirs: Table, table_name: str) -> Desk:
    """Somebody else at the same table, through a client of their own."""
    return Desk(Table(theirs.client, table_name))


@pytest.fixture
def wire(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The line between our client and the database, to listen to and to cut."""
    # botocore's own pauses between its retries are real seconds; nothing here is about them.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with Wire.tapped(table.client) as tapped:
        yield tapped
