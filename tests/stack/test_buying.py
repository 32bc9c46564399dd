"""A person buys: the manager's code, a purchase, the payment page, credits; and the money goes back."""

import json
from typing import Any

import pytest

from local.demo import CODE
from local.deploy import client
from local.stack import Stack
from tests.support.api import MANAGER_CODE, PURCHASE, PURCHASES, new_key
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import StackStorefront


@pytest.fixture
def account(api: HttpApi, storefront: StackStorefront) -> str:
    account = api.open(new_account())
    storefront.set_code(account)
    return account


def reconcile(stack: Stack) -> Any:
    """Run the function as its schedule does."""
    name = stack.deployed.resources["ReconcileFunction"]
    answer = client(stack.deployed.cloud, "lambda").invoke(FunctionName=name, Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    return json.loads(answer["Payload"].read())


def test_a_purchase_runs_from_the_code_to_a_full_refund(
    api: HttpApi, storefront: StackStorefront, account: str
) -> None:
    wrong, opened = api.try_code("115599", account), api.try_code(CODE, account)
    assert (wrong.status, wrong.code, opened.status) == (403, "wrong_code", 201)

    key, session = new_key(), opened.body["manager_session"]
    bought = api.buy("credits-100", account, session=session, key=key)
    assert (bought.status, bought.body["state"], bought.replayed) == (201, "open", False)
    again = api.buy("credits-100", account, session="", key=key)
    assert (again.status, again.text, again.replayed) == (201, bought.text, True)
    used = api.buy("credits-100", account, session=session)
    assert (used.status, used.code) == (403, "manager_session_invalid")

    shop = storefront.shop_of(bought.body)
    waiting = storefront.press(shop, "pix")
    assert 'class="notice waiting"' in waiting
    storefront.drain()
    assert api(PURCHASE, account, id=shop.purchase).body["state"] == "pending"
    assert 'class="notice paid"' in storefront.press(shop, "paid")
    storefront.drain()
    shown = api(PURCHASE, account, id=shop.purchase).body
    [lot] = api.balance(account)["credits"]["lots"]
    assert (shown["state"], shown["lot"], shown["expires_at"]) == ("granted", lot["lot"], lot["expires_at"])
    assert [purchase["id"] for purchase in api(PURCHASES, account).body["purchases"]] == [shop.purchase]

    api.spend(80, account=account)
    storefront.session(shop, "refund")
    storefront.drain()
    balance = api.balance(account)["credits"]
    assert (balance["available"], balance["owed"]) == (0, 80)
    shown = api(PURCHASE, account, id=shop.purchase).body
    assert (shown["state"], shown["refunded_amount"], shown["revoked_credits"]) == ("refunded", 4990, 100)

    second = storefront.order(account, "credits-100")
    storefront.press(second, "card")
    storefront.drain()
    balance = api.balance(account)["credits"]
    assert (balance["available"], balance["owed"]) == (20, 0)
    assert [(line["type"], line["credits"], line["owed"]) for line in api.history(account)] == [
        ("purchase", 20, -80),
        ("refund", -20, 80),
        ("consumption", -80, 0),
        ("purchase", 100, 0),
        ("plan_change", 0, 0),
    ]


def test_a_dispute_takes_credits_and_a_win_returns_them(
    api: HttpApi, storefront: StackStorefront, account: str
) -> None:
    shop = storefront.order(account, "credits-100")
    storefront.session(shop, "pay", method="card")
    dispute = storefront.session(shop, "dispute")
    storefront.drain()
    assert (storefront.state(account, shop), api.balance(account)["credits"]["available"]) == ("disputed", 0)

    storefront.control(f"disputes/{dispute['id']}/won")
    storefront.drain()

    assert (storefront.state(account, shop), api.balance(account)["credits"]["available"]) == ("granted", 100)
    assert [line["type"] for line in api.history(account)][:2] == ["dispute", "dispute"]


def test_reconciliation_grants_what_the_webhook_missed(
    api: HttpApi, storefront: StackStorefront, stack: Stack, account: str
) -> None:
    paid, refunded = storefront.order(account, "credits-50"), storefront.order(account, "credits-100")
    storefront.session(refunded, "pay", method="card")
    storefront.drain()
    storefront.control("webhooks/stop")
    storefront.session(paid, "pay", method="card")
    storefront.session(refunded, "refund", amount=2495)
    lost = storefront.control("webhooks/start", discard=True)["discarded"]
    storefront.drain()
    assert lost > 0
    assert api.balance(account)["credits"]["available"] == 100

    answers = [reconcile(stack), reconcile(stack)]

    assert [(answer["healed"], answer["quarantined"], answer["failed"], answer["finished"]) for answer in answers] == [
        (2, 0, 0, True),
        (0, 0, 0, True),
    ]
    assert api.balance(account)["credits"]["available"] == 100
    assert (storefront.state(account, paid), storefront.state(account, refunded)) == ("granted", "partially_refunded")


def test_a_retry_after_an_outage_of_stripe_continues(api: HttpApi, storefront: StackStorefront, account: str) -> None:
    session = api.manager_session(account, CODE)
    # The service's client for Stripe tries twice. The client of these tests retries while the response says so.
    storefront.control("api", next=2, status=500)

    bought = api.buy("credits-50", account, session=session)

    assert (bought.status, bought.replayed) == (201, True)
    assert len(api(PURCHASES, account).body["purchases"]) == 1


def test_the_current_code_changes_it_and_wrong_codes_lock_it(api: HttpApi, account: str) -> None:
    unknown = api(MANAGER_CODE, account, json={"code": "830164"}, by="storefront")
    changed = api.set_code("830164", account, current=CODE)
    tries = [api.try_code(CODE, account) for _ in range(5)]
    right = api.try_code("830164", account)
    unlocked = api.set_code(CODE, account)

    assert (unknown.status, unknown.code, changed.status) == (403, "forbidden", 204)
    assert [attempt.body["tries_left"] for attempt in tries] == [4, 3, 2, 1, 0]
    assert (right.status, right.code) == (429, "code_locked")
    assert 0 < int(right.headers["retry-after"]) <= 60
    assert unlocked.status == 204
    assert api.try_code(CODE, account).status == 201
