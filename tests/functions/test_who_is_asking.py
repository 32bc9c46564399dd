"""Tokens: none at all, and one that is bound to another account."""

from typing import Any

import pytest

from tests.support.api import (
    BALANCE,
    BATCH,
    BUY,
    CANCEL,
    CONSUME,
    CONSUMPTION,
    GET_ACCOUNT,
    GET_CATALOG,
    GRANT,
    HISTORY,
    MANAGER_CODE,
    MANAGER_SESSION,
    PACKS,
    PATCH_ACCOUNT,
    PORTAL_SESSION,
    PURCHASE,
    PURCHASES,
    PUT_ACCOUNT,
    PUT_CATALOG,
    QUOTE,
    VOID,
    WEBHOOK,
)
from tests.support.contract import routes
from tests.support.gateway_events import Claims, Context, caller, http_event
from tests.support.in_process import FUNCTION_OF, Service

BODIES: dict[str, Any] = {
    CONSUME: {"feature": "sticker"},
    BATCH: {"items": [{"idempotency_key": "of-a-batch", "feature": "sticker"}]},
    CONSUMPTION: None,
    QUOTE: {"feature": "sticker"},
    PUT_ACCOUNT: {"name": "Mine now", "plan": "none"},
    GRANT: {"credits": 1, "kind": "promotion", "reason": "a promotion"},
    PATCH_ACCOUNT: {"manager_contact": None},
    VOID: {"reason": "a mistake"},
    BALANCE: None,
    HISTORY: None,
    GET_ACCOUNT: None,
    MANAGER_CODE: {"code": "271828", "current_code": "314159"},
    MANAGER_SESSION: {"code": "314159"},
    BUY: {"pack": "credits-50"},
    PURCHASES: None,
    PURCHASE: None,
    CANCEL: None,
    PORTAL_SESSION: {},
}
OF_AN_ACCOUNT = sorted(BODIES)
NO_ACCOUNT_AT_ALL = [
    "",
    "a/b",
    "acme/",
    "acme#x",
    "acme%2F",
    "acme%23",
    "..",
    ".",
    "-acme",
    "_acme",
    " acme",
    "acme ",
    "acme\n",
    "acme\x00",
    "ａｃｍｅ",
    "petshop-ç",
    "a" * 65,
    "*",
    "ACCOUNT#acme",
    "\ud800",
    "acme\ud800",
    "a" * 3_000,
]


@pytest.mark.parametrize("route", sorted(set(routes()) - {WEBHOOK}))
def test_a_request_without_a_token_is_rejected(refused: Service, route: str) -> None:
    no_claims: Claims = {}
    for claims in (None, no_claims):
        answer = refused(route, json=BODIES.get(route), by=claims)
        assert (answer.status, answer.code) == (401, "unauthorized")


@pytest.mark.parametrize("route", OF_AN_ACCOUNT)
def test_an_event_whose_authorizer_is_null_is_anonymous(service: Service, route: str) -> None:
    event = http_event(route, path={"account": "acme"}, claims=None)
    event["requestContext"]["authorizer"] = None
    response = service.functions[FUNCTION_OF[route]](event, Context())
    assert response["statusCode"] == 401


@pytest.mark.parametrize("route", OF_AN_ACCOUNT)
def test_another_account_looks_exactly_like_a_missing_one(service: Service, route: str) -> None:
    service.open("acme", credits=1)
    service.open("zoo", credits=1)
    before = service.stored()
    bound = caller(account="acme")
    stranger = service(route, "zoo", json=BODIES[route], by=bound)
    missing = service(route, "nobody", json=BODIES[route], by=bound)
    assert (stranger.status, stranger.code) == (404, "account_not_found")
    assert stranger == missing
    assert "zoo" not in stranger.text
    assert service.stored() == before


@pytest.mark.parametrize("route", sorted(set(OF_AN_ACCOUNT) - {PUT_ACCOUNT}))
def test_another_account_gets_the_same_404_as_a_missing_one(service: Service, route: str) -> None:
    service.open("zoo")
    stranger = service(route, "zoo", json=BODIES[route], by=caller(account="acme"))
    assert service(route, "nobody", json=BODIES[route]) == stranger
    # The token's own account, not opened yet.
    assert service(route, "acme", json=BODIES[route], by=caller(account="acme")) == stranger


@pytest.mark.parametrize("route", OF_AN_ACCOUNT)
@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ""},
        {"key": "é"},
        {"body": "nonsense"},
        {"body": "{}"},
        {"headers": {"content-type": "text/plain"}},
        {"query": {"cursor": "x", "at": "x", "limit": "0", "nonsense": "1"}},
    ],
)
def test_other_errors_do_not_reveal_another_account(service: Service, route: str, wrong: dict[str, Any]) -> None:
    service.open("zoo")
    bound = caller(account="acme")
    request = {"json": BODIES[route]} | wrong
    assert service(route, "zoo", by=bound, **request) == service(route, "nobody", by=bound, **request)
    assert service(route, "zoo", by=bound, **request).status == 404


@pytest.mark.parametrize("route", OF_AN_ACCOUNT)
def test_a_token_bound_to_no_account_has_no_access(service: Service, route: str) -> None:
    service.open("acme")
    for account in ("", " acme", "ACME", "acme,zoo", "[acme zoo]", "*"):
        answer = service(route, "acme", json=BODIES[route], by=caller(account=account))
        assert answer.status == 404


def test_a_bound_token_has_full_access_to_its_own_account(service: Service) -> None:
    bound = caller(account="acme")
    statuses = {route: service(route, "acme", json=BODIES[route], by=bound).status for route in (PUT_ACCOUNT, GRANT)}
    statuses |= {route: service(route, "acme", json=BODIES[route], by=bound).status for route in BODIES}
    assert statuses == {
        CONSUME: 201,
        GRANT: 201,
        PUT_ACCOUNT: 200,
        PATCH_ACCOUNT: 200,
        BALANCE: 200,
        BATCH: 200,
        QUOTE: 200,
        HISTORY: 200,
        GET_ACCOUNT: 200,
        PURCHASES: 200,
        PORTAL_SESSION: 201,
        # No code is set, and there is no such consumption, purchase or grant.
        **dict.fromkeys((MANAGER_CODE, MANAGER_SESSION, BUY), 403),
        **dict.fromkeys((CONSUMPTION, PURCHASE, CANCEL, VOID), 404),
    }
    assert service(GET_CATALOG, by=bound).status == service(PACKS, by=bound).status == 200
    assert service(PUT_CATALOG, json={}, by=bound).status == 403


@pytest.mark.parametrize("route", OF_AN_ACCOUNT)
@pytest.mark.parametrize("account", NO_ACCOUNT_AT_ALL, ids=lambda account: ascii(account)[:20])
def test_an_invalid_account_id_is_a_missing_account(refused: Service, route: str, account: str) -> None:
    answer = refused(route, account, json=BODIES[route])
    if route == PUT_ACCOUNT:
        assert (answer.status, answer.fields) == (422, ["account"])
    else:
        assert answer == refused(route, "nobody", json=BODIES[route])
