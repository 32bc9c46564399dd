"""Checks every call to the table in these tests against the rights that template.yaml gives the function.

The emulator doesn't evaluate conditions on partition keys: a role that forgets one would be refused in AWS only.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.support.template import actions_of, read_template, statements_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

BY = threading.local()


@cache
def rights_of(function: str) -> dict[str, list[str]]:
    """Patterns of partition keys, by the verb that may be used on them."""
    role = f"{''.join(part.capitalize() for part in function.split('_'))}Role"
    return {
        # Without a condition (only a Scan can have none) it is any partition.
        action.removeprefix("dynamodb:"): statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
        if "Condition" in statement
        else ["*"]
        for statement in statements_of(read_template(), role)
        for action in actions_of(statement)
        if action.startswith("dynamodb:")
    }


@contextmanager
def acting_as(function: str) -> Iterator[None]:
    """Within the with block, this thread's calls to the table count as that function's."""
    outside = getattr(BY, "function", None), getattr(BY, "refused", [])
    BY.function, BY.refused = function, []
    try:
        yield
        assert BY.refused == [], f"{function} has no right to {BY.refused}"
    finally:
        # A request may be made in the middle of another one.
        BY.function, BY.refused = outside


def acting() -> str:
    """The function as which this thread acts."""
    assert BY.function, "only a function asks for this"
    return str(BY.function)


def watch(client: "DynamoDBClient") -> None:
    """Check every call of this client from now on."""
    client.meta.events.register("provide-client-params.dynamodb", _look, unique_id="rights")


def _look(params: dict[str, Any], model: Any, **_: Any) -> None:
    function = getattr(BY, "function", None)
    if function is None:
        return
    for verb, partition in touched(model.name, params):
        if not any(fnmatchcase(partition, pattern) for pattern in rights_of(function).get(verb, [])):
            BY.refused.append((verb, partition))


def touched(operation: str, params: dict[str, Any]) -> list[tuple[str, str]]:
    """Which verbs a call to the table uses on which partitions."""
    if operation == "TransactWriteItems":
        writes = [(verb, params_of) for write in params["TransactItems"] for verb, params_of in write.items()]
        partitions = [(params_of.get("Item") or params_of["Key"])["PK"]["S"] for _, params_of in writes]
        # AWS doesn't document whether a right must cover its own write's keys or all keys of the transaction, so the
        # roles must allow both.
        return [(f"{verb}Item", partition) for verb in sorted({verb for verb, _ in writes}) for partition in partitions]
    if operation == "Query":
        return [("Query", params["ExpressionAttributeValues"][":partition"]["S"])]
    if operation == "BatchGetItem":
        return [
            (operation, key["PK"]["S"]) for params_of in params["RequestItems"].values() for key in params_of["Keys"]
        ]
    if operation == "Scan":
        return [(operation, "*")]
    return [(operation, (params.get("Item") or params["Key"])["PK"]["S"])]
