"""What the store's tests stand on: a client to observe, and requests at an empty table for each test."""

from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace

import pytest
from botocore.session import Session, get_session

from prepaid.store.dynamodb import Table, open_client
from tests.support.store_driver import Desk
from tests.support.wire import Wire


@cache
def shared_session() -> Session:
    """Reads the model of DynamoDB's API once: clients are cheap then."""
    return get_session()


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
