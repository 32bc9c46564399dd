"""Refunds and disputes: money that goes back, or is taken back, and may return."""

from fake_stripe import objects
from fake_stripe.errors import Json, StripeError, missing, wrong_state
from fake_stripe.state import State

REFUND_STATUSES = ("succeeded", "pending", "failed")
OPEN_DISPUTES = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


def charge_of(state: State, identifier: str) -> Json:
    """The charge behind a charge's, payment intent's or session's id."""
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
    made = objects.refund(
        state.new_id("refund"),
        state.now(),
        charge=charge,
        amount=amount,
        status="pending" if status == "failed" else status,
        reason=reason,
        metadata=metadata or {},
    )
    made["balance_transaction"] = state.move_money("refund", -amount, made)["id"]
    state.put(made)
    before = {"amount_refunded": charge["amount_refunded"]}
    _count_refunded(charge, amount)
    state.emit("refund.created", made)
    state.emit("charge.refunded", charge, before)
    return fail_refund(state, made["id"]) if status == "failed" else made


def succeed_refund(state: State, refund_id: str) -> Json:
    made = state.find("refund", refund_id)
    if made["status"] != "pending":
        raise wrong_state(f"Refund {refund_id} is {made['status']}, not pending")
    made.update(status="succeeded", pending_reason=None)
    state.emit("refund.updated", made, {"status": "pending", "pending_reason": "processing"})
    return made


def fail_refund(state: State, refund_id: str, reason: str = "expired_or_canceled_card") -> Json:
    """The bank sends it back, perhaps days after it "succeeded": the money is the merchant's again."""
    made = state.find("refund", refund_id)
    if made["status"] not in {"pending", "succeeded"}:
        raise wrong_state(f"Refund {refund_id} is {made['status']} already")
    before = {"status": made["status"]}
    made.update(status="failed", failure_reason=reason, pending_reason=None)
    made["failure_balance_transaction"] = state.move_money("refund_failure", made["amount"], made)["id"]
    charge = state.find("charge", made["charge"])
    refunded = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    _count_refunded(charge, -made["amount"])
    state.emit("refund.updated", made, before)
    state.emit("refund.failed", made)
    state.emit("charge.updated", charge, refunded)
    return made


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
    made = objects.dispute(
        state.new_id("dispute"), state.now(), charge=charge, amount=amount, reason=reason, status=status
    )
    state.put(made)
    charge["disputed"] = True
    state.emit("charge.dispute.created", made)
    return withdraw_funds(state, made["id"]) if withdraw and not inquiry else made


def withdraw_funds(state: State, dispute_id: str) -> Json:
    made = state.find("dispute", dispute_id)
    if _balance(made) < 0:
        raise wrong_state(f"The funds of {dispute_id} are withdrawn already")
    made["balance_transactions"].append(state.move_money("adjustment", -made["amount"], made))
    state.emit("charge.dispute.funds_withdrawn", made)
    return made


def reinstate_funds(state: State, dispute_id: str) -> Json:
    made = state.find("dispute", dispute_id)
    if _balance(made) >= 0:
        raise wrong_state(f"The funds of {dispute_id} are not withdrawn")
    made["balance_transactions"].append(state.move_money("adjustment", made["amount"], made))
    state.emit("charge.dispute.funds_reinstated", made)
    return made


def close_dispute(state: State, dispute_id: str, outcome: str, *, reinstate: bool = True) -> Json:
    """Won or lost. A won one gives the funds back, unless the caller wants to do that later."""
    made = state.find("dispute", dispute_id)
    if made["status"] not in OPEN_DISPUTES:
        raise StripeError(f"This dispute is already closed ({made['status']}).", param="dispute")
    made["status"] = "warning_closed" if made["status"].startswith("warning") else outcome
    if outcome == "won" and reinstate and _balance(made) < 0:
        reinstate_funds(state, dispute_id)
    state.emit("charge.dispute.closed", made)
    return made


def submit_evidence(state: State, dispute_id: str, evidence: dict[str, str], *, submit: bool) -> Json:
    made = state.find("dispute", dispute_id)
    before = {"status": made["status"]}
    made["evidence"].update(evidence)
    made["evidence_details"]["has_evidence"] = any(isinstance(text, str) for text in made["evidence"].values())
    if submit and made["status"] in OPEN_DISPUTES:
        made["status"] = "warning_under_review" if made["status"].startswith("warning") else "under_review"
        made["evidence_details"]["submission_count"] += 1
        made["evidence_details"]["submission_method"] = "manual"
    state.emit("charge.dispute.updated", made, before)
    return made


def _balance(made: Json) -> int:
    return sum(int(moved["amount"]) for moved in made["balance_transactions"])


def _refundable(state: State, charge: Json, amount: int | None) -> int:
    left = charge["amount"] - charge["amount_refunded"]
    if not charge["paid"]:
        raise StripeError(f"Charge {charge['id']} has not been paid.", param="charge")
    disputes = (one for one in state.newest_first("dispute") if one["charge"] == charge["id"])
    if any(one["status"] == "lost" for one in disputes):
        raise StripeError("This charge has been charged back; it can't be refunded.", code="charge_disputed")
    if left == 0:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = left if amount is None else amount
    if not 1 <= amount <= left:
        raise StripeError(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                          param="amount")  # fmt: skip
    return amount


def _count_refunded(charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
