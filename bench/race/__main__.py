"""Prepaid beside what a team would use instead: `make bench`, or `python -m bench.race [--quick] [--write]`.

The work is the same for all: take one credit, atomically and once per key, and write a line. Each contender has a
process of its own with 32 connections, and its database starts empty. The contenders take turns within each round, so
that a busy moment of the machine meets all of them. A fixed calculation before and after each turn tells how busy it
was. Only ratios of one run mean anything.

--write renews the table in docs/performance.md and its picture.
"""

import argparse
import contextlib
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.race import report
from bench.race.contenders import ABSENT, CONTENDERS, Contender
from bench.race.engines import Engine
from bench.race.figures import Turn
from local.processes import ROOT, STATE, LocalStackError, own_environment
from local.tools import environment_of

RESULT = STATE / "bench" / "race.json"
CASES = ((1, 1), (8, 1), (32, 1), (1, 1000), (8, 1000), (32, 1000))
CALIBRATION_BLOCK, CALIBRATION_BLOCKS = b"x" * 65_536, 300
LOG = STATE / "log" / "bench" / "callers.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much to measure. accounts: the number in the cases of 1,000 accounts. seconds: the length of one turn."""

    rounds: int
    seconds: float
    accounts: int
    warm_up: float
    compiled: bool


FULL = Effort(rounds=3, seconds=2.5, accounts=1_000, warm_up=2.0, compiled=True)
QUICK = Effort(rounds=1, seconds=0.4, accounts=40, warm_up=0.2, compiled=False)


class Entrant:
    """A contender's process, and its database."""

    def __init__(self, contender: Contender, engine: Engine) -> None:
        self.contender, self.engine = contender, engine
        python = str(environment_of(contender.tool) / "bin" / "python") if contender.tool else sys.executable
        env = {**own_environment(), **engine.env, "PYTHONPATH": os.pathsep.join(_import_path(contender))}
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-m", "bench.race.caller", contender.way, engine.where],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=env,
            )
        try:
            self._answer()
        except LocalStackError:
            self.close()
            raise

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its result. Raises LocalStackError when the process has ended."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": command, **arguments}), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            last = LOG.read_text("utf-8", errors="replace").strip().rpartition("\n")[2]
            raise LocalStackError(f"its process failed: {last[:200]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _import_path(contender: Contender) -> tuple[str, ...]:
    """The import path of a contender's process. Only contenders without a tool see the project's packages."""
    return (str(ROOT),) if contender.tool else (str(ROOT), str(ROOT / "layers/prepaid"))


def calibrate() -> float:
    """Seconds of a fixed calculation."""
    began = time.perf_counter()
    for _ in range(CALIBRATION_BLOCKS):
        hashlib.sha256(CALIBRATION_BLOCK).digest()
    return time.perf_counter() - began


def enter(stack: contextlib.ExitStack, effort: Effort) -> tuple[list[Entrant], dict[str, str]]:
    """The contenders that take part, ready to start, and the reasons why the others don't."""
    running: dict[Callable[[], Any], Engine] = {}
    entrants, absent = [], dict(ABSENT)
    for contender in CONTENDERS:
        if contender.compiled and not effort.compiled:
            absent[contender.name] = "its database is compiled first, which a quick run leaves out"
            continue
        try:
            if contender.engine not in running:
                running[contender.engine] = stack.enter_context(contender.engine())
            entrant = Entrant(contender, running[contender.engine])
            stack.callback(entrant.close)
            entrant.do("open", accounts=effort.accounts)
            for accounts in (1, effort.accounts):
                entrant.do("run", callers=8, accounts=accounts, seconds=effort.warm_up)
        except (LocalStackError, OSError, ValueError) as error:
            absent[contender.name] = f"{error}"
            continue
        entrants.append(entrant)
        print(f"{contender.name} is ready", file=sys.stderr, flush=True)
    return entrants, absent


def take_turn(entrant: Entrant, number: int, callers: int, accounts: int, seconds: float) -> Turn:
    """Measure one contender in one case and round."""
    before, cpu = calibrate(), entrant.engine.cpu_seconds()
    figures = entrant.do("run", callers=callers, accounts=accounts, seconds=seconds)
    after = entrant.engine.cpu_seconds()
    return Turn(
        contender=entrant.contender.name,
        round=number,
        callers=callers,
        accounts=accounts,
        engine_cpu=None if cpu is None or after is None else after - cpu,
        calibrations=(before, calibrate()),
        **{
            name: figures[name]
            for name in ("debits", "seconds", "p50", "p99", "fewest", "cpu", "units", "errors", "spent")
        },
    )


def race(effort: Effort) -> dict[str, Any]:
    """Run all turns of all rounds, and check repeated keys. Returns the result as JSON has it."""
    LOG.unlink(missing_ok=True)
    turns: list[Turn] = []
    with contextlib.ExitStack() as stack:
        entrants, absent = enter(stack, effort)
        for number in range(effort.rounds):
            for callers, case_accounts in CASES:
                accounts = 1 if case_accounts == 1 else effort.accounts
                # Each round reverses the order, so that no contender is always first.
                order = entrants if number % 2 == 0 else entrants[::-1]
                turns += [take_turn(entrant, number, callers, accounts, effort.seconds) for entrant in order]
            print(f"round {number + 1} of {effort.rounds} is done", file=sys.stderr, flush=True)
        keys = {entrant.contender.name: entrant.do("check") for entrant in entrants}
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "effort": asdict(effort),
        "turns": [asdict(turn) for turn in turns],
        "keys": keys,
        "absent": absent,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the program. Returns the exit code: 1 if a contender took another number of credits than it reported."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.race", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten: shows that it works")
    parser.add_argument("--write", action="store_true", help="renew docs/performance.md and its picture")
    parser.add_argument("--from", dest="earlier", type=Path, help="print the result of an earlier run")
    parser.add_argument("--into", type=Path, default=RESULT, help="where the result is kept")
    options = parser.parse_args(arguments)
    if options.earlier:
        result = json.loads(options.earlier.read_text("utf-8"))
    else:
        result = race(QUICK if options.quick else FULL)
        options.into.parent.mkdir(parents=True, exist_ok=True)
        options.into.write_text(json.dumps(result, indent=1), "utf-8")
    print(report.text(result))
    if options.write:
        report.write(result)
    return 1 if report.inexact(result) else 0


if __name__ == "__main__":
    sys.exit(main())
