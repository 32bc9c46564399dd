"""An AWS in this process: moto's DynamoDB and Secrets Manager below botocore. No server and no socket.

moto isn't safe under threads and ignores limits and tokens of transactions: tests/store and tests/stack test those.
"""

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from botocore.session import get_session
from moto import mock_aws
from moto.dynamodb.models.table import Table as MotoTable

from prepaid.store.aws import open_dynamodb
from prepaid.store.dynamodb import Table
from tests.support.store_driver import NO_DEADLINE
from tests.support.template import table_schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


@contextmanager
def aws_in_process() -> Iterator[None]:
    """For the length of a with block every AWS client of this process reaches moto, which is empty at first."""
    with pytest.MonkeyPatch.context() as patch, mock_aws(config={"core": {"mock_credentials": False}}):
        for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
            patch.delenv(name)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setattr(MotoTable, "__deepcopy__", _snapshot, raising=False)
        yield


def _snapshot(table: MotoTable, _: object) -> MotoTable:
    """What moto restores when a transaction fails. It copies the whole table for each item of each transaction.

    Rows are enough: no transaction of ours updates an item in place.
    """
    snapshot = copy.copy(table)
    snapshot.items = table.items.copy()
    for partition, rows in table.items.items():
        snapshot.items[partition] = dict(rows)
    return snapshot


def empty_table() -> Table:
    """A table with the schema that the template deploys."""
    table = Table(client=_database(), name=f"test-{uuid4().hex}", deadline=NO_DEADLINE)
    table.client.create_table(TableName=table.name, **table_schema())
    return table


def create_secrets(texts: Mapping[str, str]) -> None:
    """Secrets by name."""
    for name, text in texts.items():
        _secrets().create_secret(Name=name, SecretString=text)


@cache
def _database() -> "DynamoDBClient":
    return open_dynamodb()


@cache
def _secrets() -> "SecretsManagerClient":
    return get_session().create_client("secretsmanager")  # type: ignore[return-value]
