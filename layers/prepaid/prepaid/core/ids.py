"""The public ids. An entry's number is its address, so an id leads to its entry without an index."""

import re
from datetime import datetime

from prepaid.core.calendar import milliseconds

PURCHASE_ID = re.compile(r"pur_[0-9a-f]{20}", re.ASCII)
PURCHASE_PREFIX = "pur_"


def lot_id(number: int) -> str:
    """The id of the lot that entry `number` granted. Zero padded, so that ids sort as their numbers do."""
    return f"lot_{number:012d}"


def lot_number(lot: str) -> int:
    """The number of the entry that granted the lot. Raises ValueError for text that is no lot's id."""
    return int(lot.removeprefix("lot_"))


def consumption_id(number: int) -> str:
    """The id of the consumption that entry `number` recorded."""
    return f"con_{number:012d}"


def grant_id(number: int) -> str:
    """The id of the grant that entry `number` recorded."""
    return f"gra_{number:012d}"


def purchase_id(created_at: datetime, suffix: str) -> str:
    """The id of a purchase: it begins with its time, so that ids sort by age. suffix: eight random hex digits."""
    return f"{PURCHASE_PREFIX}{milliseconds(created_at):012x}{suffix}"
