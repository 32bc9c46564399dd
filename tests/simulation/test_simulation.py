"""The whole service in one thread, its world in our hands: see README.md beside this file.

SIMULATED_SEEDS histories of 500 steps each are played, from SEED on. `.ci/run` starts each run at another SEED.
"""

import os
from collections import Counter

import pytest

from tests.simulation import actions
from tests.simulation.__main__ import LENGTH, failure_text, played
from tests.simulation.play import play
from tests.simulation.shorten import shorten
from tests.simulation.situations import missed
from tests.simulation.stage import TABLE, Stage
from tests.simulation.step import a_step
from tests.simulation.steps import draw_history
from tests.simulation.stripe_wire import reached
from tests.simulation.world import World

SEED = int(os.environ.get("SEED", "1"))
SEEDS = int(os.environ.get("SIMULATED_SEEDS", "200"))
# Chance has its share in so few.
SLACK = 2


def test_every_rule_holds_under_faults_and_races() -> None:
    seen: Counter[str] = Counter()

    for _, failure, found in played(SEED, SEEDS, LENGTH, processes=1):
        assert failure is None, failure_text(failure, LENGTH)
        seen += found

    tame = missed(seen, SEEDS * LENGTH // SLACK)
    assert not tame, f"these seeds are too tame: {tame}"


def test_the_same_steps_give_both_clients_the_same_table() -> None:
    stage = Stage()
    steps = draw_history(7, 300)

    with stage.set():
        tables = [table_after(stage, real=real) for real in (False, True, False)]

    assert steps == draw_history(7, 300)
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) > 100


def test_a_failing_history_is_shortened_to_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    grant = a_step("grant", 0, credits=1, lot="promotion", lasting=12)
    steps = [*draw_history(3, 80), grant, grant, a_step("balance", 0), *draw_history(5, 20)]
    monkeypatch.setitem(actions.ACTIONS, "balance", lambda world, _: check_nobody_owns_two_lots(world))

    with stage.set():
        failure = play(stage, 3, steps, Counter())
        assert failure
        shortest = shorten(stage, failure, lambda: True)

    assert shortest.kind == failure.kind
    kinds = [step.kind for step in shortest.steps]
    assert kinds == ["put_account", "grant", "grant", "balance"]


def check_nobody_owns_two_lots(world: World) -> None:
    """A rule that does not exist."""
    assert all(len(ledger.state.lots) < 2 for ledger in world.auditor.ledgers.values())


def table_after(stage: Stage, *, real: bool) -> dict[tuple[str, str], object]:
    world = World(stage, Counter(), actions.act, real=real)
    stage.world = world
    with reached(world.stripe_wire):
        for step in draw_history(7, 300):
            world.run(step)
    world.client.close()
    stage.world = None
    return dict(world.database.snapshot(TABLE))
