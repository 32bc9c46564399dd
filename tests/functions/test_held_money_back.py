"""Refunds and disputes of credits that holds reserve, or that were reversed (rules 13, 15, 16)."""

from datetime import timedelta

import pytest

from prepaid.core.purchase import Purchase
from tests.support.api import HISTORY
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront

MINUTE = timedelta(minutes=1)


def sums(service: Service) -> tuple[int, int, int]:
    """Credits available, held and owed."""
    credits = service.balance()["credits"]
    return credits["available"], credits["held"], credits["owed"]


@pytest.fixture
def granted(storefront: Storefront) -> Purchase:
    """100 credits for 49.90."""
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    return storefront.purchase(purchase)


def test_a_refund_takes_no_held_credits(storefront: Storefront, service: Service, granted: Purchase) -> None:
    captured, released = service.hold(30).body["id"], service.hold(20).body["id"]

    storefront.deliver_all(storefront.refund(granted))

    assert sums(service) == (0, 50, 50)
    assert service.capture(captured).status == 200
    assert sums(service) == (0, 20, 50)
    service.release(released)
    assert sums(service) == (0, 0, 30)


def test_a_refund_that_fails_gives_held_credits_back(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    hold = service.hold(30).body["id"]
    storefront.deliver_all(storefront.refund(granted))

    storefront.deliver_all(storefront.later("refund", "fail_refund"))

    assert sums(service) == (70, 30, 0)
    service.release(hold)
    assert sums(service) == (100, 0, 0)


def test_what_expired_in_a_hold_before_the_refund_is_not_owed(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    ends = granted.lots[0].expires_at
    service.spend(10)
    storefront.clock.now = ends - MINUTE
    captured, released, lapsed = (service.hold(quantity).body["id"] for quantity in (20, 30, 5))
    storefront.clock.now = ends
    service.capture(captured, 15)
    service.release(released)
    storefront.clock.now = ends + timedelta(hours=1)

    storefront.deliver_all(storefront.refund(granted))

    assert sums(service) == (0, 0, 25)
    record = storefront.purchase(granted)
    assert (record.revoked, record.debt, record.expired_unspent) == (100, 25, 75)
    assert [line["type"] for line in service(HISTORY).body["entries"]][:2] == ["refund", "release"]
    assert service.capture(lapsed).code == "hold_lapsed"


def test_held_credits_of_an_ended_lot_are_owed_until_released(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    ends = granted.lots[0].expires_at
    storefront.clock.now = ends - MINUTE
    hold = service.hold(40).body["id"]
    storefront.clock.now = ends

    storefront.deliver_all(storefront.refund(granted))

    assert sums(service) == (0, 40, 40)
    service.release(hold)
    assert sums(service) == (0, 0, 0)


def test_a_reversal_after_the_refund_pays_what_is_owed(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    charge = service.spend(80).body["id"]
    storefront.deliver_all(storefront.refund(granted))
    assert sums(service) == (0, 0, 80)

    first, second = service.reverse(charge, 50).body, service.reverse(charge).body

    assert [(body["credits"], body["owed"], body["draws"]) for body in (first, second)] == [
        (50, -50, []),
        (30, -30, []),
    ]
    assert sums(service) == (0, 0, 0)


def test_a_dispute_won_after_the_reversal_gives_everything_back(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    charge = service.spend(80).body["id"]
    storefront.deliver_all(storefront.dispute(granted))
    service.reverse(charge)
    assert sums(service) == (0, 0, 0)

    storefront.deliver_all(storefront.later("dispute", "close_dispute", "won"))

    assert sums(service) == (100, 0, 0)
