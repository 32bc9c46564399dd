"""How many units of a consumption or capture are reversed: one row each, written with each reversal.

The row's condition lets a unit be reversed once, however many reversals run at once (rule 15).
"""

from typing import Any

from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, Item


def reversed_units_of(item: Item | None) -> int:
    """The units in a row; 0 when nothing was reversed yet."""
    return int(item["units"]["N"]) if item else 0


def reversed_put(account_id: str, number: int, *, before: int, after: int) -> Item:
    """The write that raises the count of entry `number` from `before` units to `after`."""
    condition: dict[str, Any] = {"ConditionExpression": IF_ABSENT}
    if before:
        condition = {"ConditionExpression": "units = :seen", "ExpressionAttributeValues": {":seen": {"N": str(before)}}}
    return {"Item": {**keys.reversed_units(account_id, number), "units": {"N": str(after)}}, **condition}
