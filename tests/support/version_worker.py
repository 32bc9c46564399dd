"""One version of the service in a process of its own: `python version_worker.py TREE`, with TREE's layer on the path.

Reads one JSON line for each call, {"function", "event", "asks"}, and writes the handler's result as one JSON line, or
{"raised": "…"} if it raises. asks: how often the handler finds that it has time left. Logs go to stderr.
It imports nothing of this repository but what TREE holds.
"""

import importlib.util
import json
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any


def remaining(asks: int) -> Iterator[int]:
    """The milliseconds left, each time that a handler asks for them."""
    yield from repeat(600_000, asks)
    while True:
        yield 0


def context(asks: int) -> SimpleNamespace:
    left = remaining(asks)
    return SimpleNamespace(
        aws_request_id="8a2f1c9e-0000-4000-8000-000000000001",
        function_name="one-version",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:one-version",
        get_remaining_time_in_millis=lambda: next(left),
    )


def load(tree: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"function_{name}", tree / "functions" / name / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(tree: Path) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    loaded: dict[str, Any] = {}
    for line in sys.stdin:
        call = json.loads(line)
        name = call["function"]
        if name not in loaded:
            loaded[name] = load(tree, name)
        try:
            result = loaded[name].handler(call["event"], context(call["asks"]))
        except Exception as error:  # noqa: BLE001 - the test looks at what a handler raises
            result = {"raised": repr(error)}
        answers.write(json.dumps(result) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
