"""A bug's place is found in any file and format; a place that isn't found is reported with the nearest candidates."""

import ast
from pathlib import Path

import pytest

from tests.planted_bugs.anchors import NotFound, find_site, find_test, read_definitions, read_tests, with_bug
from tests.planted_bugs.bug import Bug

LEDGER = '''\
"""A module."""

LIMIT = 5


def debit(account, price):
    """Text about price > account.available."""
    if price > account.available:
        raise ValueError(
            "é not enough",
        )
    return {
        "left": account.available - price,
        "paid": price,
    }
'''
BUG = Bug("one credit too many", "debit", "if price > account.available:", "if price > account.available + 1:", ())


def planted(bug: Bug, tmp_path: Path, **modules: str) -> str:
    """The text with the bug in it. modules: texts by path below our code, `__` for `/`."""
    for name, text in modules.items():
        path = tmp_path / "layers/prepaid/prepaid" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return with_bug(bug, find_site(bug, read_definitions(tmp_path)))


@pytest.mark.parametrize("module", ["ledger", "core__ledger", "use_cases__spending__debits"])
def test_a_bug_follows_its_function_to_any_file(module: str, tmp_path: Path) -> None:
    text = planted(BUG, tmp_path, **{module: LEDGER, "core__other": "LIMIT = 6\n"})

    assert text == LEDGER.replace("if price > account.available:", "if price > account.available + 1:")


def test_format_and_comments_of_the_code_do_not_matter(tmp_path: Path) -> None:
    bug = Bug("an error of another kind", "debit", 'raise ValueError("é not enough")', "raise KeyError", ())
    reformatted = LEDGER.replace('"é not enough",', '# why\n\n"é not enough"  # because\n  ,')

    text = planted(bug, tmp_path, ledger=reformatted)

    assert text == reformatted[: reformatted.index("raise")] + "raise KeyError" + LEDGER[LEDGER.index("\n    return") :]


@pytest.mark.parametrize("before", ['"paid": price,', '"left": account.available - price,'])
def test_an_item_is_deleted_with_its_comma(before: str, tmp_path: Path) -> None:
    one_line = LEDGER.replace(",\n    }", "}").replace("{\n", "{")

    for text in (LEDGER, one_line):
        left = planted(Bug("an item less", "debit", before, "", ()), tmp_path, ledger=text)

        ast.parse(left)
        assert before.removesuffix(",") not in left


def test_inserted_lines_get_the_indentation_of_their_place(tmp_path: Path) -> None:
    after = """
                if price < 0:
                    return None
                if price:
    """

    text = planted(Bug("an early end", "debit", BUG.before, after, ()), tmp_path, ledger=LEDGER)

    assert "\n    if price < 0:\n        return None\n    if price:\n        raise" in text


def test_a_fragment_may_leave_a_bracket_open(tmp_path: Path) -> None:
    text = planted(Bug("another error", "debit", "raise ValueError(", "raise KeyError(", ()), tmp_path, ledger=LEDGER)

    assert "raise KeyError(\n" in text


@pytest.mark.parametrize("where", ["limit", "Account.limit", "deep:limit", "ledger:Account.limit"])
def test_a_name_may_include_its_class_and_module(where: str, tmp_path: Path) -> None:
    methods = "class Account:\n    @property\n    def limit(self):\n        return 5\n"

    text = planted(Bug("a low limit", where, "return 5", "return 4", ()), tmp_path, deep__ledger=methods, b=LEDGER)

    assert text == methods.replace("5", "4")


def test_a_module_level_name_is_a_definition(tmp_path: Path) -> None:
    text = planted(Bug("a high limit", "LIMIT", "5", "6", ()), tmp_path, ledger=LEDGER, other="OTHER = 5\n")

    assert text == LEDGER.replace("5", "6")


def test_a_module_distinguishes_two_equal_names(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="stands 2 times in debit") as error:
        planted(BUG, tmp_path, core__ledger=LEDGER, store__copy=LEDGER)

    assert "core/ledger.py:8" in str(error.value)
    assert "store/copy.py:8" in str(error.value)

    assert planted(Bug(BUG.name, "copy:debit", BUG.before, BUG.after, ()), tmp_path)


def test_code_that_occurs_twice_is_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="stands 4 times"):
        planted(Bug("which one", "debit", "price", "0", ()), tmp_path, ledger=LEDGER)


def test_code_that_moved_to_another_function_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"'one credit too many'.* is not in debit") as error:
        planted(BUG, tmp_path, ledger=LEDGER.replace("def debit", "def consume"))

    assert "It stands in:\n  consume (layers/prepaid/prepaid/ledger.py:6)" in str(error.value)


def test_the_nearest_lines_of_changed_code_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        planted(BUG, tmp_path, ledger=LEDGER.replace("account.available:", "account.balance:"))

    assert "ledger.py:8: if price > account.balance:" in str(error.value)


def test_the_nearest_names_are_named_when_all_changed(tmp_path: Path) -> None:
    renamed = LEDGER.replace("def debit", "def debited").replace("account.available:", "account.balance:")

    with pytest.raises(NotFound, match="No definition has that name") as error:
        planted(BUG, tmp_path, ledger=renamed)

    assert "debited (layers/prepaid/prepaid/ledger.py:6)" in str(error.value)
    assert "ledger.py:8: if price > account.balance:" in str(error.value)


def test_a_resource_of_the_template_is_a_definition(tmp_path: Path) -> None:
    template = "Resources:\n  A:\n    Keys: [X,\n        Y]\n\n  # about B\n  B:\n    Keys: [X, Y]\n"
    (tmp_path / "template.yaml").write_text(template, "utf-8")

    assert planted(Bug("a key less", "A", "Keys: [ X, Y ]", "Keys: [X]", ()), tmp_path) == template.replace(
        "[X,\n        Y]", "[X]"
    )


def test_a_test_is_found_by_its_file_or_its_name(tmp_path: Path) -> None:
    for path in ("unit/test_a.py", "store/test_a.py", "store/test_b.py"):
        (tmp_path / "tests" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / path).write_text("def test_that_it_holds() -> None: ...\n", "utf-8")
    (tmp_path / "tests/store/test_c.py").write_text("def test_that_it_stays() -> None: ...\n", "utf-8")
    nodes = read_tests(tmp_path)

    assert find_test("test_b", nodes) == "tests/store/test_b.py"
    assert find_test("unit/test_a", nodes) == "tests/unit/test_a.py"
    assert find_test("test_that_it_stays", nodes) == "tests/store/test_c.py::test_that_it_stays"
    with pytest.raises(NotFound, match="test_a names 2 tests"):
        find_test("test_a", nodes)
    with pytest.raises(NotFound, match=r"No test is called test_that_it_stay\.[^\n]*\n  test_that_it_stays"):
        find_test("test_that_it_stay", nodes)
