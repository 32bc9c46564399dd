"""A dozen orders of one purchase's events by name.

`tests/simulation/test_event_orders.py` plays every order of these events against a database in memory.
"""

import copy
from typing import Any

import pytest

from fake_stripe import lifecycle
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.ledger_audit import audit
from tests.support.store_driver import types
from tests.support.stripe_purchases import Storefront

# The boleto is issued and paid, half of it is refunded, the rest is disputed, the dispute is won.
HAPPENED = "ordered paid refunded disputed won"
# The events that Stripe delivers once all of it has happened.
ORDERS = {
    "as it happened": HAPPENED,
    "newest first": "won disputed refunded paid ordered",
    "the refund before the payment": "ordered refunded paid disputed won",
    "the dispute before the refund": "ordered paid disputed refunded won",
    "the end of the dispute before its start": "ordered paid refunded won disputed",
    "the end of the dispute first": "won ordered paid refunded disputed",
    "the payment last": "ordered refunded disputed won paid",
    "each twice in a row": "ordered ordered paid paid refunded refunded disputed disputed won won",
    "everything a second time": f"{HAPPENED} {HAPPENED}",
    "forwards and back": f"{HAPPENED} disputed refunded paid ordered",
    "the payment alone": "paid",
    "the refund alone": "refunded",
    "the end of the dispute alone": "won",
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_purchase_ends_in_one_state(storefront: Storefront, service: Service, output: Output, order: str) -> None:
    purchase = storefront.buy()
    happened = {"ordered": storefront.happen(purchase, "confirm", "boleto"), "paid": storefront.happen(purchase, "pay")}
    happened["refunded"] = storefront.refund(purchase, 2495)
    happened["disputed"] = storefront.dispute(purchase, amount=2495)
    happened["won"] = storefront.later("dispute", "close_dispute", "won")

    for name in order.split():
        storefront.deliver_all(happened[name])

    record, ledger = storefront.purchase(purchase), audit(service.stored())
    assert (record.state, record.revoked) == ("partially_refunded", 50)
    assert (ledger.available, ledger.owed) == (50, 0)
    assert types(service.stored()).count("purchase") == 1
    assert output.metric("PurchaseQuarantined") == []


def test_an_event_ahead_of_its_session_grants_once(storefront: Storefront, service: Service, output: Output) -> None:
    """Stripe sends the event of the payment while its API still returns the unpaid session."""
    purchase = storefront.sell()
    session = purchase.session or ""
    with storefront.fake.state.lock:
        expired: Any = copy.deepcopy(lifecycle.expire(storefront.fake.state, session))
        paid = copy.deepcopy(lifecycle.pay_after_expiry(storefront.fake.state, session, "pix"))
    over, succeeded = storefront.events(session)

    for returned, event in (
        (expired, succeeded),
        (paid | {"payment_status": "unpaid"}, over),
        (paid, succeeded),
        (paid, succeeded),
    ):
        storefront.replace_session(session, returned)
        storefront.deliver(event)

    assert storefront.purchase(purchase).state == "granted"
    assert types(service.stored()).count("purchase") == 1
    assert output.metric("PurchaseQuarantined") == []
