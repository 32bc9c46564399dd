"""Scenarios of spending: consumptions, batches, holds, reversals and quotes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.simulation.bench import Bench
from tests.simulation.scenarios.scenario import (
    KEY,
    Outcome,
    Scenario,
    opened,
    outcome_of,
    spends,
    spent_before,
    with_an_expired_lot,
)
from tests.support.api import (
    CONSUMPTION,
    HOLD,
    PATCH_ACCOUNT,
    Answer,
)
from tests.support.gateway_events import ADMIN

DAY = timedelta(days=1)


def freezes(bench: Bench) -> Answer:
    """Support freezes the same account."""
    return bench.service(PATCH_ACCOUNT, json={"status": "frozen"}, by=ADMIN, may_fail=True)


def with_quota(bench: Bench) -> None:
    """Three units of the month's quota are left, and a period has passed since it was last renewed."""
    bench.service.open(plan="individual", ai_enabled=True, quota_anchor_day=1, credits=100)
    bench.now += 20 * DAY
    assert bench.service.spend(97, feature="ai_service").status == 201


def frozen(bench: Bench) -> None:
    opened(bench)
    assert freezes(bench).status == 200


def frozen_after_a_debit(bench: Bench) -> None:
    spent_before(bench)
    assert freezes(bench).status == 200


def just_enough(bench: Bench) -> None:
    bench.service.open(credits=3)


def poor(bench: Bench) -> None:
    bench.service.open(credits=4)


def spend(quantity: int, feature: str = "sticker") -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service.spend(quantity, feature, key=KEY, may_fail=True))


def spend_in_a_crowd(bench: Bench, _: Any) -> Outcome:
    """The function has just lost a race, so the debit leaves a row first."""
    bench.service.functions.deps["consume"].crowds.note("acme")
    return spend(3)(bench, _)


def batch(*items: tuple[str, int]) -> Callable[[Bench, Any], Outcome]:
    """Stickers, each item with a key of its own.

    A retry replays the items that took effect, and decides anew about those that were refused.
    """

    def ask(bench: Bench, _: Any) -> Outcome:
        status, body = outcome_of(bench.service.batch(*items, may_fail=True))
        for result in body.get("results", ()):
            for name in ("replayed", "available", "detail"):
                result.pop(name, None)
        return status, body

    return ask


def spends_one_of_them(bench: Bench, _: Any) -> Answer:
    """Another client sends one of the batch's items alone."""
    return bench.service.spend(2, key="b2", may_fail=True)


def partly_sent_before(bench: Bench) -> None:
    opened(bench)
    assert batch(("b1", 3), ("b2", 2))(bench, None)[0] == 200


def place_hold(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service.hold(4, key=KEY, may_fail=True))


def held(bench: Bench) -> str:
    """The id of a hold of four units."""
    opened(bench)
    return str(bench.service.hold(4, key="held").body["id"])


def held_across_an_expiry(bench: Bench) -> str:
    """A hold of four units. Two of its credits have expired since, with the rest of their lot."""
    opened(bench)
    bench.service.give(2, expires_at="2026-06-16T13:04:00Z")
    hold = str(bench.service.hold(4, key="held").body["id"])
    # Late and early enough for clocks that are five minutes off.
    bench.now += timedelta(minutes=9, seconds=30)
    return hold


def captured_before(bench: Bench) -> str:
    hold = held(bench)
    assert capture(3)(bench, hold)[0] == 200
    return hold


def capture(quantity: int) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, hold: outcome_of(bench.service.capture(hold, quantity, key=KEY, may_fail=True))


def release(bench: Bench, hold: Any) -> Outcome:
    return outcome_of(bench.service.release(hold, key=KEY, may_fail=True))


def read_hold(bench: Bench, hold: str) -> Outcome:
    return outcome_of(bench.service(HOLD, id=hold, may_fail=True))


def captured(bench: Bench) -> str:
    """The id of a capture of three units."""
    return str(bench.service.capture(held(bench), 3, key="captured").body["id"])


def spent_of_a_lot_that_ended(bench: Bench) -> str:
    bench.service.open()
    bench.service.give(5, expires_at="2026-06-16T14:00:00Z")
    charge = str(bench.service.spend(4, key="spent").body["id"])
    bench.now += timedelta(hours=2)
    return charge


def partly_reversed(bench: Bench) -> str:
    charge = captured(bench)
    assert bench.service.reverse(charge, 1, key="first").status == 201
    return charge


def reverse(quantity: int | None = None) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, charge: outcome_of(bench.service.reverse(charge, quantity, key=KEY, may_fail=True))


def read_consumption(bench: Bench, _: Any) -> Outcome:
    """The first one of an account that had been granted credits."""
    return outcome_of(bench.service(CONSUMPTION, id="con_000000000003", may_fail=True))


def look_up(bench: Bench, _: Any) -> Outcome:
    return outcome_of(bench.service.find(KEY, may_fail=True))


def quote(quantity: int) -> Callable[[Bench, Any], Outcome]:
    return lambda bench, _: outcome_of(bench.service.quote(quantity, may_fail=True))


SCENARIOS = (
    Scenario("consume: debit", opened, spend(3), spends, paired=True),
    Scenario("consume: debit in a crowd", opened, spend_in_a_crowd, spends, paired=True),
    Scenario("consume: debit in a crowd after an expiry", with_an_expired_lot, spend_in_a_crowd, spends),
    # Its retry finds no credits left, and must still get the original response.
    Scenario("consume: debit of the last credits", just_enough, spend(3), spends, paired=True),
    Scenario("consume: debit after an expiry", with_an_expired_lot, spend(3), spends, paired=True),
    Scenario("consume: debit of quota and credits", with_quota, spend(5, "ai_service"), spends, paired=True),
    Scenario("consume: replay", spent_before, spend(3), spends, reads=True, paired=True),
    Scenario("consume: refusal", poor, spend(5), spends, reads=True, paired=True),
    Scenario("batch", opened, batch(("b1", 3), ("b2", 2), ("b3", 200)), spends, paired=True),
    Scenario(
        "batch: a rival with one of its keys", opened, batch(("b1", 3), ("b2", 2)), spends_one_of_them, paired=True
    ),
    Scenario("batch: of the last credits", just_enough, batch(("b1", 2), ("b2", 2), ("b3", 1)), spends, paired=True),
    Scenario("batch: after an expiry", with_an_expired_lot, batch(("b1", 3), ("b1", 3), ("b2", 1)), spends),
    Scenario(
        "batch: partly sent before", partly_sent_before, batch(("b2", 2), ("b4", 1), ("b1", 3)), spends, paired=True
    ),
    Scenario("batch: replay", partly_sent_before, batch(("b1", 3), ("b2", 2)), spends, reads=True),
    Scenario("batch: refusals only", poor, batch(("b1", 5), ("b2", 6)), spends, reads=True),
    Scenario("consume: refusal of a frozen account", frozen, spend(5), spends, reads=True, paired=True),
    Scenario("consume: replay of a frozen account", frozen_after_a_debit, spend(3), spends, reads=True),
    Scenario("hold", opened, place_hold, spends, paired=True),
    Scenario("hold: after an expiry", with_an_expired_lot, place_hold, spends),
    Scenario("hold: capture of a part", held, capture(3), spends, paired=True),
    Scenario("hold: capture across an expiry", held_across_an_expiry, capture(1), spends),
    Scenario("hold: replay of a capture", captured_before, capture(3), spends, reads=True),
    Scenario("hold: release", held, release, spends, paired=True),
    Scenario("reversal", captured, reverse(), spends, paired=True),
    Scenario("reversal: of what is left", partly_reversed, reverse(), spends, paired=True),
    Scenario("reversal: for a week", spent_of_a_lot_that_ended, reverse(2), spends),
    Scenario("reversal: of too much", partly_reversed, reverse(3), spends, reads=True),
    Scenario("hold: read", held, read_hold, spends, reads=True),
    Scenario("hold: read of a captured one", captured_before, read_hold, spends, reads=True),
    Scenario("consumption", spent_before, read_consumption, spends, reads=True),
    Scenario("consumption: by key", spent_before, look_up, spends, reads=True),
    Scenario("consumption: none by key", opened, look_up, spends, reads=True),
    Scenario("quote", with_an_expired_lot, quote(3), spends, reads=True),
    Scenario("quote: not affordable", poor, quote(5), spends, reads=True),
)
