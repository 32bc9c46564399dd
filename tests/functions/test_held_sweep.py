"""Schedules: the sweep records lapses, and the verifier checks holds and the count of reversals."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.gateway_events import Context
from tests.support.handlers import Clock, Output
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.store_driver import due_keys, types

SCHEDULED = {"version": "0", "source": "aws.scheduler"}
LIMITS = {"initial_lookback": timedelta(days=1)}
REVERSED = {"PK": {"S": "ACCOUNT#acme"}, "SK": {"S": "REVERSED#000000000003"}}


def scheduled(service: Service, function: str) -> Any:
    with acting_as(function):
        return service.functions[function](SCHEDULED, Context(remaining=900_000))


@pytest.fixture
def shop(service: Service) -> Service:
    """Entry 3 charges six of ten credits, entry 4 returns two of them, entry 5 holds three."""
    service.functions.limits["expiry_sweep"] = LIMITS
    service.open(credits=10)
    service.reverse(service.spend(6).body["id"], 2)
    service.hold(3)
    return service


def test_the_sweep_records_a_lapse_and_deletes_its_row(shop: Service, clock: Clock) -> None:
    assert "acme#hold_000000000005" in due_keys(shop.stored())
    clock.now += timedelta(minutes=15)

    swept = scheduled(shop, "expiry_sweep")

    assert swept == {"recorded": 1, "failed": 0, "finished": True}
    assert types(shop.stored())[-1] == "release"
    assert not any("hold_" in what for what in due_keys(shop.stored()))


def test_the_sweep_deletes_the_row_of_a_captured_hold(shop: Service, clock: Clock) -> None:
    shop.capture("hold_000000000005")
    clock.now += timedelta(minutes=15)

    swept = scheduled(shop, "expiry_sweep")

    assert swept["recorded"] == 1
    assert types(shop.stored())[-1] == "capture"
    assert not any("hold_" in what for what in due_keys(shop.stored()))


def test_the_verifier_finds_nothing_wrong_with_holds(shop: Service, clock: Clock) -> None:
    shop.capture("hold_000000000005", 1)
    shop.reverse("cap_000000000006")
    shop.hold(2)
    clock.now += timedelta(hours=2)
    shop.spend()
    shop.hold(1)

    assert scheduled(shop, "verify")["found"] == 0


@pytest.mark.parametrize(("changed", "code"), [({"units": {"N": "1"}}, "reversal_differs"), (None, "reversal_missing")])
def test_the_verifier_finds_a_wrong_count_of_reversed_units(
    shop: Service, output: Output, changed: Any, code: str
) -> None:
    table = shop.table
    if changed is None:
        table.client.delete_item(TableName=table.name, Key=REVERSED)
    else:
        table.client.put_item(TableName=table.name, Item={**REVERSED, **changed})

    assert scheduled(shop, "verify")["found"] == 1
    assert [line["code"] for line in output.lines if "code" in line] == [code]


def test_the_verifier_finds_a_hold_without_its_due_row(shop: Service, output: Output) -> None:
    [(partition, sort)] = [key for key in shop.stored() if key[0].startswith("DUE#") and "hold_" in key[1]]
    shop.table.client.delete_item(TableName=shop.table.name, Key={"PK": {"S": partition}, "SK": {"S": sort}})

    assert scheduled(shop, "verify")["found"] == 1
    assert [line["code"] for line in output.lines if "code" in line] == ["due_missing"]
