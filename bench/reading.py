"""How reads grow, and a debit: `python -m bench.reading [--lines 1000 10000 100000] [--rows 10000 100000 1000000]`.

lines: entries of an account whose history is read, as a page of JSON and as a file of CSV, and that debits then, in
DynamoDB Local.
rows: of a table that the verifier reads. DynamoDB Local takes the longer for a page the more rows a table has, so that
table is in this process, and its work counts as the verifier's. A million rows take five gigabytes.
The product's own code reads. Processor time is of this process only: in AWS, the function's. Memory is the peak of
Python's objects while it reads.
"""

import argparse
import os
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from bench.debits import new_table, write_items
from bench.growth import NOW, TERMS, USUAL_DEBIT
from local.cloud import environment_at
from local.dynamodb_local import dynamodb_local
from prepaid import wiring
from prepaid.api import histories
from prepaid.api.http.serving import serve
from prepaid.aws import open_dynamodb
from prepaid.core.ledger import Grant, apply
from prepaid.settings import from_environment
from prepaid.store.accounts import Profile
from prepaid.store.catalog import first_catalog
from prepaid.store.dynamodb import Deadline, Item, Table, within
from prepaid.store.items import SALT_BYTES, entry_to_item, key_digest, request_hash
from prepaid.store.ledger import Effect, append, claim_put, read_tail
from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases.administering import put_account
from prepaid.use_cases.debiting import Crowds, append_debit
from prepaid.use_cases.verifying.checking import PAGE_ROWS, PIECE_SECONDS, VerifyContext
from prepaid.use_cases.verifying.scan_pass import ScanPass, advance, finish
from tests.simulation.database import Answer
from tests.support.apps import silenced
from tests.support.gateway_events import Context, http_event
from tests.support.whole_table import WholeDatabase, WholeTable

LINES = (1_000, 10_000, 100_000)
ROWS = (10_000, 100_000, 1_000_000)
PAGE_LINES = 100
OK = 200
DEBITS = 100
MORE_CREDITS = 1_000
# Each with its claim.
DEBITS_OF_AN_ACCOUNT = 500
PROFILE = Profile(name="Pet & Cia", language="en", manager_contact=None)
DEBIT = replace(USUAL_DEBIT, feature="sticker", quantity=1)
# Long after the rows were written, so that the verifier counts all of them.
LATER = NOW + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The cost of one read. rows: returned or verified. cpu: seconds of this process. peak: bytes."""

    rows: int
    seconds: float
    cpu: float
    calls: int
    peak: int


class LargeDatabase(WholeDatabase):
    """A database that sorts its partitions only once, at the first read. Nothing may be written after that.

    calls: the operations in their order.
    """

    answered_keys = 100

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self._ordered: list[tuple[int, str]] = []

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, Answer]:
        self.calls.append(operation)
        return super().answer(operation, request)

    def partitions_of(self, table: str) -> list[tuple[int, str]]:
        self._ordered = self._ordered or super().partitions_of(table)
        return self._ordered


def a_table() -> Table:
    """A new empty table."""
    return Table(client=open_dynamodb(), name=new_table(), deadline=Deadline(at=0.0))


def open_with_credits(table: Table, account: str, credits: int) -> None:
    """Create an account with `credits` credits."""
    bounded = within(table, PIECE_SECONDS)
    started = NOW - timedelta(days=1)
    put_account(bounded, account, TERMS, PROFILE, actor="bench", catalog=first_catalog(), now=started)
    grant = Grant(actor="bench", kind="promotion", credits=credits, validity=12)
    append(bounded, account, grant, catalog=first_catalog(), now=started)


def fill(table: Table, account: str, debits: int) -> None:
    """Create an account with `debits` debits of one credit each."""
    open_with_credits(table, account, debits + MORE_CREDITS)
    write_items(table, _debited(within(table, PIECE_SECONDS), account, debits))


def _debited(table: Table, account: str, debits: int) -> Iterator[Item]:
    """The entries and claims of `debits` debits."""
    tail = read_tail(table, account)
    entry, last_hash, catalog = tail.entry, tail.hash, first_catalog()
    for number in range(debits):
        key = f"5f1c1b52-6a50-4d0e-9df0-{number:012d}"
        [entry] = apply(entry.after, DEBIT, catalog=catalog, now=NOW)
        item = entry_to_item(replace(entry, key=key_digest(key)), last_hash, bytes(SALT_BYTES))
        last_hash = item["hash"]["B"]
        yield item
        yield claim_put(account, key, Effect(request_hash(DEBIT), entry))["Item"]


def calls_of(table: Table) -> list[str]:
    """A list that gets an item for each call that the table's client makes from now on."""
    calls: list[str] = []
    table.client.meta.events.register("before-call.dynamodb", lambda **_: calls.append("call"))
    return calls


def measured(calls: list[str], read: Callable[[], int]) -> Read:
    """Measure the time of a first read and the memory of a second one, because measuring memory takes time.

    calls: a list that grows with each call to the database.
    """
    before = len(calls)
    began, cpu = time.perf_counter(), time.process_time()
    rows = read()
    cpu, seconds, call_count = time.process_time() - cpu, time.perf_counter() - began, len(calls) - before
    tracemalloc.start()
    read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return Read(rows=rows, seconds=seconds, cpu=cpu, calls=call_count, peak=peak)


def reads_history(table: Table, account: str, accept: str, limit: int | None) -> Callable[[], int]:
    """A function that reads an account's history through the API and returns the number of lines."""
    os.environ["TABLE_NAME"] = table.name
    secrets = Versions(versions_of("cursor secret"))
    deps = replace(wiring.build(from_environment()), table=table, clock=lambda: LATER, cursor_secrets=lambda _: secrets)
    handler = serve((histories.SHOW,), deps)
    event = http_event(
        histories.SHOW.key,
        path={"account": account},
        query={"limit": f"{limit}"} if limit else None,
        headers={"accept": accept},
    )

    def read() -> int:
        with silenced():
            response = handler(event, Context(remaining=25_000))  # type: ignore[arg-type]
        assert response["statusCode"] == OK, response
        # A file also has a line of column names, and a last line if it isn't complete.
        complete = "Next-Cursor" not in response["headers"]
        return limit or response["body"].count("\n") - 1 - (not complete)

    return read


def debits(table: Table, account: str) -> Callable[[], int]:
    """A function that debits an account DEBITS times and returns that number."""

    def debit() -> int:
        for _ in range(DEBITS):
            append_debit(
                within(table, PIECE_SECONDS),
                account,
                DEBIT,
                catalog=first_catalog(),
                now=LATER,
                idempotency_key=uuid4().hex,
                salt=bytes(SALT_BYTES),
                crowds=Crowds(),
            )
        return DEBITS

    return debit


def verifies(table: Table, page_rows: int = PAGE_ROWS) -> Callable[[], int]:
    """A function that verifies the whole table and returns the number of rows."""

    def read() -> int:
        findings: list[Any] = []
        context = VerifyContext(
            piece=partial(within, table, PIECE_SECONDS),
            now=lambda: LATER,
            on_finding=findings.append,
            page_rows=page_rows,
        )
        whole = ScanPass(started_at=LATER)
        while not whole.done:
            advance(context, whole)
        finish(context, [whole])
        assert findings == []
        return whole.read

    return read


def main() -> None:
    """Print a row for each read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, nargs="*", default=LINES)
    parser.add_argument("--rows", type=int, nargs="*", default=ROWS)
    options = parser.parse_args()
    with dynamodb_local("bench-reading") as cloud:
        os.environ.update(environment_at(cloud.url))
        print("| read | stored | rows read | ms a row | CPU ms a row | calls | peak KB |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for lines in options.lines:
            table = a_table()
            fill(table, "acme", lines)
            calls = calls_of(table)
            page = reads_history(table, "acme", "application/json", PAGE_LINES)
            file = reads_history(table, "acme", "text/csv", None)
            _print("page of a history", f"{lines:,} lines", measured(calls, page))
            _print("history as CSV", f"{lines:,} lines", measured(calls, file))
            _print("debit", f"{lines:,} lines", measured(calls, debits(table, "acme")))
        for rows in options.rows:
            database = LargeDatabase()
            table = WholeTable(database).table
            for number in range(max(1, rows // (2 * DEBITS_OF_AN_ACCOUNT))):
                fill(table, f"account-{number}", DEBITS_OF_AN_ACCOUNT)
            _print("verifier", f"{rows:,} rows", measured(database.calls, verifies(table)))


def _print(what: str, stored: str, read: Read) -> None:
    print(
        f"| {what} | {stored} | {read.rows:,} | {read.seconds / read.rows * 1000:.3f} | "
        f"{read.cpu / read.rows * 1000:.3f} | {read.calls:,} | {read.peak / 1024:,.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
