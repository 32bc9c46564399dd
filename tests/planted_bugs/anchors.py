"""Finds the code that a bug replaces and the tests that should find the bug, by name and not by path.

Moving a definition, formatting it or editing the code around the fragment changes nothing here.
"""

import ast
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from textwrap import dedent, indent

from tests.planted_bugs.bug import Bug

CODE = ("layers/prepaid/prepaid", "functions", "clients/python/prepaid_client", "clients/python/prepaid_command")
TEMPLATE = "template.yaml"
IGNORED = frozenset(
    {
        tokenize.COMMENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.INDENT,
        tokenize.NEWLINE,
        tokenize.NL,
    }
)
CLOSING = frozenset({")", "]", "}"})
YAML_TOKEN = re.compile(r"\w+|[^\w\s]")
YAML_RESOURCE = re.compile(r"^  (\w+):\n(?:(?:    .*| *|  #.*)\n)*", re.MULTILINE)
TEST_FUNCTION = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)
CANDIDATES = 4


class NotFound(Exception):
    """No definition, fragment or test fits, or more than one does. The message lists the nearest candidates."""


@dataclass(frozen=True, slots=True)
class Token:
    """start, end: offsets in the file's text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Source:
    """One file of our code. path: relative to the root. tokens: in order, without trailing commas."""

    path: Path
    text: str
    tokens: tuple[Token, ...]

    def line(self, offset: int) -> int:
        """The line number of an offset, from 1."""
        return self.text.count("\n", 0, offset) + 1


@dataclass(frozen=True, slots=True)
class Definition:
    """A named piece of a file. start, end: offsets in the file's text."""

    name: str
    source: Source
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.name} ({self.source.path}:{self.source.line(self.start)})"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a bug goes. start, end: offsets in the file's text."""

    source: Source
    start: int
    end: int


def read_definitions(root: Path) -> tuple[Definition, ...]:
    """Every definition in our code and every resource in the template below `root`."""
    found: list[Definition] = []
    for path in sorted(path for folder in CODE for path in (root / folder).rglob("*.py")):
        text = path.read_text("utf-8")
        source = Source(path.relative_to(root), text, _tokens(text, path))
        starts = _line_starts(text)
        for name, first, last in _named(ast.parse(text), ""):
            found.append(Definition(name, source, starts[first - 1], starts[last]))
    if (root / TEMPLATE).is_file():
        text = (root / TEMPLATE).read_text("utf-8")
        source = Source(Path(TEMPLATE), text, _tokens(text, Path(TEMPLATE)))
        found += [Definition(block[1], source, *block.span()) for block in YAML_RESOURCE.finditer(text)]
    return tuple(found)


def find_site(bug: Bug, definitions: tuple[Definition, ...]) -> Site:
    """Where `bug.before` stands. Raises NotFound unless that is exactly one place."""
    module, _, name = bug.where.rpartition(":")
    named = tuple(
        definition
        for definition in definitions
        if _is_called(definition, name) and _is_in(definition.source.path, module)
    )
    sites = _sites(bug, named)
    if len(sites) == 1:
        return sites[0]
    if sites:
        places = [f"{site.source.path}:{site.source.line(site.start)}" for site in sites]
        raise NotFound(f"{bug.name!r}: the code to replace stands {len(sites)} times in {bug.where}:{_listed(places)}")
    raise NotFound(_why_missing(bug, named, definitions))


def with_bug(bug: Bug, site: Site) -> str:
    """The text of the site's file with the bug in it, `after` indented like the line that it replaces."""
    text = site.source.text
    line = text[text.rfind("\n", 0, site.start) + 1 : site.start]
    margin = line[: len(line) - len(line.lstrip())]
    after = indent(dedent(bug.after).strip(), margin).removeprefix(margin)
    return text[: site.start] + after + text[site.end :]


def read_tests(root: Path) -> tuple[str, ...]:
    """The pytest node id of every test file below `root`, and of every test function."""
    nodes: list[str] = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        node = str(path.relative_to(root))
        nodes += [node, *(f"{node}::{name}" for name in TEST_FUNCTION.findall(path.read_text("utf-8")))]
    return tuple(nodes)


def find_test(test: str, nodes: tuple[str, ...]) -> str:
    """The node id of a name in `found_by`. Raises NotFound unless exactly one file or function has it."""
    found = [node for node in nodes if node.endswith((f"/{test}.py", f"::{test}"))]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{test} names {len(found)} tests:{_listed(found)}")
    names = {node.rpartition("::")[2].rpartition("/")[2].removesuffix(".py") for node in nodes}
    raise NotFound(f"No test is called {test}. The nearest names:{_listed(get_close_matches(test, names, CANDIDATES))}")


def _sites(bug: Bug, definitions: tuple[Definition, ...]) -> list[Site]:
    """Every place in the definitions where `bug.before` stands, each once even if definitions contain each other."""
    sites: list[Site] = []
    for definition in definitions:
        wanted = [token.text for token in _tokens(dedent(bug.before).strip(), definition.source.path)]
        tokens = [token for token in definition.source.tokens if definition.start <= token.start < definition.end]
        texts = [token.text for token in tokens]
        for first in range(len(texts) - len(wanted) + 1):
            if texts[first : first + len(wanted)] == wanted:
                start, end = tokens[first].start, tokens[first + len(wanted) - 1].end
                site = Site(
                    definition.source, start, _past_comma(definition.source.text, end) if _ends_with_comma(bug) else end
                )
                if site not in sites:
                    sites.append(site)
    return sites


def _why_missing(bug: Bug, named: tuple[Definition, ...], definitions: tuple[Definition, ...]) -> str:
    elsewhere = [definition for definition in definitions if _sites(bug, (definition,))]
    if elsewhere:
        title, candidates = "It stands in:", [str(definition) for definition in elsewhere]
    elif named:
        title, candidates = "The definition and its nearest lines:", [*map(str, named), *_nearest_lines(bug, named)]
    else:
        names = get_close_matches(
            bug.where.rpartition(":")[2], {definition.name for definition in definitions}, CANDIDATES
        )
        title = "No definition has that name. The nearest names and lines:"
        candidates = [
            *(str(definition) for definition in definitions if definition.name in names),
            *_nearest_lines(bug, definitions),
        ]
    before = indent(dedent(bug.before).strip(), "  | ")
    return f"{bug.name!r}: the code to replace is not in {bug.where}:\n{before}\n{title}{_listed(candidates)}"


def _listed(candidates: list[str]) -> str:
    return "".join(f"\n  {candidate}" for candidate in candidates)


def _nearest_lines(bug: Bug, definitions: tuple[Definition, ...]) -> list[str]:
    """The lines most like the first line of `bug.before`, as `path:line: text`."""
    places: dict[str, str] = {}
    for definition in definitions:
        first = definition.source.line(definition.start)
        for number, line in enumerate(definition.source.text[definition.start : definition.end].splitlines(), first):
            places.setdefault(line.strip(), f"{definition.source.path}:{number}: {line.strip()}")
    lines = get_close_matches(bug.before.strip().splitlines()[0], places, CANDIDATES, cutoff=0.4)
    return [places[line] for line in lines]


def _is_called(definition: Definition, name: str) -> bool:
    return f".{definition.name}".endswith(f".{name}")


def _is_in(path: Path, module: str) -> bool:
    return not module or module in path.with_suffix("").parts


def _ends_with_comma(bug: Bug) -> bool:
    return bug.before.rstrip().endswith(",")


def _past_comma(text: str, end: int) -> int:
    comma = re.compile(r"\s*,").match(text, end)
    return comma.end() if comma else end


def _named(node: ast.AST, outer: str) -> Iterator[tuple[str, int, int]]:
    """The qualified name, first line and last line of each definition below a node."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                yield f"{outer}{name}", first, child.end_lineno or first
                yield from _named(child, f"{outer}{name}.")
            case (
                ast.Assign(targets=[ast.Name(id=name)])
                | ast.AnnAssign(target=ast.Name(id=name))
                | ast.TypeAlias(name=ast.Name(id=name))
            ) if isinstance(node, ast.Module):
                yield name, child.lineno, child.end_lineno or child.lineno
            case ast.stmt() | ast.ExceptHandler() | ast.match_case():
                yield from _named(child, outer)
            case _:
                pass


def _tokens(text: str, path: Path) -> tuple[Token, ...]:
    """The tokens that count. In YAML, everything but white space does."""
    if path.suffix != ".py":
        return tuple(Token(token[0], *token.span()) for token in YAML_TOKEN.finditer(text))
    tokens = list(_python_tokens(text))
    following = [*(token.text for token in tokens[1:]), ")"]
    return tuple(
        token for token, after in zip(tokens, following, strict=True) if token.text != "," or after not in CLOSING
    )


def _python_tokens(text: str) -> Iterator[Token]:
    """A fragment may leave brackets open."""
    starts = _line_starts(text)
    try:
        for token in tokenize.generate_tokens(StringIO(text).readline):
            if token.type not in IGNORED:
                (first, start), (last, end) = token.start, token.end
                yield Token(token.string, starts[first - 1] + start, starts[last - 1] + end)
    except tokenize.TokenError as error:
        if "unexpected EOF" not in str(error):
            raise


def _line_starts(text: str) -> list[int]:
    """The offset of each line, and that of the end of the text."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts
