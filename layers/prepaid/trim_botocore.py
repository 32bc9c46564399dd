"""Removes unused data from botocore: other services' endpoints, and the documentation in API models.

Creating a client parses both, which takes half the time of creating it.
The layer's Makefile runs `python trim_botocore.py DATA SERVICE…` once, while it builds the layer.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any


def main(data: Path, services: set[str]) -> None:
    """Rewrite botocore's data folder `data` in place; keep the endpoints of `services` only."""
    endpoints = data / "endpoints.json"
    known = json.loads(endpoints.read_bytes())
    for partition in known["partitions"]:
        partition["services"] = {name: value for name, value in partition["services"].items() if name in services}
    endpoints.write_text(json.dumps(known, separators=(",", ":")))
    for model in data.glob("*/*/service-2.json.gz"):
        described = json.loads(gzip.decompress(model.read_bytes()))
        model.write_bytes(
            gzip.compress(json.dumps(_without_documentation(described), separators=(",", ":")).encode(), mtime=0)
        )


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
    main(Path(sys.argv[1]), set(sys.argv[2:]))
