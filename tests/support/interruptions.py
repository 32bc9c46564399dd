"""Processes that end in the middle of a request, calls of the database that fail, and what else happens meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.support.stripe_line import Call, stripe_tapped

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")


class Killed(BaseException):
    """The function's process ended. No handler catches this."""


@contextmanager
def _listening(client: "DynamoDBClient", event: str, meet: Callable[..., None]) -> Iterator[None]:
    client.meta.events.register(event, meet)
    try:
        yield
    finally:
        client.meta.events.unregister(event, meet)


@contextmanager
def raising(client: "DynamoDBClient", error: BaseException, operation: str, naming: str = "") -> Iterator[None]:
    """For the length of a with block each call of the operation whose parameters contain this text raises the error."""

    def meet(params: dict[str, Any], **_: Any) -> None:
        if naming in repr(params):
            raise error

    with _listening(client, f"provide-client-params.dynamodb.{operation}", meet):
        yield


@contextmanager
def killed_before(client: "DynamoDBClient", call: str) -> Iterator[None]:
    """Within the with block the function's process ends before this call. Fails if the call is never made.

    call: of the database, with a text from its keys, as "PutItem PURCHASE#"; or of Stripe, as "POST /v1/customers".
    """

    def meet(sent: Call) -> None:
        if sent.name == call:
            raise Killed

    operation, _, naming = call.partition(" ")
    at_stripe = naming.startswith("/")
    with pytest.raises(Killed), stripe_tapped(meet) if at_stripe else raising(client, Killed(), operation, naming):
        yield


@contextmanager
def killed_after(client: "DynamoDBClient", writes: int) -> Iterator[None]:
    """Within the with block the function's process ends after this many writes. Fails if it makes fewer."""
    left = writes

    def meet(model: Any, **_: Any) -> None:
        nonlocal left
        left -= model.name in WRITES
        if not left:
            raise Killed

    with pytest.raises(Killed), _listening(client, "after-call.dynamodb", meet):
        yield


@contextmanager
def losing_replies(client: "DynamoDBClient", operation: str) -> Iterator[None]:
    """Within the with block the response to each successful call of the operation is lost. A retry gets one."""

    def meet(http_response: Any, **_: Any) -> None:
        if http_response.status_code < 300:
            raise ReadTimeoutError(endpoint_url=client.meta.endpoint_url)

    with _listening(client, f"after-call.dynamodb.{operation}", meet):
        yield


@contextmanager
def rivalled(client: "DynamoDBClient", operation: str, rival: Callable[[], object], *, call: int = 1) -> Iterator[None]:
    """Within the with block the rival acts before the `call`th call of the operation. Fails without such a call."""
    calls = 0

    def meet(**_: Any) -> None:
        nonlocal calls
        # The rival's own calls are not interrupted: by then, the count is past this one.
        calls += 1
        if calls == call:
            rival()

    with _listening(client, f"before-call.dynamodb.{operation}", meet):
        yield
    assert calls >= call


@contextmanager
def short_pages(client: "DynamoDBClient", items: int) -> Iterator[None]:
    """For the length of a with block a page of a query ends after this many items, as it does in AWS after 1 MB."""

    def meet(params: dict[str, Any], **_: Any) -> None:
        params["Limit"] = min(params["Limit"], items)

    with _listening(client, "provide-client-params.dynamodb.Query", meet):
        yield
