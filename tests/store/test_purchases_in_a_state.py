"""The index of purchases by state, on AWS's own emulator: every state, pages, all accounts."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from prepaid.core.purchase import PurchaseState
from prepaid.store import keys
from prepaid.store.dynamodb import Table
from prepaid.store.purchases import NEWEST_PURCHASE, read_purchases_in, save_purchase
from tests.support.core_builders import a_payment_status
from tests.support.store_driver import StoreDriver, a_purchase
from tests.support.wire import Wire, first

ACCOUNTS = ("acme", "zoo", "idle")


@pytest.fixture
def table(table_on_dynamodb_local: Table) -> Table:
    return table_on_dynamodb_local


def listed(driver: StoreDriver, state: PurchaseState, *, limit: int = 50) -> list[list[str]]:
    """The ids of the purchases in a state, page by page."""
    pages: list[list[str]] = []
    before: str | None = NEWEST_PURCHASE
    while before is not None:
        purchases, before = read_purchases_in(driver.table, state, before=before, limit=limit)
        pages.append([purchase.id for purchase in purchases])
    return pages


def ids(count: int) -> list[str]:
    """Of purchases, oldest first."""
    return [f"pur_{number:020x}" for number in range(count)]


def buy(driver: StoreDriver, count: int) -> None:
    """Open purchases of all accounts in turn."""
    for account in ACCOUNTS:
        driver.open(account)
    for number, id_ in enumerate(ids(count)):
        driver.record(a_purchase(id_, ACCOUNTS[number % len(ACCOUNTS)]))


def test_pages_hold_each_purchase_of_every_account_once(driver: StoreDriver) -> None:
    buy(driver, 11)
    newest_first = ids(11)[::-1]

    assert listed(driver, "open", limit=4) == [newest_first[:4], newest_first[4:8], newest_first[8:]]
    # A page that is just full is the last one.
    assert listed(driver, "open", limit=11) == [newest_first]
    assert listed(driver, "paid") == [[]]


def test_a_purchase_is_listed_in_the_state_that_it_has(driver: StoreDriver) -> None:
    buy(driver, 3)
    paid, failed, waiting = ids(3)
    moves: list[tuple[str, str, dict[str, Any], PurchaseState]] = [
        (failed, "zoo", {"progress": "payment_failed", "payment": None}, "failed"),
        (waiting, "idle", {"progress": "awaiting_payment", "payment": None}, "pending"),
        (paid, "acme", {}, "granted"),
        (paid, "acme", {"disputed": 4990}, "disputed"),
        (paid, "acme", {}, "granted"),
        (paid, "acme", {"refunded": 2495}, "partially_refunded"),
        (paid, "acme", {"refunded": 4990}, "refunded"),
    ]
    states: dict[str, PurchaseState] = dict.fromkeys(ids(3), "open")

    for id_, account, change, state in moves:
        purchase = driver.purchase(id_, account)
        status = a_payment_status("paid", purchase)
        driver.receive(replace(status, **change))
        states[id_] = state

        for each in get_args(PurchaseState):
            assert listed(driver, each) == [sorted((id_ for id_ in states if states[id_] == each), reverse=True)]


def test_a_purchase_that_leaves_the_state_meanwhile_is_left_out(driver: StoreDriver, wire: Wire) -> None:
    buy(driver, 3)
    oldest, middle, newest = ids(3)

    def leave() -> None:
        purchase = driver.purchase(middle, "zoo")
        save_purchase(driver.table, replace(purchase, state="failed", version=purchase.version + 1))

    wire.plan("BatchGetItem", first(leave))

    assert listed(driver, "open") == [[newest, oldest]]


def test_the_index_has_purchases_only_and_no_more_than_their_keys(driver: StoreDriver) -> None:
    buy(driver, 2)
    driver.receive(a_payment_status("paid", driver.purchase(ids(2)[0])))

    [page] = driver.table.client.get_paginator("scan").paginate(
        TableName=driver.table.name, IndexName=keys.PURCHASES_BY_STATE
    )

    assert sorted((item["listed_as"]["S"], item["id"]["S"]) for item in page["Items"]) == [
        (keys.purchases_in("granted"), ids(2)[0]),
        (keys.purchases_in("open"), ids(2)[1]),
    ]
    assert {frozenset(item) for item in page["Items"]} == {frozenset({"PK", "SK", "listed_as", "id"})}
