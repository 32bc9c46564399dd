"""Draws steps with holds and reversals."""

from random import Random
from typing import Any, Protocol

from tests.simulation.step import Step, a_step

QUANTITIES = (1, 1, 1, 2, 2, 3, 5, 8, 12)
TTLS = (1, 60, 900, 900, 900, 3_600, 86_400)


class Dice(Protocol):
    """The members of a Drawer that are used here."""

    dice: Random


def hold(drawer: Dice, of: int) -> Step:
    dice = drawer.dice
    details: dict[str, Any] = {
        "feature": dice.choice(("sticker", "ai_service", "ai_service", "photo")),
        "quantity": dice.choice(QUANTITIES),
        "ttl": dice.choice(TTLS),
        "named": dice.random() < 0.3,
    }
    return a_step("hold", of, **details)


def long_hold(drawer: Dice, of: int) -> Step:
    """One that lives for a day, if nothing ends it."""
    feature, quantity = drawer.dice.choice(("ai_service", "ai_service", "sticker")), drawer.dice.choice((1, 2, 3))
    return a_step("hold", of, feature=feature, quantity=quantity, ttl=86_400, named=False)


def capture(drawer: Dice, of: int) -> Step:
    """Mostly of a hold that hasn't ended, and often of less than it reserves."""
    dice = drawer.dice
    part = dice.choice(("all", "all", "half", "half", "none", "one", "more"))
    return a_step("capture", of, what=_which(dice), back=dice.choice((0, 0, 0, 1, 3)), part=part)


def release(drawer: Dice, of: int) -> Step:
    dice = drawer.dice
    return a_step("release", of, what=_which(dice), back=dice.choice((0, 0, 0, 1, 3)))


def reverse(drawer: Dice, of: int) -> Step:
    """Mostly of a charge, sometimes of long ago; or of another entry."""
    dice = drawer.dice
    what = dice.choice((*["charge"] * 6, "capture", "capture", "reversed", "entry", "unknown"))
    quantity = dice.choice((None, None, 1, 1, 2, 20))
    return a_step("reverse", of, what=what, back=dice.choice((0, 0, 1, 2, 5, 30)), quantity=quantity)


def _which(dice: Random) -> str:
    return dice.choice((*["live"] * 7, "any", "entry", "unknown"))
