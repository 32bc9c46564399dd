"""How the sweep grows with the lots that end: `python -m bench.sweep [--lots 1000 10000] [--peak 1000 10000 30000]`.

The rows of so many accounts, each with a lot that has ended, are written to DynamoDB Local directly; then the sweep's
own code records them. Processor time is of this process only: in AWS, the function's. What a run of 15 minutes can do
in AWS is computed from the calls and the processor time, for an assumed latency of a call.

--peak: the numbers of lots for which memory is measured, in runs of their own, because that slows them down. It is the
peak of Python's objects with eight accounts at once, as in the function, and with its threshold of Python's collector,
which `prepaid` sets.
"""

import argparse
import os
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench.debits import new_table, write_items
from bench.growth import NOW, TERMS
from local.cloud import environment_at
from local.dynamodb_local import dynamodb_local
from prepaid.aws import open_dynamodb
from prepaid.core.account import Account
from prepaid.core.ledger import Grant, apply
from prepaid.store import due
from prepaid.store.catalog import first_catalog
from prepaid.store.due import SweepCheckpoint, save_checkpoint
from prepaid.store.dynamodb import Deadline, Table, within
from prepaid.store.items import GENESIS_HASH, entry_to_item
from prepaid.use_cases.sweeping import PIECE_SECONDS, SweepContext, sweep

LOTS = (1_000, 10_000)
PEAKS = (*LOTS, 30_000)
# The same value as in functions/expiry_sweep.
ACCOUNTS_AT_ONCE = 8
RUN_SECONDS = 880
# The assumed duration of a call to DynamoDB in the same region. A transaction takes longer, a Query less.
CALL_SECONDS = 0.010
GRANTED_AT = NOW - timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """The cost of one run. cpu: seconds of this process."""

    seconds: float
    cpu: float
    calls: int


def rows(lots: int) -> Iterator[dict[str, Any]]:
    """The newest entry of each account, and the row of its lot."""
    for number in range(lots):
        account = Account(
            id=f"account-{number}",
            number=1,
            at=GRANTED_AT,
            terms=TERMS,
            quotas_used={},
            quota_renews_at=NOW + timedelta(days=18),
            lots=(),
        )
        grant = Grant(actor="bench", kind="promotion", credits=10, validity=NOW - timedelta(hours=1))
        [entry] = apply(account, grant, catalog=first_catalog(), now=GRANTED_AT)
        assert entry.lot
        yield entry_to_item(entry, GENESIS_HASH)
        yield due.lot_due_item(account.id, entry.lot)


def filled(lots: int) -> Table:
    """A new table with the rows."""
    table = Table(client=open_dynamodb(), name=new_table(), deadline=Deadline(at=0.0))
    write_items(table, rows(lots))
    save_checkpoint(within(table, PIECE_SECONDS), SweepCheckpoint(day=(NOW - timedelta(days=1)).date()))
    return table


def measure(lots: int, at_once: int) -> Swept:
    """Measure one run over `lots` expired lots."""
    table = filled(lots)
    calls: list[int] = []
    table.client.meta.events.register("before-call.dynamodb", lambda **_: calls.append(1))
    began, cpu = time.perf_counter(), time.process_time()
    run(table, lots, at_once)
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    return Swept(seconds=seconds, cpu=cpu, calls=len(calls))


def peak_of(lots: int) -> int:
    """The peak memory, in bytes, of Python's objects in one run over `lots` expired lots."""
    table = filled(lots)
    tracemalloc.start()
    run(table, lots, ACCOUNTS_AT_ONCE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def run(table: Table, lots: int, at_once: int) -> None:
    """Record the ends of all lots in one run, as the function does."""
    with ThreadPoolExecutor(at_once) as pool:
        swept = sweep(
            SweepContext(
                piece=lambda: within(table, PIECE_SECONDS),
                catalog=first_catalog(),
                now=NOW,
                has_time=lambda: True,
                on_failure=_fail,
                spread=pool.map if at_once > 1 else map,
            )
        )
    assert (swept.recorded, swept.failed, swept.finished) == (lots, 0, True), swept


def _fail(row: due.DueRow, error: Exception) -> None:
    raise AssertionError(row) from error


def in_one_run(cpu_of_a_lot: float, calls_of_a_lot: float) -> int:
    """The lots that one run of 15 minutes can record, limited by one core or by the threads' waiting for DynamoDB."""
    waiting = calls_of_a_lot * CALL_SECONDS / ACCOUNTS_AT_ONCE
    return int(RUN_SECONDS / max(cpu_of_a_lot, waiting))


def main() -> None:
    """Print a row for each number of lots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lots", type=int, nargs="*", default=LOTS)
    parser.add_argument("--peak", type=int, nargs="*", default=PEAKS)
    options = parser.parse_args()
    with dynamodb_local("bench-sweep") as cloud:
        os.environ.update(environment_at(cloud.url))
        if options.lots:
            print("| lots | at once | lots/s | calls a lot | CPU ms a lot | lots in a run on AWS, computed |")
            print("|---:|---:|---:|---:|---:|---:|")
        for lots in options.lots:
            for at_once in (1, ACCOUNTS_AT_ONCE):
                result = measure(lots, at_once)
                cpu, calls = result.cpu / lots, result.calls / lots
                computed = in_one_run(cpu, calls * (ACCOUNTS_AT_ONCE / at_once))
                print(
                    f"| {lots:,} | {at_once} | {lots / result.seconds:,.0f} | {calls:.2f} | {cpu * 1000:.2f} | "
                    f"{computed:,} |",
                    flush=True,
                )
        if options.peak:
            print(f"\n| lots, {ACCOUNTS_AT_ONCE} accounts at once | peak KB |\n|---:|---:|")
        for lots in options.peak:
            print(f"| {lots:,} | {peak_of(lots) / 1024:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
