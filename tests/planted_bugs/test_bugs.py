"""The list of planted bugs stays true: each can still be planted and its tests exist."""

import ast
from pathlib import Path

import pytest

from tests.planted_bugs.anchors import find_site, find_test, read_definitions, read_tests, with_bug
from tests.planted_bugs.bug import Bug
from tests.planted_bugs.bugs import BUGS

ROOT = Path(__file__).parents[2]
DEFINITIONS = read_definitions(ROOT)
TESTS = read_tests(ROOT)
ENOUGH = 130


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_each_bug_can_be_planted(bug: Bug) -> None:
    site = find_site(bug, DEFINITIONS)

    planted = with_bug(bug, site)

    if site.source.path.suffix == ".py":
        assert ast.dump(ast.parse(planted)) != ast.dump(ast.parse(site.source.text))
    else:
        assert planted.split() != site.source.text.split()


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_the_tests_of_each_bug_exist(bug: Bug) -> None:
    assert bug.found_by
    for test in bug.found_by:
        find_test(test, TESTS)


def test_there_are_enough_bugs_and_no_two_are_the_same() -> None:
    planted = {with_bug(bug, find_site(bug, DEFINITIONS)) for bug in BUGS}

    assert len(BUGS) >= ENOUGH
    assert len({bug.name for bug in BUGS}) == len(planted) == len(BUGS)
