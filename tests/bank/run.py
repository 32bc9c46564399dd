"""Runs the bank: starts the processes, kills and freezes them in the middle, starts them again, and collects what is
left in the table.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from botocore.session import get_session

from local.processes import ROOT, own_environment
from prepaid.store.dynamodb import Table
from prepaid.telemetry import Metric
from tests.bank.client import PLAN_FILE
from tests.bank.history import Attempt, read_history
from tests.bank.requests import Plan
from tests.support.store_driver import NO_DEADLINE, Stored, stored
from tests.support.template import table_schema

TABLE = "bank"
LOOK_SECONDS = 0.2
FREEZE_SECONDS = 1.5
# Requests of killed processes may still be on their way.
SETTLE_SECONDS = 2
LONGEST_LINE_BYTES = 16_384
MOST_ERRORS = 10

type Report = Callable[[str], None]


@dataclass(frozen=True)
class Finished:
    """histories: every attempt of every client. items: the raw table. errors: the first lines of what the functions
    logged as wrong. seconds: from first start to last exit."""

    histories: list[Attempt]
    items: Stored
    errors: list[str]
    kills: int
    freezes: int
    seconds: float


@dataclass(frozen=True)
class BankRun:
    """The plan and its result."""

    plan: Plan
    disturbances: int
    finished: Finished


class Processes:
    """The processes of clients, each in its place; one that is killed is followed by another."""

    def __init__(self, plan: Plan, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**own_environment(), **environment}
        self._running = {place: self._start(place) for place in range(plan.processes)}
        self.kills = 0
        self.freezes = 0

    def alive(self) -> list[int]:
        """The places whose process still runs. Raises when one ended badly by itself."""
        for place, process in self._running.items():
            if process.poll() not in {None, 0}:
                raise RuntimeError(f"process {place} failed, see {self._folder / f'process-{place}.log'}")
        return [place for place, process in self._running.items() if process.poll() is None]

    def kill(self, place: int) -> None:
        """Kill without warning and start a successor, unless it was done."""
        if _ended(self._running[place]) != 0:
            self.kills += 1
            self._running[place] = self._start(place)

    def freeze(self, place: int, seconds: float) -> None:
        """Stop in the middle of whatever it does, and let it go on later, as Lambda does between requests."""
        process = self._running[place]
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)
        self.freezes += 1

    def end(self) -> None:
        """Kill all that is left."""
        for process in self._running.values():
            _ended(process)

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        with (self._folder / f"process-{place}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.bank.client", self._folder, str(place)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=ROOT,
            )


def run(plan: Plan, folder: Path, environment: Mapping[str, str], *, disturbances: int, report: Report) -> Finished:
    """The whole run at the empty database that `environment` (AWS's own variables) leads to.

    disturbances: spread evenly over the run; each kills a process, every fifth all of them, every fourth freezes one.
    """
    (folder / PLAN_FILE).write_text(json.dumps(asdict(plan)))
    began = time.monotonic()
    with _new_table(environment) as table:
        with _processes(plan, folder, _function_environment(environment)) as processes:
            try:
                _disturb(plan, folder, processes, disturbances, report)
                while processes.alive():
                    report(f"{_progress(plan, folder)} of {plan.operations} operations, {processes.kills} kills")
                    time.sleep(LOOK_SECONDS)
            except KeyboardInterrupt:
                report("stopped early; what was done is checked")
        seconds = time.monotonic() - began
        time.sleep(SETTLE_SECONDS)
        items = stored(table)
    histories = [attempt for file in sorted(folder.glob("*.jsonl")) for attempt in read_history(file)]
    return Finished(histories, items, _errors(folder), processes.kills, processes.freezes, seconds)


def _disturb(plan: Plan, folder: Path, processes: Processes, disturbances: int, report: Report) -> None:
    dice = Random(plan.seed)
    for number, _ in enumerate(_moments(plan, folder, processes, disturbances, report), start=1):
        alive = processes.alive()
        if number % 4 == 0 and alive:
            processes.freeze(dice.choice(alive), FREEZE_SECONDS)
            continue
        for place in alive if number % 5 == 0 else dice.sample(alive, min(1, len(alive))):
            processes.kill(place)


def _ended(process: subprocess.Popen[bytes]) -> int:
    process.kill()
    if process.stdin:
        process.stdin.close()
    return process.wait()


def _moments(plan: Plan, folder: Path, processes: Processes, count: int, report: Report) -> Iterator[None]:
    """When to disturb: as the run proceeds, however fast this machine is."""
    for number in range(1, count + 1):
        due = plan.operations * number // (count + 1)
        while (done := _progress(plan, folder)) < due:
            if not processes.alive():
                return
            report(f"{done} of {plan.operations} operations, disturbed {number - 1} times")
            time.sleep(LOOK_SECONDS)
        yield


def _progress(plan: Plan, folder: Path) -> int:
    """Operations that were begun, by the last lines of the histories."""
    return sum(_begun(folder / f"{client}.jsonl") for client in range(plan.clients))


def _begun(file: Path) -> int:
    if not file.exists():
        return 0
    with file.open("rb") as history:
        history.seek(max(0, file.stat().st_size - 4 * LONGEST_LINE_BYTES))
        lines = history.read().splitlines()
    for line in reversed(lines):
        if line.startswith(b'{"index":'):
            return int(line.removeprefix(b'{"index":').partition(b",")[0]) + 1
    return 0


def _errors(folder: Path) -> list[str]:
    lines = [line for file in sorted(folder.glob("process-*.log")) for line in file.read_text("utf-8").splitlines()]
    # Refusals are normal here, and each is counted.
    return [line for line in lines if f'"{Metric.SPENDING_REFUSED}":[' not in line][:MOST_ERRORS]


@contextmanager
def _processes(plan: Plan, folder: Path, environment: Mapping[str, str]) -> Iterator[Processes]:
    processes = Processes(plan, folder, environment)
    try:
        yield processes
    finally:
        processes.end()


def _function_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        **environment,
        "TABLE_NAME": TABLE,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "layers/prepaid"), str(ROOT)]),
        "POWERTOOLS_SERVICE_NAME": "bank",
        "POWERTOOLS_METRICS_NAMESPACE": "Prepaid",
        # Refusals are normal here; only errors are wrong.
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }


@contextmanager
def _new_table(environment: Mapping[str, str]) -> Iterator[Table]:
    client: Any = get_session().create_client(
        "dynamodb",
        region_name=environment["AWS_REGION"],
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_table(TableName=TABLE, **table_schema())
    yield Table(client=client, name=TABLE, deadline=NO_DEADLINE)
    client.close()
