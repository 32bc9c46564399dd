"""Removes from botocore's data what no function uses: other services' endpoints, and the documentation of API models.

A client parses both when it is created, which was half the cost of creating it.
The layer's Makefile runs `python trim_botocore.py DATA SERVICE…` once, while it builds the layer.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any


def main(data: Path, services: set[str]) -> None:
    """Rewrite the data in place."""
    endpoints = data / "endpoints.json"
    known = json.loads(endpoints.read_bytes())
    for partition in known["partitions"]:
        partition["services"] = {name: one for name, one in partition["services"].items() if name in services}
    endpoints.write_text(json.dumps(known, separators=(",", ":")))
    for model in data.glob("*/*/service-2.json.gz"):
        described = json.loads(gzip.decompress(model.read_bytes()))
        model.write_bytes(
            gzip.compress(json.dumps(_without_documentation(described), separators=(",", ":")).encode(), mtime=0)
        )


def _without_documentation(value: Any) -> Any:
    """The same model without its texts. A shape may have a member of the name `documentation`, which is no text."""
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
    main(Path(sys.argv[1]), set(sys.argv[2:]))
