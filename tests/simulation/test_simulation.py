"""The whole service in one thread of a simulated world: see README.md beside this file.

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
from tests.simulation.step import Step, a_step
from tests.simulation.steps import draw_history
from tests.simulation.stripe_wire import reached
from tests.simulation.world import World

# A group begins first. Begun last, the histories would run alone for minutes.
pytestmark = pytest.mark.xdist_group("histories")

SEED = int(os.environ.get("SEED", "1"))
SEEDS = int(os.environ.get("SIMULATED_SEEDS", "200"))
# So few histories vary by chance.
SLACK = 2


def test_every_rule_holds_under_faults_and_races() -> None:
    seen: Counter[str] = Counter()

    for _, failure, found in played(SEED, SEEDS, LENGTH, processes=1):
        assert failure is None, failure_text(failure, LENGTH)
        seen += found

    tame = missed(seen, SEEDS * LENGTH // SLACK)
    assert not tame, f"these seeds meet too few situations: {tame}"


def test_the_same_steps_give_both_clients_the_same_table() -> None:
    stage = Stage()
    steps = draw_history(7, 300)

    with stage.set():
        tables = [table_after(stage, real=real) for real in (False, True, False)]

    assert steps == draw_history(7, 300)
    assert tables[0] == tables[1] == tables[2]
    assert len(tables[0]) > 100


def test_a_failing_history_is_shortened_to_its_cause() -> None:
    stage = Stage()
    grant = a_step("grant", 0, credits=1, lot="promotion", lasting=12)
    steps = [*draw_history(3, 80), grant, grant, a_step("balance", 0), *draw_history(5, 20)]

    with stage.set():
        failure = play(stage, 3, steps, Counter(), act_or_check_lots)
        assert failure
        shortest = shorten(stage, failure, lambda: True, act_or_check_lots)

    assert shortest.kind == failure.kind
    kinds = [step.kind for step in shortest.steps]
    assert kinds == ["put_account", "grant", "grant", "balance"]


def act_or_check_lots(world: World, step: Step) -> None:
    """Carry out a step; instead of a balance, check a rule that doesn't exist: no account has two lots."""
    if step.kind != "balance":
        actions.act(world, step)
        return
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
