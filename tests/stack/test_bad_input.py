"""A few invalid requests over HTTP, each refused as documented. tests/functions has all of them."""

from typing import Any

import pytest

from tests.support.api import BALANCE, CONSUME, GET_ACCOUNT, HISTORY
from tests.support.over_http import HttpApi, exchange, new_account
from tests.support.payment_page import StackStorefront

STICKER = b'{"feature": "sticker"}'
KIB = 1024


@pytest.fixture
def _unchanged(api: HttpApi, account: str) -> Any:
    """A refusal writes nothing."""
    before = api.history(account)
    yield
    assert api.history(account) == before


@pytest.mark.usefixtures("_unchanged")
@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        pytest.param({"body": b" " * (64 * KIB + 1 - len(STICKER)) + STICKER}, 413, "body_too_large", id="too large"),
        pytest.param({"body": b"not JSON"}, 400, "malformed_body", id="not JSON"),
        pytest.param({"body": b"\xff\xfe\x00"}, 400, "malformed_body", id="not text"),
        pytest.param({"body": b"[" * 60_000}, 400, "malformed_body", id="very deep"),
        pytest.param({"headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type", id="wrong type"),
        pytest.param({"headers": {"Content-Type": ""}}, 415, "unsupported_media_type", id="no type"),
        pytest.param({"key": "k" * 300}, 400, "idempotency_key_invalid", id="long key"),
        pytest.param({"key": "chave-é"}, 400, "idempotency_key_invalid", id="key beyond ASCII"),
        pytest.param({"key": ""}, 400, "idempotency_key_missing", id="no key"),
        pytest.param({"json": {"feature": "sticker", "quantity": 0}}, 422, "invalid_request", id="zero"),
        pytest.param({"json": {"feature": "sticker", "quantity": -1}}, 422, "invalid_request", id="negative"),
        pytest.param({"json": {"feature": "sticker", "quantity": 1.5}}, 422, "invalid_request", id="a part"),
        pytest.param({"json": {"feature": "sticker", "quantity": True}}, 422, "invalid_request", id="true"),
        pytest.param({"json": {"feature": "sticker", "quantity": "1"}}, 422, "invalid_request", id="a text"),
        pytest.param({"json": {"feature": "sticker", "quantity": 10**30}}, 422, "invalid_request", id="10^30"),
        pytest.param({"json": {"feature": "sticker", "price": 0}}, 422, "invalid_request", id="unknown field"),
        pytest.param({"json": {"feature": "rocket"}}, 422, "invalid_request", id="unknown feature"),
        pytest.param({"json": ["sticker"]}, 422, "invalid_request", id="a list"),
    ],
)
def test_an_invalid_debit_is_rejected_and_spends_nothing(
    api: HttpApi, account: str, sent: dict[str, Any], status: int, code: str
) -> None:
    answer = api(CONSUME, account, **({"body": STICKER} | sent if "json" not in sent else sent))

    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, answer.code) == (status, code)


def test_a_body_of_64_kib_is_accepted(api: HttpApi) -> None:
    account = api.open(new_account())
    api.give(1, account)

    answer = api(CONSUME, account, body=b" " * (64 * KIB - len(STICKER)) + STICKER)

    assert answer.status == 201


def test_an_unknown_account_is_not_found_on_every_route(api: HttpApi) -> None:
    answers = [api(route, name) for route in (GET_ACCOUNT, BALANCE, HISTORY) for name in ("nobody", "#", "é", "%00")]
    answers.append(api.spend(account="nobody"))

    assert {(answer.status, answer.code) for answer in answers} == {(404, "account_not_found")}
    assert len({answer.text_of_any_request for answer in answers}) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"type": "theft"},
        {"from": "yesterday"},
        {"to": "2026-06-31"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_an_invalid_query_is_rejected(api: HttpApi, account: str, query: dict[str, str]) -> None:
    answer = api(HISTORY, account, query=query)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert [error["field"] for error in answer.body["errors"]] == list(query)


def test_a_cursor_is_valid_for_its_account_and_query_only(api: HttpApi, account: str) -> None:
    other = api.open(new_account())
    cursor = api(HISTORY, account, query={"limit": "1"}).body["next_cursor"]
    digit = cursor[-1]
    forged = [cursor[:-1] + ("1" if digit == "0" else "0"), "9" + cursor, f"{cursor}0", "-1", "null"]

    answers = [
        *(api(HISTORY, account, query={"cursor": cursor}) for cursor in forged),
        api(HISTORY, other, query={"cursor": cursor}),
        api(HISTORY, account, query={"cursor": cursor, "type": "grant"}),
    ]

    assert api(HISTORY, account, query={"cursor": cursor}).status == 200
    assert [(answer.status, answer.code) for answer in answers] == [(400, "invalid_cursor")] * 7


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"\xff", id="not text"),
        pytest.param(b'{"id": 1, "type": []}', id="wrong types"),
        pytest.param(b"[" * 60_000, id="very deep"),
    ],
)
def test_a_signed_body_that_is_no_event_is_rejected(storefront: StackStorefront, body: bytes) -> None:
    attempt = storefront.send(body, sign_with="current")

    assert attempt["status"] == 400
    assert '"code":"invalid_webhook"' in attempt["answer"]


@pytest.mark.parametrize("sign_with", ["none", "other"])
def test_an_event_not_signed_by_stripe_is_rejected(storefront: StackStorefront, sign_with: str) -> None:
    body = b'{"id": "evt_1", "type": "checkout.session.completed", "data": {"object": {"id": "cs_1"}}}'

    attempt = storefront.send(body, sign_with=sign_with)

    assert attempt["status"] == 400
    assert storefront.send(body, sign_with="current")["status"] == 200


def test_an_unknown_path_is_not_found(api: HttpApi) -> None:
    headers = {"Authorization": f"Bearer {api.tokens['admin']}"}

    answers = [
        exchange("GET", f"{api.url}/v1/nothing", None, headers),
        exchange("DELETE", f"{api.url}/v1/accounts/petshop-1", None, headers),
        exchange("GET", f"{api.url}/v1/accounts/a%2Fb/balance", None, headers),
    ]

    assert [answer.status for answer in answers] == [404] * 3
