"""Writes files that are generated from the code, or checks that they are up to date."""

import json
import sys
from pathlib import Path
from typing import Any


def write_or_check(file: Path, document: dict[str, Any]) -> int:
    """Write the file, or with --check report whether it is up to date. Returns the exit code."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        file.write_text(text, encoding="utf-8")
        return 0
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{file} is stale: run 'make generate'\n")
    return 1
