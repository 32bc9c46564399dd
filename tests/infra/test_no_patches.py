"""No test patches our own code: what a test needs comes in by an argument, or happens on the wire."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import ROOT

OURS = ("prepaid", "functions", "fake_stripe", "local", "bench")
TESTS = ("tests", "fake_stripe/tests", "bench")


def patches_in(source: str) -> list[str]:
    """Each line that patches an attribute of our code, or of an object that the line doesn't show."""
    tree = ast.parse(source)
    ours = imported_from_us(tree)
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr))
    lines = {node.lineno for node in nodes if is_patch(node, ours)}
    return [source.splitlines()[number - 1].strip() for number in sorted(lines)]


def imported_from_us(tree: ast.Module) -> set[str]:
    """The names under which a file imports our code."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            names |= {alias.asname or alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names if is_ours(alias.name)}
    return names


def is_ours(dotted: str) -> bool:
    return dotted.partition(".")[0] in OURS


def is_patch(node: ast.AST, ours: set[str]) -> bool:
    if isinstance(node, ast.Assign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Attribute) and root_of(target) in ours for target in targets)
    if not isinstance(node, ast.Call) or not node.args:
        return False
    target = node.args[0]
    match ast.unparse(node.func).split("."):
        case ["setattr" | "delattr"]:
            return root_of(target) in ours
        case [*_, "setattr" | "delattr"] | [*_, "patch", "object"]:
            # Only an object and a name, or a dotted name: who reads the line sees what is patched.
            named = node.args[1] if len(node.args) > 2 or ast.unparse(node.func).endswith("object") else target
        case [*_, "patch"]:
            named = target
        case _:
            return False
    if not isinstance(named, ast.Constant) or not isinstance(named.value, str):
        return True
    return is_ours(named.value) if named is target else root_of(target) in ours


def root_of(node: ast.AST) -> str:
    """The name with which an expression such as `a.b[0].c` begins."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def files() -> Iterator[Path]:
    for folder in TESTS:
        yield from (ROOT / folder).rglob("*.py")


def test_no_test_patches_our_own_code() -> None:
    found = [(str(file.relative_to(ROOT)), line) for file in files() for line in patches_in(file.read_text())]

    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr("prepaid.core.ledger.MAX_LOTS", 3)',
        'monkeypatch.setattr(syncing, "fetch_payment_status", look)',
        'patch.setattr(syncing.sessions, "open_stripe", look)',
        "patch.setattr(target, dies)",
        'monkeypatch.delattr(syncing, "MAX_STEPS")',
        'mock.patch("prepaid.store.ledger.append")',
        'stack.enter_context(mock.patch.object(syncing, "append"))',
        "mock.patch.object(target, name, value)",
        'setattr(syncing, "MAX_STEPS", 1)',
        "syncing.MAX_STEPS = 1",
    ],
)
def test_a_patch_of_our_own_code_is_found(line: str) -> None:
    assert patches_in(f"from prepaid.use_cases import syncing\n{line}\n") == [line]


@pytest.mark.parametrize(
    "line",
    [
        'monkeypatch.setattr("boto3.client", make)',
        'monkeypatch.setattr(stripe.RequestsClient, "request", request)',
        'mock.patch("botocore.endpoint.time", fake)',
        'mock.patch.dict("os.environ", ENVIRONMENT)',
        'monkeypatch.setenv("AWS_REGION", "eu-west-1")',
        "self.calls = 1",
    ],
)
def test_a_patch_of_a_library_is_allowed(line: str) -> None:
    assert patches_in(f"from prepaid.use_cases import syncing\n{line}\n") == []
