"""Refunds and disputes, their changes, and the money they move."""

from fake_stripe import objects
from fake_stripe.errors import Json, StripeError, missing, wrong_state
from fake_stripe.state import State

REFUND_STATUSES = ("succeeded", "pending", "requires_action", "failed")
# The customer's bank is slow, or the customer must choose where the money should go.
UNFINISHED = frozenset({"pending", "requires_action"})
OPEN_DISPUTES = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


def charge_of(state: State, identifier: str) -> Json:
    """Return the charge that belongs to the id of a charge, payment intent or session."""
    if identifier.startswith("ch_"):
        return state.find("charge", identifier)
    if identifier.startswith("cs_"):
        identifier = state.find("checkout.session", identifier)["payment_intent"] or "none"
    intent = state.tables.get("payment_intent", {}).get(identifier)
    if intent is None or not intent["latest_charge"]:
        raise missing("charge", identifier)
    return state.find("charge", intent["latest_charge"])


def refund(
    state: State,
    charge_id: str,
    amount: int | None = None,
    status: str = "succeeded",
    reason: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Json:
    charge = state.find("charge", charge_id)
    if status not in REFUND_STATUSES:
        raise wrong_state(f"A refund is {', '.join(REFUND_STATUSES)}; not {status}")
    amount = _refundable(state, charge, amount)
    record = objects.refund(
        state.new_id("refund"),
        state.now(),
        charge=charge,
        amount=amount,
        status="pending" if status == "failed" else status,
        reason=reason,
        metadata=metadata or {},
    )
    record["balance_transaction"] = state.move_money("refund", -amount, record)["id"]
    state.put(record)
    previous = {"amount_refunded": charge["amount_refunded"]}
    _count_refunded(charge, amount)
    state.emit("refund.created", record)
    state.emit("charge.refunded", charge, previous)
    return fail_refund(state, record["id"]) if status == "failed" else record


def succeed_refund(state: State, refund_id: str) -> Json:
    record = state.find("refund", refund_id)
    if record["status"] not in UNFINISHED:
        raise wrong_state(f"Refund {refund_id} is {record['status']}, not pending")
    previous = {"status": record["status"], "pending_reason": record["pending_reason"]}
    record.update(status="succeeded", pending_reason=None)
    announce_update(state, record, previous)
    return record


def cancel_refund(state: State, refund_id: str) -> Json:
    """Cancel a refund whose money hasn't left yet. The money returns to the merchant."""
    record = state.find("refund", refund_id)
    if record["status"] not in UNFINISHED:
        raise StripeError(
            f"A refund can be canceled before it is processed only. This refund has a status of {record['status']}.",
            param="refund",
        )
    previous = {"status": record["status"]}
    record.update(status="canceled", failure_reason="merchant_request", pending_reason=None)
    previous_charge = _return_to_merchant(state, record)
    announce_update(state, record, previous)
    state.emit("charge.updated", state.find("charge", record["charge"]), previous_charge)
    return record


def announce_update(state: State, record: Json, previous: Json) -> None:
    """Both names of the event: endpoints on older API versions know only the first."""
    state.emit("charge.refund.updated", record, previous)
    state.emit("refund.updated", record, previous)


def fail_refund(state: State, refund_id: str, reason: str = "expired_or_canceled_card") -> Json:
    """Fail a refund, even after it succeeded, as a bank can days later. The money returns to the merchant."""
    record = state.find("refund", refund_id)
    if record["status"] not in {*UNFINISHED, "succeeded"}:
        raise wrong_state(f"Refund {refund_id} is {record['status']} already")
    previous = {"status": record["status"]}
    record.update(status="failed", failure_reason=reason, pending_reason=None)
    previous_charge = _return_to_merchant(state, record)
    announce_update(state, record, previous)
    state.emit("refund.failed", record)
    state.emit("charge.updated", state.find("charge", record["charge"]), previous_charge)
    return record


def dispute(
    state: State,
    charge_id: str,
    *,
    amount: int | None = None,
    reason: str = "fraudulent",
    withdraw: bool = True,
    inquiry: bool = False,
) -> Json:
    charge = state.find("charge", charge_id)
    amount = charge["amount"] if amount is None else amount
    if not charge["paid"] or not 1 <= amount <= charge["amount"]:
        raise wrong_state(f"Charge {charge_id} can't be disputed for {amount}")
    status = "warning_needs_response" if inquiry else "needs_response"
    record = objects.dispute(
        state.new_id("dispute"), state.now(), charge=charge, amount=amount, reason=reason, status=status
    )
    state.put(record)
    charge["disputed"] = True
    state.emit("charge.dispute.created", record)
    return withdraw_funds(state, record["id"]) if withdraw and not inquiry else record


def withdraw_funds(state: State, dispute_id: str) -> Json:
    record = state.find("dispute", dispute_id)
    if _balance(record) < 0:
        raise wrong_state(f"The funds of {dispute_id} are withdrawn already")
    record["balance_transactions"].append(state.move_money("adjustment", -record["amount"], record))
    state.emit("charge.dispute.funds_withdrawn", record)
    return record


def reinstate_funds(state: State, dispute_id: str) -> Json:
    record = state.find("dispute", dispute_id)
    if _balance(record) >= 0:
        raise wrong_state(f"The funds of {dispute_id} are not withdrawn")
    record["balance_transactions"].append(state.move_money("adjustment", record["amount"], record))
    state.emit("charge.dispute.funds_reinstated", record)
    return record


def close_dispute(state: State, dispute_id: str, outcome: str, *, reinstate: bool = True) -> Json:
    """Close a dispute as won or lost. A won dispute returns the funds, unless `reinstate` is false."""
    record = state.find("dispute", dispute_id)
    if record["status"] not in OPEN_DISPUTES:
        raise StripeError(f"This dispute is already closed ({record['status']}).", param="dispute")
    record["status"] = "warning_closed" if record["status"].startswith("warning") else outcome
    if outcome == "won" and reinstate and _balance(record) < 0:
        reinstate_funds(state, dispute_id)
    state.emit("charge.dispute.closed", record)
    return record


def submit_evidence(state: State, dispute_id: str, evidence: dict[str, str], *, submit: bool) -> Json:
    record = state.find("dispute", dispute_id)
    previous = {"status": record["status"]}
    record["evidence"].update(evidence)
    record["evidence_details"]["has_evidence"] = any(isinstance(text, str) for text in record["evidence"].values())
    if submit and record["status"] in OPEN_DISPUTES:
        record["status"] = "warning_under_review" if record["status"].startswith("warning") else "under_review"
        record["evidence_details"]["submission_count"] += 1
        record["evidence_details"]["submission_method"] = "manual"
    state.emit("charge.dispute.updated", record, previous)
    return record


def _balance(record: Json) -> int:
    return sum(int(transaction["amount"]) for transaction in record["balance_transactions"])


def _refundable(state: State, charge: Json, amount: int | None) -> int:
    refundable = charge["amount"] - charge["amount_refunded"]
    if not charge["paid"]:
        raise StripeError(f"Charge {charge['id']} has not been paid.", param="charge")
    disputes = (dispute for dispute in state.newest_first("dispute") if dispute["charge"] == charge["id"])
    if any(dispute["status"] == "lost" for dispute in disputes):
        raise StripeError("This charge has been charged back; it can't be refunded.", code="charge_disputed")
    if refundable == 0:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = refundable if amount is None else amount
    if not 1 <= amount <= refundable:
        raise StripeError(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({refundable})",
                          param="amount")  # fmt: skip
    return amount


def _return_to_merchant(state: State, record: Json) -> Json:
    """Return the money of a refund that failed or was cancelled. Returns the charge's previous values."""
    record["failure_balance_transaction"] = state.move_money("refund_failure", record["amount"], record)["id"]
    charge = state.find("charge", record["charge"])
    previous = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    _count_refunded(charge, -record["amount"])
    return previous


def _count_refunded(charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
