"""The oracle is independent: it imports nothing of the service."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULES = sorted(f"tests.oracle.{file.stem}" for file in HERE.glob("[a-z]*.py") if not file.stem.startswith("test_"))


def test_the_oracle_imports_nothing_of_the_service() -> None:
    program = f"""
import importlib, sys
for name in {MODULES}:
    importlib.import_module(name)
print([name for name in sys.modules if name.partition(".")[0] in ("prepaid", "local", "fake_stripe")])
"""

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HERE.parents[1], capture_output=True, text=True, check=True
    )

    assert "tests.oracle.rules" in MODULES
    assert done.stdout.strip() == "[]"
