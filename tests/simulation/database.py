"""One DynamoDB in memory, as strict as AWS's where the store relies on it. tests/simulation/line.py connects clients.

It speaks the wire's JSON (binary as base64 text) and is exact, never eventual: tables have the keys PK and SK, both
texts. What isn't modelled raises NotImplementedError. tests/simulation/test_database.py holds it against MiniStack and
DynamoDB Local, answer by answer.

Items, once stored, are never changed in place: callers may keep the items of answers and snapshots, but must not
change them.
"""

import re
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.conditions import Condition, condition_of, span_of
from tests.simulation.expressions import Invalid, Item
from tests.simulation.stored_items import (
    AgainstSchema,
    Key,
    Refused,
    as_stored,
    check_size,
    invalid,
    item_bytes,
    key_in,
    key_of,
)

type Answer = dict[str, Any]
type Snapshot = dict[Key, Item]

MAX_PAGE_BYTES = 1024 * 1024
MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ITEMS = 4 * 1024 * 1024, 100
MAX_BATCH_KEYS = 100
MAX_TOKENS, TOKEN_SECONDS = 10_000, 600
CONDITION_FAILED = "The conditional request failed"


class Database:
    """Tables by name. clock: seconds, for how long a transaction's token is remembered."""

    def __init__(self, *tables: str, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.tables = {name: _Rows() for name in tables}
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._operations: dict[str, Callable[[Any], Answer]] = {
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get,
            "Query": self._query,
            "PutItem": self._put_item,
            "UpdateItem": self._update_item,
            "DeleteItem": self._delete_item,
            "TransactWriteItems": self._transact,
        }

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, Answer]:
        """The HTTP status and JSON body for one request of the wire's."""
        run = self._operations.get(operation)
        if run is None:
            raise NotImplementedError(operation)
        try:
            return 200, run(request)
        except Refused as refused:
            return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{refused.code}", **refused.body}
        except Invalid as error:
            return 400, {"__type": "com.amazon.coral.validate#ValidationException", "message": str(error)}

    def snapshot(self, table: str) -> Snapshot:
        """Everything a table holds now, by key."""
        return {
            (partition, sort): item
            for partition, rows in self.tables[table].partitions.items()
            for sort, (item, _) in rows.items()
        }

    def restore(self, table: str, snapshot: Snapshot) -> None:
        """Make a table hold exactly this."""
        rows = self.tables[table] = _Rows()
        for item in snapshot.values():
            rows.put(item, item_bytes(item))

    def _rows(self, request: Mapping[str, Any]) -> "_Rows":
        name = request["TableName"]
        if name not in self.tables:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        return self.tables[name]

    def _get_item(self, request: dict[str, Any]) -> Answer:
        _know(request, "TableName", "Key", "ConsistentRead")
        if not request.get("ConsistentRead"):
            raise NotImplementedError("the service makes consistent reads only")
        rows = self._rows(request)
        found = rows.get(key_in(request["Key"]))
        return {"Item": found} if found is not None else {}

    def _batch_get(self, request: dict[str, Any]) -> Answer:
        _know(request, "RequestItems")
        [(name, wanted_keys)] = request["RequestItems"].items()
        _know(wanted_keys, "Keys", "ConsistentRead")
        if not wanted_keys.get("ConsistentRead"):
            raise NotImplementedError("the service makes consistent reads only")
        rows, wanted = self._rows({"TableName": name}), [key_in(key) for key in wanted_keys["Keys"]]
        if not 1 <= len(wanted) <= MAX_BATCH_KEYS or len(set(wanted)) < len(wanted):
            raise invalid("Provided list of item keys contains duplicates, or not 1 to 100 of them")
        return {"Responses": {name: [found for key in wanted if (found := rows.get(key)) is not None]}}

    def _put_item(self, request: dict[str, Any]) -> Answer:
        _know(request, "TableName", "Item", *CONDITIONAL, "ReturnValues")
        rows = self._rows(request)
        item, size = as_stored(request["Item"])
        condition = condition_of(request)
        check_size(size)
        return _one_write(rows, key_of(item), condition, request, lambda: rows.put(item, size))

    def _update_item(self, request: dict[str, Any]) -> Answer:
        """SET of one attribute to a value: what the store uses."""
        _know(request, "TableName", "Key", "UpdateExpression", *CONDITIONAL, "ReturnValues")
        rows, key = self._rows(request), key_in(request["Key"])
        found = SET_ATTRIBUTE.fullmatch(request.get("UpdateExpression", ""))
        if not found:
            raise NotImplementedError(request.get("UpdateExpression"))
        values = dict(request["ExpressionAttributeValues"])
        value = values.pop(found[2])
        condition = condition_of({**request, "ExpressionAttributeValues": values})
        item, size = as_stored({**(rows.get(key) or request["Key"]), found[1]: value})
        check_size(size)
        return _one_write(rows, key, condition, request, lambda: rows.put(item, size))

    def _delete_item(self, request: dict[str, Any]) -> Answer:
        _know(request, "TableName", "Key", *CONDITIONAL, "ReturnValues")
        rows = self._rows(request)
        key = key_in(request["Key"])
        return _one_write(rows, key, condition_of(request), request, lambda: rows.delete(key))

    def _query_index(self, request: dict[str, Any]) -> Answer:
        """The service's one query of an index: the keys of one partition below a sort key, highest first."""
        _know(
            request,
            *("TableName", "IndexName", "KeyConditionExpression", "ExpressionAttributeValues", "Limit"),
            "ScanIndexForward",
        )
        if request["KeyConditionExpression"] != "listed_as = :partition AND id < :before":
            raise NotImplementedError(request["KeyConditionExpression"])
        values, rows = request["ExpressionAttributeValues"], self._rows(request)
        items = [item for row in rows.partitions.values() for item, _ in row.values()]
        listed = [item for item in items if item.get("listed_as") == values[":partition"]]
        below = [item for item in listed if item["id"]["S"] < values[":before"]["S"]]
        found = sorted(below, key=lambda item: str(item["id"]["S"]), reverse=True)[: request["Limit"]]
        keys: list[Item] = [{name: item[name] for name in ("PK", "SK", "listed_as", "id")} for item in found]
        return {"Items": keys, "Count": len(keys), "ScannedCount": len(keys)}

    def _query(self, request: dict[str, Any]) -> Answer:
        if "IndexName" in request:
            return self._query_index(request)
        _know(
            request,
            "TableName",
            "KeyConditionExpression",
            *PLACEHOLDERS,
            "ScanIndexForward",
            "Limit",
            "ExclusiveStartKey",
            "ConsistentRead",
        )
        if not request.get("ConsistentRead"):
            raise NotImplementedError("the service makes consistent reads only")
        rows = self._rows(request)
        limit = request.get("Limit", 0)
        if "Limit" in request and limit < 1:
            raise invalid(
                "Value at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
            )
        span = span_of(request)
        forward = request.get("ScanIndexForward", True)
        places = span.places(rows.orders.get(span.partition, []), request.get("ExclusiveStartKey"), forward=forward)
        found: list[Item] = []
        size = 0
        partition = rows.partitions.get(span.partition, {})
        for sort in places:
            item, item_size = partition[sort]
            found.append(item)
            size += item_size
            if len(found) == limit or size >= MAX_PAGE_BYTES:
                last = {"PK": item["PK"], "SK": item["SK"]}
                return {"Items": found, "Count": len(found), "ScannedCount": len(found), "LastEvaluatedKey": last}
        return {"Items": found, "Count": len(found), "ScannedCount": len(found)}

    def _transact(self, request: dict[str, Any]) -> Answer:
        _know(request, "TransactItems", "ClientRequestToken")
        token, items = request.get("ClientRequestToken"), request["TransactItems"]
        if not 1 <= len(items) <= MAX_TRANSACTION_ITEMS:
            raise invalid("Member must have length less than or equal to 100, and greater than or equal to 1")
        writes = [_Write(self, item) for item in items]
        if len({(write.table, write.key) for write in writes}) < len(writes):
            raise invalid("Transaction request cannot include multiple operations on one item")
        if sum(write.size for write in writes) > MAX_TRANSACTION_BYTES:
            raise invalid("Transaction total size exceeds the limit")
        if token is not None and self._was_done(token, items):
            return {}
        reasons = [write.reason() for write in writes]
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
            raise Refused("TransactionCanceledException", message, Message=message, CancellationReasons=reasons)
        for write in writes:
            write.apply()
        if token is not None:
            self._tokens[token] = (self._clock(), items)
        return {}

    def _was_done(self, token: str, items: Any) -> bool:
        """Whether a transaction with this token committed lately. Raises Refused when it was another one."""
        if not 1 <= len(token) <= MAX_TOKEN_LENGTH:
            raise invalid("Value at 'clientRequestToken' failed to satisfy constraint: length between 1 and 36")
        while self._tokens:
            at, _ = next(iter(self._tokens.values()))
            if len(self._tokens) <= MAX_TOKENS and self._clock() - at < TOKEN_SECONDS:
                break
            self._tokens.popitem(last=False)
        if token not in self._tokens:
            return False
        if self._tokens[token][1] != items:
            raise Refused(
                "IdempotentParameterMismatchException",
                "The request uses the same client token as a previous, but non-identical request.",
            )
        return True


MAX_TOKEN_LENGTH = 36
SET_ATTRIBUTE = re.compile(r"SET ([A-Za-z]\w*) = (:\w+)")
PLACEHOLDERS = ("ExpressionAttributeNames", "ExpressionAttributeValues")
CONDITIONAL = ("ConditionExpression", *PLACEHOLDERS, "ReturnValuesOnConditionCheckFailure")


class _Rows:
    """One table: items with their sizes by partition and sort key, and each partition's sort keys in order."""

    def __init__(self) -> None:
        self.partitions: dict[str, dict[str, tuple[Item, int]]] = {}
        self.orders: dict[str, list[str]] = {}

    def get(self, key: Key) -> Item | None:
        found = self.partitions.get(key[0], {}).get(key[1])
        return found[0] if found else None

    def put(self, item: Item, size: int) -> None:
        partition, sort = item["PK"]["S"], item["SK"]["S"]
        rows = self.partitions.setdefault(partition, {})
        if sort not in rows:
            insort(self.orders.setdefault(partition, []), sort)
        rows[sort] = (item, size)

    def delete(self, key: Key) -> None:
        partition, sort = key
        if self.partitions.get(partition, {}).pop(sort, None) is not None:
            order = self.orders[partition]
            del order[bisect_left(order, sort)]


class _Write:
    """One member of a transaction, checked as far as possible without the table."""

    __slots__ = ("condition", "fault", "item", "key", "kind", "returns_old", "rows", "size", "table")

    def __init__(self, database: Database, item: dict[str, Any]) -> None:
        if len(item) != 1:
            raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        [(self.kind, request)] = item.items()
        if self.kind not in {"Put", "Delete", "ConditionCheck"}:
            raise NotImplementedError(self.kind)
        _know(request, "TableName", "Item" if self.kind == "Put" else "Key", *CONDITIONAL)
        self.table: str = request["TableName"]
        self.rows = database._rows(request)
        self.item, self.size = as_stored(request["Item"]) if self.kind == "Put" else ({}, 0)
        self.fault: dict[str, Any] | None = None
        self.key = self._key(request)
        self.condition = condition_of(request)
        if self.condition is None and self.kind == "ConditionCheck":
            raise invalid("The expression can not be null;")
        self.returns_old = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        check_size(self.size)

    def _key(self, request: dict[str, Any]) -> Key:
        """Violations of the table's schema are found together with the conditions, as a reason of this write."""
        try:
            return key_of(self.item) if self.kind == "Put" else key_in(request["Key"])
        except AgainstSchema as error:
            self.fault = {"Code": "ValidationError", "Message": error.body["message"]}
            return "", str(id(self))

    def reason(self) -> dict[str, Any]:
        if self.fault:
            return self.fault
        found = self.rows.get(self.key)
        if self.condition is None or self.condition.holds(found):
            return {"Code": "None"}
        reason: dict[str, Any] = {"Code": "ConditionalCheckFailed", "Message": CONDITION_FAILED}
        return {**reason, "Item": found} if self.returns_old and found is not None else reason

    def apply(self) -> None:
        if self.kind == "Put":
            self.rows.put(self.item, self.size)
        elif self.kind == "Delete":
            self.rows.delete(self.key)


def _one_write(
    rows: _Rows, key: Key, condition: Condition | None, request: Mapping[str, Any], write: Callable[[], None]
) -> Answer:
    returns = request.get("ReturnValues", "NONE")
    if returns not in {"NONE", "ALL_OLD"}:
        raise invalid("ReturnValues can only be ALL_OLD or NONE")
    found = rows.get(key)
    if condition is not None and not condition.holds(found):
        old = {}
        if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and found is not None:
            old = {"Item": found}
        raise Refused("ConditionalCheckFailedException", CONDITION_FAILED, **old)
    write()
    return {"Attributes": found} if returns == "ALL_OLD" and found is not None else {}


def _know(request: Mapping[str, Any], *members: str) -> None:
    """Refuse a parameter that the model doesn't have."""
    unknown = request.keys() - set(members)
    if unknown:
        raise NotImplementedError(f"members {sorted(unknown)}")
