"""Debits a second: `uv run python -m bench.debits [--endpoint http://127.0.0.1:8000] [--seconds 4]`.

Ours beside what a team writes by hand on the same engine: Powertools' idempotency around a conditional UpdateItem and a
Put of the line (not atomic across its three writes, and one balance without lots). Both start from an empty table, take
one credit a debit, use a client of their own for each thread, and are checked: debits counted = credits gone.
Without --endpoint an emulated DynamoDB is started.
"""

import argparse
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched
from typing import Any
from uuid import uuid4

import boto3
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from local.cloud import REGION, emulator
from prepaid.aws import open_dynamodb
from prepaid.core.account import Terms
from prepaid.core.calendar import floor_to_millisecond
from prepaid.core.errors import Busy
from prepaid.core.ledger import Debit, Grant
from prepaid.store.accounts import Profile
from prepaid.store.catalog import first_catalog
from prepaid.store.dynamodb import Deadline, Item, Table, within
from prepaid.store.ledger import append, read_tail
from prepaid.use_cases.administering import put_account
from prepaid.use_cases.debiting import Crowds, append_debit

CREDITS = 1_000_000
CATALOG = first_catalog()
CASES = ((1, 1), (8, 1), (32, 1), (32, 1000))
# Long enough to wait for a busy account, like a client with retries.
DEADLINE_SECONDS = 60.0
# The most that a call of BatchWriteItem takes.
BATCH = 25
WRITERS = 8


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. debits: the successful ones. refused: those that gave up at the deadline. calls: to the database."""

    debits: int
    refused: int
    calls: int
    seconds: float
    slowest_percent_ms: float


type DebitOnce = Callable[[str, str], None]


class Ours:
    """Entry and claim in one transaction."""

    name = "prepaid"

    def __init__(self, table_name: str) -> None:
        self._table = Table(client=open_dynamodb(), name=table_name, deadline=Deadline(at=0.0))
        self._crowds = Crowds()

    @property
    def table(self) -> Table:
        """The table, for one request."""
        return within(self._table, DEADLINE_SECONDS)

    def open(self, account: str) -> None:
        """Create an account with credits to spend."""
        terms = Terms(plan="none", ai_enabled=False, quota_anchor_day=1, time_zone="America/Sao_Paulo")
        profile = Profile(name=account, language="en", manager_contact=None)
        shared: dict[str, Any] = {"catalog": CATALOG, "now": datetime.now(UTC)}
        put_account(self.table, account, terms, profile, actor="bench", **shared)
        append(
            self.table,
            account,
            Grant(actor="bench", kind="promotion", credits=CREDITS, validity=12),
            idempotency_key="grant",
            **shared,
        )

    def debit(self, account: str, key: str) -> None:
        """Take one credit."""
        append_debit(
            self.table,
            account,
            Debit(actor="bench", feature="sticker", quantity=1),
            catalog=CATALOG,
            now=floor_to_millisecond(datetime.now(UTC)),
            idempotency_key=key,
            crowds=self._crowds,
        )

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        return CREDITS - read_tail(self.table, account).entry.after.available

    @property
    def client(self) -> Any:
        """The client whose calls are counted."""
        return self._table.client


class ByHand:
    """Powertools' idempotency, a conditional counter, a line."""

    name = "by hand"

    def __init__(self, table_name: str) -> None:
        self.client: Any = open_dynamodb()
        self.table_name = table_name
        layer = DynamoDBPersistenceLayer(table_name, key_attr="PK", sort_key_attr="SK", boto3_client=self.client)
        config = IdempotencyConfig(event_key_jmespath="key")
        self._debit = idempotent_function(data_keyword_argument="request", persistence_store=layer, config=config)(
            self._spend
        )

    def open(self, account: str) -> None:
        """Create an account with credits to spend."""
        item = {"PK": {"S": account}, "SK": {"S": "BALANCE"}, "credits": {"N": str(CREDITS)}}
        self.client.put_item(TableName=self.table_name, Item=item)

    def debit(self, account: str, key: str) -> None:
        """Take one credit."""
        self._debit(request={"account": account, "key": key})

    def _spend(self, request: dict[str, str]) -> dict[str, str]:
        response = self.client.update_item(
            TableName=self.table_name,
            Key={"PK": {"S": request["account"]}, "SK": {"S": "BALANCE"}},
            UpdateExpression="ADD credits :minus",
            ConditionExpression="credits >= :one",
            ExpressionAttributeValues={":minus": {"N": "-1"}, ":one": {"N": "1"}},
            ReturnValues="ALL_NEW",
        )
        balance = response["Attributes"]["credits"]
        line = {"PK": {"S": request["account"]}, "SK": {"S": f"LINE#{request['key']}"}, "balance_after": balance}
        self.client.put_item(TableName=self.table_name, Item=line)
        return {"left": balance["N"]}

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        key = {"PK": {"S": account}, "SK": {"S": "BALANCE"}}
        item = self.client.get_item(TableName=self.table_name, Key=key, ConsistentRead=True)["Item"]
        return CREDITS - int(item["credits"]["N"])


def measure(way: type[Ours | ByHand], threads: int, accounts: int, seconds: float) -> Measured:
    """Debit from `threads` threads for `seconds`, each account in turn; then check the sum."""
    table_name = new_table()
    first = way(table_name)
    names = [f"account-{number}" for number in range(accounts)]
    for name in names:
        first.open(name)
    latencies: list[list[float]] = [[] for _ in range(threads)]
    refusals, calls = [0] * threads, [0] * threads
    start = threading.Barrier(threads + 1)
    stop = threading.Event()

    def work(number: int) -> None:
        caller = way(table_name)
        caller.client.meta.events.register("before-call", lambda **_: calls.__setitem__(number, calls[number] + 1))
        start.wait()
        turn = number
        while not stop.is_set():
            began = time.perf_counter()
            try:
                caller.debit(names[turn % accounts], uuid4().hex)
                latencies[number].append(time.perf_counter() - began)
            except Busy:
                refusals[number] += 1
            turn += threads

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter() - began
    durations = sorted(latency for thread_latencies in latencies for latency in thread_latencies)
    spent = sum(first.spent(name) for name in names)
    assert spent == len(durations), f"{len(durations)} debits took {spent} credits"
    return Measured(
        len(durations),
        sum(refusals),
        sum(calls),
        elapsed,
        durations[int(len(durations) * 0.99)] * 1000,
    )


def write_items(table: Table, items: Iterable[Item]) -> None:
    """Write rows from several threads, some thousands at a time, so that they are never all in memory."""

    def write(batch: tuple[Item, ...]) -> None:
        table.client.batch_write_item(RequestItems={table.name: [{"PutRequest": {"Item": item}} for item in batch]})

    with ThreadPoolExecutor(WRITERS) as pool:
        for chunk in batched(items, BATCH * 200, strict=False):
            list(pool.map(write, batched(chunk, BATCH, strict=False)))


def new_table() -> str:
    name = f"bench-{uuid4().hex[:8]}"
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "PK", "AttributeType": "S"},
            {"AttributeName": "SK", "AttributeType": "S"},
        ],
    )
    return name


@contextlib.contextmanager
def engine(endpoint: str | None) -> Iterator[None]:
    """Direct AWS clients to the measured database by environment variables."""
    common = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    if endpoint:
        os.environ.update(common, AWS_ENDPOINT_URL=endpoint)
        yield
        return
    with emulator("bench") as cloud:
        os.environ.update(cloud.environment())
        yield


def main() -> None:
    """Print a row for each case and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", help="of a running emulator, as python -m local.dynamodb_local starts one")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each case and way")
    options = parser.parse_args()
    with engine(options.endpoint):
        print("threads accounts way      debits/s  ratio calls/debit  p99 ms gave up")
        for threads, accounts in CASES:
            rates: list[float] = []
            for way in (ByHand, Ours):
                result = measure(way, threads, accounts, options.seconds)
                rates.append(result.debits / result.seconds)
                print(
                    f"{threads:>7} {accounts:>8} {way.name:<8} {rates[-1]:>8.0f} {rates[-1] / rates[0]:>6.2f} "
                    f"{result.calls / result.debits:>11.1f} {result.slowest_percent_ms:>7.0f} {result.refused:>7}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
