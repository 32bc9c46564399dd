"""Many callers on one account: `uv run python -m bench.crowd [--callers 32] [--seconds 10] [--conflicts]`.

Debits that wait for each other (use_cases/debiting.py) beside the plain loop of `append`, in which each caller reads,
writes and tries again. One run on DynamoDB Local: the ratios are what counts. Beside the callers, another thread grants
a credit every second, unless `--no-grants` is given: a grant ends the luck of a caller that never loses a race.
Each way is checked: the ledger has as many debits as were answered, one for each key.

Units are computed from the items' sizes, of transactions that failed as well, because both are billed. CPU is of this
process and of the database. Without --endpoint a database is started.

DynamoDB cancels a transaction in conflict when another one holds one of its items, and DynamoDB Local never does.
--conflicts cancels each transaction that begins while another one is under way.
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.awsrequest import AWSResponse

from bench.debits import CATALOG, DEADLINE_SECONDS, Ours, new_table
from bench.item_sizes import KILOBYTE, size
from local.cloud import environment_at
from local.dynamodb_local import dynamodb_local
from prepaid.core.calendar import floor_to_millisecond
from prepaid.core.errors import Busy
from prepaid.core.ledger import Debit, Grant
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import append, entries_from, read_tail
from prepaid.use_cases.debiting import append_debit
from tests.simulation.watched_database import in_conflict
from tests.support.aws_responses import json_response

ACCOUNT = "hot"
GRANTS_EVERY_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")
WAYS = ("loop", "waiting")


@dataclass
class Counted:
    """The counts of one caller.

    calls: by operation and kind of row. tried: transactions. read: read units. units: write units.
    lost: write units of failed transactions. conflicts: transactions that overlapped with another one.
    latencies: the seconds of each debit, and the seconds that it paused.
    """

    calls: Counter[str] = field(default_factory=Counter)
    tried: int = 0
    read: int = 0
    units: int = 0
    lost: int = 0
    conflicts: int = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    busy: int = 0


class Caller(Ours):
    """One client, like that of one warm function. under_way: the lock of the running transaction; None without
    conflicts."""

    def __init__(self, table_name: str, way: str, under_way: threading.Lock | None = None) -> None:
        super().__init__(table_name)
        self.way, self.counted, self._last = way, Counted(), 0
        self._under_way, self._holds = under_way, False
        self.paused = 0.0
        events: Any = self.client.meta.events
        events.register("provide-client-params.dynamodb", self._count_call)
        events.register("provide-client-params.dynamodb.PutItem", self._count_put)
        events.register("provide-client-params.dynamodb.TransactWriteItems", self._count_transaction)
        events.register("before-send.dynamodb.TransactWriteItems", self._begin)
        events.register("after-call.dynamodb.TransactWriteItems", self._end)
        events.register("after-call-error.dynamodb.TransactWriteItems", self._end)
        events.register("after-call.dynamodb", self._count_read)

    @property
    def table(self) -> Table:
        """The table, for one request whose pauses are counted."""
        table = super().table
        return replace(table, deadline=replace(table.deadline, sleep=self._pause))

    def _pause(self, seconds: float) -> None:
        began = time.perf_counter()
        time.sleep(seconds)
        self.paused += time.perf_counter() - began

    def debit(self, account: str, key: str) -> None:
        """Take one credit."""
        debit, now = Debit(actor="bench", feature="sticker", quantity=1), floor_to_millisecond(datetime.now(UTC))
        if self.way == "loop":
            append(self.table, account, debit, catalog=CATALOG, now=now, idempotency_key=key)
        else:
            append_debit(self.table, account, debit, catalog=CATALOG, now=now, idempotency_key=key, crowds=self._crowds)

    def grant(self, account: str) -> None:
        """Grant one credit."""
        grant = Grant(actor="bench", kind="adjustment", credits=1, validity=12)
        append(self.table, account, grant, catalog=CATALOG, now=datetime.now(UTC))

    def _count_call(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.counted.calls[f"{model.name} {_kind(params)}".strip()] += 1

    def _count_put(self, params: dict[str, Any], **_: Any) -> None:
        self.counted.units += _units(params["Item"])

    def _count_transaction(self, params: dict[str, Any], **_: Any) -> None:
        self.counted.tried += 1
        self._last = sum(2 * _units(write["Put"]["Item"]) for write in params["TransactItems"])
        self.counted.units += self._last

    def _begin(self, request: Any, **_: Any) -> AWSResponse | None:
        if self._under_way is None or self._holds:
            return None
        self._holds = self._under_way.acquire(blocking=False)
        if self._holds:
            return None
        self.counted.conflicts += 1
        status, body = in_conflict("TransactWriteItems", json.loads(request.body))
        return json_response(body, status)

    def _end(self, http_response: Any = None, **_: Any) -> None:
        if self._holds and self._under_way:
            self._holds = False
            self._under_way.release()
        if http_response is None or http_response.status_code >= HTTPStatus.BAD_REQUEST:
            self.counted.lost += self._last

    def _count_read(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        """Add the read units. A Query's page is rounded up as a whole, items read by key one by one."""
        if model.name == "Query":
            self.counted.read += _read_units(sum(map(size, parsed.get("Items", ()))))
        elif model.name == "GetItem":
            self.counted.read += _read_units(size(parsed.get("Item", {})))
        elif model.name == "BatchGetItem":
            rows = [row for rows in parsed.get("Responses", {}).values() for row in rows]
            self.counted.read += sum(_read_units(size(row)) for row in rows)


def _kind(params: dict[str, Any]) -> str:
    """The kind of row that a call reads or writes."""
    key = (
        params.get("Key") or params.get("Item") or {"PK": params.get("ExpressionAttributeValues", {}).get(":partition")}
    )
    kind = key["PK"]["S"].partition("#")[0].lower() if key["PK"] else ""
    return f"{kind}, one row" if params.get("Limit") == 1 else kind


def _units(item: dict[str, Any]) -> int:
    """The write units of one item outside a transaction."""
    return math.ceil(size(item) / KILOBYTE)


def _read_units(bytes_: int) -> int:
    return max(1, math.ceil(bytes_ / (4 * KILOBYTE)))


def measure(
    way: str, callers: int, seconds: float, server: int | None, *, grants: bool, conflicts: bool
) -> dict[str, float]:
    """Measure one way to debit, on a new account with plenty of credits."""
    under_way = threading.Lock() if conflicts else None
    table_name = new_table()
    granter = Caller(table_name, way, under_way)
    granter.open(ACCOUNT)
    debiters = [Caller(table_name, way, under_way) for _ in range(callers)]
    start, stop = threading.Barrier(callers + 2), threading.Event()
    granted: list[float] = []

    def work(caller: Caller) -> None:
        start.wait()
        while not stop.is_set():
            before = caller.paused
            latency = _timed(lambda: caller.debit(ACCOUNT, uuid4().hex))
            if latency is None:
                caller.counted.busy += 1
            else:
                caller.counted.latencies.append((latency, caller.paused - before))

    def give() -> None:
        start.wait()
        while not stop.wait(GRANTS_EVERY_SECONDS if grants else None):
            latency = _timed(lambda: granter.grant(ACCOUNT))
            granted.append(DEADLINE_SECONDS if latency is None else latency)

    threads = [threading.Thread(target=work, args=(caller,)) for caller in debiters]
    threads.append(threading.Thread(target=give))
    for thread in threads:
        thread.start()
    start.wait()
    began, cpu, server_cpu = time.perf_counter(), time.process_time(), _cpu_of(server)
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - began
    cpu, server_cpu = time.process_time() - cpu, _cpu_of(server) - server_cpu
    latencies = sorted(latency for caller in debiters for latency in caller.counted.latencies)
    durations, slowest = [seconds for seconds, _ in latencies], latencies[-math.ceil(len(latencies) / 20) :]
    _check(granter, len(durations), sum(caller.counted.busy for caller in debiters))
    kinds = sum((caller.counted.calls for caller in debiters), Counter[str]())
    per_caller = [len(caller.counted.latencies) for caller in debiters]

    def each(of: Callable[[Counted], int]) -> float:
        return sum(of(caller.counted) for caller in debiters) / len(durations)

    return {
        "debits/s": len(durations) / elapsed,
        "p50 ms": statistics.median(durations) * 1000,
        "p99 ms": durations[int(len(durations) * 0.99)] * 1000,
        "paused, of slowest 5 %": sum(paused for _, paused in slowest) / sum(seconds for seconds, _ in slowest),
        "calls": each(lambda counted: counted.calls.total()),
        "tried": each(lambda counted: counted.tried),
        "in conflict": each(lambda counted: counted.conflicts),
        "read units": each(lambda counted: counted.read),
        "write units": each(lambda counted: counted.units),
        "of them lost": each(lambda counted: counted.lost),
        "CPU ms": cpu / len(durations) * 1000,
        "server CPU ms": server_cpu / len(durations) * 1000,
        "both CPU ms": (cpu + server_cpu) / len(durations) * 1000,
        "slowest/mean": min(per_caller) / statistics.mean(per_caller),
        "busy": sum(caller.counted.busy for caller in debiters),
        "grants": len(granted),
        "grant p50 ms": statistics.median(granted) * 1000 if granted else 0.0,
        "grant max ms": max(granted, default=0.0) * 1000,
        **{f"  {kind}": calls / len(durations) for kind, calls in sorted(kinds.items())},
    }


def _timed(act: Callable[[], None]) -> float | None:
    """The seconds that `act` took; None if it gave up."""
    began = time.perf_counter()
    try:
        act()
    except Busy:
        return None
    return time.perf_counter() - began


def _check(caller: Caller, answered: int, busy: int) -> None:
    """Require that the ledger has every debit that got a response, and no more besides than those that gave up."""
    tail = read_tail(caller.table, ACCOUNT)
    entries = list(entries_from(caller.table, ACCOUNT, first=1, last=tail.entry.number))
    keys = [entry.key for entry in entries if entry.type == "consumption"]
    assert answered <= len(keys) <= answered + busy, f"{answered} answered, {len(keys)} in the ledger"
    for previous, entry in pairwise(entries):
        available = previous.after.available + entry.credits
        assert entry.after.available == available, f"entry {entry.number} has another balance"


def _cpu_of(process: int | None) -> float:
    """CPU seconds of a process and of its children."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(_cpu_of(int(child)) for child in children)


@contextlib.contextmanager
def _database(endpoint: str | None) -> Iterator[int | None]:
    """The process id of the database, or None if `endpoint` is another program's."""
    if endpoint:
        os.environ.update(environment_at(endpoint))
        yield None
        return
    with dynamodb_local("bench-crowd") as cloud:
        os.environ.update(environment_at(cloud.url))
        yield cloud.program.supervisor.pid


def main() -> None:
    """Print a column for each way, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each way")
    parser.add_argument("--no-grants", action="store_true", help="nothing but debits")
    parser.add_argument("--conflicts", action="store_true", help="cancel transactions that overlap")
    parser.add_argument("--endpoint", help="of a running DynamoDB Local")
    options = parser.parse_args()
    with _database(options.endpoint) as server:
        loop, waiting = (
            measure(
                way,
                options.callers,
                options.seconds,
                server,
                grants=not options.no_grants,
                conflicts=options.conflicts,
            )
            for way in WAYS
        )
    print(f"{f'{options.callers} callers, 1 account':<30} {'loop':>10} {'waiting':>10} {'ratio':>7}")
    for name in loop | waiting:
        loop_figure, waiting_figure = loop.get(name, 0.0), waiting.get(name, 0.0)
        ratio = waiting_figure / loop_figure if loop_figure else math.nan
        print(f"{name:<30} {loop_figure:>10.2f} {waiting_figure:>10.2f} {ratio:>7.2f}")


if __name__ == "__main__":
    main()
