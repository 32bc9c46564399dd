"""Stored progress of the expiry warnings. No balance depends on it."""

from dataclasses import dataclass
from datetime import date, datetime

from prepaid.core.calendar import instant, milliseconds
from prepaid.store import keys
from prepaid.store.due import DuePlace
from prepaid.store.dynamodb import Item, Table, get, put


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningPass:
    """A walk over the lots whose warning became due after `since`, up to `until`, which may take several runs.

    days: which warning it publishes now. place: the due row after which it continues; None when the pass is finished.
    failed_since: when the earliest failed warning became due; the next pass starts there.
    """

    since: datetime
    until: datetime
    days: int
    place: DuePlace | None
    failed_since: datetime | None = None


def read_warning_pass(table: Table) -> WarningPass | None:
    """The unfinished pass, or the one that finished last; None before the first. Raises Busy."""
    item = get(table, keys.WARNINGS)
    return warning_pass_from_item(item) if item else None


def warning_pass_from_item(item: Item) -> WarningPass:
    """The pass stored in an item. Raises KeyError, ValueError."""
    place = None
    if "day" in item:
        day, shard = date.fromisoformat(item["day"]["S"]), int(item["shard"]["N"])
        place = DuePlace(day=day, shard=shard, after=item["after"]["S"])
    return WarningPass(
        since=instant(int(item["since"]["N"])),
        until=instant(int(item["until"]["N"])),
        days=int(item["days"]["N"]),
        place=place,
        failed_since=instant(int(item["failed_since"]["N"])) if "failed_since" in item else None,
    )


def save_warning_pass(table: Table, warning_pass: WarningPass) -> None:
    """Store how far the pass is. Raises Busy.

    Unconditional: when two runs happen at once, either pass is safe. Every warning before its place is published, or is
    due after `failed_since`. So an older one repeats some reads, and a newer one loses nothing.
    """
    item: Item = {
        **keys.WARNINGS,
        "since": {"N": str(milliseconds(warning_pass.since))},
        "until": {"N": str(milliseconds(warning_pass.until))},
        "days": {"N": str(warning_pass.days)},
    }
    if warning_pass.place is not None:
        item |= {
            "day": {"S": warning_pass.place.day.isoformat()},
            "shard": {"N": str(warning_pass.place.shard)},
            "after": {"S": warning_pass.place.after},
        }
    if warning_pass.failed_since is not None:
        item["failed_since"] = {"N": str(milliseconds(warning_pass.failed_since))}
    put(table, {"Item": item})
