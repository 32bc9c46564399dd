"""Every call of every kind of request meets every fault; pairs of them where credits move. See matrix.py.

FAULT_PAIRS=1 plays every pair, as `make fault-matrix` does; otherwise one in so many.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest

from prepaid.api.erasures import WALK_SECONDS
from prepaid.api.histories import FILE_SECONDS
from prepaid.api.http.serving import DEADLINE_SECONDS, STRIPE_DEADLINE_SECONDS
from prepaid.api.statements import STATEMENT_SECONDS
from prepaid.api.usages import USAGE_SECONDS
from tests.simulation.bench import Meet, opened_bench
from tests.simulation.faults import FAULTS
from tests.simulation.matrix import play
from tests.simulation.scenarios import SCENARIOS, Scenario
from tests.support import wire
from tests.support.api import Answer
from tests.support.contract import routes
from tests.support.gateway_events import Event
from tests.support.in_process import Service

EVERY = int(os.environ.get("FAULT_PAIRS", "50"))
PAIRED = [scenario for scenario in SCENARIOS if scenario.paired]


def test_every_route_has_a_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    requested: set[str] = set()
    send = Service.send

    def recorded(self: Service, event: Event, context: object = None) -> Answer:
        requested.add(event["routeKey"])
        return send(self, event, context)

    with opened_bench() as bench:
        empty = bench.save()
        for scenario in SCENARIOS:
            bench.load(empty)
            given = scenario.given(bench)
            with monkeypatch.context() as patched:
                patched.setattr(Service, "send", recorded)
                scenario.ask(bench, given)

    assert requested == set(routes())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_any_fault_of_one_call_ends_in_the_same_state(scenario: Scenario) -> None:
    fired = play(scenario, in_pairs=False)

    # A lone read is in nobody's way.
    assert {kind for kind in FAULTS if not fired[kind]} <= {"conflict"}


@pytest.mark.parametrize("scenario", PAIRED, ids=lambda scenario: scenario.name)
def test_any_faults_of_two_calls_end_in_the_same_state(scenario: Scenario) -> None:
    assert play(scenario, in_pairs=True, every=EVERY)["cells"] > 0


# The scenarios, by name or first word, that have a longer deadline: they call Stripe too, or read many entries.
LONGER = {
    "checkout": STRIPE_DEADLINE_SECONDS,
    "webhook": STRIPE_DEADLINE_SECONDS,
    "history: as CSV": FILE_SECONDS,
    "statement": STATEMENT_SECONDS,
    "erasures": WALK_SECONDS,
    "usage": USAGE_SECONDS,
}
SLOW_SECONDS = 0.9
# botocore sends each call twice at most.
SLOWEST_CALL_SECONDS = 2 * SLOW_SECONDS
REQUESTS = [scenario for scenario in SCENARIOS if scenario.name not in {"expiry_sweep", "verify"}]
REQUESTS = [scenario for scenario in REQUESTS if not scenario.name.startswith("reconcile")]


WEBHOOKS = [scenario for scenario in SCENARIOS if scenario.name.startswith("webhook")]


@pytest.mark.parametrize("scenario", WEBHOOKS, ids=lambda scenario: scenario.name)
def test_a_slow_stripe_does_not_use_up_the_deadline(scenario: Scenario) -> None:
    """Each call of Stripe's takes three seconds. What it says is written all the same."""
    with opened_bench() as bench:
        given = scenario.given(bench)

        def slow(_: int, call: str) -> Meet | None:
            if call.startswith("stripe"):
                bench.monotonic += 3.0
            return None

        bench.meet, bench.watched = slow, True
        response = bench.invoke(lambda: scenario.ask(bench, given))

        assert response is not None
        assert response[0] == 200


@pytest.mark.parametrize("scenario", REQUESTS, ids=lambda scenario: scenario.name)
def test_a_slow_database_is_reported_within_the_deadline(scenario: Scenario) -> None:
    """Each call takes 0.9 s and succeeds at its third try. The request has one deadline for all its calls."""
    throttled = wire.refuses("ProvisionedThroughputExceededException")
    with opened_bench() as bench:
        given = scenario.given(bench)

        def slow(number: int, call: str) -> Meet | None:
            if call.startswith("stripe"):
                return None

            def met(send: Callable[[], Any]) -> Any:
                bench.monotonic += SLOW_SECONDS
                return send() if number % 3 == 0 else throttled(send)

            return met

        bench.meet, bench.watched, started = slow, True, bench.monotonic
        response = bench.invoke(lambda: scenario.ask(bench, given))

        took = bench.monotonic - started
        assert response is not None
        deadline = LONGER.get(scenario.name) or LONGER.get(scenario.name.partition(":")[0], DEADLINE_SECONDS)
        assert took <= deadline + SLOWEST_CALL_SECONDS
        if response[0] >= 500:
            assert response[0] == 503
            assert response[1]["code"] == "busy"
