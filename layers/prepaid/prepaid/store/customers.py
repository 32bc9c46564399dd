"""The payment provider's customer of each account, so that a returning buyer is known there."""

from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Table, get, put


def read_customer(table: Table, account_id: str) -> str | None:
    """The provider's id of the account's customer. Raises Transient."""
    item = get(table, keys.customer(account_id))
    return item["customer"]["S"] if item else None


def save_customer(table: Table, account_id: str, customer: str, *, instead_of: str | None = None) -> str:
    """Keep the id, in the place of another or of none, or learn the one that somebody kept first. Raises Transient."""
    write: Item = {"Item": {**keys.customer(account_id), "customer": {"S": customer}}, "ConditionExpression": IF_ABSENT}
    if instead_of is not None:
        write["ConditionExpression"] = "customer = :gone"
        write["ExpressionAttributeValues"] = {":gone": {"S": instead_of}}
    try:
        put(table, write)
    except ConditionFailed as failed:
        found = failed.existing["item"]
        return str(found["customer"]["S"]) if found else customer
    return customer
