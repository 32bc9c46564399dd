"""One DynamoDB table: its client, its calls with their deadline, and its errors, translated once.

Every call here retries what is temporary (throttling, conflicts, no reply) until the table's deadline, then raises
Busy. That is safe for writes too: each carries a condition, or says why it needs none.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError

from prepaid.core.errors import Busy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]

IF_ABSENT = "attribute_not_exists(PK)"

# A deadline ends a loop much earlier; this bounds it should the clock stand still.
MAX_ATTEMPTS = 512
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25
# What one BatchGetItem may ask for. It answers 16 MB at most and names what it leaves out.
BATCH_KEYS = 100

# Codes, of a call or inside a cancelled transaction, that say "not now". botocore retries none of those inside a
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
    """Throttled, in conflict, unreachable or unanswered: a write may or may not have happened. Stays in the store."""


class Conflict(Transient):
    """Another transaction holds one of the items at this moment. Its write may well decide this one's condition."""


@dataclass(eq=False)
class ConditionFailed(Exception):
    """`existing`: for each named write whose condition didn't hold, the item that stands there, or None."""

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
    """The table, the client that reaches it, and the deadline of all that is asked of it."""

    client: "DynamoDBClient"
    name: str
    deadline: Deadline


def within(table: Table, seconds: float) -> Table:
    """The same table for one request, or one piece of a job, that must end in so many seconds from now."""
    return replace(table, deadline=replace(table.deadline, at=table.deadline.clock() + seconds))


def open_client() -> "DynamoDBClient":
    """A client whose time-outs fit inside a function's own. Region and endpoint come from AWS's own environment.

    It sends each call twice at most: a transaction that is sent again carries its token, so a lost reply is recovered.
    Further retries are this module's, which knows the deadline and what botocore doesn't retry.
    """
    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.client("dynamodb", config=config)


def attempts(deadline: Deadline) -> Iterator[int]:
    """Count attempts from 0, with growing, jittered pauses between them, until the deadline; the caller raises Busy."""
    for attempt in range(MAX_ATTEMPTS):
        # Also before the first: a request that did all in time but this one thing is late all the same.
        if deadline.passed():
            return
        yield attempt
        pause = deadline.jitter() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        if deadline.clock() + pause >= deadline.at:
            return
        deadline.sleep(pause)


def _retry[T](table: Table, call: Callable[[], T], *, retry_conflicts: bool = True) -> T:
    """The call's result, retried while the failure is temporary. Raises Busy at the deadline, Conflict if asked to."""
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
    """Do all `writes` or none: arguments by name, of Put, or of ConditionCheck where they have a Key and no Item.

    retry_conflicts: False raises Conflict, for a caller that reads again first: a transaction that fails costs as much
    as one that succeeds. Raises ConditionFailed, Busy. After a lost reply the condition that failed may be this very
    transaction's own.
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
    """The item as it is now (strongly consistent), or None. Raises Busy."""

    def call() -> Item | None:
        with translate_errors():
            return table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True).get("Item")

    return _retry(table, call)


def query(table: Table, partition: str, *, first: str, last: str, limit: int, newest_first: bool = False) -> list[Item]:
    """At most `limit` items of one partition whose sort keys lie in first..last, strongly consistent. One page: a
    short answer doesn't mean the end. Raises Busy."""

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


def scan(
    table: Table, after: Mapping[str, Any] | None, *, limit: int, segment: int = 0, segments: int = 1
) -> tuple[list[Item], dict[str, Any] | None]:
    """One page of everything in the table, or of one of its `segments`, and the key after which the next page begins;
    None after the last. Eventually consistent, and for the verifier only: no request may wait for it.
    Items with one PK come together, in order of their SK. Raises Busy."""
    more: dict[str, Any] = {"ExclusiveStartKey": after} if after else {}

    def call() -> Any:
        with translate_errors():
            return table.client.scan(TableName=table.name, Limit=limit, Segment=segment, TotalSegments=segments, **more)

    page = _retry(table, call)
    return page["Items"], page.get("LastEvaluatedKey")


def get_many(table: Table, wanted: Iterable[Mapping[str, Any]], *, consistent: bool) -> dict[tuple[str, str], Item]:
    """The items of these keys that exist, by PK and SK. Raises Busy, also when the database keeps leaving some out."""
    left = list({(key["PK"]["S"], key["SK"]["S"]): key for key in wanted}.values())
    found: dict[tuple[str, str], Item] = {}
    for start in range(0, len(left), BATCH_KEYS):
        asked = {table.name: {"Keys": left[start : start + BATCH_KEYS], "ConsistentRead": consistent}}
        _retry(table, partial(_get_batch, table, asked, found))
    return found


def _get_batch(table: Table, asked: dict[str, Any], found: dict[tuple[str, str], Item]) -> None:
    """Add the items of one batch to `found`, and leave in `asked` what the database didn't answer."""
    with translate_errors():
        answer: Any = table.client.batch_get_item(RequestItems=asked)
    for item in answer["Responses"].get(table.name, ()):
        found[item["PK"]["S"], item["SK"]["S"]] = item
    asked.clear()
    asked.update(answer.get("UnprocessedKeys") or {})
    if asked:
        raise Transient


def put(table: Table, put: Item) -> None:
    """Write one item under its condition. Raises ConditionFailed({"item": what stands there}), Busy."""

    def call() -> None:
        try:
            with translate_errors():
                table.client.put_item(TableName=table.name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **put)
        except table.client.exceptions.ConditionalCheckFailedException as error:
            existing: Any = error.response.get("Item")
            raise ConditionFailed({"item": existing}) from error

    _retry(table, call)


def delete(table: Table, key: Mapping[str, Any]) -> None:
    """Remove one item, whether or not it is there. Raises Busy."""

    def call() -> None:
        with translate_errors():
            table.client.delete_item(TableName=table.name, Key=key)

    _retry(table, call)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn what botocore raises for "not now" into Transient; everything else passes."""
    try:
        yield
    except (EndpointError, HTTPClientError) as error:
        raise Transient from error
    except ClientError as error:
        # Whatever stands between us and the database may answer 5xx with a code of its own, or none.
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= HTTP_SERVER_ERRORS or error.response.get("Error", {}).get("Code") in TRANSIENT_CODES:
            raise Transient from error
        raise


def _cancelled(error: ClientError, names: tuple[str, ...]) -> Exception:
    """Which named condition was lost, if any was; reasons come in the order of the writes."""
    reasons: list[Mapping[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    named = dict(zip(names, reasons, strict=True))
    lost = {name: reason.get("Item") for name, reason in named.items() if _code(reason) == "ConditionalCheckFailed"}
    if lost:
        return ConditionFailed(lost)
    codes = {_code(reason) for reason in reasons} - {"None"}
    if codes <= TRANSIENT_CODES:
        return Conflict() if "TransactionConflict" in codes else Transient()
    return error


def _code(reason: Mapping[str, Any]) -> str:
    return str(reason.get("Code", "None"))
