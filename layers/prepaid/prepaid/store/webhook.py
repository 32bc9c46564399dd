"""Whether the webhook's receiver asked for no more events."""

from datetime import datetime

from prepaid.core.calendar import milliseconds
from prepaid.store import keys
from prepaid.store.dynamodb import Table, get, put


def is_stopped(table: Table, target: str) -> bool:
    """Whether this address asked for no more events. A new address receives events again. Raises Busy."""
    item = get(table, keys.WEBHOOK_STOPPED)
    return item is not None and item["target"]["S"] == target


def stop(table: Table, target: str, now: datetime) -> None:
    """Note that this address wants no more events. Raises Busy."""
    # Unconditional: a second write changes nothing, and only the current address is ever checked.
    put(
        table,
        {
            "Item": {
                **keys.WEBHOOK_STOPPED,
                "target": {"S": target},
                "at": {"N": str(milliseconds(now))},
            }
        },
    )
