"""One target in atheris's own environment: `python -m tests.fuzzing.under_atheris webhook CORPUS… -flags`."""

import sys
from importlib import import_module
from typing import Any

# Not in the project's own environment, so nothing is known of its types.
atheris: Any = import_module("atheris")

OURS = ["prepaid", "tests.fuzzing.targets", "tests.fuzzing.deliveries"]
with atheris.instrument_imports(include=[*OURS, "stripe._webhook", "json", "csv"]):
    from tests.fuzzing.targets import TARGETS


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    target = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
