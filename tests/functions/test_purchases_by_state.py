"""Purchases by their state: of one account, and of all accounts for an administrator."""

from typing import Any

import pytest

from tests.support.api import CANCEL, PURCHASES, PURCHASES_BY_STATE
from tests.support.gateway_events import caller
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront


def listed(service: Service, state: str) -> list[tuple[str, str]]:
    """Account and id of the purchases in a state, page by page."""
    query, found = {"state": state}, []
    while True:
        answer = service(PURCHASES_BY_STATE, None, query=query)
        assert answer.status == 200, answer
        found += [(purchase["account"], purchase["id"]) for purchase in answer.body["purchases"]]
        if answer.body["next_cursor"] is None:
            return found
        query = {"state": state, "cursor": answer.body["next_cursor"]}


def of_account(service: Service, **query: str) -> list[str]:
    return [purchase["id"] for purchase in service(PURCHASES, query=query).body["purchases"]]


def test_each_change_of_state_moves_a_purchase(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    assert listed(service, "open") == [("acme", purchase.id)]

    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))
    assert (listed(service, "open"), listed(service, "pending")) == ([], [("acme", purchase.id)])

    storefront.deliver_all(storefront.happen(purchase, "pay", "pix"))
    assert (listed(service, "pending"), listed(service, "granted")) == ([], [("acme", purchase.id)])

    storefront.deliver_all(storefront.refund(purchase))
    assert (listed(service, "granted"), listed(service, "refunded")) == ([], [("acme", purchase.id)])


def test_purchases_of_all_accounts_are_listed_newest_first(storefront: Storefront, service: Service) -> None:
    service.open("zoo")
    service.set_code(account="zoo")
    first, second, third = storefront.buy(), storefront.buy(account="zoo"), storefront.buy()
    ids = sorted([("acme", first.id), ("zoo", second.id), ("acme", third.id)], key=lambda pair: pair[1], reverse=True)

    assert listed(service, "open") == ids
    assert service(CANCEL, id=first.id).status == 200
    assert ("acme", first.id) in listed(service, "cancelled")
    assert ("acme", first.id) not in listed(service, "open")


def test_pages_together_hold_each_purchase_once(storefront: Storefront, service: Service) -> None:
    sold = [storefront.sell() for _ in range(103)]

    found = listed(service, "open")

    assert sorted(id_ for _, id_ in found) == sorted(purchase.id for purchase in sold)


def test_an_account_lists_its_purchases_in_a_state(storefront: Storefront, service: Service) -> None:
    granted, open_still = storefront.buy(), storefront.buy()
    storefront.deliver_all(storefront.pay(granted))

    assert of_account(service, state="granted") == [granted.id]
    assert of_account(service, state="open") == [open_still.id]
    assert of_account(service, state="failed") == []
    assert set(of_account(service)) == {granted.id, open_still.id}


def test_pages_of_an_accounts_state_hold_each_once(storefront: Storefront, service: Service) -> None:
    for number in range(90):
        storefront.sell(state="failed" if number % 3 else "open")
    query, found = {"state": "failed"}, []

    while True:
        body = service(PURCHASES, query=query).body
        found += [purchase["id"] for purchase in body["purchases"]]
        assert len(body["purchases"]) <= 50
        if body["next_cursor"] is None:
            break
        query = {"state": "failed", "cursor": body["next_cursor"]}

    assert len(found) == len(set(found)) == 60


@pytest.mark.parametrize("query", [{}, {"state": ""}, {"state": "Open"}, {"state": "open,paid"}])
def test_an_unknown_state_is_rejected(service: Service, query: dict[str, str]) -> None:
    answer = service(PURCHASES_BY_STATE, None, query=query)

    assert (answer.status, answer.fields) == (422, ["state"])


def test_a_cursor_is_for_its_state_only(storefront: Storefront, service: Service) -> None:
    for _ in range(51):
        storefront.sell()
    cursor = service(PURCHASES_BY_STATE, None, query={"state": "open"}).body["next_cursor"]

    for route, account in ((PURCHASES_BY_STATE, None), (PURCHASES, "acme")):
        answer = service(route, account, query={"state": "paid", "cursor": cursor})
        assert (answer.status, answer.code) == (400, "invalid_cursor")


def test_a_token_of_one_account_sees_no_others(storefront: Storefront, service: Service) -> None:
    bound: Any = caller(account="acme", scope="prepaid/admin")

    answer = service(PURCHASES_BY_STATE, None, query={"state": "open"}, by=bound)

    assert (answer.status, answer.code) == (403, "forbidden")


def test_a_list_of_purchases_writes_nothing(storefront: Storefront, service: Service) -> None:
    storefront.buy()
    before = service.stored()

    listed(service, "open")

    assert service.stored() == before
