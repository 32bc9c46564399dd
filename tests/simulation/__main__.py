"""`make simulate N=10000000 SEED=1`: so many operations, seed after seed, on every core, until one fails.

A failing seed prints the shortest history that fails alike, and the command that plays it again.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from os import process_cpu_count

from tests.simulation.play import Failure, play_seed
from tests.simulation.shorten import shorten
from tests.simulation.situations import missed
from tests.simulation.stage import Stage

LENGTH = 500
# Seeds that a process plays before it reports.
BUNDLE = 10
SHORTEN_SECONDS = 120


def main() -> int:
    """Play, and print the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000, help="steps altogether")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--length", type=int, default=LENGTH, help="steps of each seed")
    parser.add_argument("--processes", type=int, default=process_cpu_count() or 1)
    parser.add_argument("--situations", action="store_true", help="print how often everything was seen")
    options = parser.parse_args()
    seeds = max(1, options.operations // options.length)
    seen: Counter[str] = Counter()
    began = time.monotonic()
    for done, failure, found in played(options.seed, seeds, options.length, options.processes):
        seen += found
        if failure:
            print(f"\nSeed {failure.seed} fails at step {failure.done}: {failure.message}")
            print(f"Looking for a shorter history, for at most {SHORTEN_SECONDS} seconds ...", flush=True)
            print(failure_text(failure, options.length))
            return 1
        progress(done, seeds, options.length, time.monotonic() - began)
    print()
    if options.situations:
        print(*(f"{count:>9}  {name}" for name, count in sorted(seen.items())), sep="\n")
    tame = missed(seen, seeds * options.length)
    faults = sum(count for name, count in seen.items() if name.startswith("fault:"))
    rivals = sum(count for name, count in seen.items() if name.startswith("rival:"))
    print(f"{seeds} seeds, {seeds * options.length} operations, {faults} faults, {rivals} rivals: every promise held")
    if tame:
        print(f"But too tame: {tame}")
    return int(bool(tame))


def played(first: int, seeds: int, length: int, processes: int) -> Iterator[tuple[int, Failure | None, Counter[str]]]:
    """Seeds done so far, the first failure of a bundle, and what was seen in it."""
    starts = range(first, first + seeds, BUNDLE)
    bundles = [(start, min(BUNDLE, first + seeds - start), length) for start in starts]
    if processes == 1:
        for number, bundle in enumerate(bundles, start=1):
            yield min(seeds, number * BUNDLE), *play_bundle(bundle)
        return
    with ProcessPoolExecutor(processes) as pool:
        try:
            for number, result in enumerate(pool.map(play_bundle, bundles), start=1):
                yield min(seeds, number * BUNDLE), *result
        finally:
            pool.shutdown(cancel_futures=True)


def play_bundle(bundle: tuple[int, int, int]) -> tuple[Failure | None, Counter[str]]:
    """Some seeds one after the other."""
    first, count, length = bundle
    stage, seen = Stage(), Counter[str]()
    with stage.set():
        for seed in range(first, first + count):
            failure = play_seed(stage, seed, length, seen)
            if failure:
                return failure, seen
    return None, seen


def failure_text(failure: Failure, length: int) -> str:
    """The broken rule, and the shortest history that breaks it."""
    stage, deadline = Stage(), time.monotonic() + SHORTEN_SECONDS
    with stage.set():
        shortest = shorten(stage, failure, lambda: time.monotonic() < deadline)
    steps = (f"  {number}. {step}" for number, step in enumerate(shortest.steps, start=1))
    return "\n".join(
        [
            f"{shortest.message}\n",
            f"after {len(shortest.steps)} steps:",
            *steps,
            "",
            f"Play it again: make simulate N={length} SEED={failure.seed}",
        ]
    )


def progress(done: int, seeds: int, length: int, seconds: float) -> None:
    """One line, rewritten on a terminal."""
    rate = done * length / max(seconds, 0.001)
    left = (seeds - done) * length / rate
    line = f"{done} of {seeds} seeds, {done * length} operations, {rate:.0f}/s, {left:.0f} s left"
    if sys.stdout.isatty():
        print(f"\r{line:<79}", end="", flush=True)
    elif done == seeds or done % (10 * BUNDLE) == 0:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
