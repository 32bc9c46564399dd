"""Clients of the database in memory: botocore's own with the model below it, and a quick one for runs of millions.

    attach(client, database, plan)          the real client: serialises, validates, retries, parses; milliseconds a call
    quick_client(client, database, plan)    the same answers, errors and retries without that work; microseconds a call

Both meet the same faults (tests/support/wire.py). plan: from the operation and the number of the call, counted from 1
and botocore's retries included, to the fault it meets. tests/simulation/test_database.py compares the two.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import botocore
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError
from botocore.retries.standard import (
    ThrottledRetryableChecker,
    TransientRetryableChecker,
)

from tests.simulation.database import Answer, Database
from tests.support.aws_responses import json_response
from tests.support.wire import Fault

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Plan = Callable[[str, int], Fault | None]

# Errors that botocore's standard mode retries. The last one is declared in DynamoDB's own model.
RETRIED_CODES = frozenset(
    {
        *TransientRetryableChecker._TRANSIENT_ERROR_CODES,  # type: ignore[attr-defined]
        *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,  # type: ignore[attr-defined]
        "TransactionInProgressException",
    }
)
RETRIED_STATUSES = frozenset(TransientRetryableChecker._TRANSIENT_STATUS_CODES)  # type: ignore[attr-defined]
OK = 200


def no_faults(_operation: str, _call: int) -> None:
    """No faults."""


def attach(client: "DynamoDBClient", database: Database, plan: Plan = no_faults) -> None:
    """Let the database answer every request of a real client: no socket, no signature.

    botocore pauses between its own retries; a test that must not wait patches `botocore.endpoint.time`.
    """
    calls = count(1)

    def before_send(request: AWSPreparedRequest, event_name: str, **_: Any) -> Any:
        operation = event_name.rpartition(".")[2]
        body = json.loads(cast("bytes", request.body))

        def send() -> AWSResponse:
            return _response(*database.answer(operation, body))

        fault = plan(operation, next(calls))
        answered = fault(send) if fault else None
        return send() if answered is None else answered

    client.meta.events.register("before-send.dynamodb", before_send)
    client.meta.events.register("choose-signer.dynamodb", _unsigned)


def quick_client(client: "DynamoDBClient", database: Database, plan: Plan = no_faults) -> "DynamoDBClient":
    """A client with the store's eight calls. client: a real one, only for its error classes and its number of
    attempts."""
    return cast("DynamoDBClient", QuickClient(client, database, plan))


class QuickClient:
    def __init__(self, client: "DynamoDBClient", database: Database, plan: Plan) -> None:
        self.exceptions = client.exceptions
        self.attempts: int = client.meta.config.retries["total_max_attempts"]  # type: ignore[attr-defined]
        self.database, self._plan = database, plan
        self._calls, self._tokens = count(1), count(1)

    def get_item(self, **params: Any) -> Answer:
        return self.call("GetItem", params)

    def query(self, **params: Any) -> Answer:
        return self.call("Query", params)

    def scan(self, **params: Any) -> Answer:
        return self.call("Scan", params)

    def batch_get_item(self, **params: Any) -> Answer:
        return self.call("BatchGetItem", params)

    def put_item(self, **params: Any) -> Answer:
        return self.call("PutItem", params)

    def update_item(self, **params: Any) -> Answer:
        return self.call("UpdateItem", params)

    def delete_item(self, **params: Any) -> Answer:
        return self.call("DeleteItem", params)

    def transact_write_items(self, **params: Any) -> Answer:
        # One token for a call and its retries, as botocore draws it.
        return self.call("TransactWriteItems", {"ClientRequestToken": f"quick-{next(self._tokens)}", **params})

    def close(self) -> None:
        """There is nothing to close."""

    def call(self, operation: str, params: Answer) -> Answer:
        request = on_the_wire(params)
        for attempt in range(1, self.attempts + 1):
            try:
                status, body = self.exchange(operation, request)
            except (EndpointError, HTTPClientError):
                if attempt == self.attempts:
                    raise
                continue
            if status == OK:
                return cast("Answer", off_the_wire(body))
            error = self._error(status, body, operation)
            code = error.response["Error"]["Code"]
            if attempt == self.attempts or (status not in RETRIED_STATUSES and code not in RETRIED_CODES):
                raise error
        raise AssertionError("the last attempt returns or raises")

    def exchange(self, operation: str, request: Answer) -> tuple[int, Answer]:
        fault = self._plan(operation, next(self._calls))
        if fault is None:
            return self.database.answer(operation, request)
        answered = fault(lambda: _response(*self.database.answer(operation, request)))
        if answered is None:
            return self.database.answer(operation, request)
        return answered.status_code, _json(answered.content)

    def _error(self, status: int, body: Answer, operation: str) -> ClientError:
        code = str(body.pop("__type", status)).rpartition("#")[2]
        message = body.pop("message", "")
        parsed: Any = {
            **off_the_wire(body),
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        raised: Any = self.exceptions.from_code(code)
        return cast("ClientError", raised(parsed, operation))


def _response(status: int, body: Answer) -> AWSResponse:
    """A response as botocore's HTTP session returns it."""
    return json_response(body, status)


def _json(content: bytes) -> Answer:
    """A proxy in front of the database responds, perhaps not with JSON."""
    try:
        return cast("Answer", json.loads(content))
    except ValueError:
        return {}


def on_the_wire(value: Any) -> Any:
    """The same with base64 text for bytes."""
    if isinstance(value, dict):
        # Most values are texts, so they are tested first.
        return {name: member if type(member) is str else on_the_wire(member) for name, member in value.items()}
    if isinstance(value, list):
        return [on_the_wire(member) for member in value]
    return b64encode(value).decode() if isinstance(value, bytes) else value


def off_the_wire(value: Any) -> Any:
    """The same with bytes for binary attributes."""
    if isinstance(value, dict):
        return {
            name: BINARY[name](member) if name in BINARY else member if type(member) is str else off_the_wire(member)
            for name, member in value.items()
        }
    return [off_the_wire(member) for member in value] if isinstance(value, list) else value


def _binary(value: Any) -> Any:
    # An attribute may be called B; then its value is an object.
    return b64decode(value) if isinstance(value, str) else off_the_wire(value)


def _binaries(value: Any) -> Any:
    return [b64decode(member) for member in value] if isinstance(value, list) else off_the_wire(value)


BINARY: dict[str, Callable[[Any], Any]] = {"B": _binary, "BS": _binaries}


def _unsigned(**_: Any) -> Any:
    return botocore.UNSIGNED
