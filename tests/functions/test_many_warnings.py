"""Scheduled runs of the publisher with more work than time: each continues where the last one stopped."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.publishing import ON_SCHEDULE, Publish, ids
from tests.support.store_driver import DAY, HOUR

ACCOUNTS = tuple(f"shop-{letter}" for letter in "abcdefghijkl")
# The midnight at which all lots of a time zone end.
END = "2026-07-24T03:00:00Z"
# A run that looks at its time some twenty times for its warnings, and a few times more.
SHORT = 220_000
MANY_RUNS = 50


@dataclass(frozen=True)
class Countdown(Context):
    """A context whose time passes with each look at it."""

    looks: list[int] = field(default_factory=list)

    def get_remaining_time_in_millis(self) -> int:
        self.looks.append(self.remaining)
        return self.remaining - 5000 * len(self.looks)


@pytest.fixture
def publish(service: Service) -> Publish:
    return Publish(service)


@pytest.fixture
def ending_together(publish: Publish, service: Service, clock: Clock) -> Publish:
    """Twelve accounts, each with a lot that ends at the same moment. Its warning of 30 days has just become due."""
    for account in ACCOUNTS:
        service.open(account)
        service.give(5, account, expires_at=END)
    clock.now = datetime.fromisoformat(END) - 30 * DAY - HOUR
    publish.heal()
    clock.now += HOUR
    return publish


def in_short_runs(publish: Publish, service: Service, remaining: int) -> list[int]:
    """How many warnings each run sends, until one gets to the end of its work."""
    sent: list[int] = []
    for _ in range(MANY_RUNS):
        before = len(publish.days())
        try:
            publish.run(ON_SCHEDULE, Countdown(remaining=remaining))
        except service.functions.apps["publish"].NotPublished:
            sent.append(len(publish.days()) - before)
        else:
            return [*sent, len(publish.days()) - before]
    raise AssertionError(f"unfinished after {MANY_RUNS} runs: {sent}")


def test_lots_that_end_at_one_moment_warn_in_several_runs(ending_together: Publish, service: Service) -> None:
    sent = in_short_runs(ending_together, service, remaining=SHORT)

    assert ending_together.days() == [30] * len(ACCOUNTS)
    assert len(set(ids(ending_together.outside.queue))) == len(ending_together.outside.queue)
    assert sum(1 for warnings in sent if warnings) > 1


def test_the_run_after_the_last_warning_sends_nothing(ending_together: Publish, service: Service, clock: Clock) -> None:
    in_short_runs(ending_together, service, remaining=SHORT)
    clock.now += HOUR

    assert ending_together.heal() == {"events": 0, "failed": 0, "finished": True}


def test_a_run_ends_the_pass_of_the_last_one_and_begins_another(
    ending_together: Publish, service: Service, clock: Clock
) -> None:
    """The first run stops amid the twelve. Another lot's warning is due before the second one."""
    service.give(5, "shop-a", expires_at="2026-07-24T04:30:00Z")
    publish = ending_together
    with pytest.raises(service.functions.apps["publish"].NotPublished):
        publish.run(ON_SCHEDULE, Countdown(remaining=SHORT))
    clock.now += 2 * HOUR

    publish.heal()

    assert publish.days() == [30] * (len(ACCOUNTS) + 1)


def test_long_warnings_leave_time_for_missing_entries(ending_together: Publish, service: Service) -> None:
    service.spend(1, account="shop-a")

    with pytest.raises(service.functions.apps["publish"].NotPublished):
        ending_together.run(ON_SCHEDULE, Countdown(remaining=300_000))

    assert "entry.consumption" in ending_together.types()
    assert len(ending_together.days()) < len(ACCOUNTS)


def test_a_warning_that_fails_amid_many_is_published_later(
    ending_together: Publish, service: Service, clock: Clock
) -> None:
    """By the next pass, also when the one that failed ends in another run."""
    publish = ending_together

    def refuse(call: str) -> None:
        publish.outside.before = lambda _: None
        raise RuntimeError(call)

    publish.outside.before = refuse
    in_short_runs(publish, service, remaining=SHORT)
    clock.now += DAY

    publish.heal()

    assert publish.days() == [30] * len(ACCOUNTS)
