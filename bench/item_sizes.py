"""An item's size by AWS's published rules, which decides what it costs."""

from collections.abc import Mapping
from math import ceil
from typing import Any

KILOBYTE = 1024


def size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an item by the published rules: names and strings in UTF-8, binary as it is, numbers by their digits."""
    return sum(len(name.encode()) + _value_size(typed) for name, typed in item.items())


def _value_size(typed: Mapping[str, Any]) -> int:
    [(kind, value)] = typed.items()
    if kind == "S":
        return len(value.encode())
    if kind == "B":
        return len(value)
    if kind == "L":
        # A list takes three bytes, and one more for each element.
        return 3 + sum(1 + _value_size(element) for element in value)
    assert kind == "N"
    return ceil(len(value.strip("-")) / 2) + 1 + int(value.startswith("-"))
