"""The callers of one contender, in its own environment: `python -m bench.race.caller WAY WHERE`.

Reads a command a line from standard input and prints its result, both as JSON. Only Python's own library is imported
here, because a contender's environment has nothing of the project's.
"""

import contextlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any
from uuid import uuid4

MOST_CALLERS = 32
OPENERS = 8
RETRIED = 20
HOT = "hot"


class Field:
    """A contender's callers and accounts. Cases with one account use an additional one, HOT, in every round."""

    def __init__(self, way: Any, where: str) -> None:
        database = way.prepare(where)
        self.callers = [way.Caller(database) for _ in range(MOST_CALLERS)]
        self.accounts: list[str] = []

    def open(self, accounts: int) -> dict[str, Any]:
        """Create the accounts."""
        self.accounts = [f"account-{number}" for number in range(accounts)]
        with ThreadPoolExecutor(OPENERS) as pool:

            def open_share(number: int) -> None:
                for name in [HOT, *self.accounts][number::OPENERS]:
                    self.callers[number].open(name)

            list(pool.map(open_share, range(OPENERS)))
        return {}

    def run(self, callers: int, accounts: int, seconds: float) -> dict[str, Any]:
        """Debit from `callers` callers for `seconds`, each account in turn. Returns the figures of a Turn."""
        names = [HOT] if accounts == 1 else self.accounts
        before, units = self._spent(names), self._units()
        latencies: list[list[float]] = [[] for _ in range(callers)]
        errors: list[str] = []
        stop = threading.Event()

        def work(number: int) -> None:
            turn = number
            while not stop.is_set():
                began = time.perf_counter()
                try:
                    self.callers[number].debit(names[turn % len(names)], uuid4().hex)
                except Exception as error:  # noqa: BLE001 - each contender has errors of its own
                    errors.append(type(error).__name__)
                else:
                    latencies[number].append(time.perf_counter() - began)
                turn += callers

        cpu = time.process_time()
        elapsed = _together(callers, work, seconds, stop)
        cpu = time.process_time() - cpu
        written = self._units() - units
        durations = sorted(latency for caller_latencies in latencies for latency in caller_latencies)
        debits_by_caller = [len(caller_latencies) for caller_latencies in latencies]
        return {
            "debits": len(durations),
            "seconds": elapsed,
            "p50": statistics.median(durations) if durations else 0.0,
            "p99": durations[int(len(durations) * 0.99)] if durations else 0.0,
            "fewest": min(debits_by_caller) / statistics.mean(debits_by_caller) if durations else 0.0,
            "cpu": cpu,
            "units": written,
            "errors": errors,
            "spent": self._spent(names) - before,
        }

    def check(self) -> dict[str, Any]:
        """Send the same keys from several callers at the same time, then once more one after another."""
        before = self._spent([HOT])
        keys = [uuid4().hex for _ in range(RETRIED)]

        def work(number: int) -> None:
            for key in keys:
                # A contender may refuse the second of two concurrent requests, but must not take another credit.
                with contextlib.suppress(Exception):
                    self.callers[number].debit(HOT, key)

        _together(OPENERS, work)
        work(0)
        return {"keys": RETRIED, "spent": self._spent([HOT]) - before}

    def _spent(self, names: list[str]) -> int:
        return sum(self.callers[0].spent(name) for name in names)

    def _units(self) -> int:
        return sum(caller.units.written for caller in self.callers if hasattr(caller, "units"))


def _together(
    callers: int, work: Callable[[int], None], seconds: float = 0.0, stop: threading.Event | None = None
) -> float:
    """Start all callers at once, set `stop` after `seconds`, and wait for all. Returns the seconds it took."""
    start = threading.Barrier(callers + 1)

    def begin(number: int) -> None:
        start.wait()
        work(number)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    if stop:
        time.sleep(seconds)
        stop.set()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def main() -> None:
    """Run commands until standard input ends."""
    way, where = sys.argv[1:]
    field = Field(import_module(f"bench.race.ways.{way}"), where)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(field, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    main()
