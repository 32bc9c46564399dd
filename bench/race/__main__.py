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
    """How much to measure. accounts: what stands for 1,000. seconds: of one turn."""

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

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and wait for its result. Raises LocalStackError when the process has ended."""
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"do": what, **arguments}), file=self._process.stdin, flush=True)
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
    """Only the project's own contenders see its packages."""
    return (str(ROOT),) if contender.tool else (str(ROOT), str(ROOT / "layers/prepaid"))


def calibrate() -> float:
    """Seconds of a fixed calculation."""
    began = time.perf_counter()
    for _ in range(CALIBRATION_BLOCKS):
        hashlib.sha256(CALIBRATION_BLOCK).digest()
    return time.perf_counter() - began


def enter(stack: contextlib.ExitStack, effort: Effort) -> tuple[list[Entrant], dict[str, str]]:
    """Those that take part, ready to start, and the reason of each that doesn't."""
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
    """One contender, one case, one round."""
    before, cpu = calibrate(), entrant.engine.cpu_seconds()
    ran = entrant.do("run", callers=callers, accounts=accounts, seconds=seconds)
    after = entrant.engine.cpu_seconds()
    return Turn(
        contender=entrant.contender.name,
        round=number,
        callers=callers,
        accounts=accounts,
        engine_cpu=None if cpu is None or after is None else after - cpu,
        calibrations=(before, calibrate()),
        **{
            name: ran[name] for name in ("debits", "seconds", "p50", "p99", "fewest", "cpu", "units", "errors", "spent")
        },
    )


def race(effort: Effort) -> dict[str, Any]:
    """All turns of all rounds, and what the check of repeated keys found."""
    LOG.unlink(missing_ok=True)
    turns: list[Turn] = []
    with contextlib.ExitStack() as stack:
        entrants, absent = enter(stack, effort)
        for number in range(effort.rounds):
            for callers, asked in CASES:
                accounts = 1 if asked == 1 else effort.accounts
                # The order turns around with each round, so that nobody is always first.
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
    """Run the program. Returns its exit code: 1 when a contender took another sum than it answered."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.race", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten: shows that it works")
    parser.add_argument("--write", action="store_true", help="renew docs/performance.md and its picture")
    parser.add_argument("--from", dest="earlier", type=Path, help="print the result of an earlier run")
    parser.add_argument("--into", type=Path, default=RESULT, help="where the result is kept")
    asked = parser.parse_args(arguments)
    if asked.earlier:
        result = json.loads(asked.earlier.read_text("utf-8"))
    else:
        result = race(QUICK if asked.quick else FULL)
        asked.into.parent.mkdir(parents=True, exist_ok=True)
        asked.into.write_text(json.dumps(result, indent=1), "utf-8")
    print(report.text(result))
    if asked.write:
        report.write(result)
    return 1 if report.inexact(result) else 0


if __name__ == "__main__":
    sys.exit(main())
