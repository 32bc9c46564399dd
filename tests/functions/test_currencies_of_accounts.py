"""An account buys in one currency: suggestions and purchases are of packs in it."""

from typing import Any

import pytest

from tests.support.api import GET_ACCOUNT, GET_CATALOG, PATCH_ACCOUNT, PUT_ACCOUNT, PUT_CATALOG
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront


def sell(service: Service, *packs: dict[str, Any], keep: bool = True) -> None:
    """Put these packs on sale, after those that are."""
    read = service(GET_CATALOG)
    catalog = read.body
    del catalog["version"]
    catalog["packs"] = [*(catalog["packs"] if keep else []), *packs]
    etag = read.headers["etag"]
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": etag}).status == 200


YEN = {"id": "yen", "credits": 10, "amount": 1000, "currency": "jpy"}


def test_an_account_gets_the_currency_of_the_first_pack(service: Service) -> None:
    sell(service, YEN)
    service.open("first")
    sell(service, YEN, keep=False)
    service.open("second")

    assert [service(GET_ACCOUNT, account).body["currency"] for account in ("first", "second")] == ["brl", "jpy"]


def test_a_suggested_pack_is_in_the_accounts_currency(service: Service) -> None:
    sell(service, YEN)
    service.open("reais")
    service.open("yen", currency="jpy")
    service.open("euros", currency="eur")

    suggested = [service.spend(5, account=account).body["suggested_pack"] for account in ("reais", "yen", "euros")]

    assert suggested == ["credits-50", "yen", None]


def test_an_account_opened_without_packs_follows_the_catalog(service: Service) -> None:
    sell(service, keep=False)
    service.open()
    assert service(GET_ACCOUNT).body["currency"] is None

    sell(service, YEN)

    assert service.spend(5).body["suggested_pack"] == "yen"


def test_a_pack_in_another_currency_is_not_sold(storefront: Storefront, service: Service) -> None:
    sell(service, YEN)
    session = service.manager_session()
    before = service.stored()

    answer = service.buy("yen", session=session)

    assert (answer.status, answer.code, answer.body["currency"]) == (409, "currency_mismatch", "brl")
    assert answer.body["packs"] == ["credits-50", "credits-100", "credits-500", "credits-1000"]
    assert service.stored() == before
    service(PATCH_ACCOUNT, json={"currency": "jpy"})
    assert service.buy("yen", session=session).body["currency"] == "jpy"


@pytest.mark.parametrize("currency", ["BRL", "real", "xyz", "", 1, None])
def test_a_currency_that_stripe_does_not_take(service: Service, currency: Any) -> None:
    answer = service(PUT_ACCOUNT, json={"name": "n", "plan": "none", "currency": currency})

    assert (answer.status, answer.fields) == (422, ["currency"])
    assert service.stored() == {}


def test_a_put_without_a_currency_keeps_it(service: Service) -> None:
    service.open(currency="jpy")
    body = service(GET_ACCOUNT).body
    del body["account"], body["currency"]

    answer = service(PUT_ACCOUNT, json={**body, "name": "Other"})

    assert (answer.status, answer.body["currency"]) == (200, "jpy")
    assert service(GET_ACCOUNT).body["currency"] == "jpy"
