"""Nobody has stored Stripe's keys yet: each route says so, nothing calls Stripe, and no alarm rings.

With some of the keys, or without them later on, an alarm rings before a customer has waited for a day.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import boto3
import pytest
from botocore.exceptions import ClientError

from fake_stripe.server import RunningFake
from prepaid import wiring
from prepaid.settings import from_environment
from tests.support.api import PURCHASES
from tests.support.apps import LEAST_ENVIRONMENT
from tests.support.gateway_events import Context
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.stripe_line import stripe_tapped
from tests.support.stripe_purchases import CURRENT_SECRET, STRIPE_KEYS, Storefront

SECRET = "stripe-of-a-new-stack"


@dataclass(frozen=True)
class NewStack:
    """A stack whose secrets exist. store: what a person does then."""

    service: Service

    def take_over(self, value: object = None, *, functions: Iterable[str] = STRIPE_KEYS) -> None:
        """From here on, the functions read this secret, as their deployment wires them and newly started."""
        if value:
            self.store(value)
        wired = wiring.build(from_environment())
        self.service.functions.change(*functions, stripe=wired.stripe, webhook_secrets=wired.webhook_secrets)

    def delete(self) -> None:
        """Delete the secret for good."""
        boto3.client("secretsmanager").delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)

    def store(self, value: object) -> None:
        boto3.client("secretsmanager").put_secret_value(SecretId=SECRET, SecretString=json.dumps(value))


@pytest.fixture
def new_stack(storefront: Storefront, running_fake: RunningFake, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewStack]:
    """Its secret has no value yet."""
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name=SECRET)
    environment = {**LEAST_ENVIRONMENT, "STRIPE_SECRET_NAME": SECRET, "STRIPE_API_BASE": running_fake.url}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield NewStack(storefront.service)
    secrets.delete_secret(SecretId=SECRET, ForceDeleteWithoutRecovery=True)


def quiet(output: Output) -> bool:
    """No metric that an alarm rings on, and no traceback."""
    alarming = ("InternalErrors", "PaymentProviderRefusals", "WebhooksRejected", "PurchaseQuarantined")
    assert [name for name in alarming if output.metric(name)] == []
    assert [line for line in output.lines if "exception" in line] == []
    lines = [line for line in output.lines if line.get("message") == "payments not configured"]
    assert [line["level"] for line in lines] == ["WARNING"]
    return True


def test_a_purchase_is_refused_before_it_is_recorded(service: Service, new_stack: NewStack, output: Output) -> None:
    session = service.manager_session()
    before = service.stored()
    new_stack.take_over()
    output.forget()

    with stripe_tapped() as calls:
        answer = service.buy(key="k", session=session, may_fail=True)

    assert (answer.status, answer.code) == (503, "payments_not_configured")
    assert "retry-after" not in answer.headers
    assert service.stored() == before
    assert output.metric("PaymentsNotConfigured") == [1]
    assert quiet(output)
    assert calls == []


def test_the_same_purchase_succeeds_once_the_key_is_stored(service: Service, new_stack: NewStack) -> None:
    session = service.manager_session()
    new_stack.take_over()
    assert service.buy(key="k", session=session, may_fail=True).status == 503

    new_stack.store({"api_key": STRIPE_KEYS["checkout"]})

    assert service.buy(key="k", session=session).status == 201
    assert len(service(PURCHASES).body["purchases"]) == 1


NO_SIGNING_SECRET = {"api_key": STRIPE_KEYS["purchase_webhook"], "webhook_secrets": []}
NO_KEY = {"api_key": "", "webhook_secrets": [CURRENT_SECRET]}


@pytest.mark.parametrize("value", [None, NO_SIGNING_SECRET, NO_KEY], ids=["nothing", "no signing secret", "no key"])
def test_a_delivery_waits_until_both_secrets_are_stored(
    storefront: Storefront, new_stack: NewStack, output: Output, value: object
) -> None:
    [event] = storefront.pay(storefront.sell())
    new_stack.take_over(value)
    before = storefront.service.stored()
    output.forget()

    with stripe_tapped() as calls:
        answer = storefront.deliver(event, may_fail=True)

    assert (answer.status, answer.code) == (503, "payments_not_configured")
    assert storefront.service.stored() == before
    assert output.metric("PaymentsNotConfigured") == [1]
    assert quiet(output)
    assert calls == []


def test_the_reconciliation_does_nothing_and_succeeds(service: Service, new_stack: NewStack, output: Output) -> None:
    new_stack.take_over()
    before = service.stored()
    output.forget()

    with stripe_tapped() as calls:
        result = service.functions["reconcile"]({}, Context())

    assert result == {"configured": False}
    assert service.stored() == before
    assert quiet(output)
    assert calls == []


def lines(output: Output, level: str) -> list[str]:
    return [line["message"] for line in output.lines if line.get("level") == level]


def test_a_purchase_without_a_key_to_reconcile_it_alarms(
    storefront: Storefront, new_stack: NewStack, output: Output
) -> None:
    storefront.pay(storefront.sell())
    new_stack.take_over(functions=["purchase_webhook", "reconcile"])
    before = storefront.service.stored()
    output.forget()

    with stripe_tapped() as calls:
        result = storefront.service.functions["reconcile"]({}, Context())

    assert result == {"configured": False}
    assert output.metric("PaymentProviderRefusals") == [1]
    assert lines(output, "ERROR") == ["no key to reconcile purchases with"]
    assert storefront.service.stored() == before
    assert calls == []


def test_a_key_that_is_taken_out_of_use_alarms(service: Service, new_stack: NewStack, output: Output) -> None:
    new_stack.take_over({"api_key": STRIPE_KEYS["reconcile"]})
    assert service.functions["reconcile"]({}, Context(remaining=600_000))["finished"]

    new_stack.take_over({"api_key": ""})
    output.forget()
    service.functions["reconcile"]({}, Context())

    assert output.metric("PaymentProviderRefusals") == [1]


def test_a_webhook_without_its_secret_alarms_by_healing(
    storefront: Storefront, new_stack: NewStack, output: Output
) -> None:
    [event] = storefront.pay(storefront.sell())
    new_stack.take_over(functions=["purchase_webhook"])
    assert storefront.deliver(event, may_fail=True).status == 503
    output.forget()

    storefront.service.functions["reconcile"]({}, Context(remaining=600_000))

    assert output.metric("PurchasesHealed") == [1]


@pytest.mark.parametrize("function", ["checkout", "purchase_webhook"])
def test_a_secret_that_is_deleted_for_good_alarms(
    storefront: Storefront, new_stack: NewStack, output: Output, function: str
) -> None:
    [event] = storefront.pay(storefront.sell())
    session = storefront.service.manager_session()
    new_stack.delete()
    new_stack.take_over(functions=[function])
    output.forget()

    answer = (
        storefront.service.buy(session=session, may_fail=True)
        if function == "checkout"
        else storefront.deliver(event, may_fail=True)
    )

    assert (answer.status, answer.code) == (500, "internal_error")
    assert output.metric("InternalErrors") == [1]


def test_a_deleted_secret_fails_the_reconciliation(service: Service, new_stack: NewStack) -> None:
    new_stack.delete()
    new_stack.take_over()

    with pytest.raises(ClientError, match="can't find the specified secret"):
        service.functions["reconcile"]({}, Context())
