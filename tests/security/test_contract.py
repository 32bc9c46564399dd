"""Whatever a client sends, the functions respond as openapi.json says. tests/stack asks the deployed stack."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fuzzing.explorer import explore
from tests.support.api import BALANCE, CLIENTS, CODE, GET_ACCOUNT, GET_CATALOG, PACKS, PUT_ACCOUNT
from tests.support.bridge import bridge, token
from tests.support.contract import routes
from tests.support.gateway_events import Context, Event
from tests.support.in_process import FUNCTION_OF, Service
from tests.support.stripe_purchases import Storefront

TOKENS = {name: token(claims) for name, claims in CLIENTS.items()}
GOOD_ACCOUNT = {
    "account": "acme",
    "name": "n",
    "plan": "none",
    "ai_enabled": False,
    "quota_anchor_day": 1,
    "time_zone": "UTC",
    "language": "en",
    "low_credit_threshold": 1,
    "manager_contact": None,
}


def words_of(service: Service, storefront: Storefront) -> dict[str, list[str]]:
    """What exists: an account with credits and its manager's code, open sessions, a purchase, a consumption, a hold."""
    service.give(1_000_000)
    return {
        "path.account": ["acme"],
        "path.id": [storefront.buy().id, service.spend().body["id"], service.hold().body["id"]],
        "body.code": [CODE],
        "header.Manager-Session": [service.manager_session() for _ in range(4)],
    }


def test_every_bound_of_the_contract_gets_a_documented_response(
    service: Service, storefront: Storefront, tmp_path: Path
) -> None:
    def send(event: Event) -> dict[str, Any]:
        answer = service.send(event)
        return {"statusCode": answer.status, "headers": dict(answer.headers), "body": answer.text}

    words = words_of(service, storefront)

    with bridge(send) as url:
        explore(url, TOKENS, words, tmp_path, phases="coverage", examples=1)


WRONG_RESPONSES: dict[str, tuple[dict[str, Any], str]] = {
    BALANCE: ({"statusCode": 500}, "Server error"),
    GET_ACCOUNT: ({"statusCode": 418}, "Undocumented status code"),
    PACKS: ({"headers": {"Content-Type": "text/html"}}, "Undocumented Content-Type"),
    GET_CATALOG: ({"body": '{"version": "one"}'}, "Response violates schema"),
    PUT_ACCOUNT: ({"statusCode": 200, "body": json.dumps(GOOD_ACCOUNT)}, "Schema-violating request accepted"),
}


def test_the_explorer_finds_responses_outside_the_contract(service: Service, tmp_path: Path) -> None:
    """Otherwise a run without findings would prove nothing."""
    service.open()
    others = tuple(set(routes()) - set(WRONG_RESPONSES))

    def send(event: Event) -> dict[str, Any]:
        response = service.functions[FUNCTION_OF[event["routeKey"]]](event, Context())
        return response | WRONG_RESPONSES[event["routeKey"]][0]

    with bridge(send) as url, pytest.raises(AssertionError) as found:
        explore(url, TOKENS, {"path.account": ["acme"]}, tmp_path, examples=1, without=others)

    report = str(found.value)
    for _, complaint in WRONG_RESPONSES.values():
        assert complaint in report, report


def test_the_explorer_finds_a_route_without_authentication(service: Service, tmp_path: Path) -> None:
    service.open()
    others = tuple(set(routes()) - {PACKS})

    def send(event: Event) -> dict[str, Any]:
        return service.functions["accounts"](event, Context())

    with (
        bridge(send, locked=False) as url,
        pytest.raises(AssertionError, match="API accepts requests without authentication"),
    ):
        explore(url, TOKENS, {}, tmp_path, examples=1, without=others)
