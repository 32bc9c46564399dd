"""Each account's customer at the payment provider, so that the provider recognizes a returning buyer."""

from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Table, get, put


def read_customer(table: Table, account_id: str) -> str | None:
    """The provider's id of the account's customer. Raises Busy."""
    item = get(table, keys.customer(account_id))
    return item["customer"]["S"] if item else None


def save_customer(table: Table, account_id: str, customer: str, *, instead_of: str | None = None) -> str:
    """Store the customer's id, or return the id that another request stored first.

    instead_of: the stored id to replace; None when none is stored. Raises Busy.
    """
    write: Item = {"Item": {**keys.customer(account_id), "customer": {"S": customer}}, "ConditionExpression": IF_ABSENT}
    if instead_of is not None:
        write["ConditionExpression"] = "customer = :gone"
        write["ExpressionAttributeValues"] = {":gone": {"S": instead_of}}
    try:
        put(table, write)
    except ConditionFailed as failed:
        item = failed.existing["item"]
        return str(item["customer"]["S"]) if item else customer
    return customer
