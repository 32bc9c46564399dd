"""Events out of the local cloud: `uv run python -m bench.events [--debits 200] [--rate 10] [--backlog 1000] [--write]`.

Prints the table of docs/performance.md, and `--write` renews it: the delay from a debit's response to its event's
arrival at a webhook, and the events a second that the publisher and the deliverer get through. The emulator polls
stream and queue at intervals of its own, and runs each function on this machine, so delays and speeds are its own, too.
`make costs` computes what a million events cost in AWS.
"""

import argparse
import http.client
import json
import os
import platform
import re
import socket
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from local.deploy import client
from local.stack import Options, Stack, local_stack
from prepaid.messaging.webhook import post
from prepaid.store.dynamodb import Deadline, Table, within
from prepaid.store.publishing import read_feed
from tests.support.receiver import Receiver, receiver

DOCUMENT = Path(__file__).parents[1] / "docs/performance.md"
BATCH = 40
POSTS = 500
WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Api:
    """The stack's API."""

    stack: Stack

    def __call__(self, method: str, path: str, client: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.stack.addresses.api_url}/v1/accounts/{path}",
            data=json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self.stack.addresses.tokens[client]}",
                "Content-Type": "application/json",
                "Idempotency-Key": uuid4().hex,
            },
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


def main() -> None:
    """Start a stack with a webhook, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debits", type=int, default=200, help="whose delays are measured, in each round")
    parser.add_argument("--rate", type=float, default=10.0, help="debits a second meanwhile")
    parser.add_argument("--backlog", type=int, default=1000, help="debits that come at once, in each round")
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="renew the table of docs/performance.md")
    options = parser.parse_args()
    connections = [(posts_a_second(post_anew), posts_a_second(KeepAlive())) for _ in range(options.rounds)]
    rounds = measure(options)
    table = "\n".join(lines(options, rounds, connections))
    print(table)
    if options.write:
        DOCUMENT.write_text(renewed(DOCUMENT.read_text("utf-8"), table), "utf-8")


@dataclass(frozen=True, slots=True)
class Round:
    """One round. delays: seconds from each debit's response to its event's arrival.

    published, delivered: the events a second of a backlog.
    """

    delays: Sequence[float]
    published: float
    delivered: float


def measure(options: argparse.Namespace) -> list[Round]:
    """All rounds, on one stack."""
    with ExitStack() as contexts:
        webhook = contexts.enter_context(receiver())
        overrides = {"WebhookTarget": webhook.url}
        stack = contexts.enter_context(
            local_stack(Options(name="bench-events", port=0, stripe_port=0, overrides=overrides))
        )
        api = Api(stack)
        accounts = [
            open_account(api, options.rounds * (options.debits + options.backlog)) for _ in range(options.accounts)
        ]
        wait_for(webhook, {(account, entry) for account in accounts for entry in (1, 2)})
        rounds = []
        for _ in range(options.rounds):
            delays = measure_delays(api, webhook, accounts, options.debits, options.rate)
            rounds.append(Round(delays, *measure_backlog(api, webhook, accounts, options.backlog)))
        return rounds


def open_account(api: Api, credits: int) -> str:
    """An account with credits for every debit. Returns its id."""
    account = f"bench-{uuid4().hex[:12]}"
    api("PUT", account, "admin", {"name": account, "plan": "none"})
    api("POST", f"{account}/grants", "admin", {"credits": 10 * credits, "kind": "promotion", "reason": "bench"})
    return account


def spend(api: Api, account: str) -> tuple[tuple[str, int], float]:
    """The account and number of a debit's entry, and when its response came."""
    spent = api("POST", f"{account}/consumptions", "service", {"feature": "sticker", "quantity": 1})
    return (account, spent["entry"]), time.monotonic()


def spend_batch(api: Api, account: str) -> list[tuple[str, int]]:
    """The account and numbers of the entries of one batch."""
    items = [{"feature": "sticker", "quantity": 1, "idempotency_key": uuid4().hex} for _ in range(BATCH)]
    response = api("POST", f"{account}/consumptions/batch", "service", {"items": items})
    return [(account, result["entry"]) for result in response["results"]]


def arrivals(webhook: Receiver) -> dict[tuple[str, int], float]:
    """When each entry's own event came first."""
    first_arrivals: dict[tuple[str, int], float] = {}
    for delivery in list(webhook.received):
        event = json.loads(delivery.body)
        if event["type"].startswith("prepaid.entry."):
            first_arrivals.setdefault((event["subject"], event["data"]["entry"]), delivery.at)
    return first_arrivals


def wait_for(webhook: Receiver, expected: set[tuple[str, int]]) -> dict[tuple[str, int], float]:
    """The arrivals once all wanted events are there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not expected <= (arrived := arrivals(webhook)).keys():
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(expected - arrived.keys())} events did not arrive")
        time.sleep(0.2)
    return arrived


def measure_delays(api: Api, webhook: Receiver, accounts: list[str], debits: int, rate: float) -> list[float]:
    """Seconds from each response to its event's arrival."""
    with ThreadPoolExecutor(8) as pool:
        futures = []
        for number in range(debits):
            futures.append(pool.submit(spend, api, accounts[number % len(accounts)]))
            time.sleep(1 / rate)
        response_times = dict(future.result() for future in futures)
    arrived = wait_for(webhook, set(response_times))
    return [max(0.0, arrived[entry] - responded_at) for entry, responded_at in response_times.items()]


def measure_backlog(api: Api, webhook: Receiver, accounts: list[str], debits: int) -> tuple[float, float]:
    """The events published a second, and the events delivered a second, while batches of debits come all at once."""
    began = datetime.now(UTC)
    with ThreadPoolExecutor(8) as pool:
        batches = pool.map(lambda number: spend_batch(api, accounts[number % len(accounts)]), range(debits // BATCH))
        expected = {entry for batch in batches for entry in batch}
    arrived = wait_for(webhook, expected)
    return speed(published_at(api.stack, expected, began)), speed(arrived[entry] for entry in expected)


def published_at(stack: Stack, expected: set[tuple[str, int]], since: datetime) -> Iterator[float]:
    """When each entry was published, from the rows of the feed."""
    table = Table(
        client=client(stack.deployed.cloud, "dynamodb"),
        name=stack.addresses.table_name,
        deadline=Deadline(at=0.0),
    )
    hour, end = since.replace(minute=0, second=0, microsecond=0), datetime.now(UTC) + timedelta(minutes=1)
    while hour <= end:
        after = ""
        while rows := read_feed(within(table, WAIT_SECONDS), hour, after=after, before=end, limit=100):
            for row in rows:
                account, _, entry = row.what.partition("#")
                if entry.isdigit() and (account, int(entry)) in expected:
                    yield datetime.fromisoformat(row.sort.partition("#")[0] + "+00:00").timestamp()
            after = rows[-1].sort
        hour += timedelta(hours=1)


def speed(moments: Iterator[float]) -> float:
    """The rate per second from the first moment to the last."""
    times = sorted(moments)
    return (len(times) - 1) / max(times[-1] - times[0], 0.001)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values doesn't exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


# The cost of a new connection for each event compared with a kept one, without a network


HEADERS = {"content-type": "application/json", "webhook-id": "evt_1"}
BODY = json.dumps({"id": "evt_1", "data": "x" * 500})


def post_anew(target: str) -> int:
    """Post as the deliverer does, on a new connection."""
    return post(target, BODY, HEADERS).status


class KeepAlive:
    """Posts on one connection. Reads each response to its end, because the next request can't start before."""

    connection: http.client.HTTPConnection | None = None

    def __call__(self, target: str) -> int:
        parts = urlsplit(target)
        if self.connection is None:
            self.connection = http.client.HTTPConnection(parts.netloc, timeout=10)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.request("POST", parts.path, BODY, HEADERS)
        response = self.connection.getresponse()
        response.read()
        return response.status


class Accepting(BaseHTTPRequestHandler):
    """An endpoint that keeps connections."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def posts_a_second(send: Callable[[str], int], posts: int = POSTS) -> float:
    """The rate at which one caller posts to an endpoint on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Accepting) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        target = f"http://127.0.0.1:{server.server_address[1]}/"
        started = time.perf_counter()
        for _ in range(posts):
            assert send(target) == HTTPStatus.NO_CONTENT
        elapsed = time.perf_counter() - started
        server.shutdown()
    return posts / elapsed


# The table


def lines(
    options: argparse.Namespace, rounds: Sequence[Round], connections: Sequence[tuple[float, float]]
) -> Iterator[str]:
    """The lines of the document's table."""
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    of = f"{options.rounds} rounds, {options.accounts} accounts"
    yield f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine}; {of}."
    yield ""
    yield "| events out of the local cloud | median round | lowest to highest round |"
    yield "|---|---:|---:|"
    at = f"at {options.rate:g} debits a second"
    yield _row(f"delay from a debit's response to its event at the webhook, {at}: median, s", rounds, _median, 2)
    yield _row(f"the same, the 99th percentile of {options.debits} debits, s", rounds, _p99, 2)
    yield _row(
        f"events/s published, of {options.backlog} debits that come at once", rounds, lambda round_: round_.published
    )
    yield _row("events/s delivered to the webhook, of the same", rounds, lambda round_: round_.delivered)
    yield _row("posts/s of one sender to this machine, a connection for each", connections, lambda pair: pair[0])
    yield _row("posts/s on one connection that is kept", connections, lambda pair: pair[1])


def _row[T](name: str, rounds: Sequence[T], value: Callable[[T], float], digits: int = 0) -> str:
    values = [value(round_) for round_ in rounds]
    middle, low, high = (f"{figure:,.{digits}f}" for figure in (statistics.median(values), min(values), max(values)))
    return f"| {name} | {middle} | {low} to {high} |"


def _median(round_: Round) -> float:
    return statistics.median(round_.delays)


def _p99(round_: Round) -> float:
    return percentile(round_.delays, 0.99)


def renewed(document: str, table: str) -> str:
    """The document with this table between its two marks."""
    return re.sub(
        r"(?<=<!-- bench.events -->\n).*(?=\n<!-- end of bench.events -->)",
        lambda _: f"\n{table}\n",
        document,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    main()
