"""The list of planted bugs stays true: each can still be planted, and what was Python still is."""

import ast
from pathlib import Path

import pytest

from tests.planted_bugs.bugs import BUGS, Bug

ROOT = Path(__file__).parents[2]
ENOUGH = 60


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_bug_can_be_planted(bug: Bug) -> None:
    sound = (ROOT / bug.path).read_text("utf-8")

    assert sound.count(bug.before) == 1
    planted = sound.replace(bug.before, bug.after)
    if bug.path.endswith(".py"):
        assert ast.dump(ast.parse(planted)) != ast.dump(ast.parse(sound))
    for test in bug.found_by:
        assert (ROOT / test.partition("::")[0]).exists()


def test_there_are_enough_of_them_and_no_two_are_the_same() -> None:
    assert len(BUGS) >= ENOUGH
    assert len({bug.name for bug in BUGS}) == len({(bug.path, bug.before, bug.after) for bug in BUGS}) == len(BUGS)
