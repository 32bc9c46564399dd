"""Draws what is read of a whole ledger or of all purchases: histories, use, lists."""

from random import Random
from typing import Any, Protocol

from tests.simulation.step import Step, a_step

STATES = ("open", "pending", "granted", "granted", "partially_refunded", "refunded", "disputed", "cancelled", "failed")
TYPES = ("consumption", "hold", "capture", "reversal", "purchase", "expiry", "refund", "dispute", "plan_change")
FEATURES = ("sticker", "ai_service", "photo")


class Dice(Protocol):
    """What a drawer has."""

    dice: Random


def history(drawer: Dice, of: int) -> Step:
    dice = drawer.dice
    details: dict[str, Any] = {
        "limit": dice.choice((1, 3, 10, 50)),
        # So many pages more, by the cursor.
        "pages": dice.choice((0, 0, 0, 1, 2, 4)),
        "csv": dice.random() < 0.2,
    }
    if dice.random() < 0.4:
        details["type"] = dice.choice(TYPES)
    if dice.random() < 0.2:
        details["source"] = dice.choice(("quota", "credits"))
    if dice.random() < 0.15:
        details["feature"] = dice.choice(FEATURES)
    if dice.random() < 0.3:
        # Of an entry that names it, so many before the newest.
        details[dice.choice(("customer", "reference"))] = dice.choice((0, 0, 1, 5))
    return a_step("history", of, **details, **_span(dice))


def usage(drawer: Dice, of: int) -> Step:
    dice = drawer.dice
    return a_step("usage", of, by=dice.choice(("day", "month", None)), **_span(dice))


def list_purchases(drawer: Dice, of: int) -> Step:
    """Purchases in a state: of an account, or of all."""
    return a_step("list_purchases", of, state=drawer.dice.choice(STATES), all=drawer.dice.random() < 0.6)


def _span(dice: Random) -> dict[str, Any]:
    """Bounds: at the time of an entry, so many before the newest, or the civil day of it or after it."""
    names = [name for name in ("since", "until") if dice.random() < 0.3]
    return {name: (dice.choice(("at", "after", "day", "day", "next day")), dice.randrange(30)) for name in names}
