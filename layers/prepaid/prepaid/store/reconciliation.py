"""Stored state of the reconciliation: its place in Stripe's events, purchases to check, and failed checks.

A row is deleted only after its check, so a row that is committed late is checked by a later run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from prepaid.core.calendar import instant, milliseconds
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, delete, get, put, query


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationCheckpoint:
    """since..until: the span of events of the current run; until is None between runs.

    event: the last event handled, going from newest to oldest.
    """

    since: datetime
    until: datetime | None = None
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingCheck:
    """A purchase to compare with its payment, without an event. due: the row's sort key, which begins with the time."""

    account: str
    purchase: str
    due: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedCheck:
    """A check that failed. what: the id of the event or purchase. subject: its fields.

    first_at, last_at: when the first and the last of its `tries` failed.
    """

    what: str
    subject: Mapping[str, str]
    first_at: datetime
    last_at: datetime
    tries: int


def read_checkpoint(table: Table) -> ReconciliationCheckpoint | None:
    """Where the last run stopped; None before the first run. Raises Busy."""
    item = get(table, keys.RECONCILIATION)
    if item is None:
        return None
    return ReconciliationCheckpoint(
        since=instant(int(item["since"]["N"])),
        until=instant(int(item["until"]["N"])) if "until" in item else None,
        event=item["event"]["S"],
    )


def save_checkpoint(table: Table, checkpoint: ReconciliationCheckpoint) -> None:
    """Store where the next run continues. Unconditional: checking a purchase twice changes nothing. Raises Busy."""
    until = {"until": {"N": str(milliseconds(checkpoint.until))}} if checkpoint.until else {}
    item = {
        **keys.RECONCILIATION,
        "since": {"N": str(milliseconds(checkpoint.since))},
        **until,
        "event": {"S": checkpoint.event},
    }
    put(table, {"Item": item})


def pending_check_put(account: str, purchase: str, due: datetime) -> Item:
    """The write that schedules a check of a purchase, for the transaction that makes the check necessary."""
    return {"Item": {**keys.pending_check(due, purchase), "account": {"S": account}, "purchase": {"S": purchase}}}


def read_pending_checks(table: Table, due: datetime, limit: int) -> tuple[PendingCheck, ...]:
    """At most `limit` of the checks due by `due`, oldest first; empty when all are done. Raises Busy."""
    items = query(table, keys.PENDING_CHECKS, first="0", last=keys.pending_check_sort(due, keys.HIGHEST), limit=limit)
    return tuple(
        PendingCheck(account=item["account"]["S"], purchase=item["purchase"]["S"], due=item["SK"]["S"])
        for item in items
    )


def has_pending_check(table: Table) -> bool:
    """Whether a purchase will be compared with its payment, however late. Raises Busy."""
    return bool(query(table, keys.PENDING_CHECKS, first="0", last=keys.HIGHEST, limit=1))


def delete_pending_check(table: Table, pending_check: PendingCheck) -> None:
    """Delete the row of a check that is done, or stored as failed. Raises Busy."""
    delete(table, keys.pending_check_row(pending_check.due))


def save_failed_check(table: Table, what: str, subject: Mapping[str, str], now: datetime) -> None:
    """Store a failed check for a later run. Raises Busy.

    Unconditional: if two runs at once fail on the same check, one try isn't counted, which does no harm.
    """
    earlier = get(table, keys.failed(what))
    item = {
        **keys.failed(what),
        "subject": {"M": {name: {"S": value} for name, value in subject.items()}},
        "first_at": earlier["first_at"] if earlier else {"N": str(milliseconds(now))},
        "last_at": {"N": str(milliseconds(now))},
        "tries": {"N": str(int(earlier["tries"]["N"]) + 1 if earlier else 1)},
    }
    put(table, {"Item": item})


def read_failed_checks(table: Table, limit: int) -> tuple[FailedCheck, ...]:
    """At most `limit` of the failed checks, in no particular order. Raises Busy."""
    first, last = keys.failed_sort(""), keys.failed_sort(keys.HIGHEST)
    items = query(table, keys.RECONCILIATION["PK"]["S"], first=first, last=last, limit=limit)
    return tuple(
        FailedCheck(
            what=item["SK"]["S"].removeprefix(first),
            subject={name: value["S"] for name, value in item["subject"]["M"].items()},
            first_at=instant(int(item["first_at"]["N"])),
            last_at=instant(int(item["last_at"]["N"])),
            tries=int(item["tries"]["N"]),
        )
        for item in items
    )


def delete_failed_check(table: Table, failed: FailedCheck) -> None:
    """Delete the row of a check that succeeded on a retry. Raises Busy."""
    delete(table, keys.failed(failed.what))
