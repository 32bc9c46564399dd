"""Everything that is wrong with a request: a documented problem, nothing written, nothing of our insides."""

import json
from base64 import b64encode
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.support.api import (
    BALANCE,
    BUY,
    CONSUME,
    GET_CATALOG,
    GRANT,
    HISTORY,
    MANAGER_CODE,
    MANAGER_SESSION,
    NEEDS_KEY,
    PACKS,
    PATCH_ACCOUNT,
    PURCHASE,
    PURCHASES,
    PUT_ACCOUNT,
    PUT_CATALOG,
    VOID,
    WEBHOOK,
    Answer,
)
from tests.support.aws_in_process import empty_table
from tests.support.functions import Deployment
from tests.support.gateway_events import ADMIN, caller, http_event
from tests.support.handlers import Clock, listen, serving
from tests.support.in_process import FUNCTION_OF, Service

GOOD: dict[str, dict[str, Any]] = {
    CONSUME: {"feature": "sticker", "quantity": 1, "description": "d", "customer": "c", "reference": "r"},
    GRANT: {"credits": 1, "kind": "promotion", "reason": "r", "valid_months": 1},
    VOID: {"credits": 1, "reason": "r"},
    PUT_ACCOUNT: {
        "name": "n",
        "plan": "none",
        "ai_enabled": False,
        "quota_anchor_day": 1,
        "time_zone": "America/Sao_Paulo",
        "language": "en",
        "low_credit_threshold": 1,
        "manager_contact": "m",
    },
    PATCH_ACCOUNT: {"name": "n"},
    PUT_CATALOG: {
        "features": [{"id": "sticker", "price": 1, "quota_backed": False}],
        "plans": [{"id": "none", "quota": 0}],
        "packs": [],
    },
    MANAGER_CODE: {"code": "271828"},
    MANAGER_SESSION: {"code": "271828"},
    BUY: {"pack": "credits-100"},
}
WITH_BODY = sorted(GOOD)
WHOLE_NUMBERS = [
    (CONSUME, "quantity", 1, 10_000),
    (GRANT, "credits", 1, 1_000_000_000),
    (GRANT, "valid_months", 1, 120),
    (VOID, "credits", 1, 1_000_000_000),
    (PUT_ACCOUNT, "quota_anchor_day", 1, 31),
    (PUT_ACCOUNT, "low_credit_threshold", 0, 1_000_000_000),
    (PUT_CATALOG, "features.0.price", 0, 1_000_000),
    (PUT_CATALOG, "plans.0.quota", 0, 1_000_000_000),
    (PUT_CATALOG, "packs.0.credits", 1, 1_000_000_000),
    (PUT_CATALOG, "packs.0.amount", 1, 99_999_999),
    (PUT_CATALOG, "packs.0.valid_months", 1, 120),
]
# As JSON texts: some of them no JSON library would write.
NO_WHOLE_NUMBERS = [
    "-1",
    "1.5",
    "1.0",
    "1e1",
    "1e400",
    "-1e400",
    "9223372036854775808",
    "true",
    "false",
    '"1"',
    '"１"',
    "1" + "0" * 30,
    "-1" + "0" * 30,
    "[]",
    "[1]",
    "{}",
    "-0.0",
]
SLUGS = [
    (CONSUME, "feature"),
    (BUY, "pack"),
    (PUT_ACCOUNT, "plan"),
    (PUT_CATALOG, "features.0.id"),
    (PUT_CATALOG, "packs.0.currency"),
]
TEXTS = [
    (CONSUME, "description"),
    (CONSUME, "customer"),
    (CONSUME, "reference"),
    (GRANT, "reason"),
    (VOID, "reason"),
    (PUT_ACCOUNT, "name"),
    (PUT_ACCOUNT, "manager_contact"),
]
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
NO_OBJECT = ["null", "[]", "1", '"text"', "true", "[{}]"]


@pytest.fixture(scope="module")
def counter(apps: dict[str, ModuleType], deployment: Deployment, aws: None) -> Iterator[Service]:
    """One account in one table for the whole module: nothing here may change either."""
    with pytest.MonkeyPatch.context() as patch:
        table = empty_table()
        for service in serving(deployment.at(apps, table, Clock()), table, listen(patch)):
            service.open("acme", credits=100)
            service.spend(1, key="taken")
            yield service


@pytest.fixture
def refused(counter: Service) -> Iterator[Service]:
    """The functions; after the test the table must be what it was before."""
    before = counter.stored()
    yield counter
    assert counter.stored() == before


def with_member(route: str, member: str, text: str) -> str:
    """The good body of a route, one member of it replaced by a JSON text."""
    body = json.loads(json.dumps(GOOD[route]))
    if member.startswith("packs"):
        body["packs"] = [{"id": "p", "credits": 1, "amount": 1, "currency": "brl", "valid_months": 1, "active": True}]
    *path, last = member.split(".")
    place = body
    for step in path:
        place = place[int(step) if step.isdigit() else step]
    place[last] = "THE MEMBER"
    return json.dumps(body).replace('"THE MEMBER"', text)


def ask(service: Service, route: str, **asked: Any) -> Answer:
    """With everything else in order."""
    headers = {"if-match": "1"} if route == PUT_CATALOG else {}
    ids = {PURCHASE: {"id": "pur_1"}, VOID: {"id": "gra_000000000001"}}
    more = {"by": ADMIN} if route == MANAGER_CODE else ids.get(route, {})
    return service(route, **{**more, **asked, "headers": {**headers, **asked.get("headers", {})}})


@pytest.mark.parametrize(("route", "member", "least", "most"), WHOLE_NUMBERS)
def test_numbers_out_of_bounds_or_not_whole_are_rejected(
    refused: Service, route: str, member: str, least: int, most: int
) -> None:
    for text in (*NO_WHOLE_NUMBERS, str(least - 1), str(most + 1)):
        answer = ask(refused, route, body=with_member(route, member, text))
        assert answer.status == 422, text
        assert all(name.startswith(member) for name in answer.fields), text


@pytest.mark.parametrize(("route", "member", "least", "most"), WHOLE_NUMBERS)
@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_json_constants_of_python_only_are_rejected(
    refused: Service, route: str, member: str, least: int, most: int, constant: str
) -> None:
    assert ask(refused, route, body=with_member(route, member, constant)).status == 400


@pytest.mark.parametrize(("route", "member"), SLUGS)
def test_malformed_ids_are_rejected(refused: Service, route: str, member: str) -> None:
    for value in ("", " ", "Sticker", "-x", "sticker\n", "st icker", "é", "ｓticker", "a" * 65, "a#b", "a/b", "\x00"):
        answer = ask(refused, route, body=with_member(route, member, json.dumps(value)))
        assert (answer.status, answer.fields) == (422, [member]), value
    for text in ("1", "null", "true", '["sticker"]', "{}"):
        answer = ask(refused, route, body=with_member(route, member, text))
        assert (answer.status, answer.fields) == (422, [member]), text


@pytest.mark.parametrize(("route", "member"), TEXTS)
def test_invalid_texts_are_rejected(refused: Service, route: str, member: str) -> None:
    controls = [chr(code) for code in (0, 1, 7, 8, 9, 10, 11, 12, 13, 27, 31, 127)]
    for value in ("", "x" * 201, "é" * 201, *controls, *(f"a{control}b" for control in controls)):
        answer = ask(refused, route, body=with_member(route, member, json.dumps(value)))
        assert (answer.status, answer.fields) == (422, [member]), ascii(value)
    for text in ("1", "true", '["x"]', "{}", "1.5"):
        answer = ask(refused, route, body=with_member(route, member, text))
        assert (answer.status, answer.fields) == (422, [member]), text


@pytest.mark.parametrize("text", ["1", "0", '"true"', '"yes"', "null", "[]"])
@pytest.mark.parametrize(("route", "member"), [(PUT_ACCOUNT, "ai_enabled"), (PUT_CATALOG, "features.0.quota_backed")])
def test_a_boolean_of_another_type_is_rejected(refused: Service, route: str, member: str, text: str) -> None:
    answer = ask(refused, route, body=with_member(route, member, text))
    assert (answer.status, answer.fields) == (422, [member])


@pytest.mark.parametrize("kind", ["purchase", "PROMOTION", "gift", "", "refund"])
def test_an_unknown_kind_of_grant_is_rejected(refused: Service, kind: str) -> None:
    answer = ask(refused, GRANT, body=with_member(GRANT, "kind", json.dumps(kind)))
    assert (answer.status, answer.fields) == (422, ["kind"])


@pytest.mark.parametrize("feature", ["stickers", "0", "a" * 64])
def test_an_unknown_feature_is_rejected(refused: Service, feature: str) -> None:
    answer = ask(refused, CONSUME, json={"feature": feature})
    assert (answer.status, answer.fields) == (422, ["feature"])


OF_AN_ACCOUNT = sorted({route for route in FUNCTION_OF if "{account}" in route} - {PUT_ACCOUNT})


@pytest.mark.parametrize("route", OF_AN_ACCOUNT)
def test_an_unknown_account_is_not_found(refused: Service, route: str) -> None:
    answer = ask(refused, route, account="nobody", json=GOOD.get(route))
    assert (answer.status, answer.code) == (404, "account_not_found")


@pytest.mark.parametrize("route", WITH_BODY)
def test_unknown_fields_are_rejected(refused: Service, route: str) -> None:
    for name in ("extra", "Feature", "account", "", "__class__", "quantity ", "\x00", "é", "x" * 60_000):
        answer = ask(refused, route, json={**GOOD[route], name: 1})
        assert (answer.status, answer.fields) == (422, [name or "body"]), name[:20]


@pytest.mark.parametrize("route", WITH_BODY)
def test_thousands_of_unknown_fields_get_a_bounded_response(refused: Service, route: str) -> None:
    answer = ask(refused, route, body=json.dumps({f"{number:x}": 1 for number in range(6_000)}))
    assert answer.status == 422
    assert len(answer.text) < 128 * 1024


@pytest.mark.parametrize("route", WITH_BODY)
def test_a_duplicate_field_is_rejected(refused: Service, route: str) -> None:
    whole = json.dumps(GOOD[route])
    name = next(iter(GOOD[route]))
    answer = ask(refused, route, body=whole.removesuffix("}") + f', "{name}": {json.dumps(GOOD[route][name])}}}')
    assert answer.status == 400 or (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize("route", sorted(GOOD.keys() - {PATCH_ACCOUNT}))
def test_a_body_without_its_fields_is_rejected(refused: Service, route: str) -> None:
    assert ask(refused, route, json={}).status == 422


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


@pytest.mark.parametrize("route", WITH_BODY)
@pytest.mark.parametrize("base64", [True, False])
def test_a_body_over_64_kb_is_rejected(refused: Service, route: str, base64: bool) -> None:
    for size in (65_537, 131_072, 131_073, 500_000):
        body = large(size)
        answer = ask(refused, route, body=body.encode() if base64 else body)
        assert (answer.status, answer.code) == (413, "body_too_large"), size
    # Few characters, many bytes.
    answer = ask(refused, route, body="é" * 32_769)
    assert answer.status == 413


@pytest.mark.parametrize("route", sorted(set(FUNCTION_OF) - set(WITH_BODY) - {WEBHOOK}))
@pytest.mark.parametrize(
    "body",
    [large(500_000), "nonsense", b"\xff"],
)
def test_a_body_where_none_is_expected_does_no_harm(refused: Service, route: str, body: str | bytes) -> None:
    ask(refused, route, body=body)


@pytest.mark.parametrize("route", [*WITH_BODY, WEBHOOK])
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


@pytest.mark.parametrize("route", sorted(NEEDS_KEY))
def test_a_post_without_a_key_is_rejected(refused: Service, route: str) -> None:
    answer = ask(refused, route, json=GOOD[route], key="")
    assert (answer.status, answer.code) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("route", sorted(NEEDS_KEY))
def test_an_invalid_key_is_rejected(refused: Service, route: str) -> None:
    for key in ("x" * 256, "x" * 300, "é", "a b", " ", "a\n", "a\x00", "\x7f", "ｋ", "🔑", "a\tb", "\ud800"):
        answer = ask(refused, route, json=GOOD[route], key=key)
        assert (answer.status, answer.code) == (400, "idempotency_key_invalid"), ascii(key)


def test_a_key_used_for_another_request_is_rejected(refused: Service) -> None:
    for route in (CONSUME, GRANT, VOID, BUY):
        answer = ask(refused, route, json=GOOD[route], key="taken")
        assert (answer.status, answer.code) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    "limit", ["0", "101", "１０", "-1", "+1", "1.0", "1e1", "", " 1", "1 ", "ten", "1,2", "0x1", "9" * 99]
)
def test_an_invalid_limit_is_rejected(refused: Service, limit: str) -> None:
    answer = ask(refused, HISTORY, query={"limit": limit})
    assert (answer.status, answer.fields) == (422, ["limit"])


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize(
    "time",
    [
        "2026-06-16T13:00:00",
        "2026-06-16",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-06-16T13:00:60Z",
        "2026-06-16T13:00:00+24:00",
        "2026-06-16T13:00:00 03:00",
        "1781614800",
        "",
        "yesterday",
        "２０２６-06-16T13:00:00Z",
        "\x00",
        "\ud800",
    ],
    ids=ascii,
)
def test_an_invalid_time_is_rejected(refused: Service, name: str, time: str) -> None:
    answer = ask(refused, HISTORY, query={name: time})
    assert (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize(
    "time",
    [
        "2026-W25-2T13:00Z",
        "20260616T130000Z",
        "2026-06-16T13Z",
        "2026-06-16é13:00:00Z",
        "2026-06-16T13:00:00,5Z",
        "2026-06-16T13:00:00+00:00:30",
        "2026-06-16T13:00:00Z\x00junk",
    ],
    ids=ascii,
)
def test_a_time_outside_rfc_3339_is_rejected(refused: Service, time: str) -> None:
    answer = ask(refused, HISTORY, query={"from": time})
    assert (answer.status, answer.fields) == (422, ["from"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("type", "Consumption"), ("type", ""), ("type", "spent"), ("source", "lot"), ("source", "quota,credits")],
)
def test_an_invalid_filter_is_rejected(refused: Service, name: str, value: str) -> None:
    answer = ask(refused, HISTORY, query={name: value})
    assert (answer.status, answer.fields) == (422, [name])


@pytest.mark.parametrize("route", [BALANCE, HISTORY, PURCHASES])
@pytest.mark.parametrize("name", ["as_of", "Limit", "", "é", "\x00"])
def test_an_unknown_query_parameter_is_rejected(refused: Service, route: str, name: str) -> None:
    answer = ask(refused, route, query={name: "1"})
    assert (answer.status, answer.fields) == (422, [name])


def test_the_largest_quantity_passes_the_bounds(refused: Service) -> None:
    assert ask(refused, CONSUME, json={"feature": "sticker", "quantity": 10_000}).status == 402


# What looks odd and is in order. On a table of its own: these do write.


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


def test_header_names_match_in_any_case(service: Service) -> None:
    service.open(credits=1)
    headers = {"Content-Type": "application/json", "content-type": "", "IDEMPOTENCY-key": "odd", "idempotency-key": ""}
    assert service(CONSUME, json={"feature": "sticker"}, headers=headers).status == 201
    assert service.spend(key="odd").headers["idempotent-replayed"] == "true"


def test_values_on_the_bounds_are_accepted(service: Service) -> None:
    service.open(credits=1_000_000_000, name="é" * 200, low_credit_threshold=1_000_000_000, quota_anchor_day=31)
    assert service.spend(10_000).body["balance"]["available"] == 999_990_000
    assert service.give(1, reason="x" * 200, valid_months=120)["credits"] == 1
    said = {"feature": "sticker", "description": "🐶" * 200, "customer": "é" * 200, "reference": "~" * 200}
    assert service(CONSUME, json=said, key="~" * 255).status == 201


def test_another_accounts_token_gets_404_for_a_malformed_body(service: Service) -> None:
    service.open("zoo")
    answer = service(CONSUME, "zoo", body="nonsense", by=caller(account="acme"))
    assert answer.status == 404


def test_packs_and_catalog_need_no_account(service: Service) -> None:
    assert service(PACKS).status == service(GET_CATALOG).status == 200
