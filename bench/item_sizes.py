"""An item's size by AWS's published rules, which decides what it costs."""

from collections.abc import Mapping
from math import ceil
from typing import Any

KILOBYTE = 1024


def size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an item by the published rules: names and strings in UTF-8, binary as it is, numbers by their digits."""
    return sum(len(name.encode()) + _size_of_value(typed) for name, typed in item.items())


def _size_of_value(typed: Mapping[str, Any]) -> int:
    [(kind, value)] = typed.items()
    if kind == "S":
        return len(str(value).encode())
    if kind == "B":
        return len(value)
    if kind == "L":
        return 3 + sum(1 + _size_of_value(element) for element in value)
    assert kind == "N"
    digits: str = value
    return ceil(len(digits.strip("-")) / 2) + 1 + digits.startswith("-")
