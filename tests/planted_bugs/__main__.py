"""`make planted-bugs`: plants each bug in a copy of the tree and runs the tests that should find it.

If they don't find it, the tests of the code around it run, from the core to the simulation. A bug that no test
finds survives, and that is a failure. So is a test that couldn't be set up, because it tells nothing about the bug.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from typing import Literal

from tests.planted_bugs.anchors import NotFound, find_site, find_test, read_definitions, read_tests, with_bug
from tests.planted_bugs.bug import Bug
from tests.planted_bugs.bugs import AREAS

ROOT = Path(__file__).parents[2]
ALL_TESTS = ("tests/unit/core", "tests/property", "tests/store", "tests/functions", "tests/client", "tests/simulation")
LONGEST_SECONDS = 1200
TESTS_FAILED = 1
FIRST_FAILURE = re.compile(r"^FAILED (\S+?)(?:\[| |$)", re.MULTILINE)

Fate = Literal["found", "found by another test", "SURVIVED", "NOT RUN"]


@dataclass(frozen=True, slots=True)
class Planting:
    """A bug that can be planted. path: the file, from the root. sound, planted: its text without and with the bug."""

    bug: Bug
    path: Path
    sound: str
    planted: str
    found_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """by: the first test that failed, or why none was run."""

    planting: Planting
    fate: Fate
    by: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="make planted-bugs", description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--area", default="", choices=["", *AREAS], help="bugs of this area")
    parser.add_argument("--only", default="", help="bugs whose name contains this text")
    parser.add_argument("--sample", type=int, default=0, help="so many of them, drawn at random; 0 is all")
    parser.add_argument("--seed", type=int, default=1, help="draws another sample")
    options = parser.parse_args()
    bugs = [bug for area in AREAS if options.area in {"", area} for bug in AREAS[area] if options.only in bug.name]
    if 0 < options.sample < len(bugs):
        bugs = random.Random(options.seed).sample(bugs, options.sample)
    if not bugs:
        parser.error("no bug has that area and name")
    try:
        plantings = read_plantings(bugs)
    except NotFound as error:
        print(error, file=sys.stderr)
        return 2
    started = time.monotonic()
    with copies(options.workers) as trees, ThreadPoolExecutor(options.workers) as workers:
        failing = outcome(run_in(trees, sorted({test for planting in plantings for test in planting.found_by})))
        if failing is not None:
            print(f"The tests fail without any bug ({failing}): nothing can be learned from them.", file=sys.stderr)
            return 2
        results: list[Result] = []
        for result in workers.map(lambda planting: try_out(planting, trees), plantings):
            results.append(result)
            name = result.planting.bug.name
            print(f"{len(results):3}/{len(bugs)} {result.fate:22} {name:58} {result.by}", flush=True)
    return report(results, (time.monotonic() - started) / 60)


def report(results: list[Result], minutes: float) -> int:
    """Prints the totals and the bugs that weren't found. Returns the exit code."""
    bad = [result for result in results if result.fate in {"SURVIVED", "NOT RUN"}]
    others = sum(result.fate == "found by another test" for result in results)
    print(f"\n{len(results) - len(bad)} of {len(results)} found, {others} by another test, {minutes:.1f} minutes")
    for result in bad:
        print(f"{result.fate}: {result.planting.bug.name} ({result.planting.path})")
    return 1 if bad else 0


def read_plantings(bugs: list[Bug]) -> list[Planting]:
    """Each bug with its place in our code and its tests. Raises NotFound when one has none."""
    definitions, tests = read_definitions(ROOT), read_tests(ROOT)
    plantings: list[Planting] = []
    for bug in bugs:
        site = find_site(bug, definitions)
        found_by = tuple(find_test(test, tests) for test in bug.found_by)
        plantings.append(Planting(bug, site.source.path, site.source.text, with_bug(bug, site), found_by))
    return plantings


@contextmanager
def copies(count: int) -> Iterator[Queue[Path]]:
    """Copies of what git knows of the tree, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    files = [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    trees: Queue[Path] = Queue()
    with TemporaryDirectory(prefix="planted-bugs-") as folder:
        for number in range(count):
            tree = Path(folder) / str(number)
            for name in files:
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, tree / name)
            # Downloaded tools are the same for all of them.
            (ROOT / ".local").mkdir(exist_ok=True)
            (tree / ".local").symlink_to(ROOT / ".local")
            trees.put(tree)
        yield trees


def try_out(planting: Planting, trees: Queue[Path]) -> Result:
    """Which test finds one bug, if any does."""
    tree = trees.get()
    try:
        (tree / planting.path).write_text(planting.planted, "utf-8")
        found = outcome(run(tree, planting.found_by))
        fate: Fate = "found"
        if found is None:
            found, fate = outcome(run(tree, ALL_TESTS)), "found by another test"
        if found is None:
            fate = "SURVIVED"
    except Broken as error:
        fate, found = "NOT RUN", str(error)
    finally:
        (tree / planting.path).write_text(planting.sound, "utf-8")
        trees.put(tree)
    return Result(planting, fate, found or "")


class Broken(Exception):
    """Pytest didn't get to run."""


def run_in(trees: Queue[Path], tests: list[str]) -> subprocess.CompletedProcess[str]:
    tree = trees.get()
    try:
        return run(tree, tests)
    finally:
        trees.put(tree)


def run(tree: Path, tests: tuple[str, ...] | list[str]) -> subprocess.CompletedProcess[str]:
    """pytest in that tree, to the first failure. Bytecode isn't kept: files change within a second here."""
    environment = os.environ | {"PYTHONPATH": "layers/prepaid:clients/python:.", "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = ["-x", "-q", "--tb=no", "--show-capture=no", "-p", "no:cacheprovider", "-n", "0", *tests]
    try:
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"pytest ran longer than {LONGEST_SECONDS} s") from error


def outcome(done: subprocess.CompletedProcess[str]) -> str | None:
    """The first test that failed; None when all passed. Raises Broken when pytest couldn't run them."""
    if done.returncode == 0:
        return None
    failed = FIRST_FAILURE.search(done.stdout)
    if done.returncode != TESTS_FAILED or not failed:
        raise Broken(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-300:]}")
    return failed[1]


if __name__ == "__main__":
    sys.exit(main())
