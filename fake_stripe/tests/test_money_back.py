"""Refunds and disputes: amounts, states, events in order, and rejections."""

import pytest
import stripe

from fake_stripe.tests.support import Controls, Sdk

AMOUNT = 12_990
UPDATED = ("charge.refund.updated", "refund.updated")


@pytest.fixture
def charge(sdk: Sdk, controls: Controls) -> stripe.Charge:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/pay")
    intent = sdk.fetched(session, "payment_intent.latest_charge").payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


def new_types(sdk: Sdk) -> list[str]:
    """The events after the payment's own."""
    types: list[str] = [event.type for event in sdk.events()]
    return types[4:]


def refunded(sdk: Sdk, charge: stripe.Charge) -> tuple[int, bool]:
    now = sdk.client.v1.charges.retrieve(charge.id)
    return now.amount_refunded, now.refunded


def test_several_partial_refunds_add_up_to_the_whole(sdk: Sdk, charge: stripe.Charge) -> None:
    refunds = sdk.client.v1.refunds
    first = refunds.create(params={"charge": charge.id, "amount": 1000, "metadata": {"why": "test"}})
    between = refunded(sdk, charge)
    rest = refunds.create(params={"payment_intent": str(charge.payment_intent)})

    assert (first.amount, rest.amount, first.status) == (1000, AMOUNT - 1000, "succeeded")
    assert (between, refunded(sdk, charge)) == ((1000, False), (AMOUNT, True))
    assert new_types(sdk) == ["refund.created", "charge.refunded"] * 2
    listed = refunds.list(params={"charge": charge.id})
    assert [found.id for found in listed.data] == [rest.id, first.id]
    whole = sdk.client.v1.charges.retrieve(charge.id, params={"expand": ["refunds"]})
    assert whole.refunds is not None
    assert len(whole.refunds.data) == 2


def test_a_pending_refund_can_succeed(sdk: Sdk, controls: Controls, charge: stripe.Charge) -> None:
    refund = controls.post(f"charges/{charge.id}/refund", amount=500, status="pending")
    controls.post(f"refunds/{refund['id']}/succeed")

    assert (refund["status"], refund["pending_reason"]) == ("pending", "processing")
    assert sdk.client.v1.refunds.retrieve(refund["id"]).status == "succeeded"
    assert new_types(sdk) == ["refund.created", "charge.refunded", *UPDATED]


def test_a_refund_that_fails_later_returns_the_money(sdk: Sdk, controls: Controls, charge: stripe.Charge) -> None:
    refund = sdk.client.v1.refunds.create(params={"charge": charge.id})

    controls.post(f"refunds/{refund.id}/fail")

    failed = sdk.client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert refunded(sdk, charge) == (0, False)
    assert new_types(sdk) == [
        "refund.created", "charge.refunded", *UPDATED, "refund.failed", "charge.updated",
    ]  # fmt: skip


@pytest.mark.parametrize("status", ["pending", "requires_action"])
def test_a_cancelled_refund_returns_the_money(sdk: Sdk, controls: Controls, charge: stripe.Charge, status: str) -> None:
    refund = controls.post(f"charges/{charge.id}/refund", amount=500, status=status)["id"]

    controls.post(f"refunds/{refund}/cancel")

    cancelled = sdk.client.v1.refunds.retrieve(refund)
    assert (cancelled.status, cancelled.failure_reason) == ("canceled", "merchant_request")
    assert refunded(sdk, charge) == (0, False)
    assert new_types(sdk) == ["refund.created", "charge.refunded", *UPDATED, "charge.updated"]
    controls.post(f"refunds/{refund}/fail", expect=409)


def test_the_api_cancels_only_a_refund_that_requires_action(
    sdk: Sdk, controls: Controls, charge: stripe.Charge
) -> None:
    waiting = controls.post(f"charges/{charge.id}/refund", amount=500, status="requires_action")["id"]
    others = [
        controls.post(f"charges/{charge.id}/refund", amount=500, status=refund) for refund in ("pending", "succeeded")
    ]

    assert sdk.client.v1.refunds.cancel(waiting).status == "canceled"

    for other in (waiting, *(refund["id"] for refund in others)):
        with pytest.raises(stripe.InvalidRequestError, match="requires_action"):
            sdk.client.v1.refunds.cancel(other)


def test_a_refund_by_session_can_fail_at_once(sdk: Sdk, controls: Controls, charge: stripe.Charge) -> None:
    [session] = sdk.client.v1.checkout.sessions.list().data

    refund = controls.post(f"sessions/{session.id}/refund", status="failed")

    assert refund["status"] == "failed"
    assert refunded(sdk, charge) == (0, False)


@pytest.mark.parametrize(("amount", "status"), [(AMOUNT + 1, 400), (0, 400), (-5, 400)])
def test_a_refund_above_the_paid_amount_is_rejected(sdk: Sdk, charge: stripe.Charge, amount: int, status: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.client.v1.refunds.create(params={"charge": charge.id, "amount": amount})

    assert (refusal.value.http_status, refusal.value.param) == (status, "amount")
    assert refunded(sdk, charge) == (0, False)


def test_a_second_full_refund_is_rejected(sdk: Sdk, charge: stripe.Charge) -> None:
    sdk.client.v1.refunds.create(params={"charge": charge.id})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.client.v1.refunds.create(params={"charge": charge.id})

    assert refusal.value.code == "charge_already_refunded"


def test_a_dispute_withdraws_the_funds_and_a_win_returns_them(
    sdk: Sdk, controls: Controls, charge: stripe.Charge
) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute", amount=5000, reason="product_not_received")
    controls.post(f"disputes/{dispute['id']}/won")

    won = sdk.client.v1.disputes.retrieve(dispute["id"])
    assert (dispute["status"], dispute["amount"], won.status) == ("needs_response", 5000, "won")
    assert [moved.amount for moved in won.balance_transactions] == [-5000, 5000]
    assert sdk.client.v1.charges.retrieve(charge.id).disputed
    assert new_types(sdk) == [
        "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]  # fmt: skip


def test_a_lost_dispute_keeps_the_funds_and_forbids_refunds(
    sdk: Sdk, controls: Controls, charge: stripe.Charge
) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute")
    controls.post(f"dispute/{dispute['id']}/lost")

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        sdk.client.v1.refunds.create(params={"charge": charge.id})

    assert refusal.value.code == "charge_disputed"
    [closed] = sdk.events("charge.dispute.closed")
    assert closed.data.object["status"] == "lost"
    assert sdk.events("charge.dispute.funds_reinstated") == []


def test_each_step_of_a_dispute_can_be_triggered_alone(sdk: Sdk, controls: Controls, charge: stripe.Charge) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute", withdraw=False)["id"]
    for action, params in (
        ("under_review", {}),
        ("funds_withdrawn", {}),
        ("won", {"reinstate": False}),
        ("funds_reinstated", {}),
    ):
        controls.post(f"disputes/{dispute}/{action}", **params)

    assert new_types(sdk) == [
        "charge.dispute.created", "charge.dispute.updated", "charge.dispute.funds_withdrawn", "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]  # fmt: skip


def test_an_inquiry_withdraws_no_funds(sdk: Sdk, controls: Controls, charge: stripe.Charge) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute", inquiry=True)
    closed = controls.post(f"disputes/{dispute['id']}/won")

    assert (dispute["status"], closed["status"]) == ("warning_needs_response", "warning_closed")
    assert closed["balance_transactions"] == []


def test_a_refunded_charge_can_be_disputed_in_full(sdk: Sdk, controls: Controls, charge: stripe.Charge) -> None:
    sdk.client.v1.refunds.create(params={"charge": charge.id, "amount": 1000})

    dispute = controls.post(f"charges/{charge.id}/dispute")

    assert dispute["amount"] == AMOUNT
    assert refunded(sdk, charge) == (1000, False)


def test_the_api_submits_evidence_and_closes_a_dispute(sdk: Sdk, controls: Controls, charge: stripe.Charge) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute")["id"]

    sent = sdk.client.v1.disputes.update(dispute, params={"evidence": {"customer_name": "Maria"}, "submit": True})
    closed = sdk.client.v1.disputes.close(dispute)

    assert (sent.status, sent.evidence.customer_name, closed.status) == ("under_review", "Maria", "lost")
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        sdk.client.v1.disputes.close(dispute)
    listed = sdk.client.v1.disputes.list(params={"payment_intent": str(charge.payment_intent)})
    assert [found.id for found in listed.data] == [dispute]


def test_an_unpaid_session_has_nothing_to_refund(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()

    controls.post(f"sessions/{session.id}/refund", expect=404)
