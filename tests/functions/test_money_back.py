"""Refunds and disputes after the grant: their events in any order, twice, and before the grant too."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prepaid.core.purchase import Purchase
from tests.support.api import HISTORY, PURCHASE
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.store_driver import types
from tests.support.stripe_purchases import Json, Storefront

type Happens = Callable[[Storefront, Purchase], list[Json]]


def refund(amount: int | None = None, status: str = "succeeded") -> Happens:
    return lambda storefront, purchase: storefront.refund(purchase, amount, status)


def dispute(**named: Any) -> Happens:
    return lambda storefront, purchase: storefront.dispute(purchase, **named)


def later(kind: str, what: str, *more: Any, **named: Any) -> Happens:
    return lambda storefront, _: storefront.later(kind, what, *more, **named)


REFUND_FAILS = later("refund", "fail_refund")
REFUND_CANCELLED = later("refund", "cancel_refund")
REFUND_SUCCEEDS = later("refund", "succeed_refund")
WON = later("dispute", "close_dispute", "won")
LOST = later("dispute", "close_dispute", "lost")
REVIEWED = later("dispute", "submit_evidence", {}, submit=True)
WITHDRAWN = later("dispute", "withdraw_funds")
REINSTATED = later("dispute", "reinstate_funds")

# 4990 centavos for 100 credits, none of them spent. Each step of a sequence: what happens, the purchase's state after
# it, the credits left, and the entries written.
SEQUENCES: dict[str, list[tuple[Happens, str, int, list[str]]]] = {
    "whole refund": [(refund(), "refunded", 0, ["refund"])],
    "half a refund": [(refund(2495), "partially_refunded", 50, ["refund"])],
    "a centavo": [(refund(1), "partially_refunded", 100, [])],
    "all but a centavo": [(refund(4989), "partially_refunded", 1, ["refund"])],
    "pending counts": [
        (refund(2495, "pending"), "partially_refunded", 50, ["refund"]),
        (REFUND_SUCCEEDS, "partially_refunded", 50, []),
    ],
    "pending fails": [
        (refund(2495, "pending"), "partially_refunded", 50, ["refund"]),
        (REFUND_FAILS, "granted", 100, ["refund"]),
    ],
    "pending is cancelled": [
        (refund(2495, "pending"), "partially_refunded", 50, ["refund"]),
        (REFUND_CANCELLED, "granted", 100, ["refund"]),
    ],
    "waits for the customer, is cancelled": [
        (refund(None, "requires_action"), "refunded", 0, ["refund"]),
        (REFUND_CANCELLED, "granted", 100, ["refund"]),
    ],
    "one of two is cancelled": [
        (refund(1000), "partially_refunded", 80, ["refund"]),
        (refund(2000, "requires_action"), "partially_refunded", 40, ["refund"]),
        (REFUND_CANCELLED, "partially_refunded", 80, ["refund"]),
    ],
    "fails at once": [(refund(2495, "failed"), "granted", 100, [])],
    "fails days later": [(refund(), "refunded", 0, ["refund"]), (REFUND_FAILS, "granted", 100, ["refund"])],
    "three parts": [
        (refund(1000), "partially_refunded", 80, ["refund"]),
        (refund(1000), "partially_refunded", 60, ["refund"]),
        (refund(), "refunded", 0, ["refund"]),
    ],
    "the last of two fails": [
        (refund(1000), "partially_refunded", 80, ["refund"]),
        (refund(2000), "partially_refunded", 40, ["refund"]),
        (REFUND_FAILS, "partially_refunded", 80, ["refund"]),
    ],
    # 17, 34, 51, 68 and 100 centavos: a third of a credit, two thirds, one, one and a third, two.
    "rounding adds up": [
        (refund(17), "partially_refunded", 100, []),
        (refund(17), "partially_refunded", 100, []),
        (refund(17), "partially_refunded", 99, ["refund"]),
        (refund(17), "partially_refunded", 99, []),
        (refund(32), "partially_refunded", 98, ["refund"]),
    ],
    "dispute won": [
        (dispute(), "disputed", 0, ["dispute"]),
        (REVIEWED, "disputed", 0, []),
        (WON, "granted", 100, ["dispute"]),
    ],
    "dispute lost": [(dispute(), "disputed", 0, ["dispute"]), (LOST, "disputed", 0, [])],
    "dispute, funds withdrawn later": [
        (dispute(withdraw=False), "disputed", 0, ["dispute"]),
        (WITHDRAWN, "disputed", 0, []),
        (WON, "granted", 100, ["dispute"]),
    ],
    "won, reinstated later": [
        (dispute(), "disputed", 0, ["dispute"]),
        (later("dispute", "close_dispute", "won", reinstate=False), "granted", 100, ["dispute"]),
        (REINSTATED, "granted", 100, []),
    ],
    "an inquiry moves nothing": [(dispute(inquiry=True), "granted", 100, []), (WON, "granted", 100, [])],
    "half a dispute": [(dispute(amount=2495), "disputed", 50, ["dispute"]), (WON, "granted", 100, ["dispute"])],
    "dispute upon refund": [
        (refund(2495), "partially_refunded", 50, ["refund"]),
        (dispute(amount=2495), "disputed", 0, ["dispute"]),
        (WON, "partially_refunded", 50, ["dispute"]),
    ],
    "more than everything": [
        (refund(2495), "partially_refunded", 50, ["refund"]),
        (dispute(), "disputed", 0, ["dispute"]),
        (WON, "partially_refunded", 50, ["dispute"]),
        (REFUND_FAILS, "granted", 100, ["refund"]),
    ],
    "refund fails under a dispute": [
        (refund(2495), "partially_refunded", 50, ["refund"]),
        (dispute(), "disputed", 0, ["dispute"]),
        (REFUND_FAILS, "disputed", 0, []),
        (LOST, "disputed", 0, []),
    ],
    "two disputes": [
        (dispute(amount=1000), "disputed", 80, ["dispute"]),
        (dispute(amount=1000), "disputed", 60, ["dispute"]),
        (WON, "disputed", 80, ["dispute"]),
    ],
}


@pytest.fixture
def granted(storefront: Storefront) -> Purchase:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    return storefront.purchase(purchase)


@pytest.fixture(autouse=True)
def _nothing_quarantined(output: Output) -> Iterator[None]:
    yield
    assert output.metric("PurchaseQuarantined") == []


def check(storefront: Storefront, purchase: Purchase, state: str, available: int) -> None:
    """The record, the response about it and the balance agree; the history adds up."""
    shown = storefront.service(PURCHASE, purchase.account, id=purchase.id).body
    assert (shown["state"], storefront.purchase(purchase).state) == (state, state)
    credits = storefront.service.balance(purchase.account)["credits"]
    assert (credits["available"], credits["owed"]) == (available, 0)
    assert shown["revoked_credits"] == 100 - available
    lines = storefront.service(HISTORY, purchase.account).body["entries"]
    assert sum(line["credits"] for line in lines) == available == lines[0]["balance_after"]
    assert sum(line["owed"] for line in lines) == 0
    for line in lines:
        if line["type"] in {"refund", "dispute"}:
            assert (line["purchase"], line["source"], line["actor"]) == (purchase.id, "credits", "stripe")
            assert [draw["credits"] for draw in line["draws"]] == [-line["credits"]]


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_money_that_moves_step_by_step_is_followed(
    storefront: Storefront, service: Service, granted: Purchase, sequence: Any
) -> None:
    for happens, state, available, lines in sequence:
        before = types(service.stored())
        for event in happens(storefront, granted):
            storefront.deliver(event)
            # A second delivery changes nothing.
            storefront.deliver(event)
        check(storefront, granted, state, available)
        assert types(service.stored()) == before + lines


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_events_delivered_newest_first_end_the_same(storefront: Storefront, sequence: Any) -> None:
    """None of the events has been delivered when the last one happens, not even the payment's."""
    purchase = storefront.buy()
    events = [*storefront.pay(purchase, "pix")]
    for happens, _, _, _ in sequence:
        events += happens(storefront, purchase)
    storefront.deliver_all([*reversed(events), *events[::2]])
    _, state, available, _ = sequence[-1]
    check(storefront, purchase, state, available)


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_a_late_event_applies_the_current_state(storefront: Storefront, granted: Purchase, sequence: Any) -> None:
    """Old events arrive after newer ones: each leads to the payment's current status."""
    delivered: list[Json] = []
    for happens, state, available, _ in sequence:
        events = happens(storefront, granted)
        for event in (*reversed(events), *delivered):
            storefront.deliver(event)
        delivered += events
        check(storefront, granted, state, available)


@pytest.mark.parametrize(
    "kind", ["refund.created", "charge.refunded", "charge.dispute.created", "charge.dispute.funds_withdrawn"]
)
def test_any_single_event_applies_the_whole_state(storefront: Storefront, service: Service, kind: str) -> None:
    """Older API versions report refunds by charge.refunded alone."""
    purchase = storefront.buy()
    storefront.pay(purchase)
    events = storefront.refund(purchase) if "refund" in kind else storefront.dispute(purchase)
    [event] = [event for event in events if event["type"] == kind]
    storefront.deliver(event | {"api_version": "2019-12-03"})
    check(storefront, purchase, "refunded" if "refund" in kind else "disputed", 0)
    assert types(service.stored())[1:] == ["purchase", "refund" if "refund" in kind else "dispute"]


def test_spent_credits_become_owed_and_a_grant_settles_them(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    service.spend(80)
    storefront.deliver_all(storefront.refund(granted))
    balance = service.balance()
    assert (balance["credits"]["available"], balance["credits"]["owed"], balance["credits"]["lots"]) == (0, 80, [])
    assert balance["features"]["sticker"]["can_use"] is False
    newest = service(HISTORY).body["entries"][0]
    assert (newest["type"], newest["credits"], newest["owed"], newest["balance_after"]) == ("refund", -20, 80, 0)
    answer = service.spend()
    assert (answer.status, answer.body["available"]) == (402, 0)

    service.give(50)
    assert service.balance()["credits"]["owed"] == 30
    assert service.balance()["credits"]["available"] == 0
    newest = service(HISTORY).body["entries"][0]
    assert (newest["type"], newest["credits"], newest["owed"]) == ("grant", 0, -50)

    second = storefront.buy()
    storefront.deliver_all(storefront.pay(second))
    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (70, 0)
    [lot] = balance["lots"]
    assert (lot["granted"], lot["remaining"]) == (100, 70)
    assert sum(line["owed"] for line in service(HISTORY).body["entries"]) == 0


def test_a_refund_that_fails_cancels_what_was_owed(storefront: Storefront, service: Service, granted: Purchase) -> None:
    service.spend(80)
    storefront.deliver_all(storefront.refund(granted))
    storefront.deliver_all(storefront.later("refund", "fail_refund"))
    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (20, 0)
    assert storefront.purchase(granted).state == "granted"


def test_a_dispute_won_after_the_debt_was_settled(storefront: Storefront, service: Service, granted: Purchase) -> None:
    service.spend(80)
    storefront.deliver_all(storefront.dispute(granted))
    service.give(200)
    assert service.balance()["credits"]["available"] == 120
    storefront.deliver_all(storefront.later("dispute", "close_dispute", "won"))
    balance = service.balance()["credits"]
    # 100 bought and 200 granted, 80 spent. The credits that paid the debt come back as if they were bought today.
    assert (balance["available"], balance["owed"]) == (220, 0)
    assert sorted(lot["remaining"] for lot in balance["lots"]) == [20, 80, 120]
    record = storefront.purchase(granted)
    assert [lot.granted for lot in record.lots] == [100, 80]
    assert service(PURCHASE, id=granted.id).body["lot"] == record.lots[-1].id


def test_a_refund_after_expiry_owes_only_what_was_spent(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    service.spend(60)
    storefront.clock.now = granted.lots[0].expires_at

    storefront.deliver_all(storefront.refund(granted))

    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (0, 60)
    assert [line["type"] for line in service(HISTORY).body["entries"]][:2] == ["refund", "expiry"]
    assert service(PURCHASE, id=granted.id).body["revoked_credits"] == 100


def test_a_refund_takes_from_its_own_lot_only(storefront: Storefront, service: Service, granted: Purchase) -> None:
    other = storefront.buy("credits-500")
    storefront.deliver_all(storefront.pay(other))
    service.spend(30)
    storefront.deliver_all(storefront.refund(granted))
    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (500, 30)
    assert [(lot["granted"], lot["remaining"]) for lot in balance["lots"]] == [(500, 500)]


def test_refunds_of_other_payments_are_ignored(storefront: Storefront, service: Service) -> None:
    """The same Stripe account sells other things."""
    session = storefront.open_session({"order": "4711"})
    purchase = storefront.sell(session=session["id"])
    storefront.pay(purchase)
    before = service.stored()
    storefront.deliver_all([*storefront.refund(purchase, 100), *storefront.dispute(purchase)])
    assert service.stored() == before


def test_a_purchase_shows_refunded_and_disputed_amounts(
    storefront: Storefront, service: Service, granted: Purchase
) -> None:
    storefront.deliver_all(storefront.refund(granted, 2000))
    storefront.deliver_all(storefront.dispute(granted, amount=499))
    shown = service(PURCHASE, id=granted.id).body
    assert (shown["refunded_amount"], shown["disputed_amount"], shown["revoked_credits"]) == (2000, 499, 50)
    assert (shown["credits"], shown["amount"], shown["state"]) == (100, 4990, "disputed")
