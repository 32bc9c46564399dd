"""Every request and every job meets slow calls, and answers or stops before Lambda kills its function."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest

from prepaid.api.erasures import WALK_SECONDS
from prepaid.api.histories import FILE_SECONDS
from prepaid.api.http.routes import DEADLINE_SECONDS, PAGE_DEADLINE_SECONDS, STRIPE_DEADLINE_SECONDS
from prepaid.api.statements import STATEMENT_SECONDS
from prepaid.api.usages import USAGE_SECONDS
from tests.simulation.bench import opened_bench
from tests.simulation.matrix import ASK_AGAIN
from tests.simulation.scenarios import SCENARIOS, Scenario
from tests.simulation.slow_calls import SLOW_SECONDS, Delays, Timed, timed
from tests.support.template import timeout_of

# The scenarios, by name or first word, that have a longer deadline: they call Stripe too, or read many entries.
LONGER = {
    "checkout": STRIPE_DEADLINE_SECONDS,
    "webhook": STRIPE_DEADLINE_SECONDS,
    "history: as CSV": FILE_SECONDS,
    "statement": STATEMENT_SECONDS,
    "erasures": WALK_SECONDS,
    "usage": USAGE_SECONDS,
    "portal": PAGE_DEADLINE_SECONDS,
}
# botocore sends each call twice at most.
SLOWEST_CALL_SECONDS = 2 * SLOW_SECONDS
# The longest attempt of a call, which is Stripe's, and what the response needs after it.
LONGEST_ATTEMPT_SECONDS, ANSWER_SECONDS = 6.0, 0.5
JOBS = ("expiry_sweep", "publish", "reconcile", "verify")
SCHEDULED = [scenario for scenario in SCENARIOS if scenario.name.startswith(JOBS)]
DELIVERIES = [scenario for scenario in SCENARIOS if scenario.name.startswith("deliver")]
REQUESTS = [scenario for scenario in SCENARIOS if scenario not in (*SCHEDULED, *DELIVERIES)]
# Requests that must write Stripe's status.
MONEY = [scenario for scenario in SCENARIOS if scenario.name.startswith(("webhook", "checkout: buy on"))]
# More tries than a request has time for.
NEVER = 1_000
DELAYS_OF_REQUESTS = (
    Delays(tries=1, secret=6.9),
    Delays(tries=1, stripe=3.0),
    Delays(database=2.9, tries=1, secret=6.9, stripe=5.9),
    Delays(database=0.0, tries=1, secret=6.9, stripe=5.9),
    Delays(tries=NEVER, secret=6.9, stripe=5.9),
)
# A call to the queue or the bus takes at most nine seconds, one to the webhook ten.
DELAYS_OF_DELIVERIES = (
    Delays(outside=10.0),
    Delays(database=0.0, tries=1, secret=6.9, outside=10.0),
    Delays(database=2.9, tries=1, secret=6.9, outside=10.0),
    Delays(database=6.9, tries=1, outside=10.0),
)
DELAYS_OF_JOBS = (
    Delays(stripe=3.0, outside=3.0),
    Delays(database=6.9, tries=1, secret=6.9, stripe=5.9, outside=9.0),
)


@pytest.mark.parametrize("scenario", MONEY, ids=lambda scenario: scenario.name)
def test_a_slow_stripe_does_not_use_up_the_deadline(scenario: Scenario) -> None:
    """Each call to Stripe takes three seconds. Its result is written all the same."""
    with opened_bench() as bench:
        given = scenario.given(bench)
        timed(bench, Delays(database=0.0, tries=1, stripe=3.0))

        response = bench.invoke(lambda: scenario.ask(bench, given))

    assert response is not None
    assert response[0] in {200, 303}


@pytest.mark.parametrize("name", ["webhook: refund", "webhook: dispute"])
def test_money_back_is_confirmed_without_a_pause(name: str) -> None:
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == name]
    with opened_bench() as bench:
        given = scenario.given(bench)
        functions = timed(bench, Delays(database=0.0, tries=1))

        bench.invoke(lambda: scenario.ask(bench, given))

        fetched = [call for call in bench.calls if call.startswith("stripe GET /v1/checkout/sessions")]
    assert len(fetched) == 2
    assert functions.ended == [("purchase_webhook", 0.0)]


@pytest.mark.parametrize("scenario", REQUESTS, ids=lambda scenario: scenario.name)
def test_a_slow_database_is_reported_within_the_deadline(scenario: Scenario) -> None:
    """Each call takes 0.9 s and succeeds at its third try. The request has one deadline for all its calls."""
    with opened_bench() as bench:
        given = scenario.given(bench)
        functions = timed(bench, Delays())

        response = bench.invoke(lambda: scenario.ask(bench, given))

    assert response is not None
    assert response[0] < 500 or (response[0] == 503 and response[1]["code"] in ASK_AGAIN)
    deadline = LONGER.get(scenario.name) or LONGER.get(scenario.name.partition(":")[0], DEADLINE_SECONDS)
    assert max((seconds for _, seconds in functions.ended), default=0.0) <= deadline + SLOWEST_CALL_SECONDS


def played_with_each(cases: Iterable[Delays], scenario: Scenario) -> Iterator[tuple[Timed, Any]]:
    """The timed functions and the response of the scenario's request, from the same state in each case."""
    with opened_bench(quick=True) as bench:
        given = scenario.given(bench)
        saved = bench.save()
        for delays in cases:
            bench.load(saved)
            functions = timed(bench, delays)
            yield functions, bench.invoke(lambda: scenario.ask(bench, given))


@pytest.mark.parametrize("scenario", REQUESTS, ids=lambda scenario: scenario.name)
def test_no_request_lasts_until_lambda_kills_it(scenario: Scenario) -> None:
    """Secrets, Stripe and the database are slow, alone and together: no call begins that might end too late."""
    for functions, response in played_with_each(DELAYS_OF_REQUESTS, scenario):
        assert response is not None
        assert response[0] < 500 or (response[0] == 503 and response[1]["code"] in ASK_AGAIN)
        for name, seconds in functions.begun:
            assert seconds + LONGEST_ATTEMPT_SECONDS + ANSWER_SECONDS <= timeout_of(name)
        for name, seconds in functions.ended:
            assert seconds + ANSWER_SECONDS <= timeout_of(name)


@pytest.mark.parametrize("scenario", DELIVERIES, ids=lambda scenario: scenario.name)
def test_no_delivery_lasts_until_lambda_kills_it(scenario: Scenario) -> None:
    for functions, _ in played_with_each(DELAYS_OF_DELIVERIES, scenario):
        [(name, seconds)] = functions.ended
        assert seconds + ANSWER_SECONDS <= timeout_of(name)


@pytest.mark.parametrize("scenario", SCHEDULED, ids=lambda scenario: scenario.name)
def test_no_run_of_a_job_lasts_until_lambda_kills_it(scenario: Scenario) -> None:
    """A job looks at the time between its pieces. Whatever it does after the last look fits into its margin."""
    with opened_bench(quick=True) as bench:
        given = scenario.given(bench)
        saved = bench.save()
        for delays, seconds in product(DELAYS_OF_JOBS, range(0, 120, 10)):
            bench.load(saved)
            functions = timed(bench, delays)
            margin = functions.apps[scenario.name.partition(":")[0]].MARGIN_MILLISECONDS
            bench.remaining_milliseconds = margin + 1 + seconds * 1000

            bench.invoke(lambda: scenario.ask(bench, given))

            assert functions.begun
            assert functions.ended[-1][1] + ANSWER_SECONDS <= (margin + 1) / 1000 + seconds
