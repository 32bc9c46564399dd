"""Stored statements of closed months. A row never changes, and can be recomputed from the ledger at any time."""

import json
from dataclasses import asdict
from datetime import date
from typing import Any

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.statement import FeatureUse, Movements, Statement
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Table, put, query
from prepaid.store.items import checksummed

# A year, and the month before it.
MAX_MONTHS = 13


def read_statements(table: Table, account_id: str, first: date, last: date) -> tuple[Statement, ...]:
    """The stored statements of the months `first` to `last`, at most thirteen, oldest first. Raises Busy."""
    partition = keys.statements(account_id)
    first_sort, last_sort = keys.statement_sort(first), keys.statement_sort(last)
    items = query(table, partition, first=first_sort, last=last_sort, limit=MAX_MONTHS)
    return tuple(statement_from_item(item) for item in items)


def record_statement(table: Table, account_id: str, statement: Statement) -> None:
    """Store the statement of a closed month, unless it is stored already. Raises Busy."""
    try:
        put(table, {"Item": statement_to_item(account_id, statement), "ConditionExpression": IF_ABSENT})
    except ConditionFailed:
        # Another request stored the same statement.
        return


def statement_to_item(account_id: str, statement: Statement) -> Item:
    """The item that stores a statement."""
    values: dict[str, Any] = {
        **asdict(statement),
        "month": statement.month.isoformat(),
        "starts_at": milliseconds(statement.starts_at),
        "ends_at": milliseconds(statement.ends_at),
    }
    body = json.dumps(values, separators=(",", ":"))
    return checksummed({**keys.statement(account_id, statement.month), "body": {"S": body}})


def statement_from_item(item: Item) -> Statement:
    """The statement stored in an item. Raises KeyError, TypeError, ValueError for one that the service didn't write."""
    values = json.loads(item["body"]["S"])
    return Statement(
        **{
            **values,
            "month": date.fromisoformat(values["month"]),
            "starts_at": instant(values["starts_at"]),
            "ends_at": instant(values["ends_at"]),
            "moved": Movements(**values["moved"]),
            "uses": tuple(FeatureUse(**use) for use in values["uses"]),
        }
    )
