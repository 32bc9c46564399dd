"""Every order of a purchase's events, most of them delivered twice, with a debit anywhere: the end is always the same.

An event only makes the service fetch the current status. So an event may arrive at any time after its change at Stripe,
and further changes may have happened by then. All deliveries go through the webhook's own handler.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from prepaid.core.purchase import Purchase
from tests.simulation.bench import TABLE, Bench, opened_bench
from tests.support.ledger_audit import audit
from tests.support.store_driver import quarantined, types
from tests.support.stripe_purchases import Json, Storefront

SPENT = 30
# The number of orders, by the number of changes and of deliveries of each. Changes happen one after the other, each is
# delivered after it happened, and one other thing happens anywhere among them.
ORDERS = {(3, 2): 2_800, (4, 2): 200_200, (5, 1): 10_395}

type Change = Callable[[Storefront, Purchase], list[Json]]
# How many changes have happened, the deliveries left of each, and whether the other thing is still to come.
type Place = tuple[int, tuple[int, ...], bool]


def paid(storefront: Storefront, purchase: Purchase) -> list[Json]:
    return storefront.pay(purchase)


def ordered(storefront: Storefront, purchase: Purchase) -> list[Json]:
    """A boleto is issued: the page is completed and nothing is paid."""
    return storefront.happen(purchase, "confirm", "boleto")


def fails(storefront: Storefront, purchase: Purchase) -> list[Json]:
    """The boleto expires."""
    return storefront.happen(purchase, "fail")


def expires(storefront: Storefront, purchase: Purchase) -> list[Json]:
    return storefront.happen(purchase, "expire")


def paid_after_all(storefront: Storefront, purchase: Purchase) -> list[Json]:
    return storefront.happen(purchase, "pay_after_expiry")


def refund(amount: int | None = None) -> Change:
    return lambda storefront, purchase: storefront.refund(purchase, amount)


def dispute(amount: int | None = None) -> Change:
    return lambda storefront, purchase: storefront.dispute(purchase, amount=amount)


def later(kind: str, what: str, *more: str) -> Change:
    return lambda storefront, _: storefront.later(kind, what, *more)


@dataclass(frozen=True)
class Life:
    """Changes at Stripe, one after the other, and the final state of the purchase.

    revoked: credits. worth: credits available less those owed, and less what was spent of a hundred. deliveries: how
    often each event is delivered.
    """

    changes: tuple[Change, ...]
    state: str
    revoked: int
    worth: int
    deliveries: int = 2


WON, REFUND_FAILS = later("dispute", "close_dispute", "won"), later("refund", "fail_refund")
LIVES = {
    "a boleto, refunded": Life((ordered, paid, refund()), "refunded", 100, 0),
    "a refund that fails, another one": Life(
        (paid, refund(), REFUND_FAILS, refund(2495)), "partially_refunded", 50, 50
    ),
    "a dispute that is won": Life((paid, dispute(), WON), "granted", 0, 100),
    "a dispute upon a refund": Life((paid, refund(1996), dispute()), "disputed", 100, 0),
    "a page that expires, paid after all": Life((expires, paid_after_all, refund(2495)), "partially_refunded", 50, 50),
    "a boleto that runs out, paid after all": Life(
        (ordered, fails, paid_after_all, dispute(), WON), "granted", 0, 100, 1
    ),
    "refunds in parts, one fails": Life(
        (paid, refund(1000), refund(2000), REFUND_FAILS, refund(3990)), "refunded", 100, 0, 1
    ),
    "a refund and a dispute that is won": Life(
        (ordered, paid, refund(2495), dispute(2495), WON), "partially_refunded", 50, 50, 1
    ),
}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with opened_bench(quick=True) as opened:
        yield opened


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_every_order_of_events_ends_in_the_same_state(bench: Bench, life: Life) -> None:
    ends = 0

    def end(purchase: Purchase, spent: bool) -> None:
        nonlocal ends
        ends += 1
        if not spent:
            # There were no credits to spend then.
            spent = bench.service.spend(SPENT, key="later", may_fail=True).status == 201
        record, items = bench.storefront.purchase(purchase), bench.items()
        assert (record.state, record.revoked) == (life.state, life.revoked)
        ledger = audit(items)
        assert ledger.available - ledger.owed == life.worth - SPENT * spent
        assert types(items).count("purchase") == 1
        assert quarantined(items) == []

    orders = every_order(bench, life.changes, spend, end, life.deliveries)

    assert orders == ORDERS[len(life.changes), life.deliveries]
    assert ends > 3


def test_no_order_of_events_makes_expired_credits_owed(bench: Bench) -> None:
    """The refund happens before the lot's end or after it, and its event arrives then or later.

    Thirty were spent and thirty are owed.
    """
    ends = 0

    def end(purchase: Purchase, _: bool) -> None:
        nonlocal ends
        ends += 1
        record, ledger = bench.storefront.purchase(purchase), audit(bench.items())
        assert (record.state, record.revoked, record.debt) == ("refunded", 100, SPENT)
        assert (ledger.available, ledger.owed) == (0, SPENT)

    def paid_and_spent(storefront: Storefront, purchase: Purchase) -> list[Json]:
        events = storefront.pay(purchase)
        storefront.deliver_all(events)
        assert storefront.service.spend(SPENT, key="at-once").status == 201
        return events

    orders = every_order(bench, (paid_and_spent, refund(1000), refund()), the_lot_ends, end, 2)

    assert orders > 1_000
    assert ends > 3


def spend(bench: Bench, _: Purchase) -> bool:
    return bench.service.spend(SPENT, key="spend", may_fail=True).status == 201


def the_lot_ends(bench: Bench, purchase: Purchase) -> bool | None:
    """None before there is a lot."""
    lots = bench.storefront.purchase(purchase).lots
    if not lots:
        return None
    bench.now = max(bench.now, lots[0].expires_at + timedelta(days=1))
    return True


def every_order(
    bench: Bench,
    changes: tuple[Change, ...],
    other: Callable[[Bench, Purchase], bool | None],
    end: Callable[[Purchase, bool], None],
    deliveries_each: int,
) -> int:
    """Walk through all orders as a tree, and return how many there are.

    Orders that lead to the same table, byte by byte, with the same events ahead continue as one, because handlers
    depend on the table and Stripe only.
    """
    bench.service.open()
    bench.service.set_code()
    purchase = bench.storefront.buy()
    known: dict[tuple[Place, bool, str], int] = {}

    def walk(place: Place, events: tuple[Json, ...], done: bool) -> int:
        happened, deliveries, free = place
        items, now = bench.database.snapshot(TABLE), bench.now
        here = (place, done, f"{now} {sorted(items.items())}")
        if here in known:
            return known[here]
        if happened == len(changes) and not any(deliveries) and not free:
            end(purchase, done)
            known[here] = 1
            return 1
        orders = 0
        for number in (number for number in range(happened) if deliveries[number]):
            assert bench.storefront.deliver(events[number]).status == 200
            less = tuple(left - (number == which) for which, left in enumerate(deliveries))
            orders += walk((happened, less, free), events, done)
            bench.database.restore(TABLE, items)
        if free:
            result = other(bench, purchase)
            if result is not None:
                orders += walk((happened, deliveries, False), events, result)
            bench.database.restore(TABLE, items)
            bench.now = now
        if happened < len(changes):
            # Only this changes anything at Stripe.
            saved = bench.save()
            *_, event = changes[happened](bench.storefront, purchase)
            orders += walk((happened + 1, deliveries, free), (*events, event), done)
            bench.load(saved)
        known[here] = orders
        return orders

    return walk((0, (deliveries_each,) * len(changes), True), (), False)
