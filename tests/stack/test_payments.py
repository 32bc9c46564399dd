"""A purchase becomes exactly one lot when its money is there, however its events travel."""

from collections.abc import Callable
from typing import Any

import pytest

from local.demo import Shop
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import SESSION_EVENT, StackStorefront

COMPLETED = f"{SESSION_EVENT}completed"
PAID_LATER = f"{SESSION_EVENT}async_payment_succeeded"


@pytest.fixture
def account(api: HttpApi) -> str:
    return api.open(new_account())


@pytest.fixture
def shop(storefront: StackStorefront, account: str) -> Shop:
    """A purchase of 50 credits that waits for its payment."""
    return storefront.order(account, "credits-50")


@pytest.fixture
def granted(api: HttpApi, storefront: StackStorefront, account: str, shop: Shop) -> Callable[[], bool]:
    """Wait for all deliveries, then check that balance and history have exactly one lot, or none."""

    def is_granted() -> bool:
        storefront.drain()
        lots = api.balance(account)["credits"]["lots"]
        lines = api.history(account, type="purchase")
        assert (storefront.state(account, shop) == "granted") == bool(lots)
        assert [(lot["kind"], lot["granted"]) for lot in lots] in ([], [("purchase", 50)])
        assert [(line["purchase"], line["lot"], line["credits"]) for line in lines] == [
            (shop.purchase, lot["lot"], 50) for lot in lots
        ]
        return bool(lots)

    return is_granted


def answered(storefront: StackStorefront, shop: Shop) -> list[tuple[Any, Any]]:
    """The deliveries about the purchase, with the service's responses, in order."""
    return [(delivery["type"], delivery["status"]) for delivery in storefront.deliveries(shop)]


@pytest.mark.parametrize("method", ["pix", "boleto"])
def test_pix_and_boleto_grant_once_they_are_paid(
    storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool], method: str
) -> None:
    waiting = storefront.press(shop, method)

    assert 'class="notice waiting"' in waiting
    assert not granted()
    assert storefront.state(account, shop) == "pending"

    paid = storefront.press(shop, "paid")

    assert 'class="notice paid"' in paid
    assert granted()
    assert answered(storefront, shop) == [(COMPLETED, 200), (PAID_LATER, 200)]


@pytest.mark.parametrize("method", ["pix", "boleto"])
def test_pix_and_boleto_that_fail_grant_nothing(
    storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool], method: str
) -> None:
    storefront.session(shop, "confirm", method=method)
    storefront.session(shop, "fail")

    assert not granted()
    assert storefront.state(account, shop) == "failed"


def test_a_declined_card_grants_nothing_and_a_second_one_does(
    storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.session(shop, "pay", method="card", card="4000000000000002")

    assert not granted()
    assert storefront.state(account, shop) == "open"

    storefront.session(shop, "pay", method="card")

    assert granted()


def test_a_purchase_that_expires_grants_nothing(
    storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.session(shop, "expire")

    assert not granted()
    assert storefront.state(account, shop) == "expired"


@pytest.mark.parametrize("method", ["card", "pix"])
def test_a_purchase_that_reads_expired_is_granted_when_it_is_paid(
    storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool], method: str
) -> None:
    storefront.session(shop, "expire")
    storefront.drain()
    assert storefront.state(account, shop) == "expired"

    storefront.session(shop, "pay_after_expiry", method=method)

    assert granted()


def test_a_failed_payment_that_is_paid_later_is_granted(
    storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.session(shop, "confirm", method="pix")
    storefront.session(shop, "fail")
    storefront.drain()
    assert storefront.state(account, shop) == "failed"

    storefront.session(shop, "pay_after_expiry", method="pix")

    assert granted()


def test_simultaneous_deliveries_grant_once(
    storefront: StackStorefront, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.control("webhooks", concurrency=3)
    storefront.control("webhooks/duplicate", next=4, copies=5)

    storefront.session(shop, "pay", method="card")

    assert granted()
    assert answered(storefront, shop) == [(COMPLETED, 200)] * 6


def test_events_in_reverse_order_grant_once(
    storefront: StackStorefront, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.control("webhooks/reorder", hold=100)
    storefront.session(shop, "confirm", method="pix")
    storefront.session(shop, "pay")

    storefront.control("webhooks/release")

    assert granted()
    assert answered(storefront, shop) == [(PAID_LATER, 200), (COMPLETED, 200)]


def test_a_late_expiry_takes_nothing_back(
    storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.control("webhooks/reorder", hold=100)
    storefront.session(shop, "expire")
    storefront.session(shop, "pay_after_expiry", method="card")

    storefront.control("webhooks/release")

    assert granted()
    assert [kind for kind, _ in answered(storefront, shop)][-1] == f"{SESSION_EVENT}expired"


def test_a_delayed_event_grants_on_arrival(
    api: HttpApi, storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.control("webhooks", delay_seconds=2)

    storefront.session(shop, "pay", method="card")

    assert api.balance(account)["credits"]["available"] == 0
    assert granted()


def test_a_lost_event_redelivered_repeatedly_grants_once(
    api: HttpApi, storefront: StackStorefront, account: str, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.control("webhooks/lose", next=4)
    storefront.session(shop, "pay", method="card")
    assert not granted()
    assert answered(storefront, shop) == [(COMPLETED, None)]

    for _ in range(3):
        storefront.control(f"events/{next(iter(storefront.events(shop)))}/redeliver")

    assert granted()
    assert answered(storefront, shop)[1:] == [(COMPLETED, 200)] * 3


def test_two_different_events_of_one_payment_grant_once(
    storefront: StackStorefront, shop: Shop, granted: Callable[[], bool]
) -> None:
    storefront.session(shop, "confirm", method="pix")
    storefront.session(shop, "pay")
    storefront.drain()

    storefront.control("webhooks", concurrency=3)
    for event in storefront.events(shop):
        storefront.control(f"events/{event}/redeliver")

    assert granted()
    assert sorted(answered(storefront, shop)) == [(PAID_LATER, 200)] * 2 + [(COMPLETED, 200)] * 2


def test_an_event_is_retried_while_stripe_does_not_respond(
    storefront: StackStorefront, shop: Shop, granted: Callable[[], bool]
) -> None:
    # The service's own client asks twice.
    storefront.control("api", next=2, status=500)

    storefront.session(shop, "pay", method="card")

    assert granted()
    assert answered(storefront, shop) == [(COMPLETED, 503), (COMPLETED, 200)]


def test_two_purchases_of_one_account_are_two_lots(api: HttpApi, storefront: StackStorefront, account: str) -> None:
    shops = [storefront.order(account, pack) for pack in ("credits-50", "credits-100")]

    for shop in shops:
        storefront.session(shop, "pay", method="card")
    storefront.drain()

    balance = api.balance(account)["credits"]
    assert balance["available"] == 150
    assert sorted(lot["granted"] for lot in balance["lots"]) == [50, 100]
