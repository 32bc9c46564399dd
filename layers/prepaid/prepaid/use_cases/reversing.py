"""Reversing: return what a consumption or a capture charged, each unit at most once (rule 15)."""

from dataclasses import replace
from datetime import datetime

from prepaid.core.account import Charge
from prepaid.core.catalog import Catalog
from prepaid.core.entry import CHARGES, Entry, LotDraw
from prepaid.core.errors import Busy, ConsumptionNotFound
from prepaid.core.ids import lot_number
from prepaid.core.reversing import Reverse, charge_of
from prepaid.store import keys
from prepaid.store.dynamodb import ConditionFailed, Table, attempts, get_many
from prepaid.store.items import entry_from_item
from prepaid.store.ledger import Appended, append, find_entry, find_replay, read_tail
from prepaid.store.reversals import reversed_put, reversed_units_of

REVERSED = "reversed"
UNKNOWN = Charge(feature="", quantity=0, quota=0, period=None, lots=())


def reverse_charge(
    table: Table,
    account_id: str,
    *,
    actor: str,
    entry: int,
    quantity: int | None,
    description: str | None,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str,
    salt: bytes,
) -> Appended:
    """Return `quantity` units that entry `entry` charged, or all that are left for None, at most once per key.

    salt: sixteen random bytes.
    Raises AccountNotFound, ConsumptionNotFound, AlreadyReversed, IdempotencyKeyReused, Busy.
    """
    request = Reverse(actor=actor, entry=entry, charge=UNKNOWN, reversed=0, quantity=quantity, description=description)
    for _ in attempts(table.deadline):
        # Read the state first. A count read before it could return units a second time, and texts read before it could
        # be written again after their erasure.
        tail = read_tail(table, account_id)
        original = find_entry(table, account_id, entry)
        if original is None or original.type not in CHARGES:
            # A key that was used for another request is reported first, as on every route.
            find_replay(table, account_id, request, idempotency_key)
            raise ConsumptionNotFound
        charge, reversed_units = _read_charge(table, account_id, original)
        operation = replace(
            request, charge=charge, reversed=reversed_units, customer=original.customer, reference=original.reference
        )
        reversed_units_after = charge.quantity if quantity is None else reversed_units + quantity
        also = {REVERSED: reversed_put(account_id, entry, before=reversed_units, after=reversed_units_after)}
        try:
            return append(
                table,
                account_id,
                operation,
                catalog=catalog,
                now=now,
                idempotency_key=idempotency_key,
                salt=salt,
                also=also,
                tail=tail,
            )
        except ConditionFailed:
            # Another entry was first, perhaps a reversal of the same charge: count again.
            continue
    raise Busy


def _read_charge(table: Table, account_id: str, original: Entry) -> tuple[Charge, int]:
    """What the entry charged, and how many of its units are reversed. One read."""
    draws = [lot_number(draw.lot) for draw in original.draws if isinstance(draw, LotDraw)]
    numbers = {*draws, *original.holds}
    count = keys.reversed_units(account_id, original.number)
    items = get_many(table, [count, *(keys.entry(account_id, number) for number in numbers)], consistent=True)
    count_item = items.pop((count["PK"]["S"], count["SK"]["S"]), None)
    entries = {entry.number: entry for entry in map(entry_from_item, items.values())}
    # A capture's quota was drawn when its hold was placed.
    placed = entries[original.holds[0]] if original.holds else original
    lots = [lot for number in draws if (lot := entries[number].lot)]
    return charge_of(original, placed.after, lots), reversed_units_of(count_item)
