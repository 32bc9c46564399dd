"""After the grant: refunds, disputes and what they leave, in any order, twice, and before the grant too."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from prepaid.core.purchase import Purchase
from tests.support.api import HISTORY, PURCHASE
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.store_driver import types
from tests.support.stripe_purchases import Json, Till

type Happens = Callable[[Till, Purchase], list[Json]]


def refund(amount: int | None = None, status: str = "succeeded") -> Happens:
    return lambda till, purchase: till.refund(purchase, amount, status)


def dispute(**named: Any) -> Happens:
    return lambda till, purchase: till.dispute(purchase, **named)


def later(kind: str, what: str, *more: Any, **named: Any) -> Happens:
    return lambda till, _: till.later(kind, what, *more, **named)


REFUND_FAILS = later("refund", "fail_refund")
REFUND_CANCELLED = later("refund", "cancel_refund")
REFUND_SUCCEEDS = later("refund", "succeed_refund")
WON = later("dispute", "close_dispute", "won")
LOST = later("dispute", "close_dispute", "lost")
REVIEWED = later("dispute", "submit_evidence", {}, submit=True)
WITHDRAWN = later("dispute", "withdraw_funds")
REINSTATED = later("dispute", "reinstate_funds")

# 4990 centavos for 100 credits, none of them spent. What happens one after the other, and after each of these: the
# purchase's state, the credits that are left, and the lines that it wrote.
COURSES: dict[str, list[tuple[Happens, str, int, list[str]]]] = {
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
def granted(till: Till) -> Purchase:
    purchase = till.buy()
    till.tell_all(till.pay(purchase))
    return till.purchase(purchase)


@pytest.fixture(autouse=True)
def _nothing_quarantined(output: Output) -> Iterator[None]:
    yield
    assert output.metric("PurchaseQuarantined") == []


def check(till: Till, purchase: Purchase, state: str, available: int) -> None:
    """The record, what is shown of it and the balance agree; the history adds up."""
    shown = till.service(PURCHASE, purchase.account, id=purchase.id).body
    assert (shown["state"], till.purchase(purchase).state) == (state, state)
    credits = till.service.balance(purchase.account)["credits"]
    assert (credits["available"], credits["owed"]) == (available, 0)
    assert shown["revoked_credits"] == 100 - available
    lines = till.service(HISTORY, purchase.account).body["entries"]
    assert sum(line["credits"] for line in lines) == available == lines[0]["balance_after"]
    assert sum(line["owed"] for line in lines) == 0
    for line in lines:
        if line["type"] in {"refund", "dispute"}:
            assert (line["purchase"], line["source"], line["actor"]) == (purchase.id, "credits", "stripe")
            assert [draw["credits"] for draw in line["draws"]] == [-line["credits"]]


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES)
def test_money_that_moves_step_by_step_is_followed(
    till: Till, service: Service, granted: Purchase, course: Any
) -> None:
    for happens, state, available, lines in course:
        before = types(service.stored())
        for event in happens(till, granted):
            till.tell(event)
            # Told twice it is the same.
            till.tell(event)
        check(till, granted, state, available)
        assert types(service.stored()) == before + lines


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES)
def test_events_delivered_newest_first_end_the_same(till: Till, course: Any) -> None:
    """None of the events has been delivered when the last one happens, not even the payment's."""
    purchase = till.buy()
    events = [*till.pay(purchase, "pix")]
    for happens, _, _, _ in course:
        events += happens(till, purchase)
    till.tell_all([*reversed(events), *events[::2]])
    _, state, available, _ = course[-1]
    check(till, purchase, state, available)


@pytest.mark.parametrize("course", COURSES.values(), ids=COURSES)
def test_a_late_event_applies_the_current_state(till: Till, granted: Purchase, course: Any) -> None:
    """Old events arrive while newer things have happened already: each one leads to the newest truth."""
    told: list[Json] = []
    for happens, state, available, _ in course:
        events = happens(till, granted)
        for event in (*reversed(events), *told):
            till.tell(event)
        told += events
        check(till, granted, state, available)


@pytest.mark.parametrize(
    "kind", ["refund.created", "charge.refunded", "charge.dispute.created", "charge.dispute.funds_withdrawn"]
)
def test_any_single_event_applies_the_whole_state(till: Till, service: Service, kind: str) -> None:
    """Whatever API version the endpoint is on: older ones tell of refunds by charge.refunded alone."""
    purchase = till.buy()
    till.pay(purchase)
    events = till.refund(purchase) if "refund" in kind else till.dispute(purchase)
    [event] = [event for event in events if event["type"] == kind]
    till.tell(event | {"api_version": "2019-12-03"})
    check(till, purchase, "refunded" if "refund" in kind else "disputed", 0)
    assert types(service.stored())[1:] == ["purchase", "refund" if "refund" in kind else "dispute"]


def test_spent_credits_become_owed_and_a_grant_settles_them(till: Till, service: Service, granted: Purchase) -> None:
    service.spend(80)
    till.tell_all(till.refund(granted))
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

    second = till.buy()
    till.tell_all(till.pay(second))
    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (70, 0)
    [lot] = balance["lots"]
    assert (lot["granted"], lot["remaining"]) == (100, 70)
    assert sum(line["owed"] for line in service(HISTORY).body["entries"]) == 0


def test_a_refund_that_fails_cancels_what_was_owed(till: Till, service: Service, granted: Purchase) -> None:
    service.spend(80)
    till.tell_all(till.refund(granted))
    till.tell_all(till.later("refund", "fail_refund"))
    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (20, 0)
    assert till.purchase(granted).state == "granted"


def test_a_dispute_won_after_the_debt_was_settled(till: Till, service: Service, granted: Purchase) -> None:
    service.spend(80)
    till.tell_all(till.dispute(granted))
    service.give(200)
    assert service.balance()["credits"]["available"] == 120
    till.tell_all(till.later("dispute", "close_dispute", "won"))
    balance = service.balance()["credits"]
    # 100 bought and 200 given, 80 spent. What paid the debt comes back as if it were bought today.
    assert (balance["available"], balance["owed"]) == (220, 0)
    assert sorted(lot["remaining"] for lot in balance["lots"]) == [20, 80, 120]
    record = till.purchase(granted)
    assert [lot.granted for lot in record.lots] == [100, 80]
    assert service(PURCHASE, id=granted.id).body["lot"] == record.lots[-1].id


def test_a_refund_after_expiry_owes_only_what_was_spent(till: Till, service: Service, granted: Purchase) -> None:
    service.spend(60)
    till.clock.now = granted.lots[0].expires_at

    till.tell_all(till.refund(granted))

    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (0, 60)
    assert [line["type"] for line in service(HISTORY).body["entries"]][:2] == ["refund", "expiry"]
    assert service(PURCHASE, id=granted.id).body["revoked_credits"] == 100


def test_a_refund_takes_from_its_own_lot_only(till: Till, service: Service, granted: Purchase) -> None:
    other = till.buy("credits-500")
    till.tell_all(till.pay(other))
    service.spend(30)
    till.tell_all(till.refund(granted))
    balance = service.balance()["credits"]
    assert (balance["available"], balance["owed"]) == (500, 30)
    assert [(lot["granted"], lot["remaining"]) for lot in balance["lots"]] == [(500, 500)]


def test_refunds_of_other_payments_are_ignored(till: Till, service: Service) -> None:
    """The same Stripe account sells other things."""
    session = till.open_session({"order": "4711"})
    purchase = till.sell(session=session["id"])
    till.pay(purchase)
    before = service.stored()
    till.tell_all([*till.refund(purchase, 100), *till.dispute(purchase)])
    assert service.stored() == before


def test_a_purchase_shows_refunded_and_disputed_amounts(till: Till, service: Service, granted: Purchase) -> None:
    till.tell_all(till.refund(granted, 2000))
    till.tell_all(till.dispute(granted, amount=499))
    shown = service(PURCHASE, id=granted.id).body
    assert (shown["refunded_amount"], shown["disputed_amount"], shown["revoked_credits"]) == (2000, 499, 50)
    assert (shown["credits"], shown["amount"], shown["state"]) == (100, 4990, "disputed")
