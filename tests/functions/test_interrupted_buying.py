"""Buying when a process, a response or Stripe is lost on the way: the same key continues the same purchase."""

from datetime import timedelta

import pytest

from fake_stripe import lifecycle
from fake_stripe.faults import Fault
from tests.support.api import PURCHASES
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.interruptions import killed_before
from tests.support.stripe_purchases import Storefront, at_stripe, bought

MILLISECOND = timedelta(milliseconds=1)

HOUR = timedelta(hours=1)


# Kills, lost responses and outages


@pytest.mark.parametrize(
    "call",
    [
        "GetItem CUSTOMER",
        "POST /v1/customers",
        "PutItem CUSTOMER",
        "POST /v1/checkout/sessions",
        "PutItem PURCHASE#",
    ],
)
def test_a_retry_after_a_kill_continues_to_the_page(storefront: Storefront, service: Service, call: str) -> None:
    with killed_before(service.table.client, call):
        service.buy(key="k")
    [listed] = service(PURCHASES).body["purchases"]
    assert (listed["state"], listed["checkout_url"]) == ("created", None)
    # Recording the purchase used the session, so the retry doesn't need it.
    answer = service.buy(key="k", session="")
    record = bought(storefront, answer, replayed=True)
    assert record.id == listed["id"]
    assert service.buy(key="k", session="").text == answer.text


def test_a_kill_before_the_record_leaves_no_claim(storefront: Storefront, service: Service) -> None:
    session = service.manager_session()
    before = service.stored()
    with killed_before(service.table.client, "TransactWriteItems PURCHASE#"):
        service.buy(key="k", session=session)
    assert service.stored() == before
    bought(storefront, service.buy(key="k", session=session), replayed=False)


def test_a_payment_before_the_page_was_saved_is_granted(storefront: Storefront, service: Service) -> None:
    with killed_before(service.table.client, "PutItem PURCHASE#"):
        service.buy(key="k")
    [session] = at_stripe(storefront, "checkout.session")
    record = storefront.read(session["client_reference_id"], "acme")
    assert (record.state, record.session) == ("created", None)
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], "card")
    storefront.deliver_all(storefront.events(session["id"]))
    assert storefront.purchase(record).state == "granted"
    answer = service.buy(key="k", session="")
    assert (answer.status, answer.body["state"]) == (201, "open")
    assert answer.body["checkout_url"] == f"{storefront.fake.url}/pay/{session['id']}"
    assert storefront.purchase(record).state == "granted"
    assert len(at_stripe(storefront, "checkout.session")) == 1
    assert service.balance()["credits"]["available"] == 100


def test_a_retry_makes_no_second_page_while_one_is_payable(storefront: Storefront, service: Service) -> None:
    with killed_before(service.table.client, "PutItem PURCHASE#"):
        service.buy(key="k")
    [first] = at_stripe(storefront, "checkout.session")
    with storefront.fake.state.lock:
        lifecycle.confirm(storefront.fake.state, first["id"], "boleto")
        # As if a day had passed for Stripe only.
        storefront.fake.api.idempotency.clear()
    storefront.deliver_all(storefront.events(first["id"]))

    answer = service.buy(key="k", session="")

    assert (answer.status, answer.code) == (409, "purchase_not_resumable")
    record = storefront.read(first["client_reference_id"], "acme")
    assert (record.state, record.session, record.checkout_url) == ("pending", first["id"], None)
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, first["id"], "boleto")
    storefront.deliver_all(storefront.events(first["id"]))
    assert storefront.purchase(record).state == "granted"


@pytest.mark.parametrize("lost", [1, 2])
def test_a_retry_after_lost_stripe_responses_buys_once(storefront: Storefront, service: Service, lost: int) -> None:
    storefront.fake.api.faults.plan(lost, Fault(drop=True))
    answer = service.buy(key="k", may_fail=True)
    if answer.status == 503:
        answer = service.buy(key="k", session="")
    bought(storefront, answer, replayed=lost == 2)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_retry_after_an_outage_of_stripe_continues(storefront: Storefront, service: Service, status: int) -> None:
    storefront.fake.api.faults.plan(10, Fault(status=status))
    answer = service.buy(key="k", may_fail=True)
    assert (answer.status, answer.code) == (503, "payments_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    again = service.buy(key="k", session="", may_fail=True)
    assert again.code == "payments_unavailable"
    storefront.fake.api.faults.plan(0, Fault())
    bought(storefront, service.buy(key="k", session=""), replayed=True)


def test_a_retry_long_after_the_start_gets_no_page(storefront: Storefront, service: Service, clock: Clock) -> None:
    with killed_before(service.table.client, "POST /v1/checkout/sessions"):
        service.buy(key="k")
    clock.now += 23 * HOUR
    with killed_before(service.table.client, "POST /v1/checkout/sessions"):
        service.buy(key="k", session="")
    clock.now += MILLISECOND
    answer = service.buy(key="k", session="")
    assert (answer.status, answer.code) == (409, "purchase_not_resumable")
    assert at_stripe(storefront, "checkout.session") == []
    assert service.buy(key="another").status == 201


def test_a_late_retry_gets_the_original_response(storefront: Storefront, service: Service, clock: Clock) -> None:
    answer = service.buy(key="k")
    clock.now += 9999 * HOUR
    assert service.buy(key="k", session="").text == answer.text
