"""Warm requests: `python -m bench.warm [--requests 2000] [--rounds 5]` measures what we add to the database calls.

DynamoDB Local holds the table. The function's own handler answers API Gateway's events in this process, after a first
request. Processor time is of this process only: in AWS, the function's. What passes inside the calls of boto3's client
is the database's part, the rest is the product's own. Beside it stands one GetItem of a bare boto3 client in the same
round. Median of the rounds; the ratio is what counts.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import boto3

from bench.growth import NOW
from bench.reading import a_table, open_with_credits
from local.cloud import environment_at
from local.dynamodb_local import dynamodb_local
from prepaid import wiring
from prepaid.api.balances import SHOW
from prepaid.api.consumptions import CONSUME
from prepaid.api.http.serving import serve
from prepaid.settings import from_environment
from prepaid.store.dynamodb import Table
from prepaid.telemetry import logger
from tests.support.gateway_events import Context, caller, http_event

ACCOUNT = "acme"
CREDITS = 10_000_000
BODY = {"feature": "sticker", "description": "Sticker, square", "customer": "cus_8f14e45f", "reference": "order-000123"}


@dataclass(frozen=True, slots=True)
class Warm:
    """Processor seconds of one request. whole: all of them. own: those outside the database's client."""

    whole: float
    own: float
    calls: float


class TimedClient:
    """A client of boto3 that adds up the processor time of its calls."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.seconds = 0.0
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method) or name == "exceptions":
            return method

        def timed(**arguments: Any) -> Any:
            began = time.process_time()
            try:
                return method(**arguments)
            finally:
                self.seconds += time.process_time() - began
                self.calls += 1

        return timed


def events() -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """The measured requests by name: each call makes a new event."""
    yield (
        "consume",
        lambda: http_event(
            CONSUME.key,
            path={"account": ACCOUNT},
            headers={"idempotency-key": str(uuid4()), "content-type": "application/json"},
            body=json.dumps(BODY),
            claims=caller(),
        ),
    )
    yield "balance", lambda: http_event(SHOW.key, path={"account": ACCOUNT}, claims=caller())


def measured(handler: Any, client: TimedClient, make: Callable[[], dict[str, Any]], requests: int) -> Warm:
    """Measure `requests` requests of one kind."""
    events = [make() for _ in range(requests)]
    context = Context()
    client.seconds, client.calls = 0.0, 0
    began = time.process_time()
    responses = [handler(event, context) for event in events]
    whole = time.process_time() - began
    assert all(response["statusCode"] in (200, 201) for response in responses), responses[0]
    return Warm(whole / requests, (whole - client.seconds) / requests, client.calls / requests)


def bare(table: Table, requests: int) -> float:
    """Processor seconds that one GetItem takes with boto3's client alone."""
    client = boto3.client("dynamodb")
    key = {"PK": {"S": "a"}, "SK": {"S": "b"}}
    client.get_item(TableName=table.name, Key=key, ConsistentRead=True)
    began = time.process_time()
    for _ in range(requests):
        client.get_item(TableName=table.name, Key=key, ConsistentRead=True)
    return (time.process_time() - began) / requests


def main() -> None:
    """Print a row for each kind of request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with dynamodb_local("bench-warm") as cloud, Path(os.devnull).open("w") as nowhere:
        # Each request writes a log line, as in AWS.
        logger.registered_handler.setStream(nowhere)  # type: ignore[attr-defined]
        os.environ.update(environment_at(cloud.url))
        table = a_table()
        os.environ["TABLE_NAME"] = table.name
        open_with_credits(table, ACCOUNT, CREDITS)
        client = TimedClient(table.client)
        deps = replace(
            wiring.build(from_environment()), table=replace(table, client=cast("Any", client)), clock=lambda: NOW
        )
        handler = serve((CONSUME, SHOW), deps)
        rounds: dict[str, list[tuple[Warm, float]]] = {}
        for _ in range(options.rounds):
            call = bare(table, options.requests)
            for name, make in events():
                measured(handler, client, make, 1)
                rounds.setdefault(name, []).append((measured(handler, client, make, options.requests), call))
    print("| request | calls | CPU ms | of it the product's own | own, in calls of a bare GetItem |")
    print("|---|---:|---:|---:|---:|")
    for name, figures in rounds.items():
        whole, own, calls, ratio = (
            statistics.median(values)
            for values in zip(*((w.whole, w.own, w.calls, w.own / call) for w, call in figures), strict=True)
        )
        print(f"| {name} | {calls:.1f} | {whole * 1000:.2f} | {own * 1000:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
