"""Rows as the ledger stores them, and the units that a row pays for, one by one.

Where the service computes with sums, this lists each unit and each credit.
"""

from collections.abc import Iterable
from typing import Any

type Row = list[Any]

# A lot: [number, kind, granted, remaining, granted at, expires at].
NUMBER, KIND, GRANTED, REMAINING, GRANTED_AT, EXPIRES_AT = range(6)

# A hold: [number, feature, quantity, lapses at, lots, units of quota, their period]. The remaining credits of its lots
# are those that it reserves. The last two are left out when there is no quota.
HOLD_NUMBER, FEATURE, QUANTITY, LAPSES_AT, LOTS, QUOTA_UNITS, PERIOD = range(7)

QUOTA = "quota"
# QUOTA, or the lots of the unit's credits: a lot for each credit.
type Unit = str | tuple[int, ...]


def units_of(quantity: int, quota: int, credits: Iterable[tuple[int, int]]) -> list[Unit]:
    """Units in the order of drawing. credits: lots with their credits, in the order of drawing."""
    line = [lot for lot, count in credits for _ in range(count)]
    paid = quantity - quota
    price = len(line) // paid if paid else 0
    return [QUOTA] * quota + [tuple(line[n * price : (n + 1) * price]) for n in range(paid)]


def units_held(hold: Row) -> list[Unit]:
    """The units that a hold reserves."""
    return units_of(hold[QUANTITY], quota_held(hold), [(row[NUMBER], row[REMAINING]) for row in hold[LOTS]])


def quota_held(hold: Row) -> int:
    """Units of quota that a hold reserves."""
    return int(hold[QUOTA_UNITS]) if len(hold) > QUOTA_UNITS else 0


def period_held(hold: Row) -> str | None:
    """The period of that quota."""
    return str(hold[PERIOD]) if len(hold) > PERIOD else None
