"""The publisher, killed at every call, run twice at once, and late: nothing is missing, first deliveries in order.

The database is the simulation's; the queue and the bus remember what they accepted.
"""

import random

import pytest

from prepaid.core.manager_code import MAX_TRIES, reserve_try
from prepaid.core.purchase import Progress
from prepaid.store.manager_codes import read_code, write_code
from prepaid.use_cases.publishing import ROUND_ENTRIES, publish_changes
from tests.simulation.bench import Killed
from tests.simulation.publishers import World, disturb, kill_at
from tests.support.core_builders import a_payment_status
from tests.support.publishing import ids, nothing
from tests.support.store_driver import DAY, HOUR, NOW, a_purchase
from tests.support.whole_table import NAME

# Three rounds, the last one short.
ENTRIES = 2 * ROUND_ENTRIES + 5
HISTORIES = 60


def a_ledger(entries: int = ENTRIES) -> World:
    world = World()
    world.driver.open(credits=1000)
    for number in range(entries - 2):
        world.driver.debit(1, key=str(number))
    return world


def calls_of(world: World) -> list[str]:
    """The calls of a run that nothing disturbs."""
    calls: list[str] = []
    world.before = calls.append
    world.ring(1)
    world.before = nothing
    return calls


@pytest.fixture(scope="module")
def calls() -> list[str]:
    return calls_of(a_ledger())


def test_a_whole_ledger_is_published_in_its_order() -> None:
    world = a_ledger()

    world.ring(1)

    world.check()
    assert ids(world.outside.queue) == ids(world.outside.bus) == world.expected()


def test_a_run_makes_every_kind_of_call(calls: list[str]) -> None:
    assert set(calls) == {"GetItem", "Query", "PutItem", "TransactWriteItems", "send", "put events"}
    assert calls.count("TransactWriteItems") == 3
    assert calls.count("send") == ENTRIES


@pytest.mark.parametrize("after", [False, True])
def test_a_publisher_killed_at_any_call_loses_nothing(calls: list[str], *, after: bool) -> None:
    start = a_ledger()
    rows = start.database.snapshot(NAME)
    for point in range(len(calls)):
        world = World()
        world.database.restore(NAME, rows)
        kill_at(world, point, after=after)

        world.ring(1)
        world.before = world.after = nothing
        world.ring(ENTRIES)

        world.check()


@pytest.mark.parametrize("seed", range(3))
def test_two_publishers_at_once_keep_the_order(calls: list[str], seed: int) -> None:
    start = a_ledger()
    rows = start.database.snapshot(NAME)
    for point in range(len(calls)):
        world, dice = World(), random.Random(f"{seed} {point}")
        world.database.restore(NAME, rows)
        twin_at(world, point, dice)

        world.ring(1)
        world.ring(ENTRIES)

        world.check()


def twin_at(world: World, point: int, dice: random.Random) -> None:
    """Before this call another publisher runs, and is killed at some call of its own, or finishes."""
    seen: list[str] = []
    last = dice.randrange(2 * ENTRIES)

    def in_twin(_: str) -> None:
        seen.append("twin")
        if len(seen) > point + last:
            raise Killed

    def meet(call: str) -> None:
        seen.append(call)
        if len(seen) == point + 1:
            world.before = in_twin
            world.ring(1)
            world.before = nothing

    world.before = meet


def test_a_publisher_that_lost_a_race_goes_on() -> None:
    """The winner is killed after its first round, so nobody else publishes the others."""
    world = a_ledger()

    def killed(call: str) -> None:
        if call == "TransactWriteItems":
            raise Killed

    def meet(call: str) -> None:
        if call == "TransactWriteItems":
            world.before, world.after = nothing, killed
            world.ring(1)
            world.after = nothing

    world.before = meet

    world.ring(1)

    world.check()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_random_history_is_published_whole(seed: int) -> None:
    """Kills, refusals, rivals, debits in between and lost changes; at the end the schedule finds what is left."""
    world, dice = World(), random.Random(seed)
    accounts = ("acme", "zoo")
    for account in accounts:
        world.driver.open(account, credits=60)
    disturb(world, dice, lambda: rival_debit(world, dice, accounts))
    for step in range(30):
        account = dice.choice(accounts)
        if world.driver.account(account).available:
            appended = world.driver.debit(1, account=account, key=f"{seed} {step}")
            if dice.random() < 0.9:
                world.ring(appended.entries[-1].number, account=account, has_time=lambda: dice.random() < 0.9)
    world.before = nothing
    world.heal()

    world.check(*accounts)


def rival_debit(world: World, dice: random.Random, accounts: tuple[str, ...]) -> None:
    """Another debit, and a second run of the publisher, which publishes it."""
    outer, world.watched = world.watched, False
    account = dice.choice(accounts)
    number = world.driver.debit(1, account=account).entries[-1].number
    world.watched = outer
    world.ring(number, account=account)


def test_an_entry_that_no_change_named_is_found() -> None:
    world = a_ledger(3)
    world.ring(1)
    world.driver.debit(1)
    world.driver.open("zoo", credits=1)

    world.heal()

    world.check("acme", "zoo")


@pytest.fixture
def slept() -> tuple[World, list[tuple[str, str]]]:
    """A day of debits, and two purchases and a locked code of zoo; and the rows that changed meanwhile."""
    world = a_ledger(3)
    world.ring(1)
    world.driver.open("zoo", credits=1)
    ends: dict[str, Progress] = {"pur_1": "awaiting_payment", "pur_2": "payment_failed"}
    for purchase, progress in ends.items():
        world.driver.record(a_purchase(purchase, "zoo"))
        world.driver.receive(a_payment_status(progress, world.driver.purchase(purchase, "zoo")), at=NOW + HOUR)
    for _ in range(MAX_TRIES):
        code = read_code(world.table, "zoo")
        write_code(world.table, "zoo", reserve_try(code, NOW + HOUR), over=code)
    for hour in range(24):
        world.driver.debit(1, at=NOW + hour * HOUR)
    world.now = NOW + DAY
    changed = ("ENTRY#", "PURCHASE#", "MANAGER")
    return world, [
        key for key in world.database.snapshot(NAME) if key[0].startswith("ACCOUNT#") and key[1].startswith(changed)
    ]


def alerts_without_entry(world: World) -> list[str]:
    return sorted(event["type"] for event in world.outside.queue if "entry" not in event["data"])


def test_a_publisher_that_slept_a_day_publishes_everything(slept: tuple[World, list[tuple[str, str]]]) -> None:
    """The stream keeps the changes of a day."""
    world, changed = slept

    world.run(lambda publisher: publish_changes(publisher, changed), lambda: True)

    world.check()
    assert alerts_without_entry(world) == [
        "prepaid.alert.code_locked",
        "prepaid.alert.purchase_failed",
        "prepaid.alert.purchase_pending",
    ]


def test_after_more_than_a_day_the_schedule_finds_entries(slept: tuple[World, list[tuple[str, str]]]) -> None:
    """The stream has lost the changes, and with them the alerts that have no entry, as docs/operating.md says."""
    world, _ = slept

    world.heal()

    world.check()
    assert alerts_without_entry(world) == []
