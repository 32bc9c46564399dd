"""Stripe refuses a request. Unlike an outage, that raises an alarm, and a retry succeeds once the cause is fixed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from fake_stripe import api as stripe_api
from fake_stripe.faults import Fault
from prepaid.payments.errors import PaymentsRefused
from tests.support.api import GET_CATALOG, PATCH_ACCOUNT, PURCHASES, PUT_CATALOG, Answer
from tests.support.gateway_events import Context
from tests.support.handlers import RETURN_URL, Clock, Output
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.interruptions import killed_before
from tests.support.store_driver import NO_DEADLINE, types
from tests.support.stripe_line import Answer as LineAnswer
from tests.support.stripe_line import Call, refusal, refuses, stripe_tapped
from tests.support.stripe_line import Fault as LineFault
from tests.support.stripe_purchases import STRIPE_KEYS, Storefront

SECOND = timedelta(seconds=1)
METRIC = "PaymentProviderRefusals"
# Each kind of rejection by Stripe: a bad request, a wrong key, a key without the right.
NOES = [400, 401, 403]
CREATE_PAGE = "POST /v1/checkout/sessions"


@contextmanager
def another_return_url(service: Service, url: str) -> Iterator[None]:
    """A deploy with another parameter ReturnUrl."""
    before = service.functions.deps["checkout"].checkout
    assert before is not None
    service.functions.change("checkout", checkout=replace(before, return_url=url))
    yield
    service.functions.change("checkout", checkout=before)


@dataclass
class KeptRefusals:
    """A Stripe that replays a refusal for its idempotency key, as it does once a request has begun to run."""

    route: str = ""
    status: int = 400
    kept: dict[str, LineAnswer] = field(default_factory=dict)

    def meet(self, call: Call) -> LineFault | None:
        if call.key in self.kept:
            body, status, headers = self.kept[call.key]
            return lambda _: (body, status, {**headers, "Idempotent-Replayed": "true"})
        if call.name != self.route:
            return None
        self.kept[call.key] = refusal(self.status, "Not activated: pix")
        return lambda _: self.kept[call.key]

    @contextmanager
    def refusing(self, route: str, status: int = 400) -> Iterator[None]:
        """Within the with block it refuses new requests on this route, and later replays these refusals."""
        self.route, self.status = route, status
        yield
        self.route = ""


@pytest.fixture
def refusals() -> Iterator[KeptRefusals]:
    stripe = KeptRefusals()
    with stripe_tapped(stripe.meet):
        yield stripe


def at_stripe(storefront: Storefront, kind: str) -> list[Any]:
    """The fake's objects of a kind, newest first."""
    with storefront.fake.state.lock:
        return storefront.fake.state.newest_first(kind)


def refused_by_stripe(answer: Answer) -> bool:
    """The documented refusal, without a word of Stripe's."""
    assert (answer.status, answer.code) == (502, "payment_provider_refused"), answer
    assert answer.body["detail"] == (
        "The payment provider rejects this request. Once the cause is fixed, the same request succeeds."
    )
    # It is unknown when the cause will be fixed, so no Retry-After would be right.
    assert "retry-after" not in answer.headers
    return True


def alarmed(output: Output, times: int = 1) -> bool:
    """The alarm's metric, and a line that names Stripe's reason for the operator."""
    assert output.metric(METRIC) == [1] * times
    lines = [line for line in output.lines if line.get("message") == "payment provider refused"]
    assert [line["level"] for line in lines] == ["ERROR"] * times
    assert all("stripe." in line["exception"] for line in lines)
    assert output.metric("InternalErrors") == []
    return True


def bought(storefront: Storefront, answer: Answer) -> Any:
    """Check that there is one purchase and one page."""
    assert answer.status == 201, answer
    [session] = at_stripe(storefront, "checkout.session")
    [listed] = storefront.service(PURCHASES).body["purchases"]
    assert answer.body["checkout_url"] == listed["checkout_url"] == session["url"]
    assert session["client_reference_id"] == answer.body["id"] == listed["id"]
    storefront.deliver_all(storefront.pay(storefront.read(answer.body["id"], "acme")))
    assert types(storefront.service.stored())[-1] == "purchase"
    assert storefront.service.balance()["credits"]["available"] == 100
    return session


# Buying


@pytest.mark.parametrize("status", NOES)
def test_after_a_refused_page_the_same_key_continues(
    storefront: Storefront, service: Service, output: Output, status: int
) -> None:
    """The refusal raises an alarm, and the key continues once the cause is fixed."""
    storefront.fake.api.faults.plan(1, Fault(status=status))

    assert refused_by_stripe(service.buy(key="k", may_fail=True))
    assert alarmed(output)
    [waiting] = service(PURCHASES).body["purchases"]
    assert (waiting["state"], waiting["checkout_url"]) == ("created", None)

    bought(storefront, service.buy(key="k", session=""))


def test_an_outage_is_not_reported_as_a_refusal(storefront: Storefront, service: Service, output: Output) -> None:
    storefront.fake.api.faults.plan(10, Fault(status=503))
    answer = service.buy(key="k", may_fail=True)
    assert (answer.status, answer.code) == (503, "payments_unavailable")
    assert output.metric(METRIC) == []


@pytest.mark.parametrize("lacking", ["customer", "checkout_session"])
def test_a_key_without_permission_has_its_own_error(
    storefront: Storefront, service: Service, output: Output, lacking: str
) -> None:
    key = STRIPE_KEYS["checkout"]
    with storefront.fake.api.without_permission(key, lacking):
        assert refused_by_stripe(service.buy(key="k", may_fail=True))
    assert alarmed(output)
    assert f"rak_{lacking}_write" in output.getvalue()
    bought(storefront, service.buy(key="k", session=""))


def test_an_amount_that_stripe_rejects_has_its_own_error(
    storefront: Storefront, service: Service, output: Output
) -> None:
    """The catalog accepts it, because Stripe's minimum also depends on the account's own currency."""
    catalog = service(GET_CATALOG).body
    catalog.pop("version")
    catalog["packs"].append(
        {"id": "tiny", "credits": 1, "amount": 49, "currency": "pen", "valid_months": 1, "active": True}
    )
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": "1"}).status == 200
    assert service(PATCH_ACCOUNT, json={"currency": "pen"}).status == 200

    assert refused_by_stripe(service.buy("tiny", key="k", may_fail=True))

    assert alarmed(output)
    assert "at least" in output.getvalue()
    assert at_stripe(storefront, "checkout.session") == []


# The idempotency key at Stripe


def test_another_return_url_neither_blocks_nor_doubles_a_purchase(storefront: Storefront, service: Service) -> None:
    with killed_before(service.table.client, "PutItem PURCHASE#"):
        service.buy(key="k")

    with another_return_url(service, "https://new.example.com/"):
        answer = service.buy(key="k", session="")

    assert bought(storefront, answer)["success_url"].startswith(RETURN_URL)


def test_another_return_url_after_a_refusal_makes_the_page_with_it(
    storefront: Storefront, service: Service, refusals: KeptRefusals
) -> None:
    with refusals.refusing(CREATE_PAGE):
        assert refused_by_stripe(service.buy(key="k", may_fail=True))

    with another_return_url(service, "https://new.example.com/"):
        answer = service.buy(key="k", session="")

    assert bought(storefront, answer)["success_url"].startswith("https://new.example.com/")


@pytest.mark.parametrize("route", ["POST /v1/customers", CREATE_PAGE])
@pytest.mark.parametrize("status", [400, 500])
def test_a_refusal_that_stripe_replays_ends_once_it_is_fixed(
    storefront: Storefront, service: Service, clock: Clock, refusals: KeptRefusals, route: str, status: int
) -> None:
    """Stripe replays it for a day."""
    with refusals.refusing(route, status):
        for _ in range(3):
            session = "" if refusals.kept else None
            assert service.buy(key="k", session=session, may_fail=True).status in {502, 503}
            clock.now += SECOND
    # Each try used a key of its own: with the same key, Stripe would have replayed the refusal.
    assert len(refusals.kept) >= 3

    bought(storefront, service.buy(key="k", session=""))


def test_killed_after_the_second_key_the_page_is_found(
    storefront: Storefront, service: Service, clock: Clock, refusals: KeptRefusals
) -> None:
    with refusals.refusing(CREATE_PAGE):
        assert refused_by_stripe(service.buy(key="k", may_fail=True))
    with killed_before(service.table.client, "PutItem PURCHASE#"):
        service.buy(key="k", session="")
    clock.now += SECOND

    bought(storefront, service.buy(key="k", session=""))


def test_another_purchases_page_is_not_used(storefront: Storefront, service: Service, refusals: KeptRefusals) -> None:
    other = storefront.buy("credits-500")
    with refusals.refusing(CREATE_PAGE):
        assert refused_by_stripe(service.buy(key="k", may_fail=True))

    answer = service.buy(key="k", session="")

    assert answer.status == 201
    assert answer.body["id"] != other.id
    assert answer.body["checkout_url"] != other.checkout_url
    assert [session["client_reference_id"] for session in at_stripe(storefront, "checkout.session")] == [
        answer.body["id"],
        other.id,
    ]


# The webhook and the reconciliation


@pytest.mark.parametrize("status", NOES)
def test_a_delivery_that_failed_is_retried(
    storefront: Storefront, service: Service, output: Output, status: int
) -> None:
    [event] = storefront.pay(storefront.sell())
    before = service.stored()
    storefront.fake.api.faults.plan(1, Fault(status=status))

    assert refused_by_stripe(storefront.deliver(event, may_fail=True))

    assert alarmed(output)
    assert service.stored() == before
    storefront.deliver(event)
    assert service.balance()["credits"]["available"] == 100


def test_a_key_of_the_other_mode_quarantines_nothing(storefront: Storefront, service: Service, output: Output) -> None:
    sale = storefront.sell()
    [event] = storefront.pay(sale)
    before = service.stored()

    def meet(call: Call) -> LineFault | None:
        reason = "a similar object exists in live mode, but a test mode key was used to make this request."
        message = f"No such checkout.session: '{call.session}'; {reason}"
        return refuses(404, message, code="resource_missing", param="id") if call.session else None

    with stripe_tapped(meet):
        assert refused_by_stripe(storefront.deliver(event, may_fail=True))
    assert alarmed(output)
    assert output.metric("PurchaseQuarantined") == []
    assert service.stored() == before
    storefront.deliver(event)
    assert service.balance()["credits"]["available"] == 100
    # A granted purchase that a wrong key can't find looks like one that Stripe no longer knows.
    [refund, *_] = storefront.refund(sale, 100)
    with stripe_tapped(meet):
        assert refused_by_stripe(storefront.deliver(refund, may_fail=True))
    assert output.metric("PurchaseQuarantined") == []


@pytest.mark.parametrize("function", ["purchase_webhook", "reconcile"])
def test_webhook_and_reconciliation_need_every_permission(
    storefront: Storefront, service: Service, function: str
) -> None:
    """Without any one of its rights, a request of each function is refused."""
    key = STRIPE_KEYS[function]
    rights = dict(storefront.fake.api.keys[key] or {})
    purchase = storefront.buy()
    [paid] = storefront.pay(purchase)
    # Only an awaited payment is read: see the next test.
    for lacking in rights.keys() - {"payment_intent"}:
        with storefront.fake.api.without_permission(key, lacking):
            if function == "purchase_webhook":
                assert refused_by_stripe(storefront.deliver(paid, may_fail=True))
            else:
                assert not reconciled(service)
        assert service.balance()["credits"]["available"] == 0


@pytest.mark.parametrize("function", ["purchase_webhook", "reconcile"])
def test_a_pending_purchase_needs_the_right_to_read_its_voucher(
    storefront: Storefront, service: Service, function: str
) -> None:
    key = STRIPE_KEYS[function]
    purchase = storefront.buy()
    [chosen] = storefront.happen(purchase, "confirm", "pix")
    with storefront.fake.api.without_permission(key, "payment_intent"):
        if function == "purchase_webhook":
            assert refused_by_stripe(storefront.deliver(chosen, may_fail=True))
        else:
            assert not reconciled(service)
    assert storefront.purchase(purchase).state == "open"

    storefront.deliver(chosen)

    assert storefront.purchase(purchase).voucher


@pytest.mark.parametrize("lacking", ["event", "checkout_session"])
def test_a_refused_reconciliation_alarms_and_recovers_later(
    storefront: Storefront, service: Service, output: Output, lacking: str
) -> None:
    """Without the list of events a run can do nothing. One purchase's session blocks no other purchase."""
    storefront.pay(storefront.buy())
    key = STRIPE_KEYS["reconcile"]
    with storefront.fake.api.without_permission(key, lacking):
        assert not reconciled(service)
    assert output.metric(METRIC)
    assert service.balance()["credits"]["available"] == 0

    assert reconciled(service)
    assert service.balance()["credits"]["available"] == 100


def reconciled(service: Service) -> bool:
    """Whether a run reached its end."""
    with acting_as("reconcile"):
        try:
            answer = service.functions["reconcile"]({}, Context(remaining=300_000))
        except PaymentsRefused:
            return False
    return not answer["failed"]


def test_the_fake_refuses_calls_beyond_a_functions_rights(storefront: Storefront) -> None:
    """So a new call of a function fails these tests until its right is documented."""
    assert {route.resource for route in stripe_api.ROUTES} > set(
        storefront.fake.api.keys[STRIPE_KEYS["checkout"]] or {}
    )
    with acting_as("checkout"), pytest.raises(Exception, match="rak_refund_write"):
        storefront.service.functions.deps["checkout"].stripe(NO_DEADLINE).v1.refunds.create({"charge": "ch_x"})
