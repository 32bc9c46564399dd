"""Random requests to a database, valid and invalid, with few keys, so that requests often meet."""

import random
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from tests.simulation.expressions import Item, Value

type Request = dict[str, Any]
type Call = tuple[str, Request]

PARTITIONS = ("ACCOUNT#a", "ACCOUNT#b", "CLAIM#a#k")
SORTS = (
    "CLAIM",
    "ENTRY#000000000001",
    "ENTRY#000000000002",
    "ENTRY#000000000010",
    "PROFILE",
    "é",
    "\U0001f600",
    "\x00",
)
ATTRIBUTES = ("version", "purchase", "body", "digest", "flag", "tags")
# Names that need a placeholder: a reserved word, a dot, a space.
AWKWARD = ("state", "a.b", "a b")
NUMBERS = (
    "0",
    "1",
    "-1",
    "2",
    "10",
    "7.50",
    "007",
    "1E3",
    "1e-3",
    "-0",
    "+5",
    ".5",
    "99999999999999999999999999999999999999",
)
WRONG_NUMBERS = ("", "x", "1e", "NaN", "Infinity", "1" * 39, "1E126", "0x1")
TEXTS = ("", "a", "b", "ab", "é", "\U0001f600", "\x00", "pur_1")
BYTES = tuple(b64encode(raw).decode() for raw in (b"", b"\x00", b"\xff", b"a", b"\x7f\x80"))
CONDITIONS = (
    "attribute_not_exists(PK)",
    "attribute_exists(PK)",
    "attribute_not_exists(purchase)",
    "version = :a",
    "version <> :a",
    "version < :a",
    "version >= :a",
    "attribute_not_exists(PK) OR version = :a",
    "attribute_exists(PK) AND NOT version = :a",
    "(version = :a OR purchase = :b) AND attribute_exists(flag)",
    "body BETWEEN :a AND :b",
    "begins_with(body, :a)",
    "begins_with(SK, :a)",
    "purchase = :a and Version > :b",
    "digest = :a",
    "flag = :a",
    "tags = :a",
    ":a = version",
    ":a = :b",
    "version = purchase AND attribute_exists(version)",
    "#a = :a",
    "attribute_not_exists(#a)",
    "#a = :a OR #b < :b",
    "body > :a OR body < :b",
)  # fmt: skip
WRONG_CONDITIONS = (
    "",
    "version",
    "version =",
    "version == :a",
    "(version = :a",
    "((version = :a))",
    "version = :a extra",
    "version = version",
    "attribute_exists(:a)",
    "attribute_exists(PK, SK)",
    "attribute_missing(PK)",
    "attribute_exists(PK) = :a",
    "version = :a AND",
    "version ! :a",
    "BETWEEN = :a",
)  # fmt: skip
SPANS = (
    "PK = :p",
    "PK = :p AND SK = :a",
    "PK = :p AND SK < :a",
    "PK = :p AND SK <= :a",
    "PK = :p AND SK > :a",
    "SK >= :a AND PK = :p",
    "PK = :p AND SK BETWEEN :a AND :b",
    "PK = :p AND begins_with(SK, :a)",
    "#p = :p AND #s BETWEEN :a AND :b",
    "(PK = :p) AND (SK > :a)",
)
WRONG_SPANS = (
    "SK = :a",
    "PK > :p",
    "PK = :p OR SK = :a",
    "PK = :p AND body = :a",
    "PK = :p AND NOT SK = :a",
    "PK = :p AND SK <> :a",
    "PK = :p AND SK = :a AND SK < :b",
    "begins_with(PK, :p)",
    "PK = :p AND attribute_exists(SK)",
    "PK = PK",
)
# How often each type is drawn.
TYPES = {"S": 6, "N": 8, "B": 3, "BOOL": 2, "NULL": 1, "L": 1, "M": 1, "SS": 1, "NS": 1, "BS": 1}
RARELY = 0.03


class Asker:
    """The same seed and responses give the same requests.

    `learn` takes a response: where a query continues, and which tokens count.
    """

    def __init__(self, seed: int, table: str) -> None:
        self.dice = random.Random(seed)
        self.table = table
        self.resume: Item | None = None
        self.committed: list[Request] = []
        self._number = 0
        self._seed = seed

    def next(self) -> Call:
        """One request."""
        kinds: dict[Callable[[], Call], int] = {
            self._get: 15,
            self._put: 30,
            self._delete: 12,
            self._query: 20,
            self._transact: 30,
        }
        [kind] = self.dice.choices(list(kinds), list(kinds.values()))
        operation, request = kind()
        if self._rarely(0.1) and "TableName" in request:
            request["TableName"] = "missing-table"
        return operation, request

    def learn(self, operation: str, request: Request, body: Request) -> None:
        """An answer with status 200."""
        if operation == "Query":
            self.resume = body.get("LastEvaluatedKey")
        if "ClientRequestToken" in request:
            self.committed = [*self.committed[-5:], request]

    def _rarely(self, share: float = 1.0) -> bool:
        return self.dice.random() < RARELY * share

    def _get(self) -> Call:
        return "GetItem", {"TableName": self.table, "Key": self._key(), "ConsistentRead": True}

    def _put(self) -> Call:
        return "PutItem", {"TableName": self.table, "Item": self._item(), **self._condition(), **self._returns()}

    def _delete(self) -> Call:
        return "DeleteItem", {"TableName": self.table, "Key": self._key(), **self._condition(), **self._returns()}

    def _returns(self) -> Request:
        return {"ReturnValues": self.dice.choice(("NONE", "ALL_OLD"))} if self.dice.random() < 0.3 else {}

    def _query(self) -> Call:
        text = self.dice.choice(WRONG_SPANS if self._rarely() else SPANS)
        ends = sorted((self._sort(), self._sort()), reverse=self._rarely())
        values: Request = {":p": {"S": self.dice.choice(PARTITIONS)}, ":a": {"S": ends[0]}, ":b": {"S": ends[1]}}
        if self._rarely():
            values[self.dice.choice((":p", ":a"))] = self._value()
        request = {
            "TableName": self.table,
            "KeyConditionExpression": text,
            "ConsistentRead": True,
            **self._placeholders(text, values, {"#p": "PK", "#s": "SK"}),
        }
        if self.dice.random() < 0.6:
            request["Limit"] = self.dice.choice((1, 2, 3, 100)) if not self._rarely() else 0
        if self.dice.random() < 0.6:
            request["ScanIndexForward"] = self.dice.random() < 0.5
        if self.dice.random() < 0.2:
            request["ExclusiveStartKey"] = self.resume if self.resume and self.dice.random() < 0.7 else self._key()
        return "Query", request

    def _transact(self) -> Call:
        if self.committed and self.dice.random() < 0.1:
            again = self.dice.choice(self.committed)
            return "TransactWriteItems", {
                **again,
                "TransactItems": again["TransactItems"][: 1 + self.dice.randrange(3)],
            }
        count = self.dice.choice((1, 2, 2, 3, 4)) if not self._rarely(0.3) else self.dice.choice((0, 100, 101))
        writes = [self._write() for _ in range(count)]
        # Mostly without two writes to one item, which is refused.
        if not self._rarely():
            writes = list({_key_text(write): write for write in writes}.values())
        request: Request = {"TransactItems": writes}
        if self.dice.random() < 0.3:
            self._number += 1
            request["ClientRequestToken"] = f"token-{self._seed}-{self._number}" if not self._rarely() else "x" * 37
        return "TransactWriteItems", request

    def _write(self) -> Request:
        old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if self.dice.random() < 0.7 else {}
        kind = self.dice.choices(("Put", "Delete", "ConditionCheck"), (6, 2, 2))[0]
        condition = self._condition(always=kind == "ConditionCheck" and not self._rarely())
        condition.pop("ReturnValuesOnConditionCheckFailure", None)
        what = {"Item": self._item()} if kind == "Put" else {"Key": self._key()}
        return {kind: {"TableName": self.table, **what, **condition, **old}}

    def _condition(self, *, always: bool = False) -> Request:
        if not always and self.dice.random() < 0.4:
            return {"ExpressionAttributeValues": {":a": self._value()}} if self._rarely() else {}
        text = self.dice.choice(WRONG_CONDITIONS if self._rarely() else CONDITIONS)
        first = self._value()
        if "begins_with" in text and next(iter(first), "S") in {"S", "B"}:
            # MiniStack refuses a binary or an empty prefix.
            first = {"S": self.dice.choice(("E", "ENTRY#0", "a", "é"))}
        values = {":a": first, ":b": self._value(next(iter(first), None) if self.dice.random() < 0.7 else None)}
        names = {"#a": self.dice.choice((*ATTRIBUTES, *AWKWARD)), "#b": self.dice.choice((*ATTRIBUTES, *AWKWARD))}
        old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if self.dice.random() < 0.5 else {}
        return {"ConditionExpression": text, **self._placeholders(text, values, names), **old}

    def _placeholders(self, text: str, values: Request, names: Request) -> Request:
        """The placeholders that the text uses; seldom one too many or too few."""
        used = {name: value for name, value in values.items() if (name in text) != self._rarely(0.3)}
        named = {name: value for name, value in names.items() if (name in text) != self._rarely(0.3)}
        found: Request = {"ExpressionAttributeValues": used} if used or self._rarely(0.3) else {}
        return found | ({"ExpressionAttributeNames": named} if named or self._rarely(0.3) else {})

    def _sort(self) -> str:
        return self.dice.choice(SORTS)

    def _key(self) -> Item:
        key: Item = {"PK": {"S": self.dice.choice(PARTITIONS)}, "SK": {"S": self._sort()}}
        if not self._rarely():
            return key
        wrong: list[Callable[[Item], object]] = [
            lambda key: key.pop("SK"),
            lambda key: key.update(SK={"S": ""}),
            lambda key: key.update(PK={"S": ""}),
            lambda key: key.update(SK={"N": "1"}),
            lambda key: key.update(SK={"S": "s" * 1025}),
            lambda key: key.update(PK={"S": "p" * 2049}),
            lambda key: key.update(extra={"S": "x"}),
            lambda key: key.clear(),
        ]
        self.dice.choice(wrong)(key)
        return key

    def _item(self) -> Item:
        item = {**self._key(), **{name: self._value() for name in self.dice.sample(ATTRIBUTES, self.dice.randrange(5))}}
        if self.dice.random() < 0.2:
            item[self.dice.choice(AWKWARD)] = self._value()
        if self._rarely(0.7):
            # Beyond a page's megabyte with a few of them, and seldom beyond what an item may hold.
            item["body"] = {"S": "x" * self.dice.choice((300_000, 399_000, 409_000, 420_000))}
        return item

    def _value(self, kind: str | None = None) -> Value:
        if self._rarely(0.5):
            return self._wrong_value()
        kind = (
            kind
            or self.dice.choices(("S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS"), (6, 8, 3, 2, 1, 1, 1, 1, 1))[0]
        )
        makers: dict[str, Callable[[], Any]] = {
            "S": lambda: self.dice.choice(TEXTS),
            "N": lambda: self.dice.choice(NUMBERS),
            "B": lambda: self.dice.choice(BYTES),
            "BOOL": lambda: self.dice.random() < 0.5,
            "NULL": lambda: True,
            "L": lambda: [self._value() for _ in range(self.dice.randrange(3))],
            "M": lambda: {name: self._value() for name in self.dice.sample(("x", "y", "é"), self.dice.randrange(3))},
            "SS": lambda: self.dice.sample(("a", "b", "é"), 1 + self.dice.randrange(2)),
            "NS": lambda: self.dice.sample(("1", "2.50", "1e2"), 1 + self.dice.randrange(2)),
            "BS": lambda: self.dice.sample(BYTES[1:], 1 + self.dice.randrange(2)),
        }
        return {kind: makers[kind]()}

    def _wrong_value(self) -> Value:
        wrong: tuple[Value, ...] = (
            {"N": self.dice.choice(WRONG_NUMBERS)},
            {},
            {"S": "a", "N": "1"},
            {"SS": []},
            {"SS": ["a", "a"]},
            {"NS": ["1", "1.0"]},
            {"NULL": False},
        )
        return self.dice.choice(wrong)


def _key_text(write: Request) -> str:
    [request] = write.values()
    target = request.get("Item", request.get("Key", {}))
    return f"{target.get('PK')} {target.get('SK')}"
