"""Items as DynamoDB stores them: keys, sizes, numbers; and its errors for invalid ones."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.simulation.expressions import Item, Value, type_of

type Key = tuple[str, str]

MAX_PARTITION_BYTES, MAX_SORT_BYTES = 2048, 1024
MAX_ITEM_BYTES = 400 * 1024
MAX_NESTING = 32
MAX_DIGITS, MAX_EXPONENT = 38, 126
PLAIN_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,37}", re.ASCII)
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
NOT_IN_SCHEMA = "The provided key element does not match the schema"


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


def key_in(key: Mapping[str, Value]) -> Key:
    """A request's Key: exactly the two attributes."""
    if key.keys() != {"PK", "SK"}:
        raise invalid(NOT_IN_SCHEMA)
    for value in key.values():
        normal(value)
    return key_of(key)


def key_of(item: Mapping[str, Value]) -> Key:
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


def check_size(size: int) -> None:
    if size > MAX_ITEM_BYTES:
        raise invalid("Item size has exceeded the maximum allowed size")


def as_stored(item: Item) -> tuple[Item, int]:
    """The item as it is kept, and its size. Raises Refused for what can't be."""
    size, changed = 0, {}
    for name, value in item.items():
        kept, bytes_ = normal(value)
        size += bytes_ + (len(name) if name.isascii() else len(name.encode()))
        if kept is not value:
            changed[name] = kept
        if not name:
            raise invalid("One or more parameter values were invalid: An attribute name is empty")
    return ({**item, **changed} if changed else item), size


def item_bytes(item: Item) -> int:
    return as_stored(item)[1]


def normal(value: Value, depth: int = 0) -> tuple[Value, int]:
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
    elements = [normal(element, depth) for element in content]
    return {"L": [element for element, _ in elements]}, 3 + sum(size + 1 for _, size in elements)


def _map(_kind: str, content: dict[str, Value], depth: int) -> tuple[Value, int]:
    members = {name: normal(element, depth) for name, element in content.items()}
    size = 3 + sum(size + 1 + len(name.encode()) for name, (_, size) in members.items())
    return {"M": {name: element for name, (element, _) in members.items()}}, size


def _set(kind: str, content: list[str], _depth: int) -> tuple[Value, int]:
    elements = [normal({kind[0]: element}) for element in content]
    kept = [element[kind[0]] for element, _ in elements]
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
