"""A token that is bound to one account, on every route of the contract that names an account: a new one is covered."""

from typing import Any

import pytest

from tests.support.api import PUT_ACCOUNT
from tests.support.contract import routes_of_an_account, smallest_body
from tests.support.gateway_events import Claims
from tests.support.in_process import Service

# Every scope, so that only the account decides.
SCOPES = "prepaid/admin prepaid/buy prepaid/consume prepaid/read"
# Names that a reader, a file system or a careless comparison could take for the token's own account.
LIKE_ACME = [
    "ACME",
    "Acme",
    "acme ",
    " acme",
    "acme.",
    "acme/",
    "acme%20",
    "acme\x00",
    "acme#",
    "acme,zoo",
    "zoo,acme",
    "./acme",
    "zoo/../acme",
    "..",
    "%2e%2e",
    "аcme",
    "ａcme",
    "acme\u200b",
    "acme\u0301",
    "acme;zoo",
    "acme?x",
    "ACCOUNT#acme",
    "acme" * 16 + "x",
    "",
]


def bound(account: Any) -> Claims:
    claims: dict[str, Any] = {"client_id": "page", "scope": SCOPES, "account_id": account}
    return claims


@pytest.fixture
def town(service: Service) -> Service:
    """acme, to which the tokens are bound, and zoo, the account under attack."""
    service.open("acme", credits=3)
    service.open("zoo", credits=5)
    service.set_code(account="zoo")
    return service


@pytest.mark.parametrize("route", routes_of_an_account())
def test_another_account_looks_exactly_like_a_missing_one(town: Service, route: str) -> None:
    before = town.stored()
    bodies: list[dict[str, Any]] = [{"json": smallest_body(route)}, {"body": "nonsense"}, {"json": {}}]
    others: list[dict[str, Any]] = [{}, {"key": ""}, {"query": {"limit": "x"}}, {"headers": {"if-match": "1"}}]
    for body in bodies:
        for more in others:
            answers = [
                town(route, account, by=bound("acme"), id="pur_" + "0" * 20, **{**body, **more})
                for account in ("zoo", "nobody")
            ]
            assert answers[0] == answers[1]
            assert (answers[0].status, answers[0].code) == (404, "account_not_found")
    assert town.stored() == before


@pytest.mark.parametrize("route", routes_of_an_account())
def test_names_that_look_like_the_tokens_account_are_others(town: Service, route: str) -> None:
    before = town.stored()
    for account in LIKE_ACME:
        answer = town(route, account, json=smallest_body(route), by=bound("acme"), id="pur_0")
        assert answer.status in ({404, 422} if route == PUT_ACCOUNT else {404}), ascii(account)
        answer = town(route, "acme", json=smallest_body(route), by=bound(account), id="pur_0")
        assert answer.status == 404, ascii(account)
    assert town.stored() == before


@pytest.mark.parametrize("claim", [None, True, 1, ["acme"], {"acme": 1}, "[acme]", "null"], ids=str)
@pytest.mark.parametrize("route", routes_of_an_account())
def test_a_malformed_account_claim_has_no_access(town: Service, route: str, claim: Any) -> None:
    assert town(route, "acme", json=smallest_body(route), by=bound(claim)).status == 404
