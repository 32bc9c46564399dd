"""Plays histories: a seed's steps from first to last, then without faults to the end, then the final checks."""

import gc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.oracle.calendar import instant
from tests.oracle.catalog import Json
from tests.oracle.expectation import Broken, must, same
from tests.oracle.rows import EXPIRES_AT, HOLD_NUMBER, LAPSES_AT, NUMBER
from tests.simulation import actions
from tests.simulation.actions.schedules import run_scheduled
from tests.simulation.actions.stripe import deliver_event
from tests.simulation.answers.deliveries import check_up_to_date
from tests.simulation.line import off_the_wire
from tests.simulation.stage import TABLE, Stage
from tests.simulation.step import Step, a_step
from tests.simulation.steps import draw_history
from tests.simulation.stripe_wire import reached
from tests.simulation.world import Act, World
from tests.simulation.writes.commit import plain
from tests.support.ledger_audit import audit
from tests.support.whole_table import WholeTable, verified

# After this many runs a schedule must have finished its work.
RUNS = 60
# One in this many histories is played with botocore, and one in this many is verified.
EVERY, VERIFIED = 16, 8


@dataclass(frozen=True)
class Failure:
    """The broken rule, and after how many steps; after all of them: at the end, without faults."""

    seed: int
    steps: tuple[Step, ...]
    done: int
    message: str
    kind: str


def play_seed(stage: Stage, seed: int, length: int, seen: Counter[str]) -> Failure | None:
    """One history. Every sixteenth takes botocore's own way to the database, the others the quick client's; and every
    sixteenth is verified at its end."""
    return play(stage, seed, draw_history(seed, length), seen)


def play(stage: Stage, seed: int, steps: Sequence[Step], seen: Counter[str], act: Act = actions.act) -> Failure | None:
    """Play these steps from an empty table on. Returns the failure, if there is one. act: carries out a step."""
    world = World(stage, seen, act, real=seed % EVERY == 0)
    stage.world = world
    done = 0
    # A history takes a second or two and is then discarded as a whole, so collecting garbage meanwhile is useless.
    gc.disable()
    try:
        with reached(world.stripe_wire):
            for step in steps:
                world.run(step)
                done += 1
            end(world)
            if seed % EVERY == VERIFIED:
                _nothing_is_found(world)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what this history is about
        return Failure(seed, tuple(steps), done, f"{type(error).__name__}: {error}", _kind(error))
    finally:
        world.client.close()
        stage.world = None
        gc.enable()
    return None


def _kind(error: Exception) -> str:
    """Which check failed, by the function that made it. A history is shortened as long as the same one fails."""
    place, trace = "", error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        if {"simulation", "oracle"} & set(Path(code.co_filename).parts) and code.co_name not in {
            "must",
            "same",
            "is_one_of",
        }:
            place = code.co_name
        trace = trace.tb_next
    return f"{type(error).__name__} in {place}"


def end(world: World) -> None:
    """Without faults, finish what was left undone: by Stripe's deliveries, or by the reconciliation alone."""
    world.frames.clear()
    for machine in world.machines.values():
        machine.skew = 0
    world.moment += 3_600_000
    if world.draws % 2:
        while world.events:
            event = world.events[0]
            answer = deliver_event(world, a_step("deliver"), event)
            must(answer is not None and answer.status == 200, "a delivery without faults")
        # If no delivery is lost, deliveries alone must suffice.
        for known in world.auditor.purchases.values() if not world.lost else ():
            check_up_to_date(world, known.record, "when everything was delivered")
    # The first run may only finish an interrupted one, about an earlier time, and retry failed checks.
    _run_out(world, "reconcile", "reconcile")
    world.moment += 1_000
    done = _run_out(world, "reconcile", "reconcile")
    same((done["failed"], done["waiting"]), (0, 0), "what the reconciliation leaves without faults")
    # Here too: a run that continues an interrupted one misses rows that were added to earlier shards.
    _run_out(world, "sweep", "expiry_sweep")
    same(_run_out(world, "sweep", "expiry_sweep")["failed"], 0, "what the sweep leaves without faults")
    for known in world.auditor.purchases.values():
        check_up_to_date(world, known.record, "at the end")
        _one_session(world, known.record["id"])
    _all_is_stored(world)


def _run_out(world: World, kind: str, function: str) -> Json:
    """Run a schedule until it has finished. Returns the result of its last run."""
    for _ in range(RUNS):
        answer = run_scheduled(world, a_step(kind), function)
        must(answer is not None, f"{function} gives up without faults")
        assert answer is not None
        if answer["finished"]:
            return answer
    raise Broken(f"{function} doesn't come to an end")


def _one_session(world: World, purchase: str) -> None:
    sessions = world.stripe.tables.get("checkout.session", {}).values()
    pages = [session["id"] for session in sessions if session["metadata"]["prepaid_purchase"] == purchase]
    must(len(pages) <= 1, f"{purchase} has the pages {pages}")


def _all_is_stored(world: World) -> None:
    """Read the table directly: it holds what was acknowledged, and nothing else."""
    stored = world.database.snapshot(TABLE)
    now = max([world.moment, *(ledger.time for ledger in world.auditor.ledgers.values())])
    items = off_the_wire(stored)
    for account, ledger in world.auditor.ledgers.items():
        same(audit(items, account).entries, ledger.number, f"{account}: entries in the table")
        claims = {key for key in stored if key[0].startswith(f"CLAIM#{account}#")}
        same(len(claims), len(ledger.effects), f"{account}: claims in the table")
        for row in ledger.state.lots:
            must(
                (account, f"lot_{row[NUMBER]:012d}") in world.auditor.due,
                f"{account}: lot {row[NUMBER]} is on no list of the sweep's",
            )
            must(row[EXPIRES_AT] > now - 1, f"{account}: lot {row[NUMBER]} has ended, and no sweep recorded it")
        for hold in ledger.state.holds:
            must(hold[LAPSES_AT] > now - 1, f"{account}: hold {hold[HOLD_NUMBER]} has lapsed, and no sweep recorded it")
    for place, item in stored.items():
        if place[0].startswith("DUE#"):
            must(int(item["ends_at"]["N"]) > now, f"the sweep has left {place}, which has ended")
    for known in world.auditor.purchases.values():
        item = stored[f"ACCOUNT#{known.record['account']}", f"PURCHASE#{known.record['id']}"]
        same(plain(item), known.record, "a purchase in the table")


def _nothing_is_found(world: World) -> None:
    """A pass of the verifier over a copy of the table finds nothing."""
    whole = WholeTable()
    whole.hold(world.database.snapshot(TABLE))
    same(verified(whole.table, now=instant(world.moment)).findings, [], "what the verifier finds")
    world.seen["the verifier made a pass"] += 1
