"""Warnings of lots that end at one moment: in any number of runs, killed at every call, twice at once. Each comes once.

The database is the simulation's; the queue and the bus remember what they accepted.
"""

import random
from collections.abc import Callable

import pytest

from prepaid.use_cases.publishing import PAGE_ACCOUNTS, publish_missing
from prepaid.use_cases.warning import PAGE_ROWS, publish_warnings
from tests.simulation.publishers import World, disturb, kill_at
from tests.support.publishing import Refused, feed, ids, nothing
from tests.support.store_driver import DAY, HOUR, NOW
from tests.support.whole_table import NAME

# The midnight at which all lots end.
END = NOW + 10 * DAY
ACCOUNTS = ("acme", "petshop-1", "petshop-2", "zoo")
LOTS = 3
HISTORIES = 60
MANY_RUNS = 400


def ending_together(lots: int = LOTS, accounts: tuple[str, ...] = ACCOUNTS) -> World:
    """Lots of several accounts that end at the same moment. Their warning of 7 days has just become due."""
    world = World()
    for account in accounts:
        world.driver.open(account)
        for _ in range(lots):
            world.driver.grant(1, account=account, validity=END)
    world.now = END - 7 * DAY - HOUR
    world.run(publish_warnings, always)
    world.now += HOUR
    return world


def always() -> bool:
    return True


def looks(number: int) -> Callable[[], bool]:
    """A run's time: over after so many looks at it."""
    left = iter(range(number))
    return lambda: next(left, None) is not None


def run_to_the_end(world: World, has_time: Callable[[], Callable[[], bool]] = lambda: always) -> list[int]:
    """How many warnings each run sends, until one finishes."""
    sent: list[int] = []
    while len(sent) < MANY_RUNS:
        before = len(world.outside.queue)
        published = world.run(publish_warnings, has_time())
        sent.append(len(world.outside.queue) - before)
        if published and published.finished and not published.failed:
            return sent
    raise AssertionError(f"unfinished after {MANY_RUNS} runs, which sent {sum(sent)} warnings")


def check(world: World, lots: int = LOTS, accounts: tuple[str, ...] = ACCOUNTS, *, repeats: int = 0) -> None:
    """Every lot is warned of, in the queue, on the bus and once in the feed."""
    expected = {(account, f"lot_{number:012d}", 7) for account in accounts for number in range(2, lots + 2)}
    fed = feed(world.table, since=END - 7 * DAY, hours=48)
    for events in (world.outside.queue, world.outside.bus, fed):
        found = [event["data"] for event in events]
        assert {(data["account"], data["lot"], data["days"]) for data in found} == expected
        assert len(set(ids(events))) == len(expected)
    assert len(fed) == len(expected)
    assert len(world.outside.queue) <= len(expected) + repeats


@pytest.mark.parametrize("time", [1, 2, 3, 7, 20])
def test_any_number_of_lots_is_warned_of_in_short_runs(time: int) -> None:
    world = ending_together()

    sent = run_to_the_end(world, lambda: looks(time))

    check(world)
    assert max(sent) <= time


def test_a_page_of_lots_is_no_limit() -> None:
    lots = 2 * PAGE_ROWS + 5
    world = ending_together(lots, ("acme",))

    sent = run_to_the_end(world, lambda: looks(60))

    check(world, lots, ("acme",))
    assert len(sent) < 10


def test_each_run_makes_a_bounded_number_of_calls() -> None:
    """What earlier runs published costs the later ones nothing."""
    lots = PAGE_ROWS + 50
    world = ending_together(lots, ("acme",))
    calls: list[str] = []
    world.before = calls.append
    of_runs: list[int] = []

    def ten_looks() -> Callable[[], bool]:
        of_runs.append(len(calls))
        calls.clear()
        return looks(10)

    run_to_the_end(world, ten_looks)

    check(world, lots, ("acme",))
    # Five for each warning, the page of its row, and the pass read and saved.
    assert max([*of_runs, len(calls)]) <= 10 * 6 + 2


@pytest.mark.parametrize("after", [False, True])
def test_a_run_killed_at_any_call_loses_no_warning(*, after: bool) -> None:
    start = ending_together()
    rows, now = start.database.snapshot(NAME), start.now
    calls: list[str] = []
    start.before = calls.append
    run_to_the_end(start, lambda: looks(20))
    assert {"GetItem", "Query", "PutItem", "TransactWriteItems", "send", "put events"} == set(calls)

    for point in range(len(calls)):
        world = World(now=now)
        world.database.restore(NAME, rows)
        kill_at(world, point, after=after)

        run_to_the_end(world, lambda: looks(20))

        check(world, repeats=1)


@pytest.mark.parametrize("time", [1, 5, 1000])
def test_two_runs_at_once_lose_no_warning(time: int) -> None:
    """Before any call of one run, another one runs for as long as it has time."""
    start = ending_together()
    rows, now = start.database.snapshot(NAME), start.now
    calls: list[str] = []
    start.before = calls.append
    run_to_the_end(start, lambda: looks(20))

    for point in range(len(calls)):
        world = World(now=now)
        world.database.restore(NAME, rows)
        twin_at(world, point, time)

        run_to_the_end(world, lambda: looks(20))

        check(world, repeats=1)


def twin_at(world: World, point: int, time: int) -> None:
    seen: list[str] = []

    def meet(call: str) -> None:
        seen.append(call)
        if len(seen) == point + 1:
            world.run(publish_warnings, looks(time))

    world.before = meet


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_random_runs_warn_of_every_lot_once(seed: int) -> None:
    """Kills, refusals, rivals, runs of any length, and hours between them."""
    world, dice = ending_together(), random.Random(seed)
    disturb(world, dice, lambda: world.run(publish_warnings, looks(dice.randrange(30))))
    for _ in range(8):
        world.run(publish_warnings, looks(dice.randrange(30)))
        world.now += dice.choice((0, 1)) * HOUR
    world.before = nothing

    run_to_the_end(world, lambda: looks(dice.randrange(1, 30)))

    check(world, repeats=MANY_RUNS)


# Entries that no change named


def test_accounts_beyond_one_run_have_their_turn_in_the_next() -> None:
    """The search continues at its place, and begins again once it got to the last account."""
    accounts = tuple(f"shop-{number:03d}" for number in range(4 * PAGE_ACCOUNTS + 20))
    world = World()
    for account in accounts:
        world.driver.open(account)
    world.heal()
    world.driver.grant(1, account=accounts[-1])

    runs = [world.run(publish_missing, looks(4)) for _ in range(4)]

    assert [run and run.finished for run in runs] == [False, False, True, False]
    world.check(*accounts)


def test_an_account_that_failed_has_its_turn_before_a_run_succeeds() -> None:
    """It fails in a run without time for the rest. The next one gets to the last account, and returns to it."""
    accounts = tuple(f"shop-{number:03d}" for number in range(PAGE_ACCOUNTS + 20))
    world = World()
    for account in accounts:
        world.driver.open(account)

    def refuse(call: str) -> None:
        if call == "send":
            raise Refused

    world.before = refuse
    # A look before each account, and before its event.
    first = world.run(publish_missing, looks(2 * PAGE_ACCOUNTS))
    world.before = nothing
    second = world.run(publish_missing, always)

    assert first
    assert second
    assert (first.failed, first.finished) == (PAGE_ACCOUNTS, False)
    assert (second.failed, second.finished) == (0, True)
    world.check(*accounts)
