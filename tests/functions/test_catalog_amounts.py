"""A pack that nobody could pay for never comes on sale."""

from typing import Any

import pytest

from tests.support.api import GET_CATALOG, PUT_CATALOG, Answer
from tests.support.gateway_events import ADMIN
from tests.support.in_process import Service


def put(service: Service, **change: Any) -> Answer:
    """The catalog with its second pack changed."""
    catalog = service(GET_CATALOG).body
    catalog.pop("version")
    catalog["packs"][1] |= change
    return service(PUT_CATALOG, json=catalog, headers={"if-match": "1"}, by=ADMIN)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"amount": 49}, "packs.1.amount", "must be at least 50 minor units, which is 0.50 BRL"),
        ({"amount": 49, "currency": "jpy"}, "packs.1.amount", "must be at least 50 minor units, which is 50 JPY"),
        ({"amount": 995, "currency": "mxn"}, "packs.1.amount", "must be at least 1000 minor units, which is 10.00 MXN"),
        ({"amount": 4995, "currency": "kwd"}, "packs.1.amount", "must be a multiple of 10 minor units in kwd"),
        ({"currency": "zzz"}, "packs.1.currency", "is not supported by Stripe"),
    ],
)
def test_an_unpayable_pack_is_rejected_with_field_and_reason(
    service: Service, change: dict[str, Any], field: str, reason: str
) -> None:
    answer = put(service, **change)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert answer.body["errors"] == [{"field": field, "message": reason}]
    assert service.stored() == {}


@pytest.mark.parametrize("currency", ["BRL", "br", "brls", "R$", "", None])
def test_a_currency_is_three_lower_case_letters(service: Service, currency: Any) -> None:
    assert put(service, currency=currency).fields == ["packs.1.currency"]
    assert service.stored() == {}


def test_the_cheapest_payable_pack_is_accepted(service: Service) -> None:
    answer = put(service, amount=50, currency="usd")
    assert (answer.status, answer.body["version"]) == (200, 2)


def test_allowing_cheap_small_packs_does_not_make_them_payable(service: Service) -> None:
    catalog = service(GET_CATALOG).body
    catalog.pop("version")
    catalog["packs"][0]["amount"] = 49
    answer = service(
        PUT_CATALOG, json=catalog | {"allow_cheaper_small_packs": True}, headers={"if-match": "1"}, by=ADMIN
    )
    assert answer.fields == ["packs.0.amount"]


def test_a_retired_pack_keeps_an_unpayable_price(service: Service) -> None:
    assert put(service, amount=1, currency="zzz", active=False).status == 200
