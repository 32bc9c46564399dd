"""Purchases of every account by their state, from the index of the deployed table."""

from collections import defaultdict
from typing import get_args

from prepaid.core.purchase import PurchaseState
from tests.support.api import PURCHASES_BY_STATE, Answer
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import StackStorefront
from tests.support.store_driver import stored


def pages(api: HttpApi, state: str) -> list[Answer]:
    """Every page of a state, newest first."""
    found = [api(PURCHASES_BY_STATE, query={"state": state})]
    while cursor := found[-1].body["next_cursor"]:
        found.append(api(PURCHASES_BY_STATE, query={"state": state, "cursor": cursor}))
    assert [page.status for page in found] == [200] * len(found)
    return found


def listed(api: HttpApi, state: str) -> list[tuple[str, str]]:
    """Account and id of each purchase listed in a state; each shows that state."""
    purchases = [purchase for page in pages(api, state) for purchase in page.body["purchases"]]
    assert {purchase["state"] for purchase in purchases} <= {state}
    return [(purchase["account"], purchase["id"]) for purchase in purchases]


def test_a_purchase_is_listed_in_its_newest_state_only(api: HttpApi, storefront: StackStorefront) -> None:
    first, other = api.open(new_account()), api.open(new_account())
    paid, refunded, waiting = (storefront.order(account) for account in (first, other, first))
    assert listed(api, "open")[:3] == [(first, waiting.purchase), (other, refunded.purchase), (first, paid.purchase)]

    for shop in (paid, refunded):
        storefront.session(shop, "pay", method="card")
    storefront.session(refunded, "refund")
    storefront.session(waiting, "confirm", method="pix")
    storefront.drain()

    ours = {first, other}
    found = {
        state: [purchase for purchase in listed(api, state) if purchase[0] in ours] for state in get_args(PurchaseState)
    }
    assert {state: purchases for state, purchases in found.items() if purchases} == {
        "granted": [(first, paid.purchase)],
        "refunded": [(other, refunded.purchase)],
        "pending": [(first, waiting.purchase)],
    }


def test_the_lists_hold_every_purchase_once(api: HttpApi, storefront: StackStorefront) -> None:
    account = api.open(new_account())
    ordered = [storefront.order(account) for _ in range(51)]
    storefront.drain()

    in_table: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for (_, sort), item in stored(storefront.table()).items():
        if sort.startswith("PURCHASE#"):
            in_table[item["state"]["S"]].append((item["account"]["S"], item["id"]["S"]))

    assert {state: listed(api, state) for state in get_args(PurchaseState)} == {
        state: sorted(in_table[state], key=lambda purchase: purchase[1], reverse=True)
        for state in get_args(PurchaseState)
    }
    assert len(pages(api, "open")) > 1
    assert len(in_table["open"]) >= len(ordered)
