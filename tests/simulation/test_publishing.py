"""The publisher, killed at every call, run twice at once, and late: nothing is missing, first deliveries in order.

The database is the simulation's; the queue and the bus remember what they accepted.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from prepaid.store.dynamodb import Table
from prepaid.use_cases.publishing import ROUND_ENTRIES, events_after, publish_changes, publish_missing
from tests.simulation.bench import Killed
from tests.simulation.database import Database
from tests.support.publishing import Outside, Publisher, Refused, feed, first_deliveries, ids, nothing, row_of_entry
from tests.support.store_driver import NO_DEADLINE, SECOND, StoreDriver
from tests.support.whole_table import NAME, WholeClient, WholeDatabase, errors_of_a_client

# Three rounds, the last one short.
ENTRIES = 2 * ROUND_ENTRIES + 5
HISTORIES = 60


@dataclass
class World:
    """A table, the queue and the bus. before, after: called with the name of each call of a publisher; may raise."""

    database: Database = field(default_factory=WholeDatabase)
    outside: Outside = field(default_factory=Outside)
    before: Callable[[str], object] = nothing
    after: Callable[[str], object] = nothing
    watched: bool = False

    def __post_init__(self) -> None:
        client: Any = WholeClient(errors_of_a_client(), self.database, self._plan)
        self.table = Table(client=client, name=NAME, deadline=NO_DEADLINE)
        self.outside.before = lambda call: self.before(call)  # noqa: PLW0108 - what it is at the time of the call
        self.outside.after = lambda call: self.after(call)  # noqa: PLW0108
        self.driver = StoreDriver(self.table)

    def _plan(self, operation: str, _call: int) -> Any:
        if not self.watched:
            return None
        self.before(operation)

        def met(send: Callable[[], Any]) -> Any:
            answer = send()
            self.after(operation)
            return answer

        return met

    def ring(self, *numbers: int, account: str = "acme", has_time: Callable[[], bool] = lambda: True) -> None:
        """One run of the publisher, as the stream starts it."""
        self.run(lambda publisher: publish_changes(publisher, [row_of_entry(account, n) for n in numbers]), has_time)

    def heal(self) -> None:
        """One run of the publisher, as the schedule starts it."""
        self.run(publish_missing, lambda: True)

    def run(self, publish: Callable[[Any], object], has_time: Callable[[], bool]) -> None:
        outer, self.watched = self.watched, True
        try:
            publish(Publisher(self.table, self.outside, has_time=has_time).context())
        except Killed:
            pass
        finally:
            self.watched = outer

    def expected(self, account: str = "acme") -> list[str]:
        """The ids of the account's events, straight from its ledger."""
        last = self.driver.account(account)
        page = events_after(self.table, last.id, 0, limit=10_000, catalog=self.driver.catalog)
        return [event.id for event in page.events]

    def check(self, *accounts: str) -> None:
        for account in accounts or ("acme",):
            of_account = [
                [event for event in events if event["subject"] == account]
                for events in (self.outside.queue, self.outside.bus, feed(self.table))
            ]
            queue, bus, fed = of_account
            assert first_deliveries(queue) == first_deliveries(bus) == ids(fed) == self.expected(account)


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


def points(calls: list[str]) -> Iterator[int]:
    """Every call but the sends, and every fifth of these: they are alike."""
    return (index for index, call in enumerate(calls) if call != "send" or index % 5 == 0)


@pytest.mark.parametrize("after", [False, True])
def test_a_publisher_killed_at_any_call_loses_nothing(calls: list[str], *, after: bool) -> None:
    start = a_ledger()
    rows = start.database.snapshot(NAME)
    for point in points(calls):
        world = World()
        world.database.restore(NAME, rows)
        kill_at(world, point, after=after)

        world.ring(1)
        world.before = world.after = nothing
        world.ring(ENTRIES)

        world.check()


def kill_at(world: World, point: int, *, after: bool) -> None:
    seen: list[str] = []

    def met(call: str) -> None:
        seen.append(call)
        if len(seen) == point + 1:
            raise Killed

    if after:
        world.after = met
    else:
        world.before = met


@pytest.mark.parametrize("seed", range(3))
def test_two_publishers_at_once_keep_the_order(calls: list[str], seed: int) -> None:
    start = a_ledger()
    rows = start.database.snapshot(NAME)
    for point in points(calls):
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
    disturb(world, dice, accounts)
    for step in range(30):
        account = dice.choice(accounts)
        if world.driver.account(account).available:
            appended = world.driver.debit(1, account=account, key=f"{seed} {step}")
            if dice.random() < 0.9:
                world.ring(appended.entries[-1].number, account=account, has_time=lambda: dice.random() < 0.9)
    world.before = nothing
    world.heal()

    world.check(*accounts)


def disturb(world: World, dice: random.Random, accounts: tuple[str, ...]) -> None:
    depth: list[int] = []

    def meet(call: str) -> None:
        luck = dice.random()
        if luck < 0.02:
            raise Killed
        if luck < 0.06 and call in {"send", "put events"}:
            raise Refused
        if luck < 0.08 and not depth:
            depth.append(1)
            outer, world.watched = world.watched, False
            account = dice.choice(accounts)
            number = world.driver.debit(1, account=account).entries[-1].number
            world.watched = outer
            world.ring(number, account=account)
            depth.pop()

    world.before = meet


def test_an_entry_that_no_change_named_is_found() -> None:
    world = a_ledger(3)
    world.ring(1)
    world.driver.debit(1)
    world.driver.open("zoo", credits=1)

    world.heal()

    world.check("acme", "zoo")


def test_a_publisher_that_slept_a_day_publishes_everything() -> None:
    world = a_ledger(3)
    world.ring(1)
    for minute in range(90):
        world.driver.debit(1, at=world.driver.account().at + minute * SECOND)

    world.heal()

    world.check()
