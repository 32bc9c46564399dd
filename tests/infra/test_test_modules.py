"""Test modules hold tests only, with names that can be read at a glance.

What several of them need is in tests/support, or in a package of its own.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = [ROOT / "tests", ROOT / "fake_stripe" / "tests"]
# After `test_`.
LONGEST_NAME = 60
# Folders with tests only.
ONLY_TESTS = ["client", "functions", "infra", "property", "security", "stack", "store", "unit"]


def imported_by(module: ast.Module) -> Iterator[str]:
    """The full name of all that a module imports."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=str(source), names=names):
                yield from (f"{source}.{name.name}" for name in names)


def is_test_module(name: str) -> bool:
    """Whether an import names a test module or a conftest, or something in one."""
    parts = name.split(".")
    modules = (ROOT.joinpath(*parts[:length]).with_suffix(".py") for length in range(1, len(parts) + 1))
    return any(module.is_file() and module.stem.startswith(("test_", "conftest")) for module in modules)


def test_no_module_imports_a_test_module() -> None:
    imports = {
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in TESTS
        for path in folder.rglob("*.py")
        for name in imported_by(ast.parse(path.read_text("utf-8")))
        if is_test_module(name)
    }

    assert is_test_module("tests.infra.test_test_modules.is_test_module")
    assert imports == set()


@pytest.mark.parametrize("folder", ONLY_TESTS)
def test_helpers_are_not_beside_tests(folder: str) -> None:
    modules = {path.name for path in (ROOT / "tests" / folder).rglob("*.py")}

    assert {name for name in modules if name != "conftest.py" and not name.startswith("test_")} == set()


def test_the_name_of_a_test_is_a_short_sentence() -> None:
    names = [
        node.name.removeprefix("test_")
        for folder in (*TESTS, ROOT / "clients")
        for path in folder.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]

    assert len(names) > 1000
    assert [name for name in names if len(name) > LONGEST_NAME] == []
