"""Conditions of requests: what a write asks of the item that is there, and which keys a query asks for."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from tests.simulation.expressions import Item, Node, Parsed, Value, check, evaluate, parse, type_of
from tests.simulation.stored_items import invalid, key_in, normal

SORT_CONDITIONS = frozenset({"=", "<", "<=", ">", ">=", "between", "begins_with"})


class Condition:
    """A write's condition, parsed, with what its placeholders stand for."""

    __slots__ = ("names", "parsed", "values")

    def __init__(self, parsed: Parsed, names: Mapping[str, str], values: Mapping[str, Value]) -> None:
        self.parsed, self.names, self.values = parsed, names, values

    def holds(self, item: Item | None) -> bool:
        return evaluate(self.parsed.tree, item or {}, self.names, self.values)


class Span:
    """A stretch of one partition: the sort keys that a key condition allows."""

    def __init__(self, partition: str, condition: Node | None, values: Mapping[str, Value]) -> None:
        self.partition, self.kind = partition, condition[0] if condition else None
        self.ends = [_text(values[operand[1]]) for operand in condition[2:]] if condition else []

    def places(self, order: list[str], after: Any, *, forward: bool) -> Iterable[str]:
        low, high = self._bounds(order)
        if after is not None:
            partition, start = key_in(after)
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


def condition_of(request: Mapping[str, Any]) -> Condition | None:
    text = request.get("ConditionExpression")
    parsed, names, values = _expression(text, request)
    if parsed is None:
        return None
    check(parsed.tree, names, values)
    return Condition(parsed, names, values)


def span_of(request: Mapping[str, Any]) -> Span:
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
    span = Span(partition, sort, values)
    if not all((partition, *span.ends)):
        raise invalid("One or more parameter values are not valid. The value for a key attribute is an empty string")
    return span


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
        normal(value)
    parsed = parse(text)
    if parsed.placeholders != given:
        raise invalid(f"Placeholders unused or not defined: {sorted(parsed.placeholders ^ given)}")
    return parsed, names or {}, values or {}


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
