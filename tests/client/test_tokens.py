"""Tokens by client credentials: requested once, reused, renewed in time, and once more when one is refused."""

import asyncio
import threading
from typing import Any

import pytest

from prepaid_client import AsyncPrepaid, ClientCredentials, Prepaid, Unauthorized, Unavailable
from prepaid_client.tokens import CachedToken, TokenResponse
from tests.support.failing_line import Answered, FailingLine, Lost, NotSent
from tests.support.served import KINDS, Served
from tests.support.token_endpoint import SECRET, TokenEndpoint


def service_of(tokens: TokenEndpoint, secret: str = SECRET) -> ClientCredentials:
    return ClientCredentials(tokens.url, "service", secret)


@pytest.mark.parametrize("kind", KINDS)
def test_one_token_serves_many_requests(shop: Served, tokens: TokenEndpoint, kind: str) -> None:
    def thrice(acme: Any) -> Any:
        if kind == "sync":
            return [acme.get_balance() for _ in range(3)]
        return asyncio.wait_for(_each(acme), 20)

    async def _each(acme: Any) -> Any:
        return [await acme.get_balance() for _ in range(3)]

    balances = shop.ask(kind, thrice, by=service_of(tokens))

    assert [balance.credits.available for balance in balances] == [10, 10, 10]
    assert tokens.given == ["service"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_token_is_renewed_once(shop: Served, tokens: TokenEndpoint, kind: str) -> None:
    refused = Answered(401, content=b'{"message": "Unauthorized"}')
    line = FailingLine([None, refused])

    charge = shop.ask(kind, lambda acme: acme.consume("sticker", key="k"), by=service_of(tokens), line=line)

    assert charge.quantity == 1
    assert tokens.given == ["service"] * 2
    sent = [request.headers["authorization"] for request in line.requests if "idempotency-key" in request.headers]
    assert len(set(sent)) == 2
    assert {request.headers.get("idempotency-key") for request in line.requests} == {"k", None}


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_stays_refused_is_raised(shop: Served, tokens: TokenEndpoint, kind: str) -> None:
    refused = Answered(401, content=b'{"message": "Unauthorized"}')

    with pytest.raises(Unauthorized):
        shop.ask(
            kind,
            lambda acme: acme.get_balance(),
            by=service_of(tokens),
            line=FailingLine([None, refused, None, refused]),
        )

    assert tokens.given == ["service"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_credentials_are_told_at_once(shop: Served, tokens: TokenEndpoint, kind: str) -> None:
    with pytest.raises(Unauthorized, match="refused the client: invalid_client"):
        shop.ask(kind, lambda acme: acme.get_balance(), by=service_of(tokens, "wrong"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_token_is_requested_again(shop: Served, tokens: TokenEndpoint, kind: str) -> None:
    line = FailingLine([NotSent(), Lost(), Answered(503)])

    balance = shop.ask(kind, lambda acme: acme.get_balance(), by=service_of(tokens), line=line)

    assert balance.credits.available == 10


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_token_nothing_happened(shop: Served, tokens: TokenEndpoint, kind: str) -> None:
    with pytest.raises(Unavailable) as raised:
        shop.ask(
            kind,
            lambda acme: acme.consume("sticker", key="k"),
            by=service_of(tokens),
            line=FailingLine([NotSent()], forever=True),
            deadline=0.5,
        )

    assert not raised.value.may_have_happened
    assert raised.value.key == "k"


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_lost_after_a_charge_does_not_hide_the_charge(shop: Served, tokens: TokenEndpoint, kind: str) -> None:
    """The first answer is lost, the second attempt's token is refused, and then there is no new one."""
    faults = [None, Lost(), Answered(401), NotSent()]

    with pytest.raises(Unavailable) as raised:
        shop.ask(
            kind,
            lambda acme: acme.consume("sticker", key="k"),
            by=service_of(tokens),
            line=FailingLine(faults, forever=True),
            deadline=2,
        )

    assert raised.value.may_have_happened


def test_threads_share_one_token(shop: Served, tokens: TokenEndpoint) -> None:
    with Prepaid(shop.url, service_of(tokens), transport=FailingLine()) as client:
        threads = [threading.Thread(target=client.account("acme").get_balance) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert tokens.given == ["service"]


def test_tasks_share_one_token(shop: Served, tokens: TokenEndpoint) -> None:
    async def main() -> None:
        async with AsyncPrepaid(shop.url, service_of(tokens), transport=FailingLine()) as client:
            await asyncio.gather(*(client.account("acme").get_balance() for _ in range(8)))

    asyncio.run(main())

    assert tokens.given == ["service"]


@pytest.mark.parametrize(("life", "kept"), [(3600, 3540), (100, 50), (1, 0.5)])
def test_a_token_is_renewed_before_it_expires(life: int, kept: float) -> None:
    token = CachedToken()
    token.keep(TokenResponse(access_token="one", expires_in=life), now=1000)

    assert token.get(1000 + kept - 0.01, None) == "one"
    assert token.get(1000 + kept, None) is None
    assert token.get(1000, "one") is None


def test_no_secret_is_printed(tokens: TokenEndpoint) -> None:
    credentials = service_of(tokens)
    with Prepaid("https://localhost", credentials) as client:
        texts = [repr(value) for value in (credentials, client, client.transport, vars(client.transport))]

    assert SECRET not in "".join(texts)


def test_the_environment_names_the_client(shop: Served, tokens: TokenEndpoint) -> None:
    environment = {
        "PREPAID_URL": shop.url,
        "PREPAID_TOKEN_URL": tokens.url,
        "PREPAID_CLIENT_ID": "service",
        "PREPAID_CLIENT_SECRET": SECRET,
    }

    with Prepaid.from_env(environment) as client:
        available = client.account("acme").get_balance().credits.available

    assert available == 10
    with pytest.raises(KeyError, match="PREPAID_URL"):
        Prepaid.from_env({})
