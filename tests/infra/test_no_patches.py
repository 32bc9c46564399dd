"""No test patches our own code: a test passes what it needs as an argument, or intercepts the wire."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from local.processes import ROOT

OURS = ("prepaid", "functions", "fake_stripe", "local", "bench", "prepaid_client")
TESTS = ("tests", "fake_stripe/tests", "bench")


def patches_in(source: str) -> list[str]:
    """Each line that patches an attribute of our code, or of an object that the line doesn't show."""
    tree = ast.parse(source)
    ours = imported_from_us(tree)
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr))
    libraries = imported_names(tree) - ours
    lines = {node.lineno for node in nodes if is_patch(node, ours, libraries)}
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


def imported_names(tree: ast.Module) -> set[str]:
    """All names that a file imports."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return {alias.asname or alias.name.partition(".")[0] for node in imports for alias in node.names}


def is_ours(dotted: str) -> bool:
    return dotted.partition(".")[0] in OURS


def is_patch(node: ast.AST, ours: set[str], libraries: set[str]) -> bool:
    if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
        return any(reaches_into(target, ours) for target in unpacked(targets))
    if not isinstance(node, ast.Call) or not node.args:
        return False
    target, called = node.args[0], ast.unparse(node.func)
    if called.endswith((".setitem", ".delitem", "patch.dict")) and not isinstance(target, ast.Constant):
        # A table of a library, such as os.environ, isn't ours. Any other may be.
        return root_of(target) not in libraries
    return is_named_patch(node, target, ours)


def is_named_patch(node: ast.Call, target: ast.expr, ours: set[str]) -> bool:
    """Whether a call patches an attribute of ours, or one that the line doesn't name."""
    match ast.unparse(node.func).split("."):
        case ["setattr" | "delattr"]:
            return root_of(target) in ours
        case [*_, "setattr" | "delattr"] | [*_, "patch", "object"]:
            # Only an object and a name, or a dotted name: then the line shows what is patched.
            named = node.args[1] if len(node.args) > 2 or ast.unparse(node.func).endswith("object") else target
        case [*_, "patch"] | [*_, "patch", "dict"]:
            named = target
        case _:
            return False
    if not isinstance(named, ast.Constant) or not isinstance(named.value, str):
        return True
    return is_ours(named.value) if named is target else root_of(target) in ours


def unpacked(targets: Sequence[ast.expr]) -> Iterator[ast.expr]:
    """Each target of an assignment, also those in a tuple."""
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            yield from unpacked(target.elts)
        else:
            yield target.value if isinstance(target, ast.Starred) else target


def reaches_into(target: ast.expr, ours: set[str]) -> bool:
    """Whether an assignment changes our code's attributes, or a private one of another object than `self`."""
    if isinstance(target, ast.Attribute) and root_of(target) in ours:
        return True
    while isinstance(target, ast.Attribute | ast.Subscript):
        if isinstance(target, ast.Attribute) and target.attr.startswith("_") and not is_self(target.value):
            return True
        target = target.value
    return False


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


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
        "monkeypatch.setitem(syncing.STEPS, 1, step)",
        'patch.setitem(storefront.fake.api.keys, "rk_test_1", rights)',
        'patch.delitem(storefront.fake.api.keys, "rk_test_1")',
        "mock.patch.dict(storefront.fake.api.keys, rights)",
        'mock.patch.dict("prepaid.core.money.DIGITS", digits)',
        "self.api.idempotency._kept = kept",
        "self.state.tables, self.api.idempotency._kept = saved",
        'self.api.idempotency._kept["key"] = use',
        'del self.api.idempotency._kept["key"]',
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
        'monkeypatch.setitem(sys.modules, "stripe", None)',
        'monkeypatch.delenv("AWS_REGION")',
        "self.calls = 1",
        "self._calls[1], self._more = 1, 2",
    ],
)
def test_a_patch_of_a_library_is_allowed(line: str) -> None:
    assert patches_in(f"import sys\nfrom prepaid.use_cases import syncing\n{line}\n") == []
