"""API keys: authentication, and the permissions of restricted keys."""

import base64
import json
from collections.abc import Iterator

import pytest
import requests
import stripe

from fake_stripe import keys
from fake_stripe.server import RunningFake
from fake_stripe.tests.support import KEY, Controls, Sdk


@pytest.fixture
def restricted(fake: RunningFake, controls: Controls) -> Iterator[Sdk]:
    controls.post("keys", key="rk_test_selling=checkout_session:write,event:read")
    with requests.Session() as session:
        client = stripe.RequestsClient(session=session)
        yield Sdk(stripe.StripeClient("rk_test_selling", base_addresses={"api": fake.url}, http_client=client))


def test_a_restricted_key_has_its_listed_permissions(restricted: Sdk) -> None:
    session = restricted.session()

    assert restricted.fetched(session).id == session.id
    assert restricted.client.v1.events.list().data == []


def test_a_restricted_key_has_no_other_permissions(restricted: Sdk) -> None:
    with pytest.raises(stripe.PermissionError, match="rak_refund_write") as refusal:
        restricted.client.v1.refunds.create(params={"charge": "ch_x"})

    assert refusal.value.http_status == 403
    assert "rk_test_selling" not in str(refusal.value)


def test_a_read_permission_does_not_include_writing(restricted: Sdk, controls: Controls) -> None:
    controls.post("keys", key="rk_test_selling=customer:read")

    assert restricted.client.v1.customers.list().data == []
    with pytest.raises(stripe.PermissionError, match="rak_customer_write"):
        restricted.client.v1.customers.create(params={"name": "A"})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "You did not provide an API key"),
        ("Bearer ", "You did not provide an API key"),
        ("Basic not-base64", "You did not provide an API key"),
        ("Bearer sk_test_of_somebody_else", "Invalid API Key provided: sk_test_************else"),
        ("Bearer sk_live_12345678901234567890", "Invalid API Key"),
    ],
)
def test_an_unknown_key_gets_401(fake: RunningFake, controls: Controls, header: str | None, message: str) -> None:
    status, _, body = controls.request("GET", "/v1/events", headers={"Authorization": header} if header else {})

    error = json.loads(body)["error"]
    assert (status, error["type"]) == (401, "invalid_request_error")
    assert message in error["message"]


def test_basic_authentication_works(fake: RunningFake, controls: Controls) -> None:
    user = base64.b64encode(f"{KEY}:".encode()).decode()

    assert controls.request("GET", "/v1/events", headers={"Authorization": f"Basic {user}"})[0] == 200


def test_a_restricted_key_without_a_list_cannot_refund() -> None:
    key, permissions = keys.parse("rk_test_shop")

    assert key == "rk_test_shop"
    assert permissions is not None
    assert (permissions["checkout_session"], permissions["refund"]) == ("write", "read")


@pytest.mark.parametrize(
    "text", ["pk_test_x", "sk_live_x", "rk_test_x=refund:admin", "rk_test_x=payout:read", "rk_test x"]
)
def test_a_malformed_key_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"starts with|a permission is"):
        keys.parse(text)
