"""Somebody edits a session's metadata at Stripe: what the session says now counts, and no payment is lost."""

from datetime import timedelta

import pytest

from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.reconciliation import NOTHING, Run, available, forget_events, run
from tests.support.store_driver import types
from tests.support.stripe_purchases import Till

__all__ = ["run"]

GRANTED = ["plan_change", "purchase"]
UNKNOWN = "pur_" + "0" * 20
# What the session's metadata says instead; None where the name is gone. Then what doesn't match the record.
EDITS: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "another account": ({"prepaid_account": "zoo"}, ["account"]),
    "no account": ({"prepaid_account": None}, ["account"]),
    "an unknown purchase": ({"prepaid_purchase": UNKNOWN}, ["purchase"]),
    "no purchase": ({"prepaid_purchase": None}, ["purchase"]),
    "account and purchase": ({"prepaid_account": "zoo", "prepaid_purchase": UNKNOWN}, ["account", "purchase"]),
    "nothing": (
        {"prepaid_account": None, "prepaid_purchase": None, "prepaid_stack": None},
        ["account", "purchase"],
    ),
}


def edit(till: Till, session: str | None, changes: dict[str, str | None]) -> dict[str, str]:
    """Change the session's metadata; returns what it was."""
    held = till.session(session or "")["metadata"]
    before = dict(held)
    for name, value in changes.items():
        if value is None:
            del held[name]
        else:
            held[name] = value
    return before


@pytest.fixture
def zoo(service: Service) -> None:
    """Another account, which must get nothing."""
    service.open("zoo")


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("again", ["the same event", "the reconciliation", "the last check"])
@pytest.mark.parametrize(("changes", "wrong"), EDITS.values(), ids=EDITS)
def test_a_wrong_pointer_leaves_the_purchase_paid_until_it_is_mended(
    till: Till, run: Run, service: Service, output: Output, clock: Clock,
    changes: dict[str, str | None], wrong: list[str], again: str,
) -> None:  # fmt: skip
    purchase = till.buy()
    right = edit(till, purchase.session, changes)
    [event] = till.pay(purchase)

    till.tell(event)

    assert till.purchase(purchase).state == "paid"
    [row] = [item for key, item in service.stored().items() if key[0].startswith("QUARANTINE#")]
    assert [name["S"] for name in row["mismatches"]["L"]] == wrong
    assert (row["account"]["S"], row["purchase"]["S"]) == ("acme", purchase.id)
    till.session(purchase.session or "")["metadata"] |= right
    if again == "the same event":
        till.tell(event)
    elif again == "the reconciliation":
        assert run() == NOTHING | {"healed": 1}
    else:
        forget_events(till)
        clock.now += timedelta(days=10)
        assert run() == NOTHING | {"healed": 1}
    assert till.purchase(purchase).state == "granted"
    assert types(service.stored()) == GRANTED
    assert (available(service), available(service, "zoo")) == (100, 0)
    assert output.metric("PurchaseQuarantined") == [1]


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("changes", [changes for changes, _ in EDITS.values()], ids=EDITS)
def test_a_pointer_that_was_mended_in_time_grants_at_once(
    till: Till, service: Service, output: Output, changes: dict[str, str | None]
) -> None:
    """The event was made while the session was wrong, and comes when it is right."""
    purchase = till.buy()
    right = edit(till, purchase.session, changes)
    [event] = till.pay(purchase)
    till.session(purchase.session or "")["metadata"] |= right

    till.tell(event)

    assert till.purchase(purchase).state == "granted"
    assert (available(service), available(service, "zoo")) == (100, 0)
    assert output.metric("PurchaseQuarantined") == []


@pytest.mark.usefixtures("zoo")
@pytest.mark.parametrize("changes", [changes for changes, _ in EDITS.values()], ids=EDITS)
def test_an_unpaid_page_is_followed_by_what_it_says_now(till: Till, changes: dict[str, str | None]) -> None:
    """No payment names the purchase: only the session does."""
    purchase = till.buy()
    right = edit(till, purchase.session, changes)
    *_, event = till.happen(purchase, "expire")
    till.session(purchase.session or "")["metadata"] |= right

    till.tell(event)

    assert till.purchase(purchase).state == "expired"


@pytest.mark.usefixtures("zoo")
def test_a_pointer_that_was_broken_later_grants_nothing_elsewhere(till: Till, service: Service) -> None:
    """The event was made while the session was right."""
    purchase = till.buy()
    [event] = till.pay(purchase)
    edit(till, purchase.session, {"prepaid_account": "zoo"})

    till.tell(event)

    assert till.purchase(purchase).state == "paid"
    assert (available(service), available(service, "zoo")) == (0, 0)


def test_a_refund_is_followed_to_a_page_that_lost_its_metadata(till: Till, service: Service) -> None:
    """Nothing was granted yet: the refund's event alone leads to the purchase, which waits for a person."""
    purchase = till.buy()
    edit(till, purchase.session, EDITS["nothing"][0])
    till.pay(purchase)

    till.tell_all(till.refund(purchase))

    assert till.purchase(purchase).state == "paid"
    assert types(service.stored()) == ["plan_change"]
