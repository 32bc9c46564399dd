"""Tokens with a valid signature and wrong claims, at a gateway that trusts the tests' own issuer.

Two things can't be tested at the emulator: it verifies every signature as RS256, whatever `alg` says
(tests/stack/test_tokens.py tries `none` and HS256 anyway), and it accepts a token without `exp`.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.stack import Stack
from tests.support.api import BALANCE, CONSUME
from tests.support.contract import routes_of_an_account, smallest_body
from tests.support.over_http import HttpApi, new_account
from tests.support.token_issuer import AUDIENCE, Key, gateway_trusting, new_key, publishing

HOUR = 3_600
SCOPES = "prepaid/admin prepaid/buy prepaid/consume prepaid/read"
# Values of the account claim that name no account. AWS passes every claim as text, the emulator unchanged.
NO_ACCOUNTS: list[Any] = ["", " ", "*", "null", "[]", ".", "\x00", "a" * 5_000, None, False, 0, [], {}]

type Sign = Callable[..., str]


@pytest.fixture(scope="module")
def key() -> Key:
    return new_key("the-issuers")


@pytest.fixture(scope="module")
def issuer(key: Key) -> Iterator[str]:
    with publishing(key) as url:
        yield url


@pytest.fixture(scope="module")
def outside(stack: Stack, issuer: str) -> HttpApi:
    """The service behind the other gateway; each test brings its own token."""
    return HttpApi(gateway_trusting(stack.deployed, issuer), {})


@pytest.fixture(scope="module")
def sign(key: Key, issuer: str) -> Sign:
    """A token with every right for an hour, with the given claims instead; None leaves a claim out."""

    def sign(*, by: Key = key, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": issuer, "aud": AUDIENCE, "sub": "shop", "iat": now - 9, "exp": now + HOUR, "scope": SCOPES}
        return by.token({name: value for name, value in {**claims, **changes}.items() if value is not None})

    return sign


def test_a_token_of_a_second_trusted_issuer_has_access(outside: HttpApi, account: str, sign: Sign) -> None:
    assert outside(BALANCE, account, by=sign()).status == 200
    assert outside(BALANCE, account, by=sign(aud=["others", AUDIENCE], nbf=int(time.time()) - HOUR)).status == 200
    assert outside(CONSUME, account, by=sign(), json={"feature": "sticker"}).status == 201


@pytest.mark.parametrize("seconds", [0, 1, HOUR, 100 * 365 * 24 * HOUR])
def test_an_expired_token_has_no_access(outside: HttpApi, account: str, sign: Sign, seconds: int) -> None:
    token = sign(exp=max(1, int(time.time()) - seconds))

    assert outside(BALANCE, account, by=token).status == 401


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_that_is_not_yet_valid_has_no_access(outside: HttpApi, account: str, sign: Sign, claim: str) -> None:
    assert outside(BALANCE, account, by=sign(**{claim: int(time.time()) + 24 * HOUR})).status == 401


def test_a_token_loses_access_when_it_expires(outside: HttpApi, account: str, sign: Sign) -> None:
    token = sign(exp=int(time.time()) + 3)
    assert outside(BALANCE, account, by=token).status == 200

    time.sleep(4)

    assert outside(BALANCE, account, by=token).status == 401


@pytest.mark.parametrize("name", ["", "https://issuer.example", "{issuer}/", "{issuer}.example", "{upper}"])
def test_a_token_of_another_issuer_has_no_access(
    outside: HttpApi, account: str, sign: Sign, issuer: str, name: str
) -> None:
    issuer_claim = name.format(issuer=issuer, upper=issuer.upper())

    assert outside(BALANCE, account, by=sign(iss=issuer_claim)).status == 401


@pytest.mark.parametrize(
    "audience",
    [None, "", "others", AUDIENCE.upper(), f"{AUDIENCE} ", AUDIENCE[:-1], [], ["others"], [[AUDIENCE]]],
    ids=str,
)
def test_a_token_for_another_audience_has_no_access(outside: HttpApi, account: str, sign: Sign, audience: Any) -> None:
    assert outside(BALANCE, account, by=sign(aud=audience)).status == 401


def test_a_token_signed_with_an_unpublished_key_has_no_access(
    outside: HttpApi, account: str, sign: Sign, key: Key
) -> None:
    another = new_key("nobodys")
    in_its_name = Key(key.kid, another.modulus, another.private)

    for by in (another, in_its_name, Key("", key.modulus, key.private), Key("x", key.modulus, key.private)):
        assert outside(BALANCE, account, by=sign(by=by)).status == 401


def test_each_gateway_rejects_the_others_tokens(api: HttpApi, outside: HttpApi, account: str, sign: Sign) -> None:
    assert api(BALANCE, account, by=sign()).status == 401
    assert outside(BALANCE, account, by=api.tokens["service"]).status == 401


@pytest.mark.parametrize(
    "scope", [None, "", "prepaid", "prepaid/reader", "PREPAID/READ", "prepaid/consume,prepaid/read"]
)
def test_a_scope_similar_to_the_routes_own_has_no_access(
    outside: HttpApi, account: str, sign: Sign, scope: str | None
) -> None:
    assert outside(BALANCE, account, by=sign(scope=scope)).status == 403


@pytest.mark.parametrize("route", routes_of_an_account())
def test_a_signed_token_of_another_account_has_no_access(
    api: HttpApi, outside: HttpApi, sign: Sign, route: str
) -> None:
    """The response equals that for an account that doesn't exist, byte by byte, but for the request's id."""
    mine, theirs = api.open(new_account()), api.open(new_account())
    api.give(5, theirs)
    before = api.balance(theirs)["entry"]

    answers = [
        outside(route, account, by=sign(account_id=mine), json=smallest_body(route), id="pur_" + "0" * 20)
        for account in (theirs, f"{theirs}-is-not-there")
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "account_not_found")] * 2
    assert answers[0].text_of_any_request == answers[1].text_of_any_request
    assert api.balance(theirs)["entry"] == before
    assert outside(BALANCE, mine, by=sign(account_id=mine)).status == 200


@pytest.mark.parametrize("claim", NO_ACCOUNTS, ids=lambda claim: ascii(claim)[:12])
def test_a_signed_token_bound_to_no_account_has_no_access(
    outside: HttpApi, account: str, sign: Sign, key: Key, issuer: str, claim: Any
) -> None:
    claims = {"iss": issuer, "aud": AUDIENCE, "exp": int(time.time()) + HOUR, "scope": SCOPES, "account_id": claim}

    answer = outside(BALANCE, account, by=key.token(claims))

    assert (answer.status, answer.code) == (404, "account_not_found")
