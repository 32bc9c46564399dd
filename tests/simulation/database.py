"""One DynamoDB in memory, as strict as AWS's where the store relies on it. tests/simulation/line.py connects clients.

It speaks the wire's JSON (binary as base64 text) and is exact, never eventual: tables have the keys PK and SK, both
texts. What isn't modelled raises NotImplementedError. tests/simulation/test_database.py holds it against MiniStack and
DynamoDB Local, answer by answer.

Items, once stored, are never changed in place: what answers and snapshots hold may be kept, and must not be changed.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.simulation.expressions import Invalid, Item, Node, Parsed, Value, check, evaluate, parse, type_of

type Answer = dict[str, Any]
type Key = tuple[str, str]
type Snapshot = dict[Key, Item]

MAX_PARTITION_BYTES, MAX_SORT_BYTES = 2048, 1024
MAX_ITEM_BYTES = 400 * 1024
MAX_PAGE_BYTES = 1024 * 1024
MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ITEMS = 4 * 1024 * 1024, 100
MAX_TOKENS, TOKEN_SECONDS = 10_000, 600
MAX_NESTING = 32
MAX_DIGITS, MAX_EXPONENT = 38, 126
PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,37}", re.ASCII)
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)

NOT_IN_SCHEMA = "The provided key element does not match the schema"
CONDITION_FAILED = "The conditional request failed"


class Refused(Exception):
    """An answer that isn't 200."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        self.code = code
        self.body = {"message": message, **more}


class AgainstSchema(Refused):
    """A key that the table can't have: of a wrong type, or too long."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


def invalid(message: str) -> Refused:
    return Refused("ValidationException", message)


class Database:
    """Tables by name. clock: seconds, for how long a transaction's token is remembered."""

    def __init__(self, *tables: str, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.tables = {name: _Rows() for name in tables}
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._operations: dict[str, Callable[[Any], Answer]] = {
            "GetItem": self._get_item,
            "Query": self._query,
            "PutItem": self._put_item,
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
            rows.put(item, _item_bytes(item))

    def _rows(self, request: Mapping[str, Any]) -> "_Rows":
        name = request["TableName"]
        if name not in self.tables:
            raise Refused("ResourceNotFoundException", "Requested resource not found")
        return self.tables[name]

    def _get_item(self, request: dict[str, Any]) -> Answer:
        _know(request, "TableName", "Key", "ConsistentRead")
        if not request.get("ConsistentRead"):
            raise NotImplementedError("a read that may be stale decides about nothing here")
        rows = self._rows(request)
        found = rows.get(_key(request["Key"]))
        return {"Item": found} if found is not None else {}

    def _put_item(self, request: dict[str, Any]) -> Answer:
        _know(request, "TableName", "Item", *CONDITIONAL, "ReturnValues")
        rows = self._rows(request)
        item, size = _stored(request["Item"])
        condition = _condition(request)
        _check_size(size)
        return _one_write(rows, _key_of(item), condition, request, lambda: rows.put(item, size))

    def _delete_item(self, request: dict[str, Any]) -> Answer:
        _know(request, "TableName", "Key", *CONDITIONAL, "ReturnValues")
        rows = self._rows(request)
        key = _key(request["Key"])
        return _one_write(rows, key, _condition(request), request, lambda: rows.delete(key))

    def _query(self, request: dict[str, Any]) -> Answer:
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
            raise NotImplementedError("a read that may be stale decides about nothing here")
        rows = self._rows(request)
        limit = request.get("Limit", 0)
        if "Limit" in request and limit < 1:
            raise invalid(
                "Value at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
            )
        span = _span(request)
        forward = request.get("ScanIndexForward", True)
        places = span.places(rows, request.get("ExclusiveStartKey"), forward=forward)
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
        token, asked = request.get("ClientRequestToken"), request["TransactItems"]
        if not 1 <= len(asked) <= MAX_TRANSACTION_ITEMS:
            raise invalid("Member must have length less than or equal to 100, and greater than or equal to 1")
        writes = [_Write(self, one) for one in asked]
        if len({(write.table, write.key) for write in writes}) < len(writes):
            raise invalid("Transaction request cannot include multiple operations on one item")
        if sum(write.size for write in writes) > MAX_TRANSACTION_BYTES:
            raise invalid("Transaction total size exceeds the limit")
        if token is not None and self._was_done(token, asked):
            return {}
        reasons = [write.reason() for write in writes]
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
            raise Refused("TransactionCanceledException", message, Message=message, CancellationReasons=reasons)
        for write in writes:
            write.apply()
        if token is not None:
            self._tokens[token] = (self._clock(), asked)
        return {}

    def _was_done(self, token: str, asked: Any) -> bool:
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
        if self._tokens[token][1] != asked:
            raise Refused(
                "IdempotentParameterMismatchException",
                "The request uses the same client token as a previous, but non-identical request.",
            )
        return True


MAX_TOKEN_LENGTH = 36
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


class _Condition:
    """A write's condition, parsed, with what its placeholders stand for."""

    __slots__ = ("names", "parsed", "values")

    def __init__(self, parsed: Parsed, names: Mapping[str, str], values: Mapping[str, Value]) -> None:
        self.parsed, self.names, self.values = parsed, names, values

    def holds(self, item: Item | None) -> bool:
        return evaluate(self.parsed.tree, item or {}, self.names, self.values)


class _Write:
    """One member of a transaction, checked as far as it can be without looking at the table."""

    __slots__ = ("condition", "fault", "item", "key", "kind", "returns_old", "rows", "size", "table")

    def __init__(self, database: Database, asked: dict[str, Any]) -> None:
        if len(asked) != 1:
            raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        [(self.kind, request)] = asked.items()
        if self.kind not in {"Put", "Delete", "ConditionCheck"}:
            raise NotImplementedError(self.kind)
        _know(request, "TableName", "Item" if self.kind == "Put" else "Key", *CONDITIONAL)
        self.table: str = request["TableName"]
        self.rows = database._rows(request)
        self.item, self.size = _stored(request["Item"]) if self.kind == "Put" else ({}, 0)
        self.fault: dict[str, Any] | None = None
        self.key = self._key(request)
        self.condition = _condition(request)
        if self.condition is None and self.kind == "ConditionCheck":
            raise invalid("The expression can not be null;")
        self.returns_old = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        _check_size(self.size)

    def _key(self, request: dict[str, Any]) -> Key:
        """What only the table's schema tells is found out with the conditions, and is a reason of this write's."""
        try:
            return _key_of(self.item) if self.kind == "Put" else _key(request["Key"])
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


class _Span:
    """A stretch of one partition: which sort keys a key condition allows."""

    def __init__(self, partition: str, condition: Node | None, values: Mapping[str, Value]) -> None:
        self.partition, self.kind = partition, condition[0] if condition else None
        self.ends = [_text(values[operand[1]]) for operand in condition[2:]] if condition else []

    def places(self, rows: _Rows, after: Any, *, forward: bool) -> Iterable[str]:
        order = rows.orders.get(self.partition, [])
        low, high = self._bounds(order)
        if after is not None:
            partition, start = _key(after)
            if partition != self.partition or not self._allows(start):
                raise invalid("The provided starting key is outside query boundaries based on provided conditions")
            if forward:
                low = max(low, bisect_right(order, start))
            else:
                high = min(high, bisect_left(order, start))
        return (order[place] for place in (range(low, high) if forward else range(high - 1, low - 1, -1)))

    def _bounds(self, order: list[str]) -> tuple[int, int]:
        if self.kind is None:
            return 0, len(order)
        first = self.ends[0]
        if self.kind == "between":
            return bisect_left(order, first), bisect_right(order, self.ends[1])
        if self.kind == "begins_with":
            low = bisect_left(order, first)
            high = low
            while high < len(order) and order[high].startswith(first):
                high += 1
            return low, high
        return {
            "=": (bisect_left(order, first), bisect_right(order, first)),
            "<": (0, bisect_left(order, first)),
            "<=": (0, bisect_right(order, first)),
            ">": (bisect_right(order, first), len(order)),
            ">=": (bisect_left(order, first), len(order)),
        }[self.kind]

    def _allows(self, sort: str) -> bool:
        low, high = self._bounds([sort])
        return low < high


def _one_write(
    rows: _Rows, key: Key, condition: _Condition | None, request: Mapping[str, Any], write: Callable[[], None]
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
    """Nothing that was asked for may be overlooked."""
    unknown = request.keys() - set(members)
    if unknown:
        raise NotImplementedError(f"members {sorted(unknown)}")


def _condition(request: Mapping[str, Any]) -> _Condition | None:
    text = request.get("ConditionExpression")
    parsed, names, values = _expression(text, request)
    if parsed is None:
        return None
    check(parsed.tree, names, values)
    return _Condition(parsed, names, values)


def _expression(
    text: str | None, request: Mapping[str, Any]
) -> tuple[Parsed | None, Mapping[str, str], Mapping[str, Value]]:
    """An expression and its placeholders, of which each must be used and each used one given."""
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    if text is None:
        if names is not None or values is not None:
            raise invalid(
                "ExpressionAttributeNames and ExpressionAttributeValues can only be specified when using expressions"
            )
        return None, {}, {}
    if names == {} or values == {}:
        raise invalid("ExpressionAttributeNames and ExpressionAttributeValues must not be empty")
    given = {*(names or ()), *(values or ())}
    for value in (values or {}).values():
        _normal(value)
    parsed = parse(text)
    if parsed.placeholders != given:
        raise invalid(f"Placeholders unused or not defined: {sorted(parsed.placeholders ^ given)}")
    return parsed, names or {}, values or {}


def _span(request: Mapping[str, Any]) -> _Span:
    """What a KeyConditionExpression asks for: PK = :value, and at most one condition on SK."""
    if "KeyConditionExpression" not in request:
        raise invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
    parsed, names, values = _expression(request["KeyConditionExpression"], request)
    assert parsed is not None
    check(parsed.tree, names, values)
    partition: str | None = None
    sort: Node | None = None
    for node in _conjuncts(parsed.tree):
        kind, path, *operands = node
        if kind in {"or", "not", "<>", "in"} or path[0] != "path" or any(operand[0] != "value" for operand in operands):
            raise invalid("Invalid operator used in KeyConditionExpression")
        name = names.get(path[1], path[1])
        if name == "PK" and kind == "=" and partition is None:
            partition = _text(values[operands[0][1]])
        elif name == "SK" and sort is None and kind in SORT_CONDITIONS:
            sort = node
        else:
            raise invalid("Query condition missed key schema element, or query key condition not supported")
    if partition is None:
        raise invalid("Query condition missed key schema element: PK")
    span = _Span(partition, sort, values)
    if not all((partition, *span.ends)):
        raise invalid("One or more parameter values are not valid. The value for a key attribute is an empty string")
    return span


SORT_CONDITIONS = frozenset({"=", "<", "<=", ">", ">=", "between", "begins_with"})


def _conjuncts(node: Node) -> Iterable[Node]:
    if node[0] == "and":
        yield from _conjuncts(node[1])
        yield from _conjuncts(node[2])
    else:
        yield node


def _text(value: Value) -> str:
    if type_of(value) != "S":
        raise invalid("One or more parameter values were invalid: Condition parameter type does not match schema type")
    return str(value["S"])


def _key(key: Mapping[str, Value]) -> Key:
    """A request's Key: exactly the two attributes."""
    if key.keys() != {"PK", "SK"}:
        raise invalid(NOT_IN_SCHEMA)
    for value in key.values():
        _normal(value)
    return _key_of(key)


def _key_of(item: Mapping[str, Value]) -> Key:
    for name, most in (("PK", MAX_PARTITION_BYTES), ("SK", MAX_SORT_BYTES)):
        value = item.get(name)
        if value is None:
            raise invalid(f"One or more parameter values were invalid: Missing the key {name} in the item")
        if type_of(value) != "S":
            raise AgainstSchema(f"One or more parameter values were invalid: Type mismatch for key {name} expected: S")
        if not value["S"]:
            raise invalid(f"The AttributeValue for a key attribute cannot contain an empty string value. Key: {name}")
        if len(value["S"].encode()) > most:
            raise AgainstSchema(
                f"One or more parameter values were invalid: Size of {name} has exceeded the limit of {most} bytes"
            )
    return item["PK"]["S"], item["SK"]["S"]


def _check_size(size: int) -> None:
    if size > MAX_ITEM_BYTES:
        raise invalid("Item size has exceeded the maximum allowed size")


def _stored(item: Item) -> tuple[Item, int]:
    """The item as it is kept, and its size. Raises Refused for what can't be."""
    size, changed = 0, {}
    for name, value in item.items():
        kept, bytes_ = _normal(value)
        size += bytes_ + (len(name) if name.isascii() else len(name.encode()))
        if kept is not value:
            changed[name] = kept
        if not name:
            raise invalid("One or more parameter values were invalid: An attribute name is empty")
    return ({**item, **changed} if changed else item), size


def _item_bytes(item: Item) -> int:
    return _stored(item)[1]


def _normal(value: Value, depth: int = 0) -> tuple[Value, int]:
    """A value as DynamoDB keeps it (the same object when nothing changes), and its size in bytes."""
    if len(value) != 1:
        raise invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    kind, content = next(iter(value.items()))
    if kind == "S":
        return value, len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        number = canonical_number(content)
        return (value if number == content else {"N": number}), (len(number) + 1) // 2 + 1
    if kind == "B":
        return value, len(content) * 3 // 4 - content.count("=")
    if kind == "BOOL":
        return value, 1
    if depth == MAX_NESTING:
        raise invalid("Nesting Levels have exceeded supported limits")
    return CONTAINERS[kind](kind, content, depth + 1)


def _null(_kind: str, content: bool, _depth: int) -> tuple[Value, int]:
    if not content:
        raise invalid("One or more parameter values were invalid: Null attribute value types must have the value true")
    return {"NULL": True}, 1


def _list(_kind: str, content: list[Value], depth: int) -> tuple[Value, int]:
    elements = [_normal(one, depth) for one in content]
    return {"L": [one for one, _ in elements]}, 3 + sum(size + 1 for _, size in elements)


def _map(_kind: str, content: dict[str, Value], depth: int) -> tuple[Value, int]:
    members = {name: _normal(one, depth) for name, one in content.items()}
    size = 3 + sum(size + 1 + len(name.encode()) for name, (_, size) in members.items())
    return {"M": {name: one for name, (one, _) in members.items()}}, size


def _set(kind: str, content: list[str], _depth: int) -> tuple[Value, int]:
    elements = [_normal({kind[0]: one}) for one in content]
    kept = [one[kind[0]] for one, _ in elements]
    if not kept:
        raise invalid("One or more parameter values were invalid: A set may not be empty")
    if len(set(kept)) < len(kept):
        raise invalid("One or more parameter values were invalid: Input collection contains duplicates")
    return {kind: kept}, sum(size for _, size in elements)


CONTAINERS: dict[str, Callable[[str, Any, int], tuple[Value, int]]] = {
    "NULL": _null,
    "L": _list,
    "M": _map,
    "SS": _set,
    "NS": _set,
    "BS": _set,
}


def canonical_number(text: str) -> str:
    """A number as DynamoDB gives it back. Raises Refused."""
    if PLAIN_INTEGER.fullmatch(text):
        return text
    if not NUMBER.fullmatch(text.strip()):
        raise invalid("The parameter cannot be converted to a numeric value")
    try:
        number = Decimal(text.strip())
    except InvalidOperation as error:
        raise invalid("The parameter cannot be converted to a numeric value") from error
    significant = "".join(map(str, number.as_tuple().digits)).strip("0")
    if not significant:
        return "0"
    if len(significant) > MAX_DIGITS:
        raise invalid("Attempting to store more than 38 significant digits in a Number")
    if number.adjusted() >= MAX_EXPONENT:
        raise invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if number.adjusted() < -MAX_EXPONENT - 4:
        raise invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".").removeprefix("+") if "." in text else text
