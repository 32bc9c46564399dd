"""One version of the service in a process of its own: `python version_worker.py TREE`, with TREE's layer on the path.

Reads one JSON line for each call, {"function", "event"}, and writes the handler's result as one JSON line. Logs go to
stderr. It imports nothing of this repository but what TREE holds.
"""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

CONTEXT = SimpleNamespace(
    aws_request_id="8a2f1c9e-0000-4000-8000-000000000001",
    function_name="one-version",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:one-version",
    get_remaining_time_in_millis=lambda: 600_000,
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
        answers.write(json.dumps(loaded[name].handler(call["event"], CONTEXT)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
