"""Scenarios of the sweep and the verifier."""

from datetime import timedelta
from typing import Any

from prepaid.store.due import SweepCheckpoint, save_checkpoint
from prepaid.store.keys import DUE_SHARDS
from tests.simulation.bench import Bench, Context
from tests.simulation.scenarios.scenario import (
    SCHEDULED,
    Outcome,
    Scenario,
    partly_spent,
    scheduled,
    spends,
    with_an_expired_lot,
)


def expired_in_the_last_shards(bench: Bench) -> None:
    """The same, after a sweep of today's earlier shards: the last two shards need each kind of call."""
    with_an_expired_lot(bench)
    [shard] = {int(shard) for kind, day, shard in due_partitions(bench) if day == bench.now.date().isoformat()}
    save_checkpoint(bench.service.table, SweepCheckpoint(day=bench.now.date(), shard=min(shard, DUE_SHARDS - 2)))


def due_partitions(bench: Bench) -> list[list[str]]:
    return [partition.split("#") for partition, _ in bench.items() if partition.startswith("DUE#")]


def verify(bench: Bench, _: Any) -> Outcome:
    """A pass of the verifier, which must find nothing. Behind a clock that went back, a second pass may be left."""
    answer = bench.service.functions["verify"](SCHEDULED, Context(bench))
    return (200, {"found": answer["found"]}) if answer["finished"] else (503, {"code": "busy"})


def traded(bench: Bench) -> None:
    """Bought, partly spent and partly refunded, long enough ago for a pass to check all of it."""
    bench.storefront.deliver_all(bench.storefront.refund(partly_spent(bench), 2495))
    bench.now += timedelta(hours=3)


SCENARIOS = (
    Scenario("expiry_sweep", expired_in_the_last_shards, scheduled("expiry_sweep"), spends),
    Scenario("verify", traded, verify, spends),
)
