"""Two reversals of one charge at once: each unit comes back once."""

import pytest

from prepaid.store.dynamodb import ConditionFailed, put
from prepaid.store.reversals import reversed_put
from tests.support.in_process import Service
from tests.support.store_driver import types
from tests.support.wire import Wire

CASES = [(0, 4, 4, 8), (1, 3, 3, 8), (0, 6, 1, 5), (1, 1, 1, 7)]


@pytest.mark.parametrize(("before", "requested", "rival", "available"), CASES)
def test_two_reversals_at_once_return_each_unit_once(
    service: Service, before: int, requested: int, rival: int, available: int
) -> None:
    """The rival writes after the other reversal read the count and before it writes. Six of ten credits are spent."""
    service.open(credits=10)
    charge = service.spend(6).body["id"]
    if before:
        service.reverse(charge, before)
    with Wire.tapped(service.table.client) as wire:
        wire.plan("TransactWriteItems", lambda _: (service.reverse(charge, rival), None)[1])
        answer = service.reverse(charge, requested)

    served = requested + rival + before <= 6
    assert answer.status == (201 if served else 409)
    assert service.balance()["credits"]["available"] == available
    assert types(service.stored()).count("reversal") == bool(before) + 1 + served


@pytest.mark.parametrize("operation", ["Query", "BatchGetItem", "TransactWriteItems"])
@pytest.mark.parametrize("rival", ["reverse", "debit"])
def test_a_rival_between_any_two_reads_costs_no_unit(service: Service, operation: str, rival: str) -> None:
    """Units of the quota: a count that is older than the state would return them a second time."""
    service.open(plan="individual", ai_enabled=True)
    charge = service.spend(6, "ai_service").body["id"]
    acts = {"reverse": lambda: service.reverse(charge), "debit": lambda: service.spend(1, "ai_service")}
    with Wire.tapped(service.table.client) as wire:
        wire.plan(operation, lambda _: (acts[rival](), None)[1])
        answer = service.reverse(charge)

    [quota] = service.balance()["quotas"]
    assert (answer.status, quota["used"]) == ((409, 0) if rival == "reverse" else (201, 1))
    assert types(service.stored()).count("reversal") == 1


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_count_that_is_stale_is_never_written(service: Service, seen: int) -> None:
    """The count has a condition of its own, so a unit would come back once even without the entry's number."""
    service.open(credits=10)
    charge = service.spend(6).body
    service.reverse(charge["id"], 2)

    with pytest.raises(ConditionFailed):
        put(service.table, reversed_put("acme", charge["entry"], before=seen, after=seen + 1))

    assert service.reverse(charge["id"], 5).body["reversible"] == 4
