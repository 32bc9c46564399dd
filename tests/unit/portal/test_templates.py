"""The templates: every text that people read comes from the text files, and every text there is used."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import nodes

from prepaid.core.languages import DEFAULT
from prepaid.portal.languages import texts_of
from prepaid.portal.rendering import ROOM, templates

TEMPLATES = sorted(path.name for path in (ROOM / "templates").glob("*.html"))
MODULES = sorted(ROOM.glob("*.py"))
EACH_TEMPLATE = pytest.mark.parametrize("name", TEMPLATES)
LETTER = re.compile(r"[^\W\d_]")
# Attributes that browsers and screen readers read out.
READ_OUT = ("alt", "aria-description", "aria-label", "placeholder", "title")


def parsed(name: str) -> nodes.Template:
    return templates().parse((ROOM / "templates" / name).read_text("utf-8"))


def calls(name: str) -> Iterator[nodes.Call]:
    """The template's calls of t()."""
    for call in parsed(name).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "t":
            yield call


def named(expression: nodes.Node) -> Iterator[str]:
    """The names of texts that an expression can be, with "*" for what only a request knows; none from a function."""
    match expression:
        case nodes.Const():
            yield str(expression.value)
        case nodes.Concat():
            yield "".join(str(part.value) if isinstance(part, nodes.Const) else "*" for part in expression.nodes)
        case nodes.CondExpr():
            yield from named(expression.expr1)
            if expression.expr2:
                yield from named(expression.expr2)
        case _:
            return


def fits(pattern: str, name: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", r".+"), name) is not None


class Read(HTMLParser):
    """A page's own text, without what expressions add: text and attributes that screen readers read out."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.blocked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.words += [value or "" for name, value in attrs if name in READ_OUT]
        self.blocked += [f"<{tag} {name}>" for name, _ in attrs if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in dict(attrs)):
            self.blocked.append(f"<{tag}>")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(name: str) -> Read:
    reader = Read()
    reader.feed("".join(str(data.data) for data in parsed(name).find_all(nodes.TemplateData)))
    reader.close()
    return reader


@EACH_TEMPLATE
def test_a_template_has_no_text_of_its_own(name: str) -> None:
    assert [words.strip() for words in read(name).words if LETTER.search(words)] == []


@EACH_TEMPLATE
def test_a_template_has_nothing_that_the_policy_blocks(name: str) -> None:
    assert read(name).blocked == []


@EACH_TEMPLATE
def test_a_template_escapes_everything(name: str) -> None:
    filters = {used.name for used in parsed(name).find_all(nodes.Filter)}

    assert filters.isdisjoint({"safe", "forceescape"})
    assert not list(parsed(name).find_all((nodes.MarkSafe, nodes.ScopedEvalContextModifier)))


@EACH_TEMPLATE
def test_each_text_gets_exactly_its_values(name: str) -> None:
    texts = texts_of(DEFAULT)
    for call in calls(name):
        for pattern in named(call.args[0]):
            assert any(fits(pattern, text) for text in texts), f"{name} uses {pattern}, which has no text"
            if pattern in texts:
                values = {keyword.key for keyword in call.kwargs}
                assert values == set(re.findall(r"\{(\w+)\}", texts[pattern])), f"{name} gives {pattern} {values}"


def test_each_text_is_used() -> None:
    patterns = {pattern for name in TEMPLATES for call in calls(name) for pattern in named(call.args[0])}
    source = "".join(path.read_text("utf-8") for path in MODULES)
    patterns |= set(re.findall(r'"([a-z_]+\.[a-z_.]+|[a-z_]+)"', source))
    patterns |= {re.sub(r"\{[^}]*\}", "*", text) for text in re.findall(r'f"([a-z_]+\.[^"]*\{[^"]*)"', source)}

    unused = [name for name in texts_of(DEFAULT) if not any(fits(pattern, name) for pattern in patterns)]

    assert unused == []


def test_the_templates_are_found() -> None:
    assert {"layout.html", "enter.html", "subscription.html"} <= set(TEMPLATES)
    assert all(isinstance(path, Path) for path in MODULES)
