"""Debits that wait for each other, in every order of their calls. See explorer.py."""

import pytest

from tests.crowds.explorer import Scenario, Search
from tests.crowds.scenarios import SCENARIOS

MOST_NODES = 400_000


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_interleaving_keeps_the_rules(scenario: Scenario) -> None:
    search = Search(scenario)

    nodes = search.explore(MOST_NODES)

    assert nodes > len(scenario.requests)
    assert all(search.results)
