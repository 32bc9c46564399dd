"""Leaves out of botocore's data what no function reads: other services' endpoints, and what the API models say in words.

Every client reads both when it is created. `python trim_botocore.py DATA SERVICE…`, once, while the layer is built.
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
        model.write_bytes(gzip.compress(json.dumps(_without_words(described), separators=(",", ":")).encode(), mtime=0))


def _without_words(value: Any) -> Any:
    """The same model without its texts. A member of a shape may be called documentation, and is no text."""
    if isinstance(value, list):
        return [_without_words(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_words(item)
        for name, item in value.items()
        if not (name == "documentation" and isinstance(item, str))
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), set(sys.argv[2:]))
