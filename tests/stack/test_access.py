"""Access rights at the deployed gateway, with tokens of the stack's own Cognito."""

import base64
import json
import urllib.parse
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import pytest

from local.deploy import client
from local.stack import CLIENTS, Stack
from tests.support.api import CONSUME, HOLDER, PUT_ACCOUNT, WEBHOOK, Answer
from tests.support.contract import routes, scope_of, scopes_of
from tests.support.over_http import HttpApi, exchange
from tests.support.template import functions_by_route

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client

GUARDED = [route for route in routes() if scope_of(route)]
NOTHING_OF_THAT_ID = {"purchase_not_found", "hold_not_found", "consumption_not_found"}
HELD = {
    "service": ["prepaid/consume", "prepaid/read"],
    "storefront": ["prepaid/read", "prepaid/buy"],
    "admin": ["prepaid/admin", "prepaid/read"],
}


@pytest.fixture(scope="module")
def narrow(stack: Stack) -> Callable[[str, str], str]:
    """A token that its client requested with one scope only."""

    @cache
    def ask(name: str, scope: str) -> str:
        answer = ask_cognito(stack, name, scope)
        assert answer.status == 200, answer
        return str(answer.body["access_token"])

    return ask


def ask_cognito(stack: Stack, name: str, scope: str) -> Answer:
    client_id = stack.deployed.outputs[CLIENTS[name]]
    password = f"{client_id}:{stack.deployed.client_secret(client_id)}"
    headers = {
        "Authorization": "Basic " + base64.b64encode(password.encode()).decode(),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope}).encode()
    return exchange("POST", f"{stack.deployed.cloud.url}/oauth2/token", body, headers)


def unpacked(part: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return found


def packed(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def request(api: HttpApi, route: str, account: str, by: str | None) -> Answer:
    """A request that is valid except for its token."""
    if route == CONSUME:
        return api(route, account, by=by, json={"feature": "sticker"})
    return api(route, account, by=by, json=None if route.startswith("GET") else {}, id="pur_0")


def test_the_deployed_routes_are_the_documented_ones(stack: Stack) -> None:
    gateway: ApiGatewayV2Client = client(stack.deployed.cloud, "apigatewayv2")

    deployed = gateway.get_routes(ApiId=stack.deployed.outputs["ApiId"])["Items"]

    pages = {route["RouteKey"] for route in deployed if " /portal" in route["RouteKey"]}
    assert pages == {route for route in functions_by_route() if " /portal" in route}
    assert sorted({route["RouteKey"] for route in deployed} - pages) == sorted(routes())
    open_to_all = {route["RouteKey"] for route in deployed if route["AuthorizationType"] != "JWT"}
    assert open_to_all == {WEBHOOK, *pages}


@pytest.mark.parametrize("route", GUARDED)
def test_requests_without_a_token_are_rejected(api: HttpApi, account: str, route: str) -> None:
    assert request(api, route, account, None).status == 401


@pytest.mark.parametrize("route", GUARDED)
def test_a_token_with_another_signature_has_no_access(api: HttpApi, account: str, route: str) -> None:
    head, claims, signature = api.tokens[str(HOLDER[scope_of(route)])].split(".")
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    forged = f"{head}.{claims}.{signature[:middle]}{other}{signature[middle + 1 :]}"

    assert request(api, route, account, forged).status == 401


def test_a_scope_added_to_a_token_has_no_access(api: HttpApi, account: str) -> None:
    head, claims, signature = api.tokens["service"].split(".")
    raised = packed({**unpacked(claims), "scope": "prepaid/admin prepaid/consume prepaid/read"})
    unsigned = packed({**unpacked(head), "alg": "none"})

    answers = [
        request(api, PUT_ACCOUNT, account, token)
        for token in (f"{head}.{raised}.{signature}", f"{unsigned}.{raised}.", f"{unsigned}.{raised}.{signature}", "x")
    ]

    assert [answer.status for answer in answers] == [401] * 4


@pytest.mark.parametrize("route", GUARDED)
def test_a_token_without_the_scope_is_refused_and_with_it_passes(
    api: HttpApi, narrow: Callable[[str, str], str], account: str, route: str
) -> None:
    wanted = scopes_of(route)
    others = [(name, scope) for name, scopes in HELD.items() for scope in scopes if scope not in wanted]

    refused = [request(api, route, account, narrow(name, scope)) for name, scope in others]
    passed = [request(api, route, account, narrow(str(HOLDER[scope]), scope)) for scope in wanted]

    assert [answer.status for answer in refused] == [403] * len(others)
    assert [answer.status for answer in passed if answer.status in {401, 403}] == []
    assert {answer.code for answer in passed if answer.status == 404} <= NOTHING_OF_THAT_ID


@pytest.mark.parametrize(("name", "scope"), [("service", "prepaid/admin"), ("storefront", "prepaid/consume")])
def test_a_client_gets_no_scope_beyond_its_own(stack: Stack, name: str, scope: str) -> None:
    assert ask_cognito(stack, name, scope).status == 400


def test_the_storefront_cannot_spend(api: HttpApi, account: str) -> None:
    before = api.balance(account)["credits"]

    answer = api(CONSUME, account, by="storefront", json={"feature": "sticker"})

    assert answer.status == 403
    assert api.balance(account)["credits"] == before


def test_a_webhook_needs_a_signature_and_no_token(api: HttpApi) -> None:
    body = b'{"id": "evt_1", "type": "checkout.session.completed", "data": {"object": {"id": "cs_1"}}}'

    answers = [
        api(WEBHOOK, body=body),
        api(WEBHOOK, body=body, by="admin"),
        api(WEBHOOK, body=body, headers={"Stripe-Signature": "t=1,v1=00"}),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(400, "invalid_webhook")] * 3
