"""Every text of every route follows one rule: one line in UTF-8 with a visible character, stored unchanged."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.api import BATCH, CONSUME, GRANT, HISTORY, PATCH_ACCOUNT, PUT_ACCOUNT, Answer
from tests.support.contract import document, routes
from tests.support.gateway_events import ADMIN
from tests.support.in_process import Service

INVISIBLE = {
    "a space": " ",
    "no-break spaces": "\u00a0\u202f",
    "an ideographic space": "\u3000",
    "a zero width space": "\u200b",
    "a joiner": "\u200d",
    "a byte order mark": "\ufeff",
    "a soft hyphen": "\u00ad",
    "a mark of direction": "\u200f",
    "a Hangul filler": "\u3164",
    "a blank Braille pattern": "\u2800",
    "a variation selector": "\ufe0f",
    "tags": "\U000e0041\U000e007f",
    "several of them": " \u200b\u00a0\u2060",
}
BREAKING = {
    "a line feed": "a\nb",
    "a carriage return": "a\rb",
    "a tab": "a\tb",
    "a zero byte": "a\x00b",
    "an escape": "a\x1b[2Jb",
    "a delete": "a\x7fb",
    "a C1 control": "a\x9bb",
    "a next line": "a\u0085b",
    "a line separator": "a\u2028b",
    "a paragraph separator": "a\u2029b",
    "a right-to-left override": "a\u202eb",
    "a left-to-right embedding": "a\u202ab",
    "an isolate": "a\u2066b\u2069",
    "what was not UTF-8": "Jos\ufffd",
}
HOSTILE = {**INVISIBLE, **BREAKING}
VISIBLE = [
    "José",
    "Jose\u0301",
    "🐶",
    "👩\u200d👧 da 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "می\u200cخواهم",
    "שלום \u200f!",
    "R$\u00a050",
    "+55 11 99999-0000",
    "banho;=tosa",
    "\ufeffbanho",
    "?",
    "'",
    "\u0301",
]
TEXTS = [(CONSUME, "description"), (CONSUME, "customer"), (CONSUME, "reference"), (GRANT, "reason")]


def fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each free text in a body: its name in an error, and a function from the text to a body that contains it."""
    schema = resolved(schema)
    for alternative in schema.get("anyOf", ()):
        yield from fields(alternative)
    if schema.get("type") == "string" and not {"enum", "const"} & set(schema):
        yield "", lambda text: text
    for name, inner in schema.get("properties", {}).items():
        for rest, build in fields(inner):
            yield f"{name}.{rest}".rstrip("."), lambda text, name=name, build=build: {name: build(text)}
    if schema.get("type") == "array":
        for rest, build in fields(schema["items"]):
            yield f"0.{rest}".rstrip("."), lambda text, build=build: [build(text)]


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return resolved(document()["components"]["schemas"][name]) if name else schema


def operation(route: str) -> Any:
    method, _, path = route.partition(" ")
    return document()["paths"][path][method.lower()]


WITH_BODY = [route for route in routes() if "requestBody" in operation(route)]
IN_BODIES = [
    (route, name, build)
    for route in WITH_BODY
    for name, build in fields(operation(route)["requestBody"]["content"]["application/json"]["schema"])
]
IN_QUERIES = [
    (route, parameter["name"])
    for route in routes()
    for parameter in operation(route)["parameters"]
    if parameter["in"] == "query"
]


def ask(service: Service, route: str, **more: Any) -> Answer:
    return service(route, by=ADMIN, headers={"if-match": "1"}, id="gra_000000000002", **more)


def refusal(route: str, answer: Answer, kind: str) -> list[dict[str, str]]:
    """The errors of a 422. A batch rejects an item in the item's own result, which names the item's fields."""
    if route == BATCH and answer.status == 200:
        [result] = answer.body["results"]
        assert result["status"] == 422, kind
        return [{**error, "field": f"items.0.{error['field']}"} for error in result["errors"]]
    assert answer.status == 422, kind
    return list(answer.body["errors"])


def check_sentence(errors: list[dict[str, str]]) -> None:
    """The message is readable: no regular expression, and no character of the text that would break a line."""
    for error in errors:
        assert not re.search(r"pattern|\^|\\|\[", error["message"]), error
        assert error["message"].isprintable(), error


def test_the_contract_has_the_texts_that_this_file_is_about() -> None:
    named = {(route, name) for route, name, _ in IN_BODIES}

    assert {*TEXTS, (PUT_ACCOUNT, "name"), (PUT_ACCOUNT, "manager_contact")} <= named
    assert (HISTORY, "feature") in IN_QUERIES


@pytest.mark.parametrize(("route", "name", "build"), IN_BODIES, ids=lambda value: value if type(value) is str else "")
def test_no_field_accepts_a_text_that_is_not_one_visible_line(
    unchanged: Service, route: str, name: str, build: Any
) -> None:
    for kind, text in HOSTILE.items():
        answer = ask(unchanged, route, json=build(text))

        errors = refusal(route, answer, kind)
        assert name in [error["field"] for error in errors], kind
        check_sentence(errors)


@pytest.mark.parametrize(("route", "name"), IN_QUERIES)
def test_no_parameter_accepts_a_text_that_is_not_one_visible_line(unchanged: Service, route: str, name: str) -> None:
    for kind, text in HOSTILE.items():
        answer = ask(unchanged, route, query={name: text})

        assert (answer.status, answer.code) in {(422, "invalid_request"), (400, "invalid_cursor")}, kind


@pytest.mark.parametrize(("route", "field"), TEXTS)
def test_a_text_is_kept_as_it_was_sent(service: Service, route: str, field: str) -> None:
    service.open(credits=len(VISIBLE))
    body: dict[str, Any] = {"feature": "sticker"} if route == CONSUME else {"credits": 1, "kind": "promotion"}

    for text in VISIBLE:
        answer = service(route, json={**body, field: text})
        assert answer.status == 201, (text, answer)

    kept = [entry["description" if field == "reason" else field] for entry in service.history()]
    assert kept[: len(VISIBLE)] == VISIBLE[::-1]


@pytest.mark.parametrize("field", ["name", "manager_contact"])
def test_a_profile_keeps_its_texts_as_they_were_sent(service: Service, field: str) -> None:
    service.open()
    for text in VISIBLE:
        answer = service(PATCH_ACCOUNT, json={field: text})
        assert answer.body[field] == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("banho\ntosa", "character 6 is U+000A, a line break"),
        ("banho\u2028tosa", "character 6 is U+2028, a line break"),
        ("banho\ttosa", "character 6 is U+0009, a tab"),
        ("banho\x9btosa", "character 6 is U+009B, a control character"),
        ("banho\u202etosa", "character 6 is U+202E, a change of the text's direction"),
        ("banh\ufffd", "character 5 is U+FFFD, the substitute for bytes that are not UTF-8; send the body in UTF-8"),
        ("\u200b", "must contain a visible character"),
    ],
)
def test_a_refusal_names_the_character(service: Service, text: str, message: str) -> None:
    service.open(credits=1)

    answer = service(CONSUME, json={"feature": "sticker", "description": text})

    assert answer.fields == ["description"]
    assert answer.body["errors"][0]["message"].endswith(message)
    assert message in answer.body["detail"]


def latin_1(text: str) -> bytes:
    return json.dumps({"feature": "sticker", "customer": text}, ensure_ascii=False).encode("latin-1")


def test_a_latin_1_body_in_base64_is_refused_with_its_byte(unchanged: Service) -> None:
    answer = unchanged(CONSUME, body=latin_1("José"))

    assert (answer.status, answer.code) == (400, "malformed_body")
    assert "not UTF-8: byte 40 is 0xE9" in answer.body["detail"]


def test_a_latin_1_body_as_the_gateway_decodes_it_is_refused(unchanged: Service) -> None:
    """API Gateway replaces each byte that isn't UTF-8 with U+FFFD."""
    answer = unchanged(CONSUME, body=latin_1("José").decode(errors="replace"))

    assert (answer.status, answer.fields) == (422, ["customer"])
    assert "bytes that are not UTF-8" in answer.body["detail"]
