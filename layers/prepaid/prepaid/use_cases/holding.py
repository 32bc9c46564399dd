"""Holding: capture, release or look up a hold (rule 16)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import AlreadyCaptured, Busy, HoldLapsed, HoldNotFound, HoldReleased, Refused
from prepaid.core.holding import Capture, Release
from prepaid.core.ids import capture_id
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.ledger import (
    Appended,
    Tail,
    append,
    find_end_of_hold,
    find_entry,
    find_replay,
    has_hold,
    read_tail,
)

type HoldState = Literal["held", "captured", "released", "lapsed"]


@dataclass(frozen=True, slots=True)
class FoundHold:
    """A hold and its state. placed: the entry that placed it. ended: the entry that ended it, once there is one."""

    placed: Entry
    state: HoldState
    ended: Entry | None = None


def capture_hold(
    table: Table,
    account_id: str,
    *,
    actor: str,
    hold: int,
    quantity: int | None,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str,
    salt: bytes,
) -> Appended:
    """Spend `quantity` units of the hold that entry `hold` placed, or all of them for None, and release the rest.

    It takes effect at most once per key.

    salt: sixteen random bytes.
    Raises AccountNotFound, HoldNotFound, AlreadyCaptured, HoldReleased, HoldLapsed, InvalidRequest,
    IdempotencyKeyReused, Busy.
    """
    for _ in attempts(table.deadline):
        # Read the newest entry first: if an erasure follows it, the append fails, so no erased text is written again.
        tail = read_tail(table, account_id)
        # The capture repeats the hold's texts, so that a history by customer or reference has the charge.
        placed = _find_placed(table, account_id, hold)
        texts = (placed.description, placed.customer, placed.reference) if placed else (None, None, None)
        operation = Capture(
            actor=actor, hold=hold, quantity=quantity, description=texts[0], customer=texts[1], reference=texts[2]
        )
        try:
            return _end(
                table,
                account_id,
                operation,
                placed,
                catalog=catalog,
                now=now,
                idempotency_key=idempotency_key,
                salt=salt,
                tail=tail,
            )
        except ConditionFailed:
            continue
    raise Busy


def release_hold(
    table: Table, account_id: str, *, actor: str, hold: int, catalog: Catalog, now: datetime, idempotency_key: str
) -> Appended:
    """Give back all that a hold reserves, at most once per key. hold: the number of the entry that placed it.

    Raises as `capture_hold`.
    """
    placed = _find_placed(table, account_id, hold)
    operation = Release(actor=actor, hold=hold)
    return _end(table, account_id, operation, placed, catalog=catalog, now=now, idempotency_key=idempotency_key)


def find_hold(table: Table, account_id: str, hold: int, now: datetime) -> FoundHold:
    """The hold that entry `hold` placed, and its current state. Raises AccountNotFound, HoldNotFound, Busy."""
    placed = _find_placed(table, account_id, hold)
    newest = read_tail(table, account_id).entry
    if placed is None:
        raise HoldNotFound
    assert placed.lapses_at is not None
    if has_hold(newest, hold):
        return FoundHold(placed, "lapsed" if placed.lapses_at <= max(now, newest.at) else "held")
    ended = find_end_of_hold(table, account_id, hold, newest)
    if ended.type == "capture":
        return FoundHold(placed, "captured", ended)
    # A client can't release a hold that has lapsed.
    return FoundHold(placed, "lapsed" if ended.at >= placed.lapses_at else "released", ended)


def _find_placed(table: Table, account_id: str, hold: int) -> Entry | None:
    entry = find_entry(table, account_id, hold)
    return entry if entry and entry.type == "hold" else None


def _end(
    table: Table,
    account_id: str,
    operation: Capture | Release,
    placed: Entry | None,
    *,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str,
    salt: bytes = b"",
    tail: Tail | None = None,
) -> Appended:
    if placed is None:
        # A missing account and a key that was used for another request are reported first, as on every route.
        tail = tail or read_tail(table, account_id)
        find_replay(table, account_id, operation, idempotency_key)
        raise HoldNotFound
    try:
        return append(
            table,
            account_id,
            operation,
            catalog=catalog,
            now=now,
            idempotency_key=idempotency_key,
            salt=salt,
            tail=tail,
        )
    except HoldNotFound:
        raise _refusal(find_hold(table, account_id, operation.hold, now)) from None


def _refusal(hold: FoundHold) -> Refused | Busy:
    """Why a hold can't be ended."""
    assert hold.placed.lapses_at is not None
    match hold.state:
        case "captured":
            assert hold.ended is not None
            return AlreadyCaptured(capture_id(hold.ended.number))
        case "released":
            return HoldReleased()
        case "lapsed":
            return HoldLapsed(hold.placed.lapses_at)
        case "held":
            # It had not lapsed by the clock of the last entry. A retry gets the final response.
            return Busy()
