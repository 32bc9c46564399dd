"""Intercepts botocore's requests to the database: they can be recorded, delayed, dropped or answered falsely.

A fault is a function of `send`, which makes the real request. It may call it or not, return an answer, raise what the
network would have raised, or return None for "go on as if nothing had happened". botocore's own retries pass here too.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from tests.support.aws_responses import raw_response

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

type Send = Callable[[], AWSResponse]
type Fault = Callable[[Send], AWSResponse | None]

# Read and write units aren't reported unless asked for.
READS = ("GetItem", "Query")
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")


class Wire:
    """calls: the operations sent, in order. read, written: units of capacity that their answers reported."""

    def __init__(self, session: Any) -> None:
        self.calls: list[str] = []
        self.read = 0.0
        self.written = 0.0
        self.chaos: Callable[[str], Fault | None] = lambda _: None
        self._planned: list[tuple[str, Fault]] = []
        self._session = session
        self._lock = Lock()

    @classmethod
    @contextmanager
    def tapped(cls, client: "DynamoDBClient") -> Iterator["Wire"]:
        """Intercept this client's requests within the with block."""
        wire = cls(client._endpoint.http_session)  # type: ignore[attr-defined]
        events = client.meta.events
        hooks: list[tuple[str, Any]] = [("before-send.dynamodb", wire._before_send)]
        for operation in (*READS, *WRITES):
            hooks.append((f"provide-client-params.dynamodb.{operation}", wire._ask_for_units))
            hooks.append((f"after-call.dynamodb.{operation}", wire._add_units))
        hooks.append(("provide-client-params.dynamodb.BatchGetItem", wire._count_keys))
        for name, hook in hooks:
            events.register_first(name, hook)
        try:
            yield wire
        finally:
            for name, hook in hooks:
                events.unregister(name, hook)

    def plan(self, operation: str, *faults: Fault) -> None:
        """Let the next requests of this operation, in turn, meet these faults."""
        self._planned.extend((operation, fault) for fault in faults)

    def always(self, operation: str, fault: Fault) -> None:
        """Let every request of this operation meet the fault, until the plan changes."""
        self.chaos = lambda name: fault if name == operation else None

    def end_faults(self) -> None:
        """No more faults."""
        self._planned.clear()
        self.chaos = lambda _: None

    def forget(self) -> None:
        """Count from here."""
        self.calls.clear()
        self.read = self.written = 0.0

    @property
    def units(self) -> float:
        """Of read and of write capacity together."""
        return self.read + self.written

    @property
    def undone(self) -> int:
        """Planned faults that no request has met yet."""
        return len(self._planned)

    def _before_send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        with self._lock:
            self.calls.append(operation)
            fault = self._next_fault(operation)
        return fault(lambda: self._session.send(request)) if fault else None

    def _next_fault(self, operation: str) -> Fault | None:
        for place, (planned_for, fault) in enumerate(self._planned):
            if planned_for == operation:
                del self._planned[place]
                return fault
        return self.chaos(operation)

    def _ask_for_units(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def _count_keys(self, params: dict[str, Any], **_: Any) -> None:
        """MiniStack reports no units of a BatchGetItem. A key is a unit, with or without an item, up to 4 KB of it."""
        self.read += sum(len(keys["Keys"]) for keys in params["RequestItems"].values())

    def _add_units(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        units = sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))
        if model.name in READS:
            self.read += units
        else:
            self.written += units


def first(act: Callable[[], object]) -> Fault:
    """Another process acts just before this request is sent."""

    def fault(_: Send) -> None:
        act()

    return fault


def nothing(_: Send) -> None:
    """No fault: to leave a request out of a plan."""


def answer_lost(send: Send) -> AWSResponse:
    """The call takes effect, and its response is lost."""
    send()
    raise ReadTimeoutError(endpoint_url="http://database")


def reset_after_commit(send: Send) -> AWSResponse:
    """The same, by a connection that breaks."""
    send()
    raise ConnectionClosedError(endpoint_url="http://database")


def no_answer(_: Send) -> AWSResponse:
    """The request never arrives, which the client knows only after its time-out."""
    raise ReadTimeoutError(endpoint_url="http://database")


def connection_refused(_: Send) -> AWSResponse:
    raise EndpointConnectionError(endpoint_url="http://database")


def refuses(code: str, status: int = 400, **more: Any) -> Fault:
    """The database returns an error and does nothing."""
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **more})
    return answers(status, body.encode())


def cancels(*codes: str) -> Fault:
    """A transaction is cancelled for these reasons, one for each of its writes."""
    return refuses("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


def answers(status: int, body: bytes) -> Fault:
    """A proxy in front of the database responds instead."""

    def fault(_: Send) -> AWSResponse:
        return raw_response(body, status)

    return fault
