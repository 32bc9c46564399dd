"""BatchGetItem may leave out keys (UnprocessedKeys): they are requested again, until the deadline."""

import json
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from prepaid.core.errors import Busy
from prepaid.store.dynamodb import Item, Table, get_many
from tests.support.aws_responses import aws_client, json_response
from tests.support.store_driver import FakeTime

NAME = "credits"


class Database:
    """Responds to BatchGetItem with the requested items, but leaves out all keys beyond the first `capacities`.

    requested: the sort keys of each request. The last capacity holds for all further requests.
    """

    def __init__(self, *capacities: int) -> None:
        self.requested: list[list[str]] = []
        self._capacities = list(capacities)
        self._client = aws_client("dynamodb")
        self._client.meta.events.register("before-send.dynamodb", self._respond)
        self.table = Table(client=self._client, name=NAME, deadline=FakeTime().deadline())

    def _respond(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        assert isinstance(request.body, bytes)
        table_request = json.loads(request.body)["RequestItems"][NAME]
        keys = table_request["Keys"]
        self.requested.append([key["SK"]["S"] for key in keys])
        capacity = self._capacities.pop(0) if len(self._capacities) > 1 else self._capacities[0]
        left_out = {NAME: {**table_request, "Keys": keys[capacity:]}} if keys[capacity:] else {}
        return json_response({"Responses": {NAME: keys[:capacity]}, "UnprocessedKeys": left_out})


def key(sort: str) -> Item:
    return {"PK": {"S": "ACCOUNT#acme"}, "SK": {"S": sort}}


def found(*sorts: str) -> dict[tuple[str, str], Item]:
    return {("ACCOUNT#acme", sort): key(sort) for sort in sorts}


def test_keys_that_a_response_leaves_out_are_requested_again() -> None:
    database = Database(2, 0, 1, 1)

    items = get_many(database.table, map(key, "abcd"), consistent=True)

    assert items == found(*"abcd")
    assert database.requested == [["a", "b", "c", "d"], ["c", "d"], ["c", "d"], ["d"]]


def test_responses_that_keep_leaving_out_keys_are_busy() -> None:
    database = Database(1, 0)

    with pytest.raises(Busy):
        get_many(database.table, map(key, "ab"), consistent=True)

    assert database.requested[:2] == [["a", "b"], ["b"]]


def test_a_batch_has_at_most_a_hundred_keys_and_each_once() -> None:
    database = Database(100)
    sorts = [f"{number:03d}" for number in range(201)]

    items = get_many(database.table, map(key, [*sorts, *sorts]), consistent=True)

    assert items == found(*sorts)
    assert [len(keys) for keys in database.requested] == [100, 100, 1]
