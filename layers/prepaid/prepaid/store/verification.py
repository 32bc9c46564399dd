"""Stored state of the verifier: its passes, and for each account a mark at the newest verified entry and its audit.

A ledger without its newest entries still looks valid. Only the saved mark reveals that they are missing.
"""

from dataclasses import dataclass

from prepaid.store import keys
from prepaid.store.dynamodb import ConditionFailed, Item, Table, get, put


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedUpTo:
    """A mark: an account's ledger was verified up to this entry."""

    account: str
    number: int
    hash: bytes


def verified_up_to_from_item(item: Item) -> VerifiedUpTo:
    """The mark stored in an item."""
    account = keys.split(item["PK"]["S"])[1]
    return VerifiedUpTo(account=account, number=int(item["number"]["N"]), hash=bytes(item["hash"]["B"]))


def save_verified_up_to(table: Table, mark: VerifiedUpTo) -> None:
    """Store the mark, unless the stored one is at least as new. Raises Busy."""
    item = {**keys.verified(mark.account), "number": {"N": str(mark.number)}, "hash": {"B": mark.hash}}
    try:
        put(
            table,
            {
                "Item": item,
                # Closes the race of two passes: a mark that moved back would hide missing entries.
                "ConditionExpression": "attribute_not_exists(PK) OR #number < :number",
                "ExpressionAttributeNames": {"#number": "number"},
                "ExpressionAttributeValues": {":number": {"N": str(mark.number)}},
            },
        )
    except ConditionFailed:
        return


def save_audit(table: Table, account: str, packed: bytes) -> None:
    """Store the audit of an account's entries. Unconditional: from an older one, a pass reads more. Raises Busy."""
    put(table, {"Item": {**keys.audit(account), "audit": {"B": packed}}})


def read_pass(table: Table, key: keys.Key = keys.VERIFICATION) -> bytes | None:
    """The current pass, or the one that finished last; None before the first. Raises Busy.

    key: VERIFICATION of the whole pass, RECENT_VERIFICATION of the recent one.
    """
    item = get(table, key)
    return bytes(item["pass"]["B"]) if item else None


def save_pass(table: Table, packed: bytes, key: keys.Key = keys.VERIFICATION) -> None:
    """Store the pass. Unconditional: verifying rows twice changes nothing. Raises Busy."""
    put(table, {"Item": {**key, "pass": {"B": packed}}})
