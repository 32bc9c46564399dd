"""Each type of event that docs/stripe.md lists suffices alone; events of other products are acknowledged."""

import re
from pathlib import Path
from typing import Any

import pytest

from prepaid.core.purchase import Purchase
from prepaid.payments.events import MONEY_EVENTS, SESSION_EVENTS
from tests.support.in_process import Service
from tests.support.reconciliation import NOTHING, Run, run
from tests.support.stripe_purchases import Json, Storefront

__all__ = ["run"]

STRIPE_DOCUMENT = Path(__file__).parents[2] / "docs" / "stripe.md"
LIST = STRIPE_DOCUMENT.read_text("utf-8").partition("## The webhook")[2].partition("2. Copy")[0]
PROMISED = sorted(set(re.findall(r"`((?:checkout|charge|refund)\.[a-z_.]+[a-z])`", LIST)))
# What happens to a purchase whose Pix is confirmed, and what it leaves: the state, and the credits.
PAID, FAILED, EXPIRED, REFUNDED, DISPUTED = "paid", "failed", "expired", "refunded", "disputed"
LEADS_TO: dict[str, tuple[str, str, int]] = {
    "checkout.session.completed": (PAID, "granted", 100),
    "checkout.session.async_payment_succeeded": (PAID, "granted", 100),
    "checkout.session.async_payment_failed": (FAILED, "failed", 0),
    "checkout.session.expired": (EXPIRED, "expired", 0),
    "refund.created": (REFUNDED, "partially_refunded", 50),
    "refund.updated": (REFUNDED, "partially_refunded", 50),
    "refund.failed": (REFUNDED, "partially_refunded", 50),
    "charge.refunded": (REFUNDED, "partially_refunded", 50),
    "charge.refund.updated": (REFUNDED, "partially_refunded", 50),
    "charge.dispute.created": (DISPUTED, "disputed", 50),
    "charge.dispute.updated": (DISPUTED, "disputed", 50),
    "charge.dispute.closed": (DISPUTED, "disputed", 50),
    "charge.dispute.funds_withdrawn": (DISPUTED, "disputed", 50),
    "charge.dispute.funds_reinstated": (DISPUTED, "disputed", 50),
}


def happened(storefront: Storefront, what: str) -> tuple[Purchase, Json]:
    """A purchase after undelivered events, and one of these events."""
    purchase = storefront.buy()
    if what == EXPIRED:
        return purchase, storefront.happen(purchase, "expire")[-1]
    storefront.happen(purchase, "confirm", "pix")
    if what == FAILED:
        return purchase, storefront.happen(purchase, "fail")[-1]
    [event] = storefront.happen(purchase, "pay")
    if what == REFUNDED:
        event = storefront.refund(purchase, 2495)[0]
    if what == DISPUTED:
        event = storefront.dispute(purchase, amount=2495)[0]
    return purchase, event


@pytest.mark.parametrize("event_type", PROMISED)
def test_a_promised_event_alone_is_enough(storefront: Storefront, service: Service, event_type: str) -> None:
    what, state, available = LEADS_TO[event_type]
    purchase, event = happened(storefront, what)

    storefront.deliver(event | {"type": event_type})

    assert storefront.purchase(purchase).state == state
    assert service.balance()["credits"]["available"] == available


@pytest.mark.parametrize("event_type", PROMISED)
def test_the_reconciliation_reads_each_promised_event(
    storefront: Storefront, run: Run, service: Service, event_type: str
) -> None:
    what, state, available = LEADS_TO[event_type]
    purchase, event = happened(storefront, what)
    with storefront.fake.state.lock:
        storefront.fake.state.tables["event"] = {event["id"]: event | {"type": event_type}}

    assert run() == NOTHING | {"healed": 1}

    assert storefront.purchase(purchase).state == state
    assert service.balance()["credits"]["available"] == available


def test_the_document_names_each_event_that_is_followed() -> None:
    assert set(PROMISED) == SESSION_EVENTS | MONEY_EVENTS == set(LEADS_TO)


CONNECTED = {"account": "acct_1connected"}


@pytest.mark.parametrize("what", [PAID, FAILED, EXPIRED, REFUNDED, DISPUTED])
def test_an_event_of_a_connected_account_is_ignored(storefront: Storefront, service: Service, what: str) -> None:
    """Even when it seems to be about one of our sessions."""
    _, event = happened(storefront, what)
    before = service.stored()

    assert storefront.deliver(event | CONNECTED).body == {"received": True}

    assert service.stored() == before


@pytest.mark.parametrize("event_type", sorted(MONEY_EVENTS))
@pytest.mark.parametrize("more", [CONNECTED, {}], ids=["connected", "own"])
def test_a_payment_that_stripe_does_not_have_is_ignored(
    storefront: Storefront, service: Service, event_type: str, more: dict[str, Any]
) -> None:
    """Our key can't read it, however often Stripe delivers."""
    event = {"id": "evt_1", "type": event_type, "data": {"object": {"id": "re_1", "payment_intent": "pi_elsewhere"}}}
    before = service.stored()

    assert storefront.deliver(event | more).body == {"received": True}

    assert service.stored() == before


def test_a_session_of_a_connected_account_is_not_fetched(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    [event] = storefront.pay(purchase)
    with storefront.fake.state.lock:
        storefront.fake.state.tables["checkout.session"].clear()
    before = service.stored()

    assert storefront.deliver(event | CONNECTED).status == 200

    assert service.stored() == before
