"""Fields that are wrong: a documented problem that names them, and nothing written."""

import json
from typing import Any

import pytest

from tests.support.api import (
    BUY,
    CAPTURE,
    CONSUME,
    GRANT,
    PATCH_ACCOUNT,
    PORTAL_SESSION,
    PUT_ACCOUNT,
    PUT_CATALOG,
    QUOTE,
    VOID,
)
from tests.support.good_requests import GOOD, WITH_BODY, ask, with_member
from tests.support.in_process import Service

WHOLE_NUMBERS = [
    (CONSUME, "quantity", 1, 10_000),
    (QUOTE, "quantity", 1, 10_000),
    (GRANT, "credits", 1, 1_000_000_000),
    (GRANT, "valid_months", 1, 120),
    (VOID, "credits", 1, 1_000_000_000),
    (PUT_ACCOUNT, "quota_anchor_day", 1, 31),
    (PUT_ACCOUNT, "low_credit_threshold", 0, 1_000_000_000),
    (PUT_CATALOG, "features.0.price", 0, 1_000_000),
    (PUT_CATALOG, "plans.0.quotas.sticker", 0, 1_000_000_000),
    (PUT_CATALOG, "packs.0.credits", 1, 1_000_000_000),
    (PUT_CATALOG, "packs.0.amount", 1, 99_999_999),
    (PUT_CATALOG, "packs.0.valid_months", 1, 120),
]
# JSON texts, because no JSON library would write some of them.
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
    (QUOTE, "feature"),
    (BUY, "pack"),
    (PUT_ACCOUNT, "plan"),
    (PUT_ACCOUNT, "currency"),
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
@pytest.mark.parametrize(("route", "member"), [(PUT_ACCOUNT, "ai_enabled"), (PUT_CATALOG, "features.0.active")])
def test_a_boolean_of_another_type_is_rejected(refused: Service, route: str, member: str, text: str) -> None:
    answer = ask(refused, route, body=with_member(route, member, text))
    assert (answer.status, answer.fields) == (422, [member])


NO_LANGUAGES: tuple[object, ...] = (
    "pt",
    "PT-BR",
    "pt-br",
    "pt_BR",
    "EN",
    "en-US",
    "fr",
    "",
    " ",
    "en ",
    1,
    True,
    [],
    {},
    ["en"],
)


@pytest.mark.parametrize("route", [PUT_ACCOUNT, PATCH_ACCOUNT, PORTAL_SESSION])
def test_a_language_that_the_service_lacks_is_rejected(refused: Service, route: str) -> None:
    # A link to the page takes null for the account's language.
    for language in NO_LANGUAGES if route == PORTAL_SESSION else (*NO_LANGUAGES, None):
        answer = ask(refused, route, json={**GOOD[route], "language": language})
        assert (answer.status, answer.fields) == (422, ["language"]), language


@pytest.mark.parametrize("member", ["features.0.titles", "plans.0.titles"])
def test_a_title_in_a_language_the_service_lacks_is_rejected(refused: Service, member: str) -> None:
    for language in (language for language in NO_LANGUAGES if isinstance(language, str)):
        answer = ask(refused, PUT_CATALOG, body=with_member(PUT_CATALOG, member, json.dumps({language: "Sticker"})))
        assert (answer.status, answer.fields) == (422, [f"{member}.{language}"]), language
        assert "'pt-BR', 'en' or 'es'" in answer.text


@pytest.mark.parametrize("titles", [None, [], "Sticker", {"en": None}, {"en": ""}, {"en": 1}, {"en": "x" * 31}])
def test_an_invalid_title_is_rejected(refused: Service, titles: Any) -> None:
    answer = ask(refused, PUT_CATALOG, body=with_member(PUT_CATALOG, "features.0.titles", json.dumps(titles)))
    [field] = answer.fields

    assert (answer.status, field.removesuffix(".en")) == (422, "features.0.titles")
    assert "items" not in answer.text


@pytest.mark.parametrize("kind", ["purchase", "PROMOTION", "gift", "", "refund"])
def test_an_unknown_kind_of_grant_is_rejected(refused: Service, kind: str) -> None:
    answer = ask(refused, GRANT, body=with_member(GRANT, "kind", json.dumps(kind)))
    assert (answer.status, answer.fields) == (422, ["kind"])


@pytest.mark.parametrize("feature", ["stickers", "0", "a" * 64])
def test_an_unknown_feature_is_rejected(refused: Service, feature: str) -> None:
    answer = ask(refused, CONSUME, json={"feature": feature})
    assert (answer.status, answer.fields) == (422, ["feature"])


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


@pytest.mark.parametrize("route", sorted(GOOD.keys() - {CAPTURE, PATCH_ACCOUNT, PORTAL_SESSION}))
def test_a_body_without_its_fields_is_rejected(refused: Service, route: str) -> None:
    assert ask(refused, route, json={}).status == 422


def test_the_largest_quantity_passes_the_bounds(refused: Service) -> None:
    assert ask(refused, CONSUME, json={"feature": "sticker", "quantity": 10_000}).status == 402


def test_values_on_the_bounds_are_accepted(service: Service) -> None:
    service.open(credits=1_000_000_000, name="é" * 200, low_credit_threshold=1_000_000_000, quota_anchor_day=31)
    assert service.spend(10_000).body["balance"]["available"] == 999_990_000
    assert service.give(1, reason="x" * 200, valid_months=120)["credits"] == 1
    body = {"feature": "sticker", "description": "🐶" * 200, "customer": "é" * 200, "reference": "~" * 200}
    assert service(CONSUME, json=body, key="~" * 255).status == 201
