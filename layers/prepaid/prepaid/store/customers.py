"""The payment provider's customer of each account, so that a returning buyer is known there."""

from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, LostCondition, Table, get, put


def read_customer(table: Table, account_id: str) -> str | None:
    """The provider's id of the account's customer. Raises Transient."""
    item = get(table, keys.customer(account_id))
    return item["customer"]["S"] if item else None


def remember_customer(table: Table, account_id: str, customer: str) -> str:
    """Keep the id, or learn the one that somebody kept first. Raises Transient."""
    try:
        item = {**keys.customer(account_id), "customer": {"S": customer}}
        put(table, {"Item": item, "ConditionExpression": IF_ABSENT})
    except LostCondition as lost:
        found = lost.found["item"]
        return str(found["customer"]["S"]) if found else customer
    return customer
