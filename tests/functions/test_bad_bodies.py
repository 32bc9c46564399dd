"""Bodies that can't be read as JSON objects: a documented problem, and nothing written."""

import json
from base64 import b64encode

import pytest

from tests.support.api import CANCEL, CONSUME, HISTORY, WEBHOOK
from tests.support.gateway_events import http_event
from tests.support.good_requests import GOOD, WITH_BODY, ask
from tests.support.in_process import FUNCTION_OF, Service

NOT_JSON = [
    "",
    " ",
    "nonsense",
    "{",
    '{"feature"',
    "{'feature': 'sticker'}",
    '{"feature":"sticker",}',
    '{"feature":"sticker"} x',
    '{"feature":"sticker"}{}',
    "\ufeff{}",
    '{"description":"\\ud800"}',
    '{"description":"\\udc00\\ud800"}',
    '{"description":"\\u12"}',
    '{"description":"a\nb"}',
    '{"description":"a\x00b"}',
    '{"quantity":1' + "0" * 5000 + "}",
    '{"quantity":01}',
    '{"quantity":+1}',
    "[" * 30_000,
    '{"a":' * 10_000,
    '{"x":' + "[" * 300 + "]" * 300 + "}",
    b"\xff\xfe{}",
    b'{"feature":"\xff"}',
    b'{"feature":"\xed\xa0\x80"}',
    "{}".encode("utf-16"),
    b"\x80" * 100,
    b"\x00",
]
# The page's forms have their own tests.
WITHOUT_BODY = sorted(route for route in FUNCTION_OF if " /v1/" in route and route not in {*WITH_BODY, WEBHOOK})
NO_OBJECT = ["null", "[]", "1", '"text"', "true", "[{}]"]


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_duplicate_field_is_rejected(refused: Service, route: str) -> None:
    whole = json.dumps(GOOD[route])
    name = next(iter(GOOD[route]))
    answer = ask(refused, route, body=whole.removesuffix("}") + f', "{name}": {json.dumps(GOOD[route][name])}}}')
    assert answer.status == 400 or (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_body_that_is_not_json_is_rejected(refused: Service, route: str) -> None:
    for body in NOT_JSON:
        answer = ask(refused, route, body=body)
        assert (answer.status, answer.code) == (400, "malformed_body"), body[:40]


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_body_that_is_no_object_is_rejected(refused: Service, route: str) -> None:
    for body in NO_OBJECT:
        assert ask(refused, route, body=body).status == 422, body


@pytest.mark.parametrize("route", WITH_BODY)
@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/problem+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json, application/json",
        "application/ json",
        ";application/json",
        "json",
        "application/json\x00",
        "аpplication/json",
    ],
)
def test_another_content_type_is_rejected(refused: Service, route: str, kind: str) -> None:
    answer = ask(refused, route, json=GOOD[route], headers={"content-type": kind})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def large(size: int) -> str:
    return json.dumps({"feature": "sticker"}).ljust(size)


@pytest.mark.parametrize("route", [*WITH_BODY, CANCEL])
@pytest.mark.parametrize("base64", [True, False])
def test_a_body_over_64_kb_is_rejected(refused: Service, route: str, base64: bool) -> None:
    for size in (65_537, 131_072, 131_073, 500_000):
        body = large(size)
        answer = ask(refused, route, body=body.encode() if base64 else body)
        assert (answer.status, answer.code) == (413, "body_too_large"), size
    # Few characters, many bytes.
    answer = ask(refused, route, body="é" * 32_769)
    assert answer.status == 413


@pytest.mark.parametrize("route", WITHOUT_BODY)
@pytest.mark.parametrize(
    "body",
    [large(500_000), "nonsense", b"\xff"],
)
def test_a_body_where_none_is_expected_does_no_harm(refused: Service, route: str, body: str | bytes) -> None:
    ask(refused, route, body=body)


@pytest.mark.parametrize("route", [*WITH_BODY, CANCEL, WEBHOOK])
@pytest.mark.parametrize("text", ["!", "e30", "e30=x", "e3 0=", "é", "e30===="])
def test_invalid_base64_is_rejected(refused: Service, route: str, text: str) -> None:
    event = http_event(
        route,
        path={"account": "acme"},
        headers={"content-type": "application/json", "idempotency-key": "k", "if-match": "1"},
        body=b"",
    )
    answer = refused.send({**event, "body": text})
    assert (answer.status, answer.code) == (400, "malformed_body")


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_body_with_a_lone_surrogate_is_rejected(refused: Service, route: str) -> None:
    answer = ask(refused, route, body='{"reason": "\ud800"}')
    assert (answer.status, answer.code) == (400, "malformed_body")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", " application/json ;x", "application/json;"]
)
def test_every_json_content_type_is_accepted(service: Service, kind: str) -> None:
    service.open(credits=1)
    assert service(CONSUME, json={"feature": "sticker"}, headers={"content-type": kind}).status == 201


def test_a_body_in_base64_is_decoded(service: Service) -> None:
    service.open(credits=1)
    answer = service(CONSUME, body=json.dumps({"feature": "sticker", "customer": "Zoé"}).encode())
    assert answer.status == 201
    assert service(HISTORY).body["entries"][0]["customer"] == "Zoé"


@pytest.mark.parametrize("base64", [True, False])
def test_a_body_of_exactly_64_kb_is_accepted(service: Service, base64: bool) -> None:
    service.open(credits=1)
    body = large(65_536)
    assert service(CONSUME, body=body.encode() if base64 else body).status == 201
    assert len(b64encode(body.encode())) > 65_536
