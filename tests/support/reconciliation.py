"""Runs of the reconciliation, and what they leave."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import stripe

from prepaid.payments import sessions
from prepaid.payments.errors import PaymentsUnavailable
from prepaid.store import keys
from prepaid.store.reconciliation import HIGHEST
from prepaid.use_cases import syncing
from tests.support.gateway_events import Context
from tests.support.handlers import Clock
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.store_driver import Stored
from tests.support.stripe_purchases import Till

SCHEDULED = {"version": "0", "source": "aws.scheduler"}

ENOUGH = 300_000
NOTHING = {"healed": 0, "quarantined": 0, "failed": 0, "waiting": 0, "finished": True}


@dataclass(frozen=True)
class Countdown(Context):
    """Lambda's clock: so many looks, then it is time to stop. One is for a page, the next ones for what is on it."""

    looks: Iterator[int] = field(default_factory=lambda: itertools.repeat(ENOUGH))

    def get_remaining_time_in_millis(self) -> int:
        return next(self.looks)


def looks(number: int) -> Countdown:
    return Countdown(looks=itertools.chain(itertools.repeat(ENOUGH, number), itertools.repeat(60_000)))


type Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(service: Service) -> Run:
    """One run."""

    def once(context: Context | None = None) -> dict[str, Any]:
        with acting_as("reconcile"):
            answer: dict[str, Any] = service.functions["reconcile"](SCHEDULED, context or Context(remaining=ENOUGH))
        return answer

    return once


def available(service: Service, account: str = "acme") -> int:
    return int(service.balance(account)["credits"]["available"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions that Stripe is asked about, in order."""
    sessions_asked: list[str] = []
    real = sessions.fetch_payment_status

    def look(client: Any, session: str, **named: Any) -> Any:
        sessions_asked.append(session)
        return real(client, session, **named)

    monkeypatch.setattr(syncing, "fetch_payment_status", look)
    return sessions_asked


def forget_events(till: Till) -> None:
    with till.fake.state.lock:
        till.fake.state.tables["event"].clear()


def reviews_due(service: Service, clock: Clock) -> Stored:
    return {
        key: item
        for key, item in service.stored().items()
        if key[0] == "PENDING_CHECK" and key[1] <= keys.pending_check_sort(clock.now, HIGHEST)
    }


def after_each_call(patch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Act after each answer of Stripe's."""
    real = stripe.RequestsClient.request

    def request(*given: Any, **named: Any) -> Any:
        answer = real(*given, **named)
        act()
        return answer

    patch.setattr(stripe.RequestsClient, "request", request)


@pytest.fixture
def small_pages(service: Service) -> None:
    service.functions.limits["reconcile"] = {"page_events": 2, "page_checks": 2}


@pytest.fixture
def unlucky(till: Till, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Sessions about which Stripe doesn't answer."""
    silent: set[str] = set()
    counted = vars(syncing)["fetch_payment_status"]

    def look(client: Any, session: str, **named: Any) -> Any:
        if session in silent:
            asked.append(session)
            raise PaymentsUnavailable
        return counted(client, session, **named)

    monkeypatch.setattr(syncing, "fetch_payment_status", look)
    return silent
