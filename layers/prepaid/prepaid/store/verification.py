"""What the verifier remembers: where its pass goes on, and up to where it has seen each ledger to be whole.

A ledger whose newest entries are gone is a ledger like any other; only what was seen earlier tells.
"""

from dataclasses import dataclass

from prepaid.store import keys
from prepaid.store.dynamodb import ConditionFailed, Item, Table, get, put


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedUpTo:
    """The entry up to which an account's ledger was found to be as it must be."""

    account: str
    number: int
    hash: bytes


def verified_up_to_from_item(item: Item) -> VerifiedUpTo:
    """The mark an item holds."""
    account = keys.split(item["PK"]["S"])[1]
    return VerifiedUpTo(account=account, number=int(item["number"]["N"]), hash=bytes(item["hash"]["B"]))


def save_verified_up_to(table: Table, mark: VerifiedUpTo) -> None:
    """Remember it, unless as much is remembered already. Raises Transient."""
    item = {**keys.verified(mark.account), "number": {"N": str(mark.number)}, "hash": {"B": mark.hash}}
    try:
        put(
            table,
            {
                "Item": item,
                # Closes the race of two passes: a mark that went back would let a ledger be cut.
                "ConditionExpression": "attribute_not_exists(PK) OR #number < :number",
                "ExpressionAttributeNames": {"#number": "number"},
                "ExpressionAttributeValues": {":number": {"N": str(mark.number)}},
            },
        )
    except ConditionFailed:
        return


def read_pass(table: Table) -> bytes | None:
    """The pass that is under way or was finished last; None before the first. Raises Transient."""
    item = get(table, keys.VERIFICATION)
    return bytes(item["pass"]["B"]) if item else None


def save_pass(table: Table, packed: bytes) -> None:
    """Remember where to go on. Unconditional: to verify something twice changes nothing. Raises Transient."""
    put(table, {"Item": {**keys.VERIFICATION, "pass": {"B": packed}}})
