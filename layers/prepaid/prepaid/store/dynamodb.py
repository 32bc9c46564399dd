"""One DynamoDB table: its client, its transactions and its errors, translated once.

Transient     the database couldn't say; asking again is safe, because every write carries its own condition
ConditionFailed a write's condition didn't hold; says which one, by name, and what stands there instead
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError
from botocore.session import get_session

from prepaid.core.errors import Busy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Item = dict[str, Any]

IF_ABSENT = "attribute_not_exists(PK)"

# Patience ends much earlier by its clock; this bounds the loop should the clock stand still.
MAX_ATTEMPTS = 512
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.25
# What one BatchGetItem may ask for. It answers 16 MB at most and names what it left out.
BATCH_KEYS = 100
MAX_BATCH_ROUNDS = 8

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
    """Not now: throttled, in conflict, unreachable or unanswered. The write may or may not have happened."""


@dataclass(eq=False)
class ConditionFailed(Exception):
    """`existing`: for each named write whose condition didn't hold, the item that stands there, or None."""

    existing: Mapping[str, Item | None]


@dataclass(frozen=True, slots=True)
class Table:
    """The table and the client that reaches it."""

    client: "DynamoDBClient"
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to keep trying, and with which clock, sleep and dice."""

    seconds: float = 4.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    dice: Callable[[], float] = random.random


def open_client() -> "DynamoDBClient":
    """A client whose time-outs fit inside a function's own. Region and endpoint come from AWS's own environment.

    It asks twice at most: a transaction sent again so carries its token, and a lost answer is heard after all. The rest
    is ours (`attempts`), which knows the deadline and what botocore doesn't retry.
    """
    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
    return get_session().create_client("dynamodb", config=config)  # type: ignore[return-value]


def attempts(patience: Patience) -> Iterator[int]:
    """Count attempts from 0 with growing, jittered pauses between them, until patience runs out; then raise Busy."""
    deadline = patience.clock() + patience.seconds
    for attempt in range(MAX_ATTEMPTS):
        yield attempt
        pause = patience.dice() * min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10))
        if patience.clock() + pause > deadline:
            break
        patience.sleep(pause)
    raise Busy


def persist[**P, T](patience: Patience, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The call's answer, asked again while the database says "not now". Raises Busy when patience runs out."""
    for _ in attempts(patience):
        try:
            return call(*args, **kwargs)
        except Transient:
            continue
    raise AssertionError("attempts() ends by raising")


def transact(table: Table, writes: Mapping[str, Item]) -> None:
    """Do all `writes` or none: arguments by name, of Put, or of ConditionCheck where they have a Key and no Item.

    Raises ConditionFailed or Transient.
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
    try:
        with translated():
            table.client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]
    except table.client.exceptions.TransactionCanceledException as error:
        raise _cancelled(error, tuple(writes)) from error


def get(table: Table, key: Mapping[str, Any]) -> Item | None:
    """The item as it is now (strongly consistent), or None. Raises Transient."""
    with translated():
        return table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True).get("Item")


def query(table: Table, partition: str, *, first: str, last: str, limit: int, newest_first: bool = False) -> list[Item]:
    """At most `limit` items of one partition whose sort keys lie in first..last, strongly consistent. One page: a
    short answer doesn't mean the end. Raises Transient."""
    with translated():
        return table.client.query(
            TableName=table.name,
            KeyConditionExpression="PK = :partition AND SK BETWEEN :first AND :last",
            ExpressionAttributeValues={":partition": {"S": partition}, ":first": {"S": first}, ":last": {"S": last}},
            ScanIndexForward=not newest_first,
            ConsistentRead=True,
            Limit=limit,
        )["Items"]


def scan(
    table: Table, after: Mapping[str, Any] | None, *, limit: int, segment: int = 0, segments: int = 1
) -> tuple[list[Item], dict[str, Any] | None]:
    """One page of everything in the table, or of one of its `segments`, and the key after which the next page begins;
    None after the last. Eventually consistent, and for whoever verifies only: no request may wait for it.
    Items with one PK come together, in order of their SK. Raises Transient."""
    more: dict[str, Any] = {"ExclusiveStartKey": after} if after else {}
    with translated():
        page: Any = table.client.scan(
            TableName=table.name, Limit=limit, Segment=segment, TotalSegments=segments, **more
        )
    return page["Items"], page.get("LastEvaluatedKey")


def get_many(table: Table, wanted: Iterable[Mapping[str, Any]], *, consistent: bool) -> dict[tuple[str, str], Item]:
    """The items of these keys that exist, by PK and SK. Raises Transient, also when the database left some out."""
    left = list({(key["PK"]["S"], key["SK"]["S"]): key for key in wanted}.values())
    found: dict[tuple[str, str], Item] = {}
    for start in range(0, len(left), BATCH_KEYS):
        asked = {table.name: {"Keys": left[start : start + BATCH_KEYS], "ConsistentRead": consistent}}
        for _ in range(MAX_BATCH_ROUNDS):
            with translated():
                answer: Any = table.client.batch_get_item(RequestItems=asked)  # type: ignore[arg-type]
            for item in answer["Responses"].get(table.name, ()):
                found[item["PK"]["S"], item["SK"]["S"]] = item
            asked = answer.get("UnprocessedKeys") or {}
            if not asked:
                break
        else:
            raise Transient
    return found


def put(table: Table, put: Item) -> None:
    """Write one item under its condition. Raises ConditionFailed({"item": what stands there}) or Transient."""
    try:
        with translated():
            table.client.put_item(TableName=table.name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **put)
    except table.client.exceptions.ConditionalCheckFailedException as error:
        found: Any = error.response.get("Item")
        raise ConditionFailed({"item": found}) from error


def delete(table: Table, key: Mapping[str, Any]) -> None:
    """Remove one item, whether or not it is there. Raises Transient."""
    with translated():
        table.client.delete_item(TableName=table.name, Key=key)


@contextmanager
def translated() -> Iterator[None]:
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
    if all(_code(reason) in TRANSIENT_CODES for reason in reasons if _code(reason) != "None"):
        return Transient()
    return error


def _code(reason: Mapping[str, Any]) -> str:
    return str(reason.get("Code", "None"))
