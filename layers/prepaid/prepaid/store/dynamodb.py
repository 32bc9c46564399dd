"""One DynamoDB table: its client, its calls with their deadline, and the translation of its errors.

Every call here retries temporary failures (throttling, conflicts, no reply) until the table's deadline, then raises
Busy. That is safe for writes too: each write has a condition, or a comment that explains why it needs none.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError

from prepaid.core.errors import Busy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]

IF_ABSENT = "attribute_not_exists(PK)"

# The deadline ends a retry loop much earlier; this bounds the loop if the clock stops.
MAX_ATTEMPTS = 512
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25
# The most keys in one BatchGetItem. A response holds at most 16 MB and lists the keys that it left out.
BATCH_KEYS = 100

# Codes of temporary failures, of a call or inside a cancelled transaction. botocore doesn't retry those inside a
# cancelled transaction: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
TRANSIENT_CODES = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
HTTP_SERVER_ERRORS = 500


class Transient(Exception):
    """Throttled, in conflict, unreachable or no reply: a write may or may not have happened. Never leaves the store."""


class Conflict(Transient):
    """Another transaction is writing one of the items. Its write may make this transaction's condition fail."""


@dataclass(eq=False)
class ConditionFailed(Exception):
    """A write's condition failed. existing: for each write whose condition failed, the stored item, or None."""

    existing: Mapping[str, Item | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The end of a request's time, `at` seconds on `clock`. `jitter` scales the pauses: a number from 0 to 1."""

    at: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def passed(self) -> bool:
        return self.clock() >= self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The table, its client, and the deadline for every call."""

    client: "DynamoDBClient"
    name: str
    deadline: Deadline


def within(table: Table, seconds: float) -> Table:
    """The same table with a deadline `seconds` from now, for one request or one piece of a job."""
    return replace(table, deadline=replace(table.deadline, at=table.deadline.clock() + seconds))


def within_at_most(table: Table, seconds: float) -> Table:
    """The same table with a deadline `seconds` from now, or its own deadline if that is sooner.

    For an optional part of a request.
    """
    return replace(table, deadline=replace(table.deadline, at=min(table.deadline.at, table.deadline.clock() + seconds)))


def attempts(deadline: Deadline) -> Iterator[int]:
    """Count attempts from 0, with growing, jittered pauses between them, until the deadline; the caller raises Busy."""
    for attempt in range(MAX_ATTEMPTS):
        # Before the first attempt too: a request that reaches its last call after the deadline is late.
        if deadline.passed():
            return
        yield attempt
        pause = deadline.jitter() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        if deadline.clock() + pause >= deadline.at:
            return
        deadline.sleep(pause)


def _retry[T](table: Table, call: Callable[[], T], *, retry_conflicts: bool = True) -> T:
    """The call's result, with temporary failures retried. Raises Busy at the deadline, Conflict unless retried."""
    for _ in attempts(table.deadline):
        try:
            return call()
        except Conflict:
            if not retry_conflicts:
                raise
        except Transient:
            continue
    raise Busy


def transact(table: Table, writes: Mapping[str, Item], *, retry_conflicts: bool = True) -> None:
    """Do all `writes` or none. Each has a name and the arguments of a Put, or of a ConditionCheck if it has no Item.

    retry_conflicts: False raises Conflict, for a caller that reads again first, because a failed transaction costs as
    much as a successful one. Raises ConditionFailed, Busy. After a lost reply, a condition may have failed because this
    transaction itself had succeeded.
    """
    items = [
        {
            "Put" if "Item" in write else "ConditionCheck": {
                "TableName": table.name,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                **write,
            }
        }
        for write in writes.values()
    ]

    def call() -> None:
        try:
            with translate_errors():
                table.client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]
        except table.client.exceptions.TransactionCanceledException as error:
            raise _cancelled(error, tuple(writes)) from error

    _retry(table, call, retry_conflicts=retry_conflicts)


def get(table: Table, key: Mapping[str, Any]) -> Item | None:
    """The item (strongly consistent), or None. Raises Busy."""

    def call() -> Item | None:
        with translate_errors():
            return table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True).get("Item")

    return _retry(table, call)


def query(table: Table, partition: str, *, first: str, last: str, limit: int, newest_first: bool = False) -> list[Item]:
    """At most `limit` items of one partition with sort keys in first..last, strongly consistent. Reads one page, so
    fewer than `limit` items don't mean the end. Raises Busy."""

    def call() -> list[Item]:
        with translate_errors():
            return table.client.query(
                TableName=table.name,
                KeyConditionExpression="PK = :partition AND SK BETWEEN :first AND :last",
                ExpressionAttributeValues={
                    ":partition": {"S": partition},
                    ":first": {"S": first},
                    ":last": {"S": last},
                },
                ScanIndexForward=not newest_first,
                ConsistentRead=True,
                Limit=limit,
            )["Items"]

    return _retry(table, call)


def query_index(
    table: Table, index: str, names: tuple[str, str], partition: str, *, before: str, limit: int
) -> list[Item]:
    """The keys of at most `limit` items of one partition of an index, with sort keys below `before`, highest first.

    names: of the index's key attributes. Eventually consistent: a caller that needs the current item reads it from the
    table. Reads one page, so fewer than `limit` items don't mean the end. Raises Busy.
    """

    def call() -> list[Item]:
        with translate_errors():
            return table.client.query(
                TableName=table.name,
                IndexName=index,
                KeyConditionExpression=f"{names[0]} = :partition AND {names[1]} < :before",
                ExpressionAttributeValues={":partition": {"S": partition}, ":before": {"S": before}},
                ScanIndexForward=False,
                Limit=limit,
            )["Items"]

    return _retry(table, call)


def scan(
    table: Table, after: Mapping[str, Any] | None, *, limit: int, segment: int = 0, segments: int = 1
) -> tuple[list[Item], dict[str, Any] | None]:
    """One page of the whole table, or of one of its `segments`, and the key after which the next page begins (None
    after the last page). Eventually consistent. For the verifier only: no request may wait for a scan.
    Items with the same PK are adjacent, in order of SK. Raises Busy."""
    start: dict[str, Any] = {"ExclusiveStartKey": after} if after else {}

    def call() -> Any:
        with translate_errors():
            return table.client.scan(
                TableName=table.name, Limit=limit, Segment=segment, TotalSegments=segments, **start
            )

    page = _retry(table, call)
    return page["Items"], page.get("LastEvaluatedKey")


def get_many(table: Table, keys: Iterable[Mapping[str, Any]], *, consistent: bool) -> dict[tuple[str, str], Item]:
    """The existing items among these keys, by PK and SK. Raises Busy, also if responses keep leaving out keys."""
    unique = list({(key["PK"]["S"], key["SK"]["S"]): key for key in keys}.values())
    items: dict[tuple[str, str], Item] = {}
    for start in range(0, len(unique), BATCH_KEYS):
        request = {table.name: {"Keys": unique[start : start + BATCH_KEYS], "ConsistentRead": consistent}}
        _retry(table, partial(_get_batch, table, request, items))
    return items


def _get_batch(table: Table, request: dict[str, Any], items: dict[tuple[str, str], Item]) -> None:
    """Add the items of one batch to `found`; leave in `request` the keys that the response left out."""
    with translate_errors():
        response: Any = table.client.batch_get_item(RequestItems=request)
    for item in response["Responses"].get(table.name, ()):
        items[item["PK"]["S"], item["SK"]["S"]] = item
    request.clear()
    request.update(response.get("UnprocessedKeys") or {})
    if request:
        raise Transient


def put(table: Table, write: Item) -> None:
    """Write one item under its condition. Raises ConditionFailed({"item": the stored item}), Busy."""

    def call() -> None:
        try:
            with translate_errors():
                table.client.put_item(TableName=table.name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **write)
        except table.client.exceptions.ConditionalCheckFailedException as error:
            existing: Any = error.response.get("Item")
            raise ConditionFailed({"item": existing}) from error

    _retry(table, call)


def replace_text(table: Table, key: Mapping[str, Any], attribute: str, before: str, after: str) -> None:
    """Replace one text of an item. Raises ConditionFailed when it isn't `before` any more, Busy."""

    def call() -> None:
        try:
            with translate_errors():
                table.client.update_item(
                    TableName=table.name,
                    Key=key,
                    UpdateExpression=f"SET {attribute} = :after",
                    ConditionExpression=f"{attribute} = :before",
                    ExpressionAttributeValues={":before": {"S": before}, ":after": {"S": after}},
                )
        except table.client.exceptions.ConditionalCheckFailedException as error:
            raise ConditionFailed({}) from error

    _retry(table, call)


def delete(table: Table, key: Mapping[str, Any]) -> None:
    """Delete one item if it exists. Raises Busy."""

    def call() -> None:
        with translate_errors():
            table.client.delete_item(TableName=table.name, Key=key)

    _retry(table, call)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate botocore's temporary errors into Transient; other errors pass through."""
    try:
        yield
    except (EndpointError, HTTPClientError) as error:
        raise Transient from error
    except ClientError as error:
        # A proxy in front of the database may return a 5xx with its own code, or with none.
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= HTTP_SERVER_ERRORS or error.response.get("Error", {}).get("Code") in TRANSIENT_CODES:
            raise Transient from error
        raise


def _cancelled(error: ClientError, names: tuple[str, ...]) -> Exception:
    """The error for a cancelled transaction. names: of its writes, in the order of the reasons."""
    reasons: list[Mapping[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    reason_of = dict(zip(names, reasons, strict=True))
    failed = {
        name: reason.get("Item") for name, reason in reason_of.items() if _code(reason) == "ConditionalCheckFailed"
    }
    if failed:
        return ConditionFailed(failed)
    codes = {_code(reason) for reason in reasons} - {"None"}
    if codes <= TRANSIENT_CODES:
        return Conflict() if "TransactionConflict" in codes else Transient()
    return error


def _code(reason: Mapping[str, Any]) -> str:
    return str(reason.get("Code", "None"))
