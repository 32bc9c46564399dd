"""What the reconciliation remembers: where it is in the provider's events, what our side has yet to look at, and what
could not be looked at.

A row of work goes only when its work is done, so a row that is committed late is found late, but found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, delete, get, put, query
from prepaid.store.items import instant, milliseconds

# After that nobody can pay a purchase any more: two days for its page, three for a boleto, the rest for holidays.
PAYABLE = timedelta(days=10)
HIGHEST = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """since..until: the span of events of the run that is under way; until is None between runs.

    event: the last one done, newest first. told: events that were reported to a person, so that the overlap of two
    spans doesn't report them again.
    """

    since: datetime
    until: datetime | None = None
    event: str = ""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCheck:
    """A purchase to be compared with its payment from our side. due: from when on; part of the row's key."""

    account: str
    purchase: str
    due: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCheck:
    """What could not be looked at. about: all that leads to it again. first_at, last_at: of its `tries`."""

    what: str
    about: Mapping[str, str]
    first_at: datetime
    last_at: datetime
    tries: int


def read_checkpoint(table: Table) -> Checkpoint | None:
    """Where the last run came to; None before the first one. Raises Transient."""
    item = get(table, keys.RECONCILIATION)
    if item is None:
        return None
    return Checkpoint(
        since=instant(int(item["since"]["N"])),
        until=instant(int(item["until"]["N"])) if "until" in item else None,
        event=item["event"]["S"],
        told=tuple(event["S"] for event in item["told"]["L"]),
    )


def save_checkpoint(table: Table, checkpoint: Checkpoint) -> None:
    """Remember where to go on. Unconditional: looking at a purchase twice changes nothing. Raises Transient."""
    until = {"until": {"N": str(milliseconds(checkpoint.until))}} if checkpoint.until else {}
    item = {
        **keys.RECONCILIATION,
        "since": {"N": str(milliseconds(checkpoint.since))},
        **until,
        "event": {"S": checkpoint.event},
        "told": {"L": [{"S": event} for event in checkpoint.told]},
    }
    put(table, {"Item": item})


def pending_check_put(account: str, purchase: str, due: datetime) -> Item:
    """The write that has a purchase looked at from our side; it belongs into the transaction that makes it due."""
    return {"Item": {**keys.pending_check(due, purchase), "account": {"S": account}, "purchase": {"S": purchase}}}


def read_pending_checks(table: Table, due: datetime, limit: int) -> tuple[PendingCheck, ...]:
    """At most `limit` of the pending_checks that are due by then, oldest first; none left means all are done.
    Raises Transient."""
    items = query(table, keys.PENDING_CHECKS, first="0", last=keys.pending_check_sort(due, HIGHEST), limit=limit)
    return tuple(
        PendingCheck(account=item["account"]["S"], purchase=item["purchase"]["S"], due=item["SK"]["S"])
        for item in items
    )


def delete_pending_check(table: Table, pending_check: PendingCheck) -> None:
    """Remove the row of a pending_check that is done, or kept as failed. Raises Transient."""
    delete(table, keys.pending_check_row(pending_check.due))


def save_failed_check(table: Table, what: str, about: Mapping[str, str], now: datetime) -> None:
    """Keep what could not be looked at for another run. Raises Transient.

    Unconditional: of two runs at once that fail on the same thing one try isn't counted.
    """
    before = get(table, keys.failed(what))
    item = {
        **keys.failed(what),
        "about": {"M": {name: {"S": value} for name, value in about.items()}},
        "first_at": before["first_at"] if before else {"N": str(milliseconds(now))},
        "last_at": {"N": str(milliseconds(now))},
        "tries": {"N": str(int(before["tries"]["N"]) + 1 if before else 1)},
    }
    put(table, {"Item": item})


def read_failed_checks(table: Table, limit: int) -> tuple[FailedCheck, ...]:
    """What waits for another try, at most `limit` of it, in no order that matters. Raises Transient."""
    first, last = keys.failed_sort(""), keys.failed_sort(HIGHEST)
    items = query(table, keys.RECONCILIATION["PK"]["S"], first=first, last=last, limit=limit)
    return tuple(
        FailedCheck(
            what=item["SK"]["S"].removeprefix(first),
            about={name: value["S"] for name, value in item["about"]["M"].items()},
            first_at=instant(int(item["first_at"]["N"])),
            last_at=instant(int(item["last_at"]["N"])),
            tries=int(item["tries"]["N"]),
        )
        for item in items
    )


def delete_failed_check(table: Table, failed: FailedCheck) -> None:
    """Remove the row of something that was looked at after all. Raises Transient."""
    delete(table, keys.failed(failed.what))
