"""The scheduled function: what it records, what it returns, and when it stops."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.gateway_events import Context
from tests.support.handlers import Clock, Output
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.interruptions import raising
from tests.support.store_driver import due_keys, lines, types

HOUR = timedelta(hours=1)
SCHEDULED = {"version": "0", "source": "aws.scheduler"}


@pytest.fixture
def sweep(service: Service) -> Any:
    """One run; `remaining`: milliseconds that Lambda says are left."""
    # The first sweep covers a month, which takes long and is tested in tests/store.
    service.functions.limits["expiry_sweep"] = {"initial_lookback": timedelta(days=1)}

    def run(remaining: int = 120_000) -> dict[str, Any]:
        with acting_as("expiry_sweep"):
            answer: dict[str, Any] = service.functions["expiry_sweep"](SCHEDULED, Context(remaining=remaining))
        return answer

    return run


def test_a_sweep_without_due_lots_records_nothing(sweep: Any, service: Service, output: Output) -> None:
    assert sweep() == {"recorded": 0, "failed": 0, "finished": True}
    assert list(service.stored()) == [("SWEEP", "CHECKPOINT")]
    assert output.metric("LotsExpired") == [0]
    assert output.metric("SweepFailures") == [0]


def test_expired_lots_are_recorded_once(sweep: Any, service: Service, clock: Clock, output: Output) -> None:
    for account in ("acme", "zoo"):
        service.open(account)
        service.give(5, account, expires_at="2026-06-16T14:00:00Z")
        service.give(7, account, expires_at="2026-06-16T15:00:00Z")
    clock.now += HOUR
    assert sweep() == {"recorded": 2, "failed": 0, "finished": True}
    after = service.stored()
    for account in ("acme", "zoo"):
        assert types(after, account)[-1] == "expiry"
        line = lines(after, account)[-1]
        assert (line["credits"], line["balance_after"], line["actor"]) == (-5, 7, "prepaid")
    assert sorted(due_keys(after)) == ["acme#lot_000000000003", "zoo#lot_000000000003"]
    assert sweep() == {"recorded": 0, "failed": 0, "finished": True}
    assert service.stored() == after
    assert output.metric("LotsExpired") == [2, 0]


def test_a_sweep_out_of_time_stops_and_the_next_continues(sweep: Any, service: Service, clock: Clock) -> None:
    service.open()
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    clock.now += HOUR
    before = service.stored()
    assert sweep(remaining=40_000) == {"recorded": 0, "failed": 0, "finished": False}
    changed = service.stored()
    assert changed.keys() - before.keys() == {("SWEEP", "CHECKPOINT")}
    assert sweep(remaining=40_001)["finished"] is True
    assert types(service.stored())[-1] == "expiry"


def test_a_failed_lot_is_counted_and_retried(sweep: Any, service: Service, clock: Clock, output: Output) -> None:
    service.open()
    service.give(5, expires_at="2026-06-16T14:00:00Z")
    clock.now += HOUR
    with raising(service.table.client, RuntimeError("no room"), "TransactWriteItems"):
        assert sweep() == {"recorded": 0, "failed": 1, "finished": True}
    assert output.metric("SweepFailures") == [1]
    [failure] = [line for line in output.lines if line.get("message") == "end not recorded"]
    assert (failure["account"], failure["what"], failure["level"]) == ("acme", "lot_000000000002", "ERROR")
    clock.now += timedelta(days=3)
    assert sweep() == {"recorded": 1, "failed": 0, "finished": True}


def test_a_run_that_cannot_start_fails(sweep: Any, service: Service) -> None:
    """So that it is retried."""
    service.functions.change("expiry_sweep", clock=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sweep()
    assert service.stored() == {}
