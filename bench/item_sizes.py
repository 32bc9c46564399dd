"""An item's size by AWS's published rules, which decides what it costs."""

from collections.abc import Mapping
from math import ceil
from typing import Any

KILOBYTE = 1024


def size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an item by the published rules: names and strings in UTF-8, binary as it is, numbers by their digits."""
    total = 0
    for name, typed in item.items():
        [(kind, value)] = typed.items()
        total += len(name.encode())
        if kind == "S":
            total += len(value.encode())
        elif kind == "B":
            total += len(value)
        else:
            assert kind == "N"
            total += ceil(len(value.strip("-")) / 2) + 1 + value.startswith("-")
    return total
