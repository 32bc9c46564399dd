"""Every call of every kind of request meets every fault; pairs of them where credits move. See matrix.py.

FAULT_PAIRS=1 plays every pair, as `make fault-matrix` does; otherwise one in so many.
"""

import os

import pytest

from tests.simulation.faults import FAULTS
from tests.simulation.matrix import play
from tests.simulation.scenarios import SCENARIOS, Scenario

EVERY = int(os.environ.get("FAULT_PAIRS", "50"))
PAIRED = [scenario for scenario in SCENARIOS if scenario.paired]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_whatever_happens_to_one_call_the_end_is_the_same(scenario: Scenario) -> None:
    fired = play(scenario, in_pairs=False)

    # A lone read is in nobody's way.
    assert {kind for kind in FAULTS if not fired[kind]} <= {"conflict"}


@pytest.mark.parametrize("scenario", PAIRED, ids=lambda scenario: scenario.name)
def test_whatever_happens_to_two_calls_the_end_is_the_same(scenario: Scenario) -> None:
    assert play(scenario, in_pairs=True, every=EVERY)["cells"] > 0
