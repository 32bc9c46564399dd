"""Every call of every kind of request meets every fault; pairs of them where credits move. See matrix.py.

These tests play one pair in FAULT_PAIRS, and the first call of each kind of one scenario in four with botocore: other
ones with each SEED. `make fault-matrix` plays every pair, and all single faults with botocore.
"""

import os
from dataclasses import dataclass, field
from typing import Any

import pytest

from prepaid.store import keys
from tests.simulation.bench import opened_bench
from tests.simulation.faults import FAULTS
from tests.simulation.matrix import baseline_of, play_pairs, play_singles
from tests.simulation.scenarios import SCENARIOS, Scenario
from tests.simulation.scenarios.page import ASSET
from tests.support.functions import AnyHandler, Functions
from tests.support.gateway_events import Event
from tests.support.template import functions_by_route

SEED = int(os.environ.get("SEED", "1"))
EVERY = int(os.environ.get("FAULT_PAIRS", "50"))
BOTOCORE_ONE_IN = 4
PAIRED = [scenario for scenario in SCENARIOS if scenario.paired]


@dataclass
class Listening(Functions):
    """The functions, and the routes that they are requested for."""

    routes: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> AnyHandler:
        handler = super().__getitem__(name)

        def handle(event: Event, context: Any) -> dict[str, Any]:
            self.routes.add(event.get("routeKey", ""))
            return handler(event, context)

        return handle


def test_every_route_has_a_scenario() -> None:
    """The API's and the page's: every route of the template."""
    requested: set[str] = set()
    with opened_bench() as bench:
        functions, empty = bench.service.functions, bench.save()
        for scenario in (*SCENARIOS, ASSET):
            bench.load(empty)
            bench.service.functions = functions
            given = scenario.given(bench)
            bench.service.functions = Listening(functions.apps, functions.deps, routes=requested)
            scenario.ask(bench, given)

    assert requested - {""} == set(functions_by_route())


def test_the_pages_own_files_need_neither_database_nor_stripe() -> None:
    with opened_bench() as bench:
        baseline = baseline_of(ASSET, bench, bench.save())

    assert baseline.calls == ()


def test_a_scheduled_publication_makes_each_kind_of_call() -> None:
    """So each of them meets each fault. Its warnings read each place of the lots that end in 30, 7 and 1 days once."""
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == "publish: on schedule"]

    with opened_bench() as bench:
        calls = baseline_of(scenario, bench, bench.save()).calls

    kinds = {"GetItem", "BatchGetItem", "Query", "PutItem", "TransactWriteItems", "outside send", "outside put events"}
    assert set(calls) == kinds
    assert calls.count("Query") > 3 * keys.DUE_SHARDS


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_any_fault_of_one_call_ends_in_the_same_state(scenario: Scenario) -> None:
    drawn = (SCENARIOS.index(scenario) - SEED) % BOTOCORE_ONE_IN == 0

    fired = play_singles(scenario, with_botocore="first of each kind" if drawn else "no call")

    # A single read conflicts with nothing.
    assert {kind for kind in FAULTS if not fired[kind]} <= {"conflict"}


@pytest.mark.parametrize("scenario", PAIRED, ids=lambda scenario: scenario.name)
def test_any_faults_of_two_calls_end_in_the_same_state(scenario: Scenario) -> None:
    assert play_pairs(scenario, first=SEED % EVERY, every=EVERY)["cells"] > 0
