"""Refunds and disputes: amounts, states, events in order, and rejections."""

import pytest
import stripe

from fake_stripe.tests.support import Controls, Shop

AMOUNT = 12_990
UPDATED = ("charge.refund.updated", "refund.updated")


@pytest.fixture
def charge(shop: Shop, controls: Controls) -> stripe.Charge:
    session = shop.session()
    controls.post(f"sessions/{session.id}/pay")
    intent = shop.again(session, "payment_intent.latest_charge").payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


def new_types(shop: Shop) -> list[str]:
    """The events after the payment's own."""
    types: list[str] = [event.type for event in shop.events()]
    return types[4:]


def refunded(shop: Shop, charge: stripe.Charge) -> tuple[int, bool]:
    now = shop.client.v1.charges.retrieve(charge.id)
    return now.amount_refunded, now.refunded


def test_several_partial_refunds_add_up_to_the_whole(shop: Shop, charge: stripe.Charge) -> None:
    refunds = shop.client.v1.refunds
    first = refunds.create(params={"charge": charge.id, "amount": 1000, "metadata": {"why": "test"}})
    between = refunded(shop, charge)
    rest = refunds.create(params={"payment_intent": str(charge.payment_intent)})

    assert (first.amount, rest.amount, first.status) == (1000, AMOUNT - 1000, "succeeded")
    assert (between, refunded(shop, charge)) == ((1000, False), (AMOUNT, True))
    assert new_types(shop) == ["refund.created", "charge.refunded"] * 2
    listed = refunds.list(params={"charge": charge.id})
    assert [found.id for found in listed.data] == [rest.id, first.id]
    whole = shop.client.v1.charges.retrieve(charge.id, params={"expand": ["refunds"]})
    assert whole.refunds is not None
    assert len(whole.refunds.data) == 2


def test_a_pending_refund_can_succeed(shop: Shop, controls: Controls, charge: stripe.Charge) -> None:
    refund = controls.post(f"charges/{charge.id}/refund", amount=500, status="pending")
    controls.post(f"refunds/{refund['id']}/succeed")

    assert (refund["status"], refund["pending_reason"]) == ("pending", "processing")
    assert shop.client.v1.refunds.retrieve(refund["id"]).status == "succeeded"
    assert new_types(shop) == ["refund.created", "charge.refunded", *UPDATED]


def test_a_refund_that_fails_later_returns_the_money(shop: Shop, controls: Controls, charge: stripe.Charge) -> None:
    refund = shop.client.v1.refunds.create(params={"charge": charge.id})

    controls.post(f"refunds/{refund.id}/fail")

    failed = shop.client.v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert refunded(shop, charge) == (0, False)
    assert new_types(shop) == [
        "refund.created", "charge.refunded", *UPDATED, "refund.failed", "charge.updated",
    ]  # fmt: skip


@pytest.mark.parametrize("status", ["pending", "requires_action"])
def test_a_cancelled_refund_returns_the_money(
    shop: Shop, controls: Controls, charge: stripe.Charge, status: str
) -> None:
    refund = controls.post(f"charges/{charge.id}/refund", amount=500, status=status)["id"]

    controls.post(f"refunds/{refund}/cancel")

    cancelled = shop.client.v1.refunds.retrieve(refund)
    assert (cancelled.status, cancelled.failure_reason) == ("canceled", "merchant_request")
    assert refunded(shop, charge) == (0, False)
    assert new_types(shop) == ["refund.created", "charge.refunded", *UPDATED, "charge.updated"]
    controls.post(f"refunds/{refund}/fail", expect=409)


def test_the_api_cancels_only_a_refund_that_requires_action(
    shop: Shop, controls: Controls, charge: stripe.Charge
) -> None:
    waiting = controls.post(f"charges/{charge.id}/refund", amount=500, status="requires_action")["id"]
    others = [
        controls.post(f"charges/{charge.id}/refund", amount=500, status=refund) for refund in ("pending", "succeeded")
    ]

    assert shop.client.v1.refunds.cancel(waiting).status == "canceled"

    for other in (waiting, *(refund["id"] for refund in others)):
        with pytest.raises(stripe.InvalidRequestError, match="requires_action"):
            shop.client.v1.refunds.cancel(other)


def test_a_refund_by_session_can_fail_at_once(shop: Shop, controls: Controls, charge: stripe.Charge) -> None:
    [session] = shop.client.v1.checkout.sessions.list().data

    refund = controls.post(f"sessions/{session.id}/refund", status="failed")

    assert refund["status"] == "failed"
    assert refunded(shop, charge) == (0, False)


@pytest.mark.parametrize(("amount", "status"), [(AMOUNT + 1, 400), (0, 400), (-5, 400)])
def test_a_refund_above_the_paid_amount_is_rejected(
    shop: Shop, charge: stripe.Charge, amount: int, status: int
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.client.v1.refunds.create(params={"charge": charge.id, "amount": amount})

    assert (refusal.value.http_status, refusal.value.param) == (status, "amount")
    assert refunded(shop, charge) == (0, False)


def test_a_second_full_refund_is_rejected(shop: Shop, charge: stripe.Charge) -> None:
    shop.client.v1.refunds.create(params={"charge": charge.id})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.client.v1.refunds.create(params={"charge": charge.id})

    assert refusal.value.code == "charge_already_refunded"


def test_a_dispute_withdraws_the_funds_and_a_win_returns_them(
    shop: Shop, controls: Controls, charge: stripe.Charge
) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute", amount=5000, reason="product_not_received")
    controls.post(f"disputes/{dispute['id']}/won")

    won = shop.client.v1.disputes.retrieve(dispute["id"])
    assert (dispute["status"], dispute["amount"], won.status) == ("needs_response", 5000, "won")
    assert [moved.amount for moved in won.balance_transactions] == [-5000, 5000]
    assert shop.client.v1.charges.retrieve(charge.id).disputed
    assert new_types(shop) == [
        "charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]  # fmt: skip


def test_a_lost_dispute_keeps_the_funds_and_forbids_refunds(
    shop: Shop, controls: Controls, charge: stripe.Charge
) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute")
    controls.post(f"dispute/{dispute['id']}/lost")

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.client.v1.refunds.create(params={"charge": charge.id})

    assert refusal.value.code == "charge_disputed"
    [closed] = shop.events("charge.dispute.closed")
    assert closed.data.object["status"] == "lost"
    assert shop.events("charge.dispute.funds_reinstated") == []


def test_each_step_of_a_dispute_can_be_triggered_alone(shop: Shop, controls: Controls, charge: stripe.Charge) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute", withdraw=False)["id"]
    for action, params in (
        ("under_review", {}),
        ("funds_withdrawn", {}),
        ("won", {"reinstate": False}),
        ("funds_reinstated", {}),
    ):
        controls.post(f"disputes/{dispute}/{action}", **params)

    assert new_types(shop) == [
        "charge.dispute.created", "charge.dispute.updated", "charge.dispute.funds_withdrawn", "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]  # fmt: skip


def test_an_inquiry_withdraws_no_funds(shop: Shop, controls: Controls, charge: stripe.Charge) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute", inquiry=True)
    closed = controls.post(f"disputes/{dispute['id']}/won")

    assert (dispute["status"], closed["status"]) == ("warning_needs_response", "warning_closed")
    assert closed["balance_transactions"] == []


def test_a_refunded_charge_can_be_disputed_in_full(shop: Shop, controls: Controls, charge: stripe.Charge) -> None:
    shop.client.v1.refunds.create(params={"charge": charge.id, "amount": 1000})

    dispute = controls.post(f"charges/{charge.id}/dispute")

    assert dispute["amount"] == AMOUNT
    assert refunded(shop, charge) == (1000, False)


def test_the_api_submits_evidence_and_closes_a_dispute(shop: Shop, controls: Controls, charge: stripe.Charge) -> None:
    dispute = controls.post(f"charges/{charge.id}/dispute")["id"]

    sent = shop.client.v1.disputes.update(dispute, params={"evidence": {"customer_name": "Maria"}, "submit": True})
    closed = shop.client.v1.disputes.close(dispute)

    assert (sent.status, sent.evidence.customer_name, closed.status) == ("under_review", "Maria", "lost")
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        shop.client.v1.disputes.close(dispute)
    listed = shop.client.v1.disputes.list(params={"payment_intent": str(charge.payment_intent)})
    assert [found.id for found in listed.data] == [dispute]


def test_an_unpaid_session_has_nothing_to_refund(shop: Shop, controls: Controls) -> None:
    session = shop.session()

    controls.post(f"sessions/{session.id}/refund", expect=404)
