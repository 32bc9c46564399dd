"""The webhook when Stripe, the database or a secret fails: nothing is lost, because Stripe delivers again."""

import pytest

from fake_stripe.faults import Fault
from local.processes import free_port
from prepaid.payments.sessions import open_stripe
from prepaid.store.dynamodb import Deadline
from tests.support.api import WEBHOOK
from tests.support.contract import routes
from tests.support.gateway_events import ADMIN, REQUEST_ID
from tests.support.good_requests import GOOD, ask
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.no_database import no_database
from tests.support.store_driver import types
from tests.support.stripe_purchases import STRIPE_KEYS, Json, Storefront

GRANTED = ["plan_change", "purchase"]


def recovers(storefront: Storefront, service: Service, event: Json) -> None:
    """Stripe's delivery after a 5xx: it sends the event again."""
    storefront.deliver(event)
    assert types(service.stored()) == GRANTED


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_error_of_stripe_makes_stripe_retry(storefront: Storefront, service: Service, status: int) -> None:
    [event] = storefront.pay(storefront.sell())
    before = service.stored()
    storefront.fake.api.faults.plan(10, Fault(status=status))
    answer = storefront.deliver(event, may_fail=True)
    assert (answer.status, answer.code) == (503, "payments_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert service.stored() == before
    storefront.fake.api.faults.plan(0, Fault())
    recovers(storefront, service, event)


def test_a_request_that_stripe_rejects_is_a_server_error(storefront: Storefront, service: Service) -> None:
    [event] = storefront.pay(storefront.sell())
    storefront.fake.api.faults.plan(1, Fault(status=400))
    assert storefront.deliver(event, may_fail=True).status >= 500
    recovers(storefront, service, event)


def test_a_dropped_connection_makes_stripe_retry(storefront: Storefront, service: Service) -> None:
    [event] = storefront.pay(storefront.sell())
    storefront.fake.api.faults.plan(10, Fault(drop=True))
    assert storefront.deliver(event, may_fail=True).code == "payments_unavailable"
    storefront.fake.api.faults.plan(0, Fault())
    recovers(storefront, service, event)


def test_an_unreachable_stripe_makes_stripe_retry(
    storefront: Storefront, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    [event] = storefront.pay(storefront.sell())
    before = service.stored()
    stripe = service.functions.deps["purchase_webhook"].stripe
    nowhere = f"http://127.0.0.1:{free_port()}"
    service.functions.change(
        stripe=lambda deadline: open_stripe(STRIPE_KEYS["purchase_webhook"], nowhere, is_late=deadline.passed)
    )
    assert storefront.deliver(event, may_fail=True).code == "payments_unavailable"
    assert service.stored() == before
    service.functions.change("purchase_webhook", stripe=stripe)
    recovers(storefront, service, event)


def test_a_single_failure_of_stripe_is_retried(
    storefront: Storefront, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    [event] = storefront.pay(storefront.sell())
    storefront.fake.api.faults.plan(1, Fault(status=500))
    recovers(storefront, service, event)


@pytest.mark.usefixtures("no_pauses")
def test_an_unreachable_database_makes_stripe_retry(storefront: Storefront, service: Service) -> None:
    [event] = storefront.pay(storefront.sell())
    with no_database(service):
        answer = storefront.deliver(event, may_fail=True)
    assert (answer.status, answer.code) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    recovers(storefront, service, event)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("route", sorted(set(routes()) - {WEBHOOK}))
def test_every_route_is_busy_without_a_database(service: Service, route: str) -> None:
    with no_database(service):
        answer = ask(service, route, json=GOOD.get(route), by=ADMIN, may_fail=True)
    assert (answer.status, answer.code) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0


def test_an_unexpected_error_reveals_nothing(storefront: Storefront, service: Service, output: Output) -> None:
    def breaks(_: Deadline) -> None:
        raise RuntimeError("Traceback: /var/task/app.py, table ACCOUNT#acme")

    [event] = storefront.pay(storefront.sell())
    before = service.stored()
    stripe = service.functions.deps["purchase_webhook"].stripe
    service.functions.change("purchase_webhook", stripe=breaks)
    answer = storefront.deliver(event, may_fail=True)
    service.functions.change("purchase_webhook", stripe=stripe)
    assert (answer.status, answer.body) == (
        500,
        {
            "type": "urn:prepaid:problem:internal_error",
            "title": "Internal error",
            "status": 500,
            "detail": "Something went wrong on our side.",
            "code": "internal_error",
            "request_id": REQUEST_ID,
        },
    )
    assert [line["exception_name"] for line in output.lines if "exception" in line] == ["RuntimeError"]
    assert service.stored() == before
    recovers(storefront, service, event)


def test_unreadable_secrets_are_an_error_and_no_refusal(storefront: Storefront, service: Service) -> None:
    [event] = storefront.pay(storefront.sell())

    def unreadable() -> tuple[str, ...]:
        raise OSError("no such host: secretsmanager")

    secrets = service.functions.deps["purchase_webhook"].webhook_secrets
    service.functions.change("purchase_webhook", webhook_secrets=unreadable)
    assert storefront.deliver(event, may_fail=True).status >= 500
    service.functions.change("purchase_webhook", webhook_secrets=secrets)
    recovers(storefront, service, event)


def test_log_lines_name_their_own_event_only(storefront: Storefront, service: Service, output: Output) -> None:
    [event] = storefront.pay(storefront.sell())
    storefront.deliver(event)
    output.forget()
    storefront.deliver({"id": 1})
    assert event["id"] not in output.getvalue()


def test_an_event_is_retried_until_the_key_may_read_its_session(storefront: Storefront, service: Service) -> None:
    """The key belongs to another Stripe account: ignoring the event could lose a payment."""
    purchase = storefront.buy()
    [event] = storefront.pay(purchase)
    session = storefront.session(purchase.session or "")
    with storefront.fake.state.lock:
        del storefront.fake.state.tables["checkout.session"][session["id"]]
    before = service.stored()

    answer = storefront.deliver(event, may_fail=True)

    assert (answer.status, answer.code) == (502, "payment_provider_refused")
    assert service.stored() == before
    storefront.replace_session(session["id"], session)
    assert storefront.deliver(event).status == 200
    assert storefront.purchase(purchase).state == "granted"


def test_a_foreign_session_that_the_key_cannot_read_is_ignored(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    [event] = storefront.pay(storefront.sell())
    with storefront.fake.state.lock:
        del storefront.fake.state.tables["checkout.session"][event["data"]["object"]["id"]]
    event["data"]["object"]["metadata"]["prepaid_purchase"] = purchase.id
    before = service.stored()

    assert storefront.deliver(event).status == 200

    assert service.stored() == before
