"""Checks responses against openapi.json, more strictly than JSON Schema does.

A member that isn't listed is a mistake here, 1.0 is no integer, and an instant has milliseconds and is in UTC.
"""

import json
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

FILE = Path(__file__).parents[2] / "openapi.json"
INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z"
# Words that reveal the implementation. No problem document has one.
INSIDES = re.compile(
    r"traceback|exception|botocore|boto3|dynamodb|pydantic|powertools|\.py\b|/layers/|arn:aws|ACCOUNT#|CLAIM#|"
    r"ENTRY#|0x[0-9a-f]{6}|object at|Error\(|urllib|stripe\.",
    re.IGNORECASE,
)


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def routes() -> list[str]:
    """Every route, as API Gateway spells its key."""
    return [f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods]


def routes_of_an_account() -> list[str]:
    """Every route whose path names an account."""
    return [route for route in routes() if "{account}" in route]


def smallest_body(route: str) -> Any:
    """A valid body with the required members only; None for a route without a body."""
    method, _, path = route.partition(" ")
    body = document()["paths"][path][method.lower()].get("requestBody")
    if body is None:
        return None
    name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = document()["components"]["schemas"][name]
    return {member: _sample(schema["properties"][member]) for member in schema.get("required", ())}


def _sample(schema: dict[str, Any]) -> Any:
    """A value of one of the few types that bodies are made of."""
    if "$ref" in schema:
        return _sample(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "array":
        return [_sample(schema["items"])]
    if schema["type"] == "object":
        return {member: _sample(schema["properties"][member]) for member in schema.get("required", ())}
    if schema["type"] == "integer":
        return schema.get("minimum", 1)
    return "274913" if "[0-9]{6}" in schema.get("pattern", "") else "none"


def scopes_of(route: str) -> list[str]:
    """The scopes of which any one opens the route; none where no token is needed."""
    method, _, path = route.partition(" ")
    security: list[dict[str, list[str]]] = document()["paths"][path][method.lower()].get("security", [])
    return [scope for alternative in security for scope in alternative["token"]]


def scope_of(route: str) -> str | None:
    """The first of them."""
    return next(iter(scopes_of(route)), None)


def check_answer(route: str, status: int, content_type: str | None, body: Any) -> None:
    """Fail when the contract doesn't allow this answer."""
    method, _, path = route.partition(" ")
    responses = document()["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{route} may not answer {status}: {body}"
    if "content" not in responses[str(status)]:
        assert body == "", f"{route} {status} has no body"
        return
    content = responses[str(status)]["content"]
    kind = (content_type or "").partition(";")[0]
    assert kind in content, f"{route} {status} may not be {content_type}"
    _validator(
        f"#/paths/{_escaped(path)}/{method.lower()}/responses/{status}/content/{_escaped(kind)}/schema"
    ).validate(body)
    if status >= 400:
        check_problem(status, body, responses[str(status)]["description"].split(", "))


def check_headers(route: str, status: int, names: Collection[str]) -> None:
    """Fail when a header that the contract describes is sent where it doesn't, or a required one is missing.

    names: the headers of a response, in lower case.
    """
    method, _, path = route.partition(" ")
    documented = document()["paths"][path][method.lower()]["responses"][str(status)].get("headers", {})
    required = {name for name, header in documented.items() if header["required"]}
    sent = {name for name in _described_headers() if name.lower() in names}
    assert required <= sent <= documented.keys(), f"{route} {status} sends {sorted(sent)}"


@cache
def _described_headers() -> frozenset[str]:
    """Every header that some response of the contract has."""
    return frozenset(
        name
        for methods in document()["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for name in response.get("headers", {})
    )


def check_problem(status: int, body: dict[str, Any], codes: list[str] | None = None) -> None:
    """A problem document by RFC 9457, in the one shape, without a word about the implementation."""
    assert codes is None or body["code"] in codes, body
    assert body["status"] == status
    assert body["type"] == f"urn:prepaid:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    found = INSIDES.search(json.dumps(body, ensure_ascii=False))
    assert not found, f"says {found[0]!r}: {body}"


Strict = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int),
)


@cache
def _validator(pointer: str) -> Draft202012Validator:
    """Checks a value against the schema at this place of the document."""
    validator: Draft202012Validator = Strict({**_closed_document(), "$ref": pointer})
    return validator


@cache
def _closed_document() -> dict[str, Any]:
    whole: dict[str, Any] = closed(document())
    return whole


def closed(node: Any) -> Any:
    """The same, where no object has members besides those listed, and each time is an instant."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {name: closed(value) for name, value in node.items()}
    if isinstance(node.get("properties"), dict):
        strict.setdefault("additionalProperties", False)
    if node.get("format") == "date-time":
        strict["pattern"] = INSTANT
    return strict


def _escaped(part: str) -> str:
    """A part of a JSON pointer in a URI's fragment."""
    return quote(part.replace("~", "~0").replace("/", "~1"), safe="~")
