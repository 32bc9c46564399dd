"""`make planted-bugs`: plants each bug in a copy of the tree and runs the tests that should find it.

When they don't, the tests of the code that it is in are asked, from the core to whole histories. A bug that no test
finds survives, and that is a failure. So is a test that couldn't be set up: it says nothing about the bug.
"""

import argparse
import os
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

from tests.planted_bugs.bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]
ALL_TESTS = ("tests/unit/core", "tests/property", "tests/store", "tests/functions", "tests/simulation")
LONGEST_SECONDS = 1200
TESTS_FAILED = 1
FIRST_FAILURE = re.compile(r"^FAILED (\S+?)(?:\[| |$)", re.MULTILINE)

Fate = Literal["found", "found by another test", "SURVIVED", "NOT RUN"]


@dataclass(frozen=True, slots=True)
class Result:
    """by: the first test that failed, or why none was run."""

    bug: Bug
    fate: Fate
    by: str
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="make planted-bugs", description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="bugs whose name holds this text")
    asked = parser.parse_args()
    bugs = [bug for bug in BUGS if asked.only in bug.name]
    started = time.monotonic()
    with copies(asked.workers) as trees, ThreadPoolExecutor(asked.workers) as workers:
        sound = outcome(run_in(trees, sorted({test for bug in bugs for test in bug.found_by})))
        if sound is not None:
            print(f"The tests fail without any bug ({sound}): nothing can be learned from them.", file=sys.stderr)
            return 2
        results: list[Result] = []
        for result in workers.map(lambda bug: planted(bug, trees), bugs):
            results.append(result)
            print(f"{len(results):3}/{len(bugs)} {result.fate:22} {result.bug.name:58} {result.by}", flush=True)
    bad = [result for result in results if result.fate in {"SURVIVED", "NOT RUN"}]
    others = sum(result.fate == "found by another test" for result in results)
    minutes = (time.monotonic() - started) / 60
    print(f"\n{len(results) - len(bad)} of {len(results)} found, {others} by another test, {minutes:.1f} minutes")
    for result in bad:
        print(f"{result.fate}: {result.bug.name} ({result.bug.path})")
    return 1 if bad else 0


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


def planted(bug: Bug, trees: Queue[Path]) -> Result:
    """What comes of one bug."""
    started = time.monotonic()
    tree = trees.get()
    source = tree / bug.path
    sound = source.read_text("utf-8")
    try:
        source.write_text(with_bug(bug, sound), "utf-8")
        found = outcome(run(tree, bug.found_by))
        fate: Fate = "found"
        if found is None:
            found, fate = outcome(run(tree, ALL_TESTS)), "found by another test"
        if found is None:
            fate = "SURVIVED"
    except Broken as error:
        fate, found = "NOT RUN", str(error)
    finally:
        source.write_text(sound, "utf-8")
        trees.put(tree)
    return Result(bug, fate, found or "", time.monotonic() - started)


class Broken(Exception):
    """The bug couldn't be planted, or pytest didn't get to run."""


def with_bug(bug: Bug, text: str) -> str:
    """The file's text with the bug in it."""
    if text.count(bug.before) != 1:
        raise Broken(f"what it replaces stands {text.count(bug.before)} times in {bug.path}")
    return text.replace(bug.before, bug.after)


def run_in(trees: Queue[Path], tests: list[str]) -> subprocess.CompletedProcess[str]:
    tree = trees.get()
    try:
        return run(tree, tests)
    finally:
        trees.put(tree)


def run(tree: Path, tests: tuple[str, ...] | list[str]) -> subprocess.CompletedProcess[str]:
    """pytest in that tree, to the first failure. Bytecode isn't kept: files change within a second here."""
    environment = os.environ | {"PYTHONPATH": "layers/prepaid:.", "PYTHONDONTWRITEBYTECODE": "1"}
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
