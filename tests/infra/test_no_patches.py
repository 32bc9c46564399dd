"""No test patches our own code or a private name: it passes what it needs as an argument, or intercepts the wire."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from local.processes import ROOT

OURS = ("prepaid", "functions", "fake_stripe", "local", "bench", "prepaid_client")
TESTS = ("tests", "fake_stripe/tests", "bench")


def patches_in(source: str) -> list[str]:
    """Each line that patches our code, an object that the line doesn't show, or a private name of anything."""
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
        # A public table of a library, such as os.environ, isn't ours. Any other may be.
        return root_of(target) not in libraries or is_private(ast.unparse(target))
    return is_named_patch(node, target, ours)


def is_named_patch(node: ast.Call, target: ast.expr, ours: set[str]) -> bool:
    """Whether a call patches an attribute of ours, a private one, or one that the line doesn't name."""
    match ast.unparse(node.func).split("."):
        case ["setattr" | "delattr"]:
            return root_of(target) in ours or (names_private(node.args[1]) and not is_self(target))
        case [*_, "setattr" | "delattr"] | [*_, "patch", "object"]:
            # Only an object and a name, or a dotted name: then the line shows what is patched.
            named = node.args[1] if len(node.args) > 2 or ast.unparse(node.func).endswith("object") else target
        case [*_, "patch"] | [*_, "patch", "dict" | "multiple"]:
            named = target
        case _:
            return False
    if not isinstance(named, ast.Constant) or not isinstance(named.value, str):
        return True
    if is_private(named.value) or (named is not target and is_private(ast.unparse(target))):
        return True
    return is_ours(named.value) if named is target else root_of(target) in ours


def names_private(named: ast.expr) -> bool:
    """Whether an expression is the text of a private name."""
    return isinstance(named, ast.Constant) and is_private(str(named.value))


def is_private(dotted: str) -> bool:
    """Whether a part of a dotted name is private. Python's own, such as __defaults__, count as private too."""
    return any(part.startswith("_") for part in dotted.split("."))


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


def test_no_test_patches_our_own_code_or_a_private_name() -> None:
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
        'monkeypatch.setattr("stripe.HTTPClient._sleep_time_seconds", pause)',
        'monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", pause)',
        'monkeypatch.delattr(stripe.HTTPClient, "_sleep_time_seconds")',
        'mock.patch("botocore.client.BaseClient._make_api_call", call)',
        'mock.patch.object(stripe.HTTPClient, "_sleep_time_seconds", return_value=0)',
        'mock.patch.object(stripe.HTTPClient.close, "__defaults__", ())',
        'mock.patch.dict("stripe._registry.CLIENTS", clients)',
        "mock.patch.dict(sys._xoptions, options)",
        'monkeypatch.setitem(sys._xoptions, "dev", True)',
        'monkeypatch.setattr(client._endpoint, "make_request", request)',
        'setattr(client, "_make_api_call", call)',
        "stripe.HTTPClient._sleep_time_seconds = pause",
        "stripe.HTTPClient.close.__defaults__ = ()",
        'mock.patch.multiple("prepaid.core.ledger", MAX_LOTS=3)',
    ],
)
def test_a_patch_of_our_own_code_or_a_private_name_is_found(line: str) -> None:
    assert patches_in(f"import stripe, sys\nfrom prepaid.use_cases import syncing\n{line}\n") == [line]


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
        'monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)',
        "monkeypatch.setitem(copyreg.dispatch_table, Table, reduce)",
        'setattr(self, "_answer", answer)',
        "self.calls = 1",
        "self._calls[1], self._more = 1, 2",
    ],
)
def test_a_patch_of_a_librarys_public_name_is_allowed(line: str) -> None:
    assert patches_in(f"import copyreg, sys\nfrom prepaid.use_cases import syncing\n{line}\n") == []
