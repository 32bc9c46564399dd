"""The public ids. An id contains its entry's number, so finding the entry needs no index."""

import re
from datetime import datetime

from prepaid.core.calendar import milliseconds

PURCHASE_ID = re.compile(r"pur_[0-9a-f]{20}", re.ASCII)
PURCHASE_PREFIX = "pur_"
# A grant is also known by its lot, because histories and balances show only the lot.
GRANT_OR_LOT_ID = r"(?:gra|lot)_([0-9]{12})"
CONSUMPTION_ID = r"con_([0-9]{12})"
HOLD_ID = r"hold_([0-9]{12})"
# What a reversal can reverse: a consumption or a capture.
CHARGE_ID = r"(?:con|cap)_([0-9]{12})"


def lot_id(number: int) -> str:
    """The id of the lot that entry `number` granted. Zero-padded, so that ids sort by number."""
    return f"lot_{number:012d}"


def lot_number(lot: str) -> int:
    """The number of the entry that granted the lot. Raises ValueError for text that isn't a lot id."""
    return int(lot.removeprefix("lot_"))


def consumption_id(number: int) -> str:
    """The id of the consumption that entry `number` recorded."""
    return f"con_{number:012d}"


def consumption_number(consumption: str) -> int:
    """The number of the entry that recorded the consumption; 0, which no entry has, for text that isn't such an id."""
    match = re.fullmatch(CONSUMPTION_ID, consumption)
    return int(match[1]) if match else 0


def charge_number(charge: str) -> int:
    """The number of the entry that recorded the consumption or capture; 0, which no entry has, for any other text."""
    match = re.fullmatch(CHARGE_ID, charge)
    return int(match[1]) if match else 0


def hold_id(number: int) -> str:
    """The id of the hold that entry `number` recorded."""
    return f"hold_{number:012d}"


def hold_number(hold: str) -> int:
    """The number of the entry that recorded the hold; 0, which no entry has, for text that isn't such an id."""
    match = re.fullmatch(HOLD_ID, hold)
    return int(match[1]) if match else 0


def capture_id(number: int) -> str:
    """The id of the capture that entry `number` recorded."""
    return f"cap_{number:012d}"


def release_id(number: int) -> str:
    """The id of the release that entry `number` recorded."""
    return f"rel_{number:012d}"


def reversal_id(number: int) -> str:
    """The id of the reversal that entry `number` recorded."""
    return f"rev_{number:012d}"


def erasure_id(number: int) -> str:
    """The id of the erasure that entry `number` recorded."""
    return f"era_{number:012d}"


def grant_id(number: int) -> str:
    """The id of the grant that entry `number` recorded."""
    return f"gra_{number:012d}"


def grant_number(grant: str) -> int:
    """The number of the entry that recorded the grant, from the grant's id or its lot's; 0, which no entry has, for any
    other text."""
    match = re.fullmatch(GRANT_OR_LOT_ID, grant)
    return int(match[1]) if match else 0


def void_id(number: int) -> str:
    """The id of the void that entry `number` recorded."""
    return f"voi_{number:012d}"


def purchase_id(created_at: datetime, suffix: str) -> str:
    """The id of a purchase. It begins with the creation time, so ids sort by age. suffix: eight random hex digits."""
    return f"{PURCHASE_PREFIX}{milliseconds(created_at):012x}{suffix}"
