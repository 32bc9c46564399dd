"""Removes unused data from botocore: endpoints of other services; documentation and unused operations of API models.

Parsing this data would take half the time of creating a client.
The layer's Makefile runs `python trim_botocore.py DATA SERVICE=OPERATION,OPERATION…` once, while it builds the layer.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def main(data: Path, operations: dict[str, set[str]]) -> None:
    """Rewrite botocore's data folder `data` in place; keep these services' endpoints and operations only."""
    endpoints = data / "endpoints.json"
    content = json.loads(endpoints.read_bytes())
    for partition in content["partitions"]:
        partition["services"] = {name: value for name, value in partition["services"].items() if name in operations}
    endpoints.write_text(json.dumps(content, separators=(",", ":")))
    for model in data.glob("*/*/service-2.json.gz"):
        api = json.loads(gzip.decompress(model.read_bytes()))
        trimmed = _with_operations(_without_documentation(api), operations[model.parts[-3]])
        model.write_bytes(gzip.compress(json.dumps(trimmed, separators=(",", ":")).encode(), mtime=0))


def _with_operations(api: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The model with these operations, as far as its version has them, and the shapes that they refer to."""
    operations = {name: value for name, value in api["operations"].items() if name in names}
    shapes: dict[str, Any] = {}
    names_left = list(_shapes_in(operations))
    while names_left:
        name = names_left.pop()
        if name not in shapes:
            shapes[name] = api["shapes"][name]
            names_left.extend(_shapes_in(shapes[name]))
    return {**api, "operations": operations, "shapes": shapes}


def _shapes_in(value: Any) -> Iterator[str]:
    """The names of all shapes that a part of a model refers to."""
    if isinstance(value, list):
        for item in value:
            yield from _shapes_in(item)
    elif isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for item in value.values():
            yield from _shapes_in(item)


def _without_documentation(value: Any) -> Any:
    """The model without its documentation texts. A shape's member may be named `documentation`; that stays."""
    if isinstance(value, list):
        return [_without_documentation(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_documentation(item)
        for name, item in value.items()
        if not (name == "documentation" and isinstance(item, str))
    }


if __name__ == "__main__":
    data, *services = sys.argv[1:]
    main(Path(data), {name: set(called.split(",")) for name, _, called in (text.partition("=") for text in services)})
