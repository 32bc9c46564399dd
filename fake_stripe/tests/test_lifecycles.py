"""Sessions that are paid, failed, expired, or paid late: their states, and their events in order."""

import pytest
import stripe

from fake_stripe.server import RunningFake
from fake_stripe.tests.support import Clock, Controls, Sdk

ARRIVED = ["charge.succeeded", "payment_intent.succeeded"]
CONFIRMED = ["payment_intent.created", "payment_intent.requires_action", "checkout.session.completed"]


def types(sdk: Sdk) -> list[str]:
    return [event.type for event in sdk.events()]


def state(sdk: Sdk, session: stripe.checkout.Session) -> tuple[str | None, str, str | None]:
    now = sdk.fetched(session, "payment_intent")
    intent = now.payment_intent
    return now.status, now.payment_status, intent.status if isinstance(intent, stripe.PaymentIntent) else None


def test_a_card_pays_at_once(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()

    controls.post(f"sessions/{session.id}/pay", method="card")

    assert state(sdk, session) == ("complete", "paid", "succeeded")
    assert types(sdk) == ["payment_intent.created", *ARRIVED, "checkout.session.completed"]
    [completed] = sdk.events("checkout.session.completed")
    assert completed.data.object["payment_status"] == "paid"
    assert completed.data.object["customer_details"]["email"] == "maria@example.com"


@pytest.mark.parametrize("method", ["pix", "boleto"])
def test_pix_and_boleto_complete_unpaid_and_pay_later(sdk: Sdk, controls: Controls, method: str) -> None:
    session = sdk.session()

    controls.post(f"sessions/{session.id}/confirm", method=method)
    between = state(sdk, session)
    controls.post(f"sessions/{session.id}/pay")

    assert between == ("complete", "unpaid", "requires_action")
    assert state(sdk, session) == ("complete", "paid", "succeeded")
    assert types(sdk) == [*CONFIRMED, *ARRIVED, "checkout.session.async_payment_succeeded"]


@pytest.mark.parametrize("method", ["pix", "boleto"])
def test_pix_and_boleto_can_fail(sdk: Sdk, controls: Controls, method: str) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/confirm", method=method)

    controls.post(f"sessions/{session.id}/fail")

    assert state(sdk, session) == ("complete", "unpaid", "requires_payment_method")
    assert types(sdk) == [*CONFIRMED, "payment_intent.payment_failed", "checkout.session.async_payment_failed"]


def test_a_confirmed_pix_shows_a_code_with_its_amount_and_checksum(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session(payment_method_options={"pix": {"expires_after_seconds": 600}})
    controls.post(f"sessions/{session.id}/confirm", method="pix")

    intent = sdk.fetched(session, "payment_intent").payment_intent

    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.next_action is not None
    shown = intent.next_action.pix_display_qr_code
    assert shown is not None
    assert "5406129.90" in str(shown.data)
    assert shown.expires_at == session.created + 600


def test_a_confirmed_boleto_shows_its_number_and_day(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session(payment_method_options={"boleto": {"expires_after_days": 5}})
    controls.post(f"sessions/{session.id}/confirm", method="boleto")

    intent = sdk.fetched(session, "payment_intent").payment_intent

    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.next_action is not None
    shown = intent.next_action.boleto_display_details
    assert shown is not None
    assert str(shown.number).endswith("0000012990")
    assert str(shown.pdf).endswith(f"/pay/{session.id}/boleto.pdf")
    # 2027-01-15 05:00 in São Paulo, five days on, at 23:59.
    assert shown.expires_at == 1_800_500_340


def test_a_declined_card_leaves_the_session_open(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()

    controls.post(f"sessions/{session.id}/pay", card="4000000000009995")
    between = sdk.fetched(session, "payment_intent")
    controls.post(f"sessions/{session.id}/pay", method="pix")

    assert (between.status, between.payment_status) == ("open", "unpaid")
    assert isinstance(between.payment_intent, stripe.PaymentIntent)
    assert between.payment_intent.last_payment_error is not None
    assert between.payment_intent.last_payment_error.decline_code == "insufficient_funds"
    assert state(sdk, session) == ("complete", "paid", "succeeded")
    assert sdk.fetched(session).payment_intent == between.payment_intent.id
    assert types(sdk)[:3] == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


def test_an_open_session_is_expired_through_the_api(sdk: Sdk) -> None:
    session = sdk.session()

    expired = sdk.client.v1.checkout.sessions.expire(session.id)

    assert (expired.status, expired.url) == ("expired", None)
    assert types(sdk) == ["checkout.session.expired"]


def test_a_completed_session_cannot_be_expired(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/pay")

    with pytest.raises(stripe.InvalidRequestError, match="status of complete"):
        sdk.client.v1.checkout.sessions.expire(session.id)

    assert state(sdk, session)[0] == "complete"


def test_a_session_expires_exactly_at_its_time(sdk: Sdk, clock: Clock) -> None:
    session = sdk.session(expires_at=int(clock.at) + 1800)

    clock.at += 1799
    before = state(sdk, session)[0]
    clock.at += 1

    assert (before, state(sdk, session)[0]) == ("open", "expired")
    assert types(sdk) == ["checkout.session.expired"]


def test_a_pix_code_expires_at_its_time(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session(payment_method_options={"pix": {"expires_after_seconds": 600}})
    controls.post(f"sessions/{session.id}/confirm", method="pix")

    controls.post("clock", advance_seconds=600)

    assert types(sdk)[-1] == "checkout.session.async_payment_failed"


@pytest.mark.parametrize(
    ("method", "last"),
    [("card", "checkout.session.completed"), ("pix", "checkout.session.async_payment_succeeded")],
)
def test_an_expired_session_can_be_paid_late(sdk: Sdk, controls: Controls, method: str, last: str) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/expire")

    controls.post(f"sessions/{session.id}/pay_after_expiry", method=method)

    assert state(sdk, session) == ("complete", "paid", "succeeded")
    assert types(sdk) == ["checkout.session.expired", "payment_intent.created", *ARRIVED, last]


def test_a_late_payment_uses_a_new_payment_intent(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/fail")
    controls.post(f"sessions/{session.id}/expire")
    cancelled = sdk.fetched(session, "payment_intent").payment_intent
    controls.post(f"sessions/{session.id}/pay_after_expiry")

    assert isinstance(cancelled, stripe.PaymentIntent)
    assert cancelled.status == "canceled"
    assert sdk.client.v1.payment_intents.retrieve(cancelled.id).status == "canceled"
    assert state(sdk, session) == ("complete", "paid", "succeeded")


def test_a_failed_boleto_can_be_paid_late(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/confirm", method="boleto")
    controls.post(f"sessions/{session.id}/fail")
    controls.post(f"sessions/{session.id}/pay", expect=409)

    controls.post(f"sessions/{session.id}/pay_after_expiry")

    assert state(sdk, session) == ("complete", "paid", "succeeded")
    assert types(sdk)[-2:] == ["payment_intent.succeeded", "checkout.session.async_payment_succeeded"]


@pytest.mark.parametrize("again", ["pay", "confirm", "fail", "pay_after_expiry"])
def test_a_paid_session_does_not_change_again(sdk: Sdk, controls: Controls, again: str) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/pay")
    before = types(sdk)

    answer = controls.post(f"sessions/{session.id}/{again}", expect=409)

    assert answer["error"]["code"] == "wrong_state"
    assert types(sdk) == before


def test_a_method_that_is_not_offered_is_rejected(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session(allowed_payment_method_types=["card"])

    controls.post(f"sessions/{session.id}/confirm", expect=409, method="pix")

    assert types(sdk) == []


def test_a_payment_creates_a_customer_on_request(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session(customer_creation="always", customer_email="dona@example.com")
    before = session.customer

    controls.post(f"sessions/{session.id}/pay")

    customer = sdk.fetched(session, "customer").customer
    assert before is None
    assert isinstance(customer, stripe.Customer)
    assert customer.email == "dona@example.com"


def test_a_thousand_session_ids_are_unique(fake: RunningFake) -> None:
    ids = {fake.state.new_id("checkout.session") for _ in range(1000)}

    assert len(ids) == 1000
