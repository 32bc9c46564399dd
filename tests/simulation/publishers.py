"""Publishers at a table of the simulation, and what can happen to them between two calls."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prepaid.store.dynamodb import Table
from prepaid.use_cases.publishing import PublishContext, Published, events_after, publish_changes, publish_missing
from tests.simulation.bench import Killed
from tests.simulation.database import Database
from tests.support.publishing import Outside, Publisher, Refused, feed, first_deliveries, ids, nothing, row_of_entry
from tests.support.store_driver import NO_DEADLINE, NOW, StoreDriver
from tests.support.whole_table import NAME, WholeClient, WholeDatabase, errors_of_a_client


@dataclass
class World:
    """A table, the queue and the bus. before, after: called with the name of each call of a publisher; may raise."""

    database: Database = field(default_factory=WholeDatabase)
    outside: Outside = field(default_factory=Outside)
    before: Callable[[str], object] = nothing
    after: Callable[[str], object] = nothing
    watched: bool = False
    now: datetime = NOW

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

    def run(self, publish: Callable[[PublishContext], Published], has_time: Callable[[], bool]) -> Published | None:
        """The result of a run; None when it was killed."""
        outer, self.watched = self.watched, True
        try:
            return publish(Publisher(self.table, self.outside, now=self.now, has_time=has_time).context())
        except Killed:
            return None
        finally:
            self.watched = outer

    def expected(self, account: str = "acme") -> list[str]:
        """The ids of the account's events, straight from its ledger."""
        last = self.driver.account(account)
        page = events_after(self.table, last.id, 0, limit=10_000, catalog=self.driver.catalog)
        return [event.id for event in page.events]

    def check(self, *accounts: str) -> None:
        fed = feed(self.table, hours=4 + (self.now - NOW) // timedelta(hours=1))
        for account in accounts or ("acme",):
            of_account = [
                [event for event in events if event["subject"] == account]
                for events in (self.outside.queue, self.outside.bus, fed)
            ]
            queue, bus, listed = of_account
            assert first_deliveries(queue) == first_deliveries(bus) == ids(listed) == self.expected(account)


def kill_at(world: World, point: int, *, after: bool) -> None:
    """Kill the publisher at its call of this number, before or after the call has its effect."""
    seen: list[str] = []

    def met(call: str) -> None:
        seen.append(call)
        if len(seen) == point + 1:
            raise Killed

    if after:
        world.after = met
    else:
        world.before = met


def disturb(world: World, dice: random.Random, rival: Callable[[], object]) -> None:
    """Let any call kill its run, a send be refused, or a rival act before it; nothing happens to a rival's rivals."""
    rivals: list[int] = []

    def meet(call: str) -> None:
        luck = dice.random()
        if luck < 0.02:
            raise Killed
        if luck < 0.06 and call in {"send", "put events"}:
            raise Refused
        if luck < 0.08 and not rivals:
            rivals.append(1)
            rival()
            rivals.pop()

    world.before = meet
