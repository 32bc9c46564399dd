"""Fixtures of the tests that run on moto: an AWS in this process and an empty table. A conftest imports them."""

from collections.abc import Iterator

import pytest

from prepaid.store.dynamodb import Table
from tests.support.aws_in_process import aws_in_process, empty_table


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """An AWS in this process."""
    with aws_in_process():
        yield


@pytest.fixture
def table(aws: None) -> Iterator[Table]:
    """An empty table."""
    table = empty_table()
    yield table
    table.client.delete_table(TableName=table.name)
