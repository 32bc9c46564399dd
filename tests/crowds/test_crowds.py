"""Debits that wait for each other, in every order of their calls. See explorer.py.

CROWDS_DEEPER=1, as `make proof` sets it, adds scenarios that take minutes.
"""

import os

import pytest

from tests.crowds.explorer import Scenario, Search
from tests.crowds.scenarios import DEEPER, SCENARIOS

MOST_NODES = 400_000
CHOSEN = SCENARIOS + (DEEPER if os.environ.get("CROWDS_DEEPER") == "1" else ())


@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda scenario: scenario.name)
def test_every_interleaving_keeps_the_rules(scenario: Scenario) -> None:
    search = Search(scenario)

    nodes = search.explore(MOST_NODES)

    assert nodes > len(scenario.requests)
    assert all(search.results)
