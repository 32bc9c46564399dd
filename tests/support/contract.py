"""openapi.json as a judge: whether a route may answer so. Stricter than JSON Schema, so that nothing slips through.

A member that isn't listed is a mistake here, and so is a keyword of JSON Schema that this file doesn't know.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "openapi.json"
TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
SAYS_NOTHING = {"title", "description", "default", "properties", "required", "additionalProperties"}
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", re.ASCII)
# What a refusal never says: how we are made.
INSIDES = re.compile(
    r"traceback|exception|botocore|boto3|dynamodb|pydantic|powertools|\.py\b|/layers/|arn:aws|ACCOUNT#|CLAIM#|"
    r"ENTRY#|0x[0-9a-f]{6}|object at|Error\(|urllib|stripe\.",
    re.IGNORECASE,
)


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return found


def routes() -> set[str]:
    """Route keys as API Gateway spells them."""
    return {f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods}


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
    check(body, content[kind]["schema"])
    if status >= 400:
        check_problem(status, body, responses[str(status)]["description"].split(", "))


def check_problem(status: int, body: dict[str, Any], codes: list[str] | None = None) -> None:
    """RFC 9457, one shape everywhere, and nothing of our insides."""
    assert codes is None or body["code"] in codes, body
    assert body["status"] == status
    assert body["type"] == f"urn:prepaid:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    found = INSIDES.search(json.dumps(body, ensure_ascii=False))
    assert not found, f"says {found[0]!r}: {body}"


def check(value: Any, schema: dict[str, Any], where: str = "$") -> None:
    """Fail when the value isn't what the schema says, or has a member that the schema doesn't list."""
    schema = _resolved(schema)
    for keyword, wanted in schema.items():
        _check_keyword(keyword, wanted, value, where)
    if isinstance(value, dict) and "anyOf" not in schema:
        _check_object(value, schema, where)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        schema = document()["components"]["schemas"][name]
    return schema


def _check_keyword(keyword: str, wanted: Any, value: Any, where: str) -> None:
    if keyword == "type":
        fits = isinstance(value, TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))
        assert fits, f"{where}: {value!r} is no {wanted}"
    elif keyword == "enum":
        assert value in wanted, f"{where}: {value!r} is none of {wanted}"
    elif keyword == "const":
        assert value == wanted, f"{where}: {value!r} is not {wanted!r}"
    elif keyword == "anyOf":
        assert any(_fits(value, one) for one in wanted), f"{where}: {value!r} fits none of {wanted}"
    elif keyword == "format":
        assert wanted == "date-time", f"{where}: this checker doesn't know the format {wanted}"
        fits = isinstance(value, str) and INSTANT.fullmatch(value)
        assert fits, f"{where}: {value!r} is no UTC instant"
    elif keyword == "items":
        for place, one in enumerate(value):
            check(one, wanted, f"{where}[{place}]")
    else:
        assert keyword in SAYS_NOTHING, f"{where}: this checker doesn't know {keyword}"


def _check_object(value: dict[str, Any], schema: dict[str, Any], where: str) -> None:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", False)
    missing = set(schema.get("required", ())) - set(value)
    assert not missing, f"{where} lacks {missing}"
    for name, member in value.items():
        here = f"{where}.{name}"
        assert name in known or others, f"{here} is not in the contract"
        if name in known:
            check(member, known[name], here)
        elif isinstance(others, dict):
            check(member, others, here)


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    try:
        check(value, schema)
    except AssertionError:
        return False
    return True
