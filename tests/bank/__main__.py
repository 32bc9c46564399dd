"""The bank run by hand: `make bank OPERATIONS=100000 DATABASE=dynamodb-local PROCESSES=4 THREADS=64`."""

import argparse
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from local.cloud import Cloud, emulator
from local.dynamodb_local import dynamodb_local
from local.processes import STATE
from tests.bank.checker import check
from tests.bank.requests import Plan
from tests.bank.run import Finished, run

DATABASES = {"ministack": emulator, "dynamodb-local": dynamodb_local}
# Operations per disturbance.
QUIET = 1000
SHOWN_FAULTS = 20


def database(name: str) -> AbstractContextManager[Cloud]:
    """An empty database."""
    return DATABASES[name](f"bank-{name}")


def plan_of(operations: int, processes: int, threads: int, seed: int) -> Plan:
    """threads: in all, shared out evenly. A cold account sees about a hundred requests."""
    return Plan(
        seed=seed,
        operations=operations,
        processes=processes,
        threads=threads // processes,
        hot=4,
        cold=max(10, operations // 100),
        started_at=time.time(),
        lasts_seconds=10 + operations / 100,
    )


def bank(plan: Plan, folder: Path, environment: Mapping[str, str], *, disturbances: int) -> Finished:
    """A run that prints its progress."""
    shown = sys.stderr.isatty()
    return run(
        plan,
        folder,
        environment,
        disturbances=disturbances,
        report=lambda text: print(f"\r{text:<70}", end="", file=sys.stderr, flush=True) if shown else None,
    )


def main() -> None:
    """Run, check and print the faults; exit status 1 if there are any. Ctrl-C ends the run early and checks it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bank", description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--database", choices=DATABASES, default="dynamodb-local")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=64, help="in all processes together")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.threads % options.processes:
        parser.error(f"{options.threads} threads can't be shared out evenly to {options.processes} processes")
    folder = STATE / "bank" / options.database
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with database(options.database) as running:
        plan = plan_of(options.operations, options.processes, options.threads, options.seed)
        finished = bank(plan, folder, running.environment(), disturbances=max(5, options.operations // QUIET))
    verdict = check(finished.histories, finished.items)
    print(
        f"\n{options.database}, seed {options.seed}: {finished.seconds:.0f} s, {finished.kills} kills, "
        f"{finished.freezes} freezes\n"
        + "\n".join(f"{name:>14} {count}" for name, count in sorted((verdict.counts + verdict.totals).items()))
    )
    if verdict.faults or finished.errors:
        listed = "\n".join([*finished.errors, *verdict.faults[:SHOWN_FAULTS]])
        sys.exit(f"{len(verdict.faults)} faults, {len(finished.errors)} errors logged; see {folder}\n{listed}")
    print("every account is linearizable, totals are exact")


if __name__ == "__main__":
    main()
