"""A mark in each function's built code that changes with the parameters.

SAM publishes a version when a function's code, layer or properties change, but it decides this before it knows the
parameters' values. A changed value alone would reach only $LATEST, which nobody calls, and never the alias.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

NAME = "parameters.sha256"


def mark(built: Path, parameters: Mapping[str, str]) -> list[Path]:
    """Write the parameters' digest into the folder of every built function. Returns the files."""
    digest = hashlib.sha256(json.dumps(dict(parameters), sort_keys=True).encode()).hexdigest()
    files = [handler.with_name(NAME) for handler in sorted(built.glob("*/app.py"))]
    for file in files:
        file.write_text(digest + "\n", "utf-8")
    return files
