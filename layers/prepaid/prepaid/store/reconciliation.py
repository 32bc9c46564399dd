"""Where a reconciliation goes on: it walks the provider's events first, then our own newest purchases."""

from dataclasses import dataclass
from datetime import date, datetime

from prepaid.store import keys
from prepaid.store.dynamodb import Table, get, put
from prepaid.store.items import instant, milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """since..until: the span of events of the run that is under way. event: the last one done, newest first.

    events_done: whether only purchases are left, those begun on `day` and later, after `purchase`.
    failed: whether something in this span must be looked at again.
    """

    since: datetime
    until: datetime
    day: date
    event: str = ""
    events_done: bool = False
    purchase: str = ""
    failed: bool = False


def read_checkpoint(table: Table) -> Checkpoint | datetime | None:
    """A run to be continued, or the time up to which all is done; None before the first run. Raises Transient."""
    item = get(table, keys.RECONCILIATION)
    if item is None:
        return None
    since = instant(int(item["since"]["N"]))
    if "until" not in item:
        return since
    return Checkpoint(
        since=since,
        until=instant(int(item["until"]["N"])),
        day=date.fromisoformat(item["day"]["S"]),
        event=item["event"]["S"],
        events_done=item["events_done"]["BOOL"],
        purchase=item["purchase"]["S"],
        failed=item["failed"]["BOOL"],
    )


def save_checkpoint(table: Table, checkpoint: Checkpoint) -> None:
    """Remember where to go on. Unconditional: looking at a purchase twice changes nothing. Raises Transient."""
    item = {
        **keys.RECONCILIATION,
        "since": {"N": str(milliseconds(checkpoint.since))},
        "until": {"N": str(milliseconds(checkpoint.until))},
        "day": {"S": checkpoint.day.isoformat()},
        "event": {"S": checkpoint.event},
        "events_done": {"BOOL": checkpoint.events_done},
        "purchase": {"S": checkpoint.purchase},
        "failed": {"BOOL": checkpoint.failed},
    }
    put(table, {"Item": item})


def save_done(table: Table, since: datetime) -> None:
    """Remember that everything up to `since` is done. Raises Transient."""
    put(table, {"Item": {**keys.RECONCILIATION, "since": {"N": str(milliseconds(since))}}})
