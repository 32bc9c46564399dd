"""DynamoDB's expressions, as far as the store may use them: each text is parsed once, then evaluated on items.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
Top-level attributes only. What isn't modelled raises NotImplementedError, so no condition is silently ignored.
"""

import operator
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

type Value = dict[str, Any]
type Item = dict[str, Value]
type Node = tuple[Any, ...]
type Names = Mapping[str, str]
type Values = Mapping[str, Value]

TOKEN = re.compile(r"\s*(?:([:#][A-Za-z0-9_]+)|([A-Za-z][A-Za-z0-9_]*)|(<>|<=|>=|[=<>(),.\[\]]))")
KEYWORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN"})
FUNCTIONS = {"attribute_exists": 1, "attribute_not_exists": 1, "begins_with": 2}
NOT_MODELLED = frozenset({"attribute_type", "contains", "size"})
ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPARATORS = ("=", "<>", *ORDERINGS)
ORDERED = frozenset({"S", "N", "B"})
# Of which types the given values must be.
OPERAND_TYPES = {**dict.fromkeys((*ORDERINGS, "between"), ORDERED), "begins_with": frozenset({"S", "B"})}


class Invalid(Exception):
    """The expression or its values are refused before any item is read."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """An expression's tree, and the #names and :values that it uses."""

    tree: Node
    placeholders: frozenset[str]


@lru_cache(maxsize=1024)
def parse(text: str) -> Parsed:
    """The tree of a condition. Raises Invalid."""
    parser = _Parser(text)
    tree = parser.disjunction()
    if parser.next is not None:
        raise Invalid(f'Syntax error; token: "{parser.next}"')
    return Parsed(tree, frozenset(parser.placeholders))


class _Parser:
    """Recursive descent: OR, AND, NOT, then one comparison or function."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.placeholders: set[str] = set()

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *wanted: str) -> str:
        token = self.next
        if token is None or (wanted and token.upper() not in wanted):
            raise Invalid(f'Syntax error; token: "{token or "<EOF>"}"')
        self.at += 1
        return token

    def took(self, keyword: str) -> bool:
        found = self.next is not None and self.next.upper() == keyword
        self.at += found
        return found

    def disjunction(self) -> Node:
        node = self.conjunction()
        while self.took("OR"):
            node = ("or", node, self.conjunction())
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.took("AND"):
            node = ("and", node, self.negation())
        return node

    def negation(self) -> Node:
        if self.took("NOT"):
            return ("not", self.negation())
        if not self.took("("):
            return self.comparison()
        if self._is_redundant():
            raise Invalid("The expression has redundant parentheses")
        node = self.disjunction()
        self.take(")")
        return node

    def _is_redundant(self) -> bool:
        """Whether a second pair of parentheses fills the one that was just opened."""
        depth = 0
        for place in range(self.at, len(self.tokens)):
            depth += {"(": 1, ")": -1}.get(self.tokens[place], 0)
            if depth <= 0:
                return self.next == "(" and self.tokens[place + 1 : place + 2] == [")"]
        return False

    def comparison(self) -> Node:
        left = self.operand()
        if left[0] in FUNCTIONS:
            return left
        if self.took("BETWEEN"):
            low = self.operand()
            self.take("AND")
            return ("between", left, low, self.operand())
        if self.took("IN"):
            raise NotImplementedError("IN")
        return (self.take(*COMPARATORS), left, self.operand())

    def operand(self) -> Node:
        token = self.take()
        if token[0] in ":#":
            self.placeholders.add(token)
        elif not token[0].isalpha() or token.upper() in KEYWORDS:
            raise Invalid(f'Syntax error; token: "{token}"')
        if token[0] == ":":
            return ("value", token)
        if self.next == "(":
            return self._function(token)
        if self.next in {".", "["}:
            raise NotImplementedError("paths into a document")
        return ("path", token)

    def _function(self, name: str) -> Node:
        if name in NOT_MODELLED:
            raise NotImplementedError(name)
        if name not in FUNCTIONS:
            raise Invalid(f"Invalid function name; function: {name}")
        self.take("(")
        arguments = [self.operand()]
        while self.took(","):
            arguments.append(self.operand())
        self.take(")")
        if len(arguments) != FUNCTIONS[name]:
            raise Invalid(f"Incorrect number of operands for operator or function; operator or function: {name}")
        if name != "begins_with" and arguments[0][0] != "path":
            raise Invalid(f"Operator or function requires a document path; operator or function: {name}")
        return (name, *arguments)


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.rstrip()
    if not text:
        raise Invalid("The expression can not be empty;")
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None:
            raise Invalid(f'Syntax error; token: "{text[at]}"')
        found.append(token[1] or token[2] or token[3])
        at = token.end()
    return found


def evaluate(node: Node, item: Item, names: Names, values: Values) -> bool:
    """Whether the condition holds for an item; {} stands for none. The node has passed `check`."""
    kind = node[0]
    if kind == "and":
        return evaluate(node[1], item, names, values) and evaluate(node[2], item, names, values)
    if kind == "or":
        return evaluate(node[1], item, names, values) or evaluate(node[2], item, names, values)
    if kind == "not":
        return not evaluate(node[1], item, names, values)
    return EVALUATIONS[kind](*[_operand(operand, item, names, values) for operand in node[1:]])


def check(node: Node, names: Names, values: Values) -> None:
    """What DynamoDB refuses of a condition once it knows the values. Raises Invalid."""
    kind, *operands = node
    if kind in {"and", "or", "not"}:
        for part in operands:
            check(part, names, values)
        return
    for operand in operands:
        if operand[0] in FUNCTIONS:
            raise Invalid(f"The function is not allowed to be used this way; function: {operand[0]}")
    if kind in COMPARATORS and _spelled(operands[0], names) == _spelled(operands[1], names):
        raise Invalid(f"The first operand must be distinct from the remaining operands; operator or function: {kind}")
    given = [values[operand[1]] for operand in operands if operand[0] == "value"]
    for value in given:
        if type_of(value) not in OPERAND_TYPES.get(kind, {type_of(value)}):
            raise Invalid(f"Incorrect operand type for operator or function: {kind}, operand type: {type_of(value)}")
    if kind == "between" and operands[1][0] == operands[2][0] == "value" and not _ordered("<=", *given[-2:]):
        raise Invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound")


def type_of(value: Value) -> str:
    """S, N, B, …"""
    return next(iter(value))


def _spelled(operand: Node, names: Names) -> Node:
    return ("path", names.get(operand[1], operand[1])) if operand[0] == "path" else operand


def _operand(node: Node, item: Item, names: Names, values: Values) -> Value | None:
    kind, name = node
    if kind == "value":
        return values[name]
    return item.get(names[name] if name[0] == "#" else name)


def _plain(value: Value) -> Any:
    """Something that Python compares as DynamoDB does: texts by code point (so by UTF-8), numbers by value, bytes."""
    kind, content = next(iter(value.items()))
    if kind == "N":
        return Decimal(content)
    return b64decode(content) if kind == "B" else content


def _equal(left: Value | None, right: Value | None) -> bool:
    if left is None or right is None or type_of(left) != type_of(right):
        return False
    kind, first, second = type_of(left), next(iter(left.values())), next(iter(right.values()))
    if kind in {"SS", "NS", "BS"}:
        return {_plain({kind[0]: element}) for element in first} == {_plain({kind[0]: element}) for element in second}
    if kind == "L":
        return len(first) == len(second) and all(map(_equal, first, second))
    if kind == "M":
        return bool(first.keys() == second.keys() and all(_equal(first[name], second[name]) for name in first))
    return bool(first == second or _plain(left) == _plain(right))


def _ordered(kind: str, left: Value | None, right: Value | None) -> bool:
    if left is None or right is None or type_of(left) != type_of(right) or type_of(left) not in ORDERED:
        return False
    return ORDERINGS[kind](_plain(left), _plain(right))


def _begins_with(subject: Value | None, prefix: Value | None) -> bool:
    if subject is None or prefix is None or type_of(subject) != type_of(prefix) or type_of(subject) not in {"S", "B"}:
        return False
    return bool(_plain(subject).startswith(_plain(prefix)))


EVALUATIONS: dict[str, Callable[..., bool]] = {
    "attribute_exists": lambda found: found is not None,
    "attribute_not_exists": lambda found: found is None,
    "begins_with": _begins_with,
    "between": lambda found, low, high: _ordered(">=", found, low) and _ordered("<=", found, high),
    "=": _equal,
    "<>": lambda left, right: not _equal(left, right),
    "<": lambda left, right: _ordered("<", left, right),
    "<=": lambda left, right: _ordered("<=", left, right),
    ">": lambda left, right: _ordered(">", left, right),
    ">=": lambda left, right: _ordered(">=", left, right),
}
