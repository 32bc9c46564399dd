"""Cancelling an open purchase: its page is closed at Stripe, once per key, and a payment that came first stands."""

from typing import Any

import pytest

from fake_stripe import lifecycle
from fake_stripe.faults import Fault
from prepaid.core.purchase import Purchase
from tests.support.api import CANCEL, PURCHASE, Answer
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.interruptions import killed_before, rivalled
from tests.support.reconciliation import Run, available, run
from tests.support.store_driver import types
from tests.support.stripe_line import Call, stripe_tapped
from tests.support.stripe_purchases import Storefront

__all__ = ["run"]


def cancel(service: Service, purchase: Purchase, *, key: str = "cancel", **more: Any) -> Answer:
    return service(CANCEL, purchase.account, id=purchase.id, key=key, **more)


def test_an_open_purchase_is_cancelled_and_its_page_closed(storefront: Storefront, run: Run, service: Service) -> None:
    purchase = storefront.buy()

    answer = cancel(service, purchase)

    assert (answer.status, answer.body["state"]) == (200, "cancelled")
    assert "idempotent-replayed" not in answer.headers
    assert answer.body == service(PURCHASE, id=purchase.id).body
    assert storefront.session(purchase.session or "")["status"] == "expired"
    storefront.deliver_all(storefront.since(0))
    assert run()["quarantined"] == 0
    assert storefront.purchase(purchase).state == "cancelled"
    assert types(service.stored()) == ["plan_change"]


def test_a_retry_of_a_cancellation_is_a_replay(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    first = cancel(service, purchase)
    stored = service.stored()

    again = cancel(service, purchase)
    other = cancel(service, purchase, key="another")

    assert (again.status, again.text, again.headers["idempotent-replayed"]) == (200, first.text, "true")
    assert (other.status, other.text) == (200, first.text)
    assert service.stored() == stored


@pytest.mark.parametrize(
    ("operation", "call"), [*(("GetItem", call) for call in range(1, 4)), ("PutItem", 1), ("TransactWriteItems", 1)]
)
def test_of_two_requests_with_a_key_one_is_a_replay(
    storefront: Storefront, service: Service, operation: str, call: int
) -> None:
    purchase = storefront.buy()
    client, met = service.table.client, list[Answer]()

    with rivalled(client, operation, lambda: met.append(cancel(service, purchase)), call=call):
        last = cancel(service, purchase)

    [first] = met
    assert (first.status, last.status, last.text) == (200, 200, first.text)
    assert "idempotent-replayed" not in first.headers
    assert last.headers["idempotent-replayed"] == "true"


def test_a_cancellations_key_serves_no_other_request(storefront: Storefront, service: Service) -> None:
    first, second = storefront.buy(), storefront.buy(key="bought")
    cancel(service, first)

    answers = [
        cancel(service, second),
        cancel(service, second, key="bought"),
        service.buy(key="cancel"),
        service.spend(key="cancel"),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [(409, "idempotency_key_reused")] * 4
    assert storefront.purchase(second).state == "open"


# What happens at Stripe before the request, and the state after its events.
FIRST: dict[str, tuple[tuple[str, ...], str]] = {
    "paid by card": (("pay", "card"), "granted"),
    "a Pix code": (("confirm", "pix"), "pending"),
    "a boleto": (("confirm", "boleto"), "pending"),
}


@pytest.mark.parametrize("delivered", [True, False], ids=["delivered", "not delivered yet"])
@pytest.mark.parametrize(("happens", "state"), FIRST.values(), ids=FIRST)
def test_a_purchase_past_its_page_is_not_cancelled(
    storefront: Storefront, service: Service, happens: tuple[str, ...], state: str, delivered: bool
) -> None:
    purchase = storefront.buy()
    events = storefront.happen(purchase, *happens)
    if delivered:
        storefront.deliver_all(events)
    before = service.stored()

    answer = cancel(service, purchase)

    assert (answer.status, answer.code) == (409, "purchase_not_cancellable")
    assert service.stored() == before
    storefront.deliver_all(events)
    assert storefront.purchase(purchase).state == state


@pytest.mark.parametrize("happens", [("expire",), ("pay_after_expiry",)])
def test_a_purchase_that_is_over_is_not_cancelled(
    storefront: Storefront, service: Service, happens: tuple[str, ...]
) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.happen(purchase, "expire"))
    if happens != ("expire",):
        storefront.deliver_all(storefront.happen(purchase, *happens))

    assert cancel(service, purchase).code == "purchase_not_cancellable"


def test_a_purchase_without_a_page_is_not_cancelled(storefront: Storefront, service: Service) -> None:
    storefront.fake.api.faults.plan(10, Fault(status=500))
    assert service.buy(may_fail=True).status == 503
    storefront.fake.api.faults.plan(0, Fault())
    [purchase] = service("GET /v1/accounts/{account}/purchases").body["purchases"]

    assert service(CANCEL, id=purchase["id"], key="cancel").code == "purchase_not_cancellable"


def test_a_payment_at_the_same_moment_wins(storefront: Storefront, service: Service) -> None:
    """The customer pays after the page was read and before it is closed."""
    purchase = storefront.buy()

    def meet(call: Call) -> None:
        if call.name.endswith("/expire") and storefront.session(purchase.session or "")["status"] == "open":
            with storefront.fake.state.lock:
                lifecycle.pay(storefront.fake.state, purchase.session or "", "card")

    with stripe_tapped(meet):
        answer = cancel(service, purchase)

    assert (answer.status, answer.code) == (409, "purchase_not_cancellable")
    storefront.deliver_all(storefront.since(0))
    assert storefront.purchase(purchase).state == "granted"
    assert available(service) == 100
    assert service.spend(key="cancel").status == 201


def test_a_cancelled_purchase_that_is_paid_after_all_is_granted(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    first = cancel(service, purchase)

    storefront.deliver_all(storefront.happen(purchase, "pay_after_expiry", "card"))

    assert storefront.purchase(purchase).state == "granted"
    assert available(service) == 100
    assert cancel(service, purchase).text == first.text


@pytest.mark.parametrize("delivered", [True, False], ids=["its event first", "the retry first"])
@pytest.mark.parametrize("call", ["PutItem PURCHASE#", "TransactWriteItems CLAIM#"])
def test_a_killed_cancellation_is_completed_by_its_retry(
    storefront: Storefront, service: Service, call: str, delivered: bool
) -> None:
    purchase = storefront.buy()
    with killed_before(service.table.client, call):
        cancel(service, purchase)
    if delivered:
        storefront.deliver_all(storefront.since(0))

    answer = cancel(service, purchase)

    assert (answer.status, answer.body["state"]) == (200, "cancelled")
    storefront.deliver_all(storefront.since(0))
    assert storefront.purchase(purchase).state == "cancelled"
    assert cancel(service, purchase).headers["idempotent-replayed"] == "true"


def test_a_cancellation_that_stripe_does_not_answer_is_retried(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    storefront.fake.api.faults.plan(10, Fault(status=500))
    answer = cancel(service, purchase, may_fail=True)
    assert (answer.status, answer.code) == (503, "payments_unavailable")
    assert storefront.purchase(purchase).state == "open"
    storefront.fake.api.faults.plan(0, Fault())

    assert cancel(service, purchase).status == 200


def test_a_purchase_is_cancelled_under_its_account_only(storefront: Storefront, service: Service) -> None:
    service.open("zoo")
    purchase = storefront.buy()

    assert service(CANCEL, "zoo", id=purchase.id, key="k").code == "purchase_not_found"
    assert service(CANCEL, "nobody", id=purchase.id, key="k").code == "account_not_found"
    assert service(CANCEL, id="pur_1", key="k").code == "purchase_not_found"
    assert storefront.purchase(purchase).state == "open"


def test_a_cancelled_purchase_is_not_continued(storefront: Storefront, service: Service, output: Output) -> None:
    """A retry of the purchase gets its original response; its page says that it is closed."""
    first = service.buy(key="buy")
    purchase = storefront.read(first.body["id"], "acme")
    cancel(service, purchase)

    again = service.buy(key="buy", session="")

    assert (again.status, again.text) == (201, first.text)
    assert storefront.purchase(purchase).state == "cancelled"
    assert output.metric("PurchaseQuarantined") == []
