"""An AWS in this process: four of its services in moto, below botocore. No server and no socket.

moto isn't safe under threads and ignores limits and tokens of transactions: tests/store and tests/stack test those.
"""

import copyreg
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.handlers import disable_signing
from botocore.session import get_session
from moto import backend_index, mock_aws
from moto.core.utils import method_names_from_class
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table as MotoTable

from prepaid.aws import open_dynamodb
from prepaid.store.dynamodb import Table
from tests.support.store_driver import NO_DEADLINE
from tests.support.template import table_schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

SERVICES = ("dynamodb", "events", "secretsmanager", "sqs")
MOTO_QUERY = MotoTable.query
# The place of the index's name among the query's arguments after the partition's key.
INDEX_NAME = 6
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
        # How Python's deepcopy copies a class without a method of its own for it.
        patch.setitem(copyreg.dispatch_table, MotoTable, lambda table: (partial(_snapshot, table), ()))
        # For each call, moto compares its address with those of every service, and lists the operations of its service.
        patch.setattr(backend_index, "backend_url_patterns", _addresses())
        patch.setattr("moto.core.responses.method_names_from_class", cache(method_names_from_class))
        patch.setattr(MotoTable, "query", _query)
        # moto draws 52 letters for the id of each response.
        patch.setattr("moto.core.responses.gen_amzn_requestid_long", lambda _: "a-request-id")
        yield


@cache
def _addresses() -> list[tuple[str, re.Pattern[str]]]:
    """moto's patterns of the services that the functions call."""
    return [(service, pattern) for service, pattern in backend_index.backend_url_patterns if service in SERVICES]


def _snapshot(table: MotoTable) -> MotoTable:
    """What moto restores when a transaction fails. It copies the whole table for each item of each transaction.

    Rows are enough: no transaction of ours updates an item in place.
    """
    snapshot = _shallow_copy(table)
    snapshot.items = table.items.copy()
    for partition, rows in table.items.items():
        snapshot.items[partition] = dict(rows)
    return snapshot


def _shallow_copy(table: MotoTable) -> MotoTable:
    """The same table in another object. copy.copy would look into the same list as deepcopy, and find _snapshot."""
    shallow = object.__new__(type(table))
    vars(shallow).update(vars(table))
    return shallow


def _query(table: MotoTable, hash_key: DynamoType, *args: Any, **named: Any) -> Any:
    """moto's own query, of one partition: moto sorts the whole table for each query."""
    if args[INDEX_NAME]:
        return MOTO_QUERY(table, hash_key, *args, **named)
    partition = _shallow_copy(table)
    partition.items = defaultdict(dict, {hash_key: table.items[hash_key]} if hash_key in table.items else {})
    return MOTO_QUERY(partition, hash_key, *args, **named)


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
    client = open_dynamodb()
    # moto reads no signature.
    client.meta.events.register("choose-signer", disable_signing)
    return client


@cache
def _secrets() -> "SecretsManagerClient":
    return get_session().create_client("secretsmanager")  # type: ignore[return-value]
