"""Runs of the reconciliation, and what they leave."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from prepaid.store import keys
from prepaid.store.keys import HIGHEST
from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.store_driver import Stored
from tests.support.stripe_line import Call, Fault, cut, stripe_tapped
from tests.support.stripe_purchases import Storefront

SCHEDULED = {"version": "0", "source": "aws.scheduler"}

ENOUGH = 300_000
NOTHING = {"healed": 0, "quarantined": 0, "failed": 0, "waiting": 0, "finished": True}


@dataclass(frozen=True)
class Countdown(Context):
    """Lambda's context, whose time is up after `looks` checks. A run checks it once for a page, then for each item."""

    looks: Iterator[int] = field(default_factory=lambda: itertools.repeat(ENOUGH))

    def get_remaining_time_in_millis(self) -> int:
        return next(self.looks)


def looks(number: int) -> Countdown:
    return Countdown(looks=itertools.chain(itertools.repeat(ENOUGH, number), itertools.repeat(60_000)))


type Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(service: Service) -> Run:
    """The counts of one run."""

    def once(context: Context | None = None) -> dict[str, Any]:
        with acting_as("reconcile"):
            answer: dict[str, Any] = service.functions["reconcile"](SCHEDULED, context or Context(remaining=ENOUGH))
        return {name: value for name, value in answer.items() if name != "until"}

    return once


def available(service: Service, account: str = "acme") -> int:
    return int(service.balance(account)["credits"]["available"])


@pytest.fixture
def fetched() -> Iterator[list[str]]:
    """The sessions that Stripe is asked about, in order."""
    sessions_fetched: list[str] = []

    def meet(call: Call) -> None:
        if call.session:
            sessions_fetched.append(call.session)

    with stripe_tapped(meet):
        yield sessions_fetched


def forget_events(storefront: Storefront) -> None:
    with storefront.fake.state.lock:
        storefront.fake.state.tables["event"].clear()


def reviews_due(service: Service, clock: Clock) -> Stored:
    return {
        key: item
        for key, item in service.stored().items()
        if key[0] == "PENDING_CHECK" and key[1] <= keys.pending_check_sort(clock.now, HIGHEST)
    }


@pytest.fixture
def small_pages(service: Service) -> None:
    service.functions.limits["reconcile"] = {"page_events": 2, "page_checks": 2}


@pytest.fixture
def unlucky(fetched: list[str]) -> Iterator[set[str]]:
    """Sessions about which Stripe doesn't answer."""
    silent: set[str] = set()

    def meet(call: Call) -> Fault | None:
        if call.session not in silent:
            return None
        fetched.append(call.session)
        return cut

    with stripe_tapped(meet):
        yield silent
