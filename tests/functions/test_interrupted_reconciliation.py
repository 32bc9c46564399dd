"""Runs of the reconciliation that end early, fail or are killed: the next run continues. And the number of calls of a
run."""

from datetime import timedelta

import pytest

from fake_stripe.faults import Fault
from prepaid.payments.errors import PaymentsUnavailable
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.interruptions import Killed
from tests.support.reconciliation import NOTHING, Run, available, forget_events, looks, reviews_due
from tests.support.stripe_line import Call, stripe_tapped
from tests.support.stripe_purchases import Storefront

DAY = timedelta(days=1)

HOUR = timedelta(hours=1)

ENOUGH = 300_000


# The number of calls


def test_many_events_of_one_purchase_fetch_its_status_once(
    storefront: Storefront, run: Run, service: Service, fetched: list[str]
) -> None:
    """One request for its session, and one for its refunds and disputes."""
    purchase = storefront.buy()
    storefront.pay(purchase, "pix")
    for _ in range(4):
        storefront.refund(purchase, 499)
    storefront.dispute(purchase)
    assert len(storefront.since(0)) > 6
    assert run() == NOTHING | {"healed": 1}
    assert storefront.purchase(purchase).state == "disputed"
    fetched.clear()
    assert run() == NOTHING
    assert fetched == [purchase.session] * 2


def test_an_expired_voucher_is_found_by_its_event(
    storefront: Storefront, run: Run, clock: Clock, fetched: list[str]
) -> None:
    purchase = storefront.buy()
    storefront.happen(purchase, "confirm", "pix")
    clock.now += DAY
    storefront.happen(purchase, "fail")
    assert run() == NOTHING | {"healed": 1}
    assert fetched == [purchase.session] * 2
    assert storefront.purchase(purchase).state == "failed"


def test_a_paid_purchase_takes_three_calls_and_a_page_of_events_one(storefront: Storefront, run: Run) -> None:
    for _ in range(5):
        storefront.pay(storefront.buy(), "pix")
    with stripe_tapped() as calls:
        assert run() == NOTHING | {"healed": 5}
    # The second page is empty.
    assert len(calls) == 5 * 3 + 2


# Runs that are interrupted


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("number", [2, 3, 7])
def test_a_run_out_of_time_stops_and_the_next_continues(
    storefront: Storefront, run: Run, service: Service, clock: Clock, number: int
) -> None:
    for _ in range(5):
        storefront.pay(storefront.buy())
    answers = [run(looks(number))]
    while not answers[-1]["finished"]:
        assert len(answers) < 100
        clock.now += timedelta(minutes=1)
        answers.append(run(looks(number)))
    assert sum(answer["healed"] for answer in answers) == 5
    assert available(service) == 500
    assert run() == NOTHING


@pytest.mark.usefixtures("small_pages")
def test_a_run_that_continues_hours_later_misses_no_event(
    storefront: Storefront, run: Run, service: Service, clock: Clock
) -> None:
    for _ in range(3):
        storefront.pay(storefront.buy())
    assert not run(looks(2))["finished"]
    clock.now += timedelta(minutes=10)
    storefront.pay(storefront.buy())
    clock.now += 2 * HOUR

    assert run()["finished"]
    clock.now += HOUR
    assert run()["finished"]

    assert available(service) == 400


@pytest.mark.usefixtures("small_pages")
def test_a_killed_run_repeats_at_most_one_page(storefront: Storefront, run: Run, service: Service) -> None:
    """Each purchase has one event, which leads to a request for its session."""
    for _ in range(6):
        storefront.pay(storefront.buy())
    sessions: list[str] = []

    def meet(call: Call) -> None:
        if call.session:
            sessions.append(call.session)
            if len(sessions) in {4, 7}:
                raise Killed

    with stripe_tapped(meet) as calls:
        for _ in range(2):
            with pytest.raises(Killed):
                run()
        assert run()["finished"]
    # After the last page of events come the purchases that are due.
    last_page = max(place for place, call in enumerate(calls) if call.path == "/v1/events")
    assert sum(call.session is not None for call in calls[:last_page]) == 6 + 3
    assert available(service) == 600


@pytest.mark.usefixtures("small_pages")
def test_a_run_continues_past_an_event_that_stripe_deleted(storefront: Storefront, run: Run, service: Service) -> None:
    """The event at which the last run stopped is deleted, or was of test mode."""
    for _ in range(3):
        storefront.pay(storefront.buy())
    assert not run(looks(2))["finished"]
    with storefront.fake.state.lock:
        events = storefront.fake.state.tables["event"]
        newest = next(event for event in storefront.fake.state.newest_first("event") if "session" in event["type"])
        del events[newest["id"]]
    assert run()["finished"]
    assert available(service) == 300


def test_a_failed_fetch_is_retried(
    storefront: Storefront, run: Run, service: Service, output: Output, clock: Clock, unlucky: set[str]
) -> None:
    poor, lucky = storefront.buy(), storefront.buy()
    for purchase in (poor, lucky):
        storefront.pay(purchase)
    clock.now += 5 * DAY
    unlucky.add(poor.session or "")
    assert run() == NOTHING | {"healed": 1, "failed": 1, "waiting": 1}
    unlucky.clear()
    assert output.metric("ReconciliationFailures") == [1]
    [failure] = [line for line in output.lines if line.get("message") == "not reconciled"]
    assert (failure["level"], failure["exception_name"]) == ("ERROR", "PaymentsUnavailable")
    clock.now += 5 * DAY
    assert run() == NOTHING | {"healed": 1}
    assert available(service) == 200


def failed_rows(service: Service) -> list[tuple[str, int]]:
    """The failed checks, with their number of tries."""
    return [
        (sort.removeprefix("FAILED#"), int(item["tries"]["N"]))
        for (partition, sort), item in sorted(service.stored().items())
        if partition == "RECONCILIATION" and sort != "CHECKPOINT"
    ]


def test_an_event_that_always_fails_does_not_block_others(
    storefront: Storefront,
    run: Run,
    service: Service,
    output: Output,
    clock: Clock,
    fetched: list[str],
    unlucky: set[str],
) -> None:
    poor, *others = (storefront.buy() for _ in range(4))
    unlucky.add(poor.session or "")
    [event] = storefront.pay(poor)
    for purchase in others:
        storefront.pay(purchase)
    clock.now += 2 * HOUR
    assert run() == NOTHING | {"healed": 3, "failed": 1, "waiting": 1}
    for tries in range(2, 6):
        assert failed_rows(service) == [(event["id"], tries - 1)]
        fetched.clear()
        clock.now += 2 * HOUR
        assert run() == NOTHING | {"failed": 1, "waiting": 1}
        assert fetched == [poor.session]
    assert output.metric("ReconciliationOldestFailure") == [0, 7200, 14400, 21600, 28800]
    unlucky.clear()
    clock.now += 2 * HOUR
    assert run() == NOTHING | {"healed": 1}
    assert output.metric("ReconciliationOldestFailure")[-1] == 0
    assert failed_rows(service) == []
    assert available(service) == 400


def test_a_failed_check_of_a_purchase_is_retried(
    storefront: Storefront, run: Run, service: Service, clock: Clock, unlucky: set[str]
) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    forget_events(storefront)
    storefront.session(purchase.session or "").update({"payment_status": "unpaid"})
    unlucky.add(purchase.session or "")
    assert run() == NOTHING | {"failed": 1, "waiting": 1}
    assert reviews_due(service, clock) == {}
    assert failed_rows(service) == [(purchase.id, 1)]
    unlucky.clear()
    clock.now += HOUR
    assert run() == NOTHING | {"quarantined": 1}
    assert failed_rows(service) == []
    clock.now += HOUR
    assert run() == NOTHING


def test_failures_beyond_a_runs_limit_are_retried_in_turn(
    storefront: Storefront, run: Run, service: Service, clock: Clock, unlucky: set[str]
) -> None:
    service.functions.limits["reconcile"] = {"max_retries": 2}
    bought = [storefront.buy() for _ in range(5)]
    for purchase in bought:
        storefront.pay(purchase)
        unlucky.add(purchase.session or "")
    clock.now += 2 * HOUR
    assert run() == NOTHING | {"failed": 5, "waiting": 5}
    for _ in range(5):
        clock.now += HOUR
        assert run() == NOTHING | {"failed": 2, "waiting": 5}
    assert sorted(tries for _, tries in failed_rows(service)) == [2, 3, 3, 3, 4]
    unlucky.clear()
    for waiting in (3, 1, 0):
        clock.now += HOUR
        assert run()["waiting"] == waiting
    assert available(service) == 500


def test_a_backlog_that_never_ends_is_reported(storefront: Storefront, run: Run, output: Output, clock: Clock) -> None:
    for _ in range(6):
        storefront.pay(storefront.buy())
    clock.now += DAY
    answers = []
    for number in (2, 2, 100, 100):
        answers.append(run(looks(number))["finished"])
        clock.now += HOUR
    assert answers == [False, False, True, True]
    assert output.metric("ReconciliationBehind") == [0, 3600, 0, 0]


def test_a_run_during_an_outage_of_stripe_fails_and_keeps_all(
    storefront: Storefront, run: Run, service: Service
) -> None:
    """The function fails, so that Lambda counts it and tries again."""
    storefront.pay(storefront.buy())
    before = service.stored()
    storefront.fake.api.faults.plan(10, Fault(status=503))
    with pytest.raises(PaymentsUnavailable):
        run()
    assert service.stored() == before
    storefront.fake.api.faults.plan(0, Fault())
    assert run()["healed"] == 1
