"""Processes that end in the middle of a request, and calls of the database that fail."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.stripe_line import Call, stripe_tapped

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Killed(BaseException):
    """What no handler catches: the function is gone."""


@contextmanager
def raising(client: "DynamoDBClient", error: BaseException, operation: str, naming: str = "") -> Iterator[None]:
    """For the length of a with block each call of the operation whose parameters contain this text raises the error."""

    def meet(params: dict[str, Any], **_: Any) -> None:
        if naming in repr(params):
            raise error

    event = f"provide-client-params.dynamodb.{operation}"
    client.meta.events.register(event, meet)
    try:
        yield
    finally:
        client.meta.events.unregister(event, meet)


@contextmanager
def killed_before(client: "DynamoDBClient", call: str) -> Iterator[None]:
    """For the length of a with block the function dies before this call, and it comes that far.

    call: of the database, with a text from its keys, as "PutItem PURCHASE#"; or of Stripe, as "POST /v1/customers".
    """

    def meet(sent: Call) -> None:
        if sent.name == call:
            raise Killed

    operation, _, naming = call.partition(" ")
    at_stripe = naming.startswith("/")
    with pytest.raises(Killed), stripe_tapped(meet) if at_stripe else raising(client, Killed(), operation, naming):
        yield
