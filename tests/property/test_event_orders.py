"""All that can be told of one purchase, in ten thousand orders, against a provider whose truth moves on meanwhile.

What Stripe delivers says only that something happened; what is true is asked. An event can't come before what it tells
of, but as late and as often as it likes, and another's news may be seen by it.
"""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from prepaid.core.account import Account
from prepaid.core.purchase import PaymentStatus, Purchase
from tests.support.core_builders import a_debit, a_payment_status, a_purchase, an_account, followed, run

ORDERS = 2_500
WAITING = a_payment_status("awaiting_payment")
PAID = a_payment_status("paid")

# What is true of the session and its money, one thing after the other; each change sends an event.
LIVES: dict[str, list[PaymentStatus]] = {
    "a card, refunded in parts, one of which fails": [
        PAID,
        a_payment_status(refunded=1000),
        a_payment_status(refunded=3000),
        a_payment_status(refunded=2000),
        a_payment_status(refunded=4990),
    ],
    "a boleto that ran out and was paid, disputed, won": [
        WAITING,
        a_payment_status("payment_failed"),
        PAID,
        a_payment_status(disputed=4990),
        a_payment_status(),
    ],
    "a dispute on top of a refund, lost": [
        PAID,
        a_payment_status(refunded=1996),
        a_payment_status(refunded=1996, disputed=2994),
        a_payment_status(refunded=1996),
        a_payment_status(refunded=1996, disputed=2994),
    ],
    "everything, and all of it given back": [
        WAITING,
        PAID,
        a_payment_status(refunded=4990),
        a_payment_status(refunded=4990, disputed=4990),
        a_payment_status(disputed=4990),
        a_payment_status(),
    ],
}


def heard(life: list[PaymentStatus], order: list[int], *, spent_after_grant: int = 0) -> tuple[Purchase, Account]:
    """order: who comes next: event number so and so; its first coming is when its news becomes true, too."""
    purchase, account = a_purchase("open"), an_account()
    newest = -1
    for number in order:
        # News become true one after the other: an event that comes early stands for one of those before it.
        newest = min(newest + 1, number) if number > newest else newest
        purchase, account, entries = followed(purchase, account, life[newest])
        if spent_after_grant and any(entry.type == "purchase" for entry in entries):
            account, _ = run(account, a_debit(quantity=spent_after_grant))
    purchase, account, _ = followed(purchase, account, life[-1])
    return replace(purchase, version=0), account


def random_order(dice: Random, events: int) -> list[int]:
    """Each event at least once, some twice or three times, in any order."""
    order = [*range(events), *dice.choices(range(events), k=dice.randrange(events))]
    dice.shuffle(order)
    return order


@pytest.mark.parametrize("name", LIVES)
def test_in_ten_thousand_orders_a_purchase_ends_in_one_state(name: str) -> None:
    life, dice = LIVES[name], Random(name)
    orders = [random_order(dice, len(life)) for _ in range(ORDERS)]

    ends = Counter(repr(what_counts(*heard(life, order))) for order in orders)

    assert len(LIVES) * ORDERS == 10_000
    assert len({tuple(order) for order in orders}) > ORDERS // 3
    assert list(ends.values()) == [ORDERS]


@pytest.mark.parametrize("name", LIVES)
@pytest.mark.parametrize("spent", [0, 30, 100])
def test_that_state_is_the_one_of_a_purchase_that_heard_the_end_only(name: str, spent: int) -> None:
    life = LIVES[name]
    at_once = heard([PAID, life[-1]], [0, 1], spent_after_grant=spent)

    in_turn = heard(life, list(range(len(life))), spent_after_grant=spent)

    assert what_counts(*in_turn) == what_counts(*at_once)


def test_each_life_says_something_new_each_time() -> None:
    assert all(one != other for life in LIVES.values() for one, other in pairwise(life))


def what_counts(purchase: Purchase, account: Account) -> tuple[object, ...]:
    return purchase, account.lots, account.owed
