"""The life of a payment session: confirmed, paid, failed, expired, or paid after it expired."""

from fake_stripe import objects, vouchers
from fake_stripe.errors import Json, StripeError, wrong_state
from fake_stripe.state import State

WAITING_METHODS = ("pix", "boleto")
DECLINES = {
    "4000000000000002": "generic_decline",
    "4000000000009995": "insufficient_funds",
    "4000000000009987": "lost_card",
}
TEST_CARD = "4242424242424242"
PAYER: Json = {"name": "Maria de Teste", "email": "maria@example.com", "tax_id": "000.000.000-00"}
MERCHANT = "Loja de teste"


def waiting(session: Json) -> bool:
    """Whether the payer chose Pix or boleto and hasn't paid yet."""
    return bool(session["status"] == "complete" and session["payment_status"] == "unpaid")


def returns(state: State, session: Json) -> bool:
    """Whether the payer returns to the shop: not from Pix, whose instructions Stripe shows itself.

    https://docs.stripe.com/payments/pix/accept-a-payment
    """
    return state.baskets[session["id"]].method != "pix"


def payment_failed(state: State, session: Json) -> bool:
    """Whether the session's Pix or boleto failed or expired."""
    return waiting(session) and state.find("payment_intent", session["payment_intent"])["next_action"] is None


def page_state(session: Json, intent: Json | None) -> str:
    """The session's state on the pages: open, waiting, paid, failed or expired."""
    if session["payment_status"] == "paid":
        return "paid"
    if session["status"] == "complete":
        return "waiting" if intent and intent["next_action"] else "failed"
    return str(session["status"])


def pay(state: State, session_id: str, method: str | None = None, card: str = TEST_CARD) -> Json:
    """Pay the session: a card pays at once, Pix and boleto after they are confirmed."""
    session = state.find("checkout.session", session_id)
    method = method or _chosen_method(state, session)
    if session["status"] == "open":
        _require_offered(session, method)
        if method == "card":
            return _pay_by_card(state, session, card)
        confirm(state, session_id, method)
    elif not waiting(session) or payment_failed(state, session):
        raise wrong_state(f"Session {session_id} is {session['status']} and {session['payment_status']}, not payable")
    return _succeed(state, session, "checkout.session.async_payment_succeeded")


def confirm(state: State, session_id: str, method: str | None = None) -> Json:
    """Choose Pix or boleto: the session completes unpaid and shows the code or number to pay."""
    session = _open_session(state, session_id)
    offered = [name for name in WAITING_METHODS if name in session["payment_method_types"]]
    method = method or (offered[0] if offered else "pix")
    if method not in WAITING_METHODS:
        raise wrong_state(f"{method} is paid at once; only {' and '.join(WAITING_METHODS)} are confirmed first")
    _require_offered(session, method)
    intent = _choose(state, session, method)
    intent["status"] = "requires_action"
    intent["next_action"] = _voucher(state, session, intent, method)
    state.emit("payment_intent.requires_action", intent)
    _complete(state, session)
    state.emit("checkout.session.completed", session)
    return session


def fail(state: State, session_id: str, decline_code: str = "generic_decline") -> Json:
    """Fail a waiting payment for good, or decline a card of an open session, which stays open."""
    session = state.find("checkout.session", session_id)
    if session["status"] == "open":
        return _decline(state, session, TEST_CARD[-4:], decline_code)
    if not waiting(session):
        raise wrong_state(f"Session {session_id} is {session['status']} and {session['payment_status']}")
    if payment_failed(state, session):
        raise wrong_state(f"The payment of session {session_id} has failed already")
    intent = state.find("payment_intent", session["payment_intent"])
    message = "The payment was not made before its code expired."
    intent["last_payment_error"] = _payment_error(
        "payment_intent_payment_attempt_expired", message, kind="invalid_request_error"
    )
    intent.update(status="requires_payment_method", next_action=None, payment_method=None)
    state.emit("payment_intent.payment_failed", intent)
    state.emit("checkout.session.async_payment_failed", session)
    return session


def expire(state: State, session_id: str) -> Json:
    session = state.find("checkout.session", session_id)
    if session["status"] != "open":
        raise StripeError(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of {session['status']}.",
            param="session",
        )
    session.update(status="expired", url=None)
    if session["payment_intent"]:
        intent = state.find("payment_intent", session["payment_intent"])
        intent.update(status="canceled", canceled_at=state.now(), cancellation_reason="automatic")
        state.emit("payment_intent.canceled", intent)
    state.emit("checkout.session.expired", session)
    return session


def pay_after_expiry(state: State, session_id: str, method: str | None = None) -> Json:
    """Pay after the session expired, or after its Pix or boleto failed."""
    session = state.find("checkout.session", session_id)
    if session["status"] != "expired" and not payment_failed(state, session):
        raise wrong_state(f"Session {session_id} is {session['status']}; expire it, or let its payment fail, first")
    method = method or _chosen_method(state, session)
    _require_offered(session, method)
    if session["status"] == "expired":
        session["payment_intent"] = None  # a cancelled payment intent stays cancelled
        _choose(state, session, method)
        _complete(state, session)
    event = "completed" if method == "card" else "async_payment_succeeded"
    return _succeed(state, session, f"checkout.session.{event}")


def expire_due(state: State) -> None:
    """Expire sessions, Pix codes and boletos that are due. Runs before every request and once a second."""
    now = state.now()
    for session in list(state.tables.get("checkout.session", {}).values()):
        if session["status"] == "open" and session["expires_at"] <= now:
            expire(state, session["id"])
        elif waiting(session):
            details = (state.find("payment_intent", session["payment_intent"])["next_action"] or {}).values()
            if any(isinstance(voucher, dict) and voucher["expires_at"] <= now for voucher in details):
                fail(state, session["id"])


def _chosen_method(state: State, session: Json) -> str:
    chosen: str = state.baskets[session["id"]].method or session["payment_method_types"][0]
    return chosen


def _open_session(state: State, session_id: str) -> Json:
    session = state.find("checkout.session", session_id)
    if session["status"] != "open":
        raise wrong_state(f"Session {session_id} is {session['status']}, not open")
    return session


def _require_offered(session: Json, method: str) -> None:
    if method not in session["payment_method_types"]:
        raise wrong_state(f"Session {session['id']} does not offer {method}")


def _choose(state: State, session: Json, method: str) -> Json:
    """Create the payment intent when the payer chooses a method, as Stripe does. A second attempt uses the same one."""
    basket = state.baskets[session["id"]]
    basket.method = method
    if session["payment_intent"]:
        intent = state.find("payment_intent", session["payment_intent"])
        intent.update(payment_method=state.new_id("payment_method"), last_payment_error=None)
        return intent
    intent = objects.payment_intent(
        state.new_id("payment_intent"),
        state.now(),
        amount=session["amount_total"],
        currency=session["currency"],
        customer=session["customer"],
        payment_method=state.new_id("payment_method"),
        payment_method_types=list(session["payment_method_types"]),
        **basket.intent_fields,
    )
    session["payment_intent"] = state.put(intent)["id"]
    state.emit("payment_intent.created", intent)
    return intent


def _voucher(state: State, session: Json, intent: Json, method: str) -> Json:
    page = f"{state.public_url}/pay/{session['id']}"
    options = session["payment_method_options"].get(method) or {}
    if method == "pix":
        code = vouchers.pix_code(amount=intent["amount"], reference=intent["id"].replace("_", ""), merchant=MERCHANT)
        details = {
            "data": code,
            "expires_at": state.now() + options.get("expires_after_seconds", 86_400),
            "hosted_instructions_url": page,
            "image_url_png": f"{page}/pix.png",
            "image_url_svg": f"{page}/pix.svg",
        }
        return {"type": "pix_display_qr_code", "pix_display_qr_code": details}
    due = vouchers.boleto_due(state.now(), options.get("expires_after_days", 3))
    serial = len(state.tables["payment_intent"])
    number = vouchers.boleto_number(amount=intent["amount"], due=due, serial=serial)
    details = {"expires_at": due, "hosted_voucher_url": page, "number": number, "pdf": f"{page}/boleto.pdf"}
    return {"type": "boleto_display_details", "boleto_display_details": details}


def _complete(state: State, session: Json) -> None:
    if session["customer_creation"] == "always" and not session["customer"]:
        person = objects.customer(state.new_id("customer"), state.now(), name=PAYER["name"], email=_email(session))
        session["customer"] = state.put(person)["id"]
        state.emit("customer.created", person)
        state.find("payment_intent", session["payment_intent"])["customer"] = person["id"]
    session.update(status="complete", url=None, customer_details=_customer_details(session))


def _pay_by_card(state: State, session: Json, card: str) -> Json:
    if card in DECLINES:
        return _decline(state, session, card[-4:], DECLINES[card])
    _choose(state, session, "card")
    _complete(state, session)
    return _succeed(state, session, "checkout.session.completed", card[-4:])


def _succeed(state: State, session: Json, announcement: str, last4: str = "4242") -> Json:
    intent = state.find("payment_intent", session["payment_intent"])
    method = _chosen_method(state, session)
    charge = objects.charge(
        state.new_id("charge"),
        state.now(),
        intent=intent,
        details=_method_details(method, last4),
        billing=_billing(session),
    )
    charge["balance_transaction"] = state.move_money("charge", charge["amount"], charge)["id"]
    state.put(charge)
    intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
    intent.update(next_action=None, last_payment_error=None, payment_method=charge["payment_method"])
    session["payment_status"] = "paid"
    state.emit("charge.succeeded", charge)
    state.emit("payment_intent.succeeded", intent)
    state.emit(announcement, session)
    return session


def _decline(state: State, session: Json, last4: str, decline_code: str) -> Json:
    intent = _choose(state, session, "card")
    message = "Your card was declined."
    charge = objects.charge(
        state.new_id("charge"),
        state.now(),
        intent=intent,
        details=_method_details("card", last4),
        billing=_billing(session),
        status="failed",
        failure_code="card_declined",
        failure_message=message,
        outcome=objects.outcome("issuer_declined", message),
    )
    state.put(charge)
    error = _payment_error("card_declined", message, kind="card_error")
    intent["last_payment_error"] = error | {"charge": charge["id"], "decline_code": decline_code}
    intent.update(status="requires_payment_method", latest_charge=charge["id"], payment_method=None)
    state.emit("charge.failed", charge)
    state.emit("payment_intent.payment_failed", intent)
    return session


def _payment_error(code: str, message: str, *, kind: str) -> Json:
    return {"code": code, "message": message, "type": kind}


def _method_details(method: str, last4: str) -> Json:
    if method == "card":
        return objects.card_details(last4)
    if method == "pix":
        return {"type": "pix", "pix": {"bank_transaction_id": "E0000000020260101000000000000001"}}
    return {"type": "boleto", "boleto": {"tax_id": PAYER["tax_id"]}}


def _email(session: Json) -> str:
    return session["customer_email"] or str(PAYER["email"])


def _billing(session: Json) -> Json:
    return {
        "address": objects.ADDRESS | {"country": "BR"}, "email": _email(session), "name": PAYER["name"],
        "phone": None, "tax_id": None,
    }  # fmt: skip


def _customer_details(session: Json) -> Json:
    return {
        "address": objects.ADDRESS | {"country": "BR"}, "business_name": None, "email": _email(session),
        "individual_name": None, "name": PAYER["name"], "phone": None, "tax_exempt": "none", "tax_ids": [],
    }  # fmt: skip
