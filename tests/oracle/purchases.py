"""What a purchase's record must state, given the status of its payment at Stripe (rule 13)."""

from typing import Literal

from tests.oracle.catalog import Json


def money_back(record: Json, refunded: int, disputed: int) -> tuple[int, int]:
    """The money that went back, by the record: never more than was paid."""
    return min(refunded, record["amount"]), min(disputed, record["amount"])


def revoked_credits(record: Json) -> int:
    """Credits to revoke for the money that went back: pro rata, rounded down, at most the purchase's."""
    back = min(record["refunded"] + record["disputed"], record["amount"])
    return int(record["credits"] * back // record["amount"])


def state_of(record: Json) -> str:
    """The state of a purchase whose credits were granted."""
    if record["disputed"]:
        return "disputed"
    if record["refunded"] >= record["amount"]:
        return "refunded"
    return "partially_refunded" if record["refunded"] else "granted"


def entry_type(before: Json, after: Json) -> Literal["refund", "dispute"]:
    """The type of the entry that moves credits: a dispute's when disputed money moved the same way."""
    credits = after["revoked"] - before["revoked"]
    disputed = after["disputed"] - before["disputed"]
    return "dispute" if credits * disputed > 0 else "refund"
