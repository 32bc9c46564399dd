"""From a history that fails to the shortest one that fails alike, by leaving out steps while there is time."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation import actions
from tests.simulation.play import Failure, play
from tests.simulation.stage import Stage
from tests.simulation.step import Step
from tests.simulation.world import Act

type Fails = Callable[[list[Step]], Failure | None]


def shorten(stage: Stage, failure: Failure, has_time: Callable[[], bool], act: Act = actions.act) -> Failure:
    """The shortest history found that fails the same check, with as few faults and rivals as possible."""

    def fails(steps: list[Step]) -> Failure | None:
        found = play(stage, failure.seed, steps, Counter(), act)
        return found if found and found.kind == failure.kind else None

    shortest = fails(list(failure.steps[: failure.done + 1])) or failure
    while has_time():
        shorter = _once(shortest, fails, has_time)
        if shorter is shortest:
            break
        shortest = shorter
    return shortest


def _once(failure: Failure, fails: Fails, has_time: Callable[[], bool]) -> Failure:
    """One round: leave out ever smaller pieces, then the faults and rivals of the remaining steps."""
    steps, best = list(failure.steps), failure
    size = max(1, len(steps) // 2)
    while has_time():
        place = 0
        while place < len(steps) and has_time():
            without = steps[:place] + steps[place + size :]
            found = fails(without)
            if found:
                steps, best = without, found
            else:
                place += size
        if size == 1:
            break
        size //= 2
    for place in range(len(steps)):
        for plainer in _plainer(steps[place]):
            if not has_time():
                return best
            found = fails([*steps[:place], plainer, *steps[place + 1 :]])
            if found:
                steps[place], best = plainer, found
                break
    return best if best.steps != failure.steps else failure


def _plainer(step: Step) -> Iterator[Step]:
    if step.faults and step.rivals:
        yield replace(step, faults=(), rivals=())
    for place in range(len(step.faults)):
        yield replace(step, faults=step.faults[:place] + step.faults[place + 1 :])
    for place in range(len(step.rivals)):
        yield replace(step, rivals=step.rivals[:place] + step.rivals[place + 1 :])
    for place, (call, rival) in enumerate(step.rivals):
        for plainer in _plainer(rival):
            yield replace(step, rivals=(*step.rivals[:place], (call, plainer), *step.rivals[place + 1 :]))
    if step.machine or step.cold:
        yield replace(step, machine=0, cold=False)
