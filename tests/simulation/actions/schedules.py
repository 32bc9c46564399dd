"""Sweeps, reconciliations, and time."""

from tests.oracle.calendar import DAY
from tests.oracle.catalog import Json
from tests.oracle.ledger import Ledger
from tests.oracle.rows import EXPIRES_AT, LAPSES_AT
from tests.simulation.actions.asking import account_of
from tests.simulation.stage import TABLE
from tests.simulation.step import Step
from tests.simulation.world import World


def sweep(world: World, step: Step) -> None:
    run_scheduled(world, step, "expiry_sweep")


def reconcile(world: World, step: Step) -> None:
    run_scheduled(world, step, "reconcile")


def run_scheduled(world: World, step: Step, function: str) -> Json | None:
    """One run with at most this many calls, and its result."""
    answer = world.scheduled(step, function, step.get("calls"))
    if answer is not None:
        for name in ("recorded", "healed", "failed", "quarantined"):
            if answer.get(name):
                world.seen[f"{function}: {name}"] += answer[name]
        if not answer["finished"]:
            world.seen[f"{function}: cut short"] += 1
        if function == "expiry_sweep" and answer["finished"] and answer["failed"]:
            place = world.database.snapshot(TABLE)["SWEEP", "CHECKPOINT"]
            closed = world.day(world.now(step) - 2 * DAY)
            world.seen["expiry_sweep: left a lot of a day that is over"] += place["day"]["S"] <= closed
    return answer


def wait(world: World, step: Step) -> None:
    world.moment += step["milliseconds"]


def boundary(world: World, step: Step) -> None:
    """Move to the instant, by the clock of the next machine, or a millisecond beside it."""
    account, ledger = account_of(step), world.ledger(account_of(step))
    ahead = sorted(at for at in _instants(world, step["what"], account, ledger) if at > world.moment)
    if not ahead:
        world.nothing(step)
        return
    off = world.now(Step(step["function"])) - world.moment
    world.moment = max(world.moment, ahead[0] - off + step["offset"])


def _instants(world: World, what: str, account: str, ledger: Ledger) -> list[int]:
    if what in {"lot", "renewal"}:
        if not ledger.number:
            return []
        state = ledger.state.at(max(world.moment, ledger.time))
        return [row[EXPIRES_AT] for row in state.lots] if what == "lot" else [state.renews_at]
    if what == "lapse":
        return [hold[LAPSES_AT] for hold in ledger.state.holds] if ledger.number else []
    if what == "session":
        return [session.expires_at for session in world.auditor.sessions.values() if session.account == account]
    if what == "lock":
        manager = world.auditor.managers.get(account)
        return [manager.tried_at + 60_000] if manager else []
    return [time + 30_000 for time, _ in world.auditor.in_force[-1:]]
