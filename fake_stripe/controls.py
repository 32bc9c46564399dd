"""The controls under /_control: change sessions, charges, refunds and disputes; disturb webhooks; inspect."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from flask import Blueprint, jsonify, redirect, request
from flask.typing import ResponseReturnValue

from fake_stripe import control_params, keys, lifecycle, money_back
from fake_stripe.control_params import ControlParams
from fake_stripe.errors import Json, StripeError
from fake_stripe.fake import Fake
from fake_stripe.faults import Fault


@dataclass(frozen=True)
class Control:
    """One control: its route, its parameters, and the function that runs it."""

    method: str
    path: str
    run: Callable[[Fake, str, Any], Json]
    params: type[ControlParams] = ControlParams
    waits: bool = False  # for deliveries, whose receiver may call the API; so it doesn't hold the state's lock


def blueprint(fake: Fake) -> Blueprint:
    """Return the routes of all controls of `fake`."""
    routes = Blueprint("controls", __name__, url_prefix="/_control")
    for control in CONTROLS:
        name = f"{control.method} {control.path}"
        routes.add_url_rule(control.path, name, _view(fake, control), methods=[control.method])
    routes.add_url_rule("/webhooks/raw", "raw", lambda: _raw(fake), methods=["POST"])
    return routes


def _view(fake: Fake, control: Control) -> Callable[..., ResponseReturnValue]:
    def view(identifier: str = "", **_: str) -> ResponseReturnValue:
        params = control_params.read(request, control.params) if control.method == "POST" else ControlParams()
        with nullcontext() if control.waits else fake.state.lock:
            response = jsonify(control.run(fake, identifier, params))
        pressed_in_browser = control.method == "POST" and "text/html" in request.headers.get("accept", "")
        return redirect("/", 303) if pressed_in_browser else response

    return view


# Sessions, charges, refunds, disputes


def _pay(fake: Fake, session_id: str, params: control_params.PayParams) -> Json:
    return lifecycle.pay(fake.state, session_id, params.method, params.card)


def _confirm(fake: Fake, session_id: str, params: control_params.MethodParams) -> Json:
    return lifecycle.confirm(fake.state, session_id, params.method)


def _fail(fake: Fake, session_id: str, params: control_params.FailParams) -> Json:
    return lifecycle.fail(fake.state, session_id, params.decline_code)


def _expire(fake: Fake, session_id: str, _: ControlParams) -> Json:
    return lifecycle.expire(fake.state, session_id)


def _pay_after_expiry(fake: Fake, session_id: str, params: control_params.MethodParams) -> Json:
    return lifecycle.pay_after_expiry(fake.state, session_id, params.method)


def _refund(fake: Fake, identifier: str, params: control_params.RefundParams) -> Json:
    charge = money_back.charge_of(fake.state, identifier)
    return money_back.refund(fake.state, charge["id"], params.amount, params.status)


def _fail_refund(fake: Fake, refund_id: str, _: ControlParams) -> Json:
    return money_back.fail_refund(fake.state, refund_id)


def _succeed_refund(fake: Fake, refund_id: str, _: ControlParams) -> Json:
    return money_back.succeed_refund(fake.state, refund_id)


def _cancel_refund(fake: Fake, refund_id: str, _: ControlParams) -> Json:
    return money_back.cancel_refund(fake.state, refund_id)


def _dispute(fake: Fake, identifier: str, params: control_params.DisputeParams) -> Json:
    charge = money_back.charge_of(fake.state, identifier)
    return money_back.dispute(
        fake.state,
        charge["id"],
        amount=params.amount,
        reason=params.reason,
        withdraw=params.withdraw,
        inquiry=params.inquiry,
    )


def _win_dispute(fake: Fake, dispute_id: str, params: control_params.DisputeWonParams) -> Json:
    return money_back.close_dispute(fake.state, dispute_id, "won", reinstate=params.reinstate)


def _lose_dispute(fake: Fake, dispute_id: str, _: ControlParams) -> Json:
    return money_back.close_dispute(fake.state, dispute_id, "lost")


def _withdraw_funds(fake: Fake, dispute_id: str, _: ControlParams) -> Json:
    return money_back.withdraw_funds(fake.state, dispute_id)


def _reinstate_funds(fake: Fake, dispute_id: str, _: ControlParams) -> Json:
    return money_back.reinstate_funds(fake.state, dispute_id)


def _submit_evidence(fake: Fake, dispute_id: str, _: ControlParams) -> Json:
    return money_back.submit_evidence(fake.state, dispute_id, {}, submit=True)


# Webhooks


def _settings(fake: Fake, _id: str, _: ControlParams) -> Json:
    with fake.webhooks.changed:
        return asdict(fake.webhooks.settings) | {"api_version": fake.state.api_version}


def _configure(fake: Fake, identifier: str, params: control_params.WebhookParams) -> Json:
    values = params.model_dump(exclude_unset=True)
    fake.state.api_version = values.pop("api_version", fake.state.api_version)
    with fake.webhooks.changing() as settings:
        for name, value in values.items():
            setattr(settings, name, value)
    return _settings(fake, identifier, params)


def _duplicate(fake: Fake, identifier: str, params: control_params.DuplicateParams) -> Json:
    with fake.webhooks.changing() as settings:
        settings.duplicate_next, settings.copies = params.next, params.copies
    return _settings(fake, identifier, params)


def _lose(fake: Fake, identifier: str, params: control_params.LoseParams) -> Json:
    with fake.webhooks.changing() as settings:
        settings.lose_next = params.next
    return _settings(fake, identifier, params)


def _reorder(fake: Fake, identifier: str, params: control_params.ReorderParams) -> Json:
    with fake.webhooks.changing() as settings:
        settings.hold_next = params.hold
    return _settings(fake, identifier, params)


def _release(fake: Fake, _id: str, _: ControlParams) -> Json:
    fake.webhooks.release()
    return {"released": True}


def _stop(fake: Fake, _id: str, _: ControlParams) -> Json:
    with fake.webhooks.changing() as settings:
        settings.running = False
    return {"running": False, "discarded": 0}


def _start(fake: Fake, _id: str, params: control_params.StartParams) -> Json:
    discarded = fake.webhooks.discard() if params.discard else 0
    with fake.webhooks.changing() as settings:
        settings.running = True
    return {"running": True, "discarded": discarded}


def _rotate(fake: Fake, _id: str, params: control_params.RotateParams) -> Json:
    fake.webhooks.rotate(params.secret)
    with fake.webhooks.changed:
        return {"secret": fake.webhooks.settings.secret, "previous_secret": fake.webhooks.settings.previous_secret}


def _raw(fake: Fake) -> Json:
    """Send the body unchanged. The receiver may call the API, so this doesn't hold the state's lock."""
    with fake.webhooks.changed:
        if not fake.webhooks.settings.url:
            raise StripeError("There is no webhook URL", status=409)
    # curl sends this content type whatever the bytes are.
    kind = request.headers.get("content-type", control_params.FORM)
    return fake.webhooks.send_raw(request.get_data(), "application/json" if kind == control_params.FORM else kind)


def _redeliver_one(fake: Fake, event_id: str, _: ControlParams) -> Json:
    fake.webhooks.redeliver(fake.state.find("event", event_id))
    return {"redelivered": 1}


def _redeliver(fake: Fake, _id: str, params: control_params.RedeliverParams) -> Json:
    """Send all events again, or those of some types, oldest first unless reversed."""
    types = set(filter(None, params.types.split(",")))
    events = [event for event in fake.state.newest_first("event") if not types or event["type"] in types]
    for event in events if params.reverse else reversed(events):
        fake.webhooks.redeliver(event)
    return {"redelivered": len(events)}


# The whole fake


def _state(fake: Fake, _id: str, _: ControlParams) -> Json:
    lifecycle.expire_due(fake.state)
    objects = {kind: list(table.values()) for kind, table in sorted(fake.state.tables.items())}
    return {"now": fake.state.now(), "objects": objects}


def _deliveries(fake: Fake, _id: str, _: ControlParams) -> Json:
    return {"deliveries": fake.webhooks.attempts()}


def _drain(fake: Fake, _id: str, params: control_params.DrainParams) -> Json:
    return fake.webhooks.drain(params.timeout_seconds)


def _clock(fake: Fake, _id: str, params: control_params.ClockParams) -> Json:
    """Advance the fake's clock; signatures keep the real time."""
    fake.state.clock_offset += params.advance_seconds
    lifecycle.expire_due(fake.state)
    return {"now": fake.state.now(), "offset_seconds": fake.state.clock_offset}


def _plan_api_faults(fake: Fake, _id: str, params: control_params.ApiFaultParams) -> Json:
    fault = Fault(params.status, params.delay_seconds, params.drop_answer)
    fake.api.faults.plan(params.next, fault)
    return {"next": params.next, "fault": asdict(fault)}


def _add_key(fake: Fake, _id: str, params: control_params.KeyParams) -> Json:
    try:
        key, permissions = keys.parse(params.key)
    except ValueError as error:
        raise StripeError(str(error), param="key") from error
    fake.api.keys[key] = permissions
    return {"key": key, "permissions": permissions}


def _reset(fake: Fake, _id: str, _: ControlParams) -> Json:
    """Forget every object, event, attempt and idempotency key, and reset the settings that disturb deliveries."""
    fake.state.clear()
    fake.state.clock_offset = 0
    fake.api.idempotency.clear()
    fake.api.faults.plan(0, Fault())
    fake.webhooks.clear()
    with fake.webhooks.changing() as settings:
        settings.running, settings.sign_with, settings.delay_seconds = True, "current", 0.0
        settings.timestamp_offset_seconds = settings.duplicate_next = settings.lose_next = settings.hold_next = 0
    return {"reset": True}


REFUND, DISPUTE = "/<any(refunds, refund):kind>/<identifier>", "/<any(disputes, dispute):kind>/<identifier>"
CONTROLS = (
    Control("POST", "/sessions/<identifier>/pay", _pay, control_params.PayParams),
    Control("POST", "/sessions/<identifier>/confirm", _confirm, control_params.MethodParams),
    Control("POST", "/sessions/<identifier>/fail", _fail, control_params.FailParams),
    Control("POST", "/sessions/<identifier>/expire", _expire),
    Control("POST", "/sessions/<identifier>/pay_after_expiry", _pay_after_expiry, control_params.MethodParams),
    Control("POST", "/<any(sessions, charges):kind>/<identifier>/refund", _refund, control_params.RefundParams),
    Control("POST", "/<any(sessions, charges):kind>/<identifier>/dispute", _dispute, control_params.DisputeParams),
    Control("POST", f"{REFUND}/fail", _fail_refund),
    Control("POST", f"{REFUND}/succeed", _succeed_refund),
    Control("POST", f"{REFUND}/cancel", _cancel_refund),
    Control("POST", f"{DISPUTE}/won", _win_dispute, control_params.DisputeWonParams),
    Control("POST", f"{DISPUTE}/lost", _lose_dispute),
    Control("POST", f"{DISPUTE}/funds_withdrawn", _withdraw_funds),
    Control("POST", f"{DISPUTE}/funds_reinstated", _reinstate_funds),
    Control("POST", f"{DISPUTE}/under_review", _submit_evidence),
    Control("GET", "/webhooks", _settings),
    Control("POST", "/webhooks", _configure, control_params.WebhookParams),
    Control("POST", "/webhooks/duplicate", _duplicate, control_params.DuplicateParams),
    Control("POST", "/webhooks/lose", _lose, control_params.LoseParams),
    Control("POST", "/webhooks/reorder", _reorder, control_params.ReorderParams),
    Control("POST", "/webhooks/release", _release),
    Control("POST", "/webhooks/stop", _stop),
    Control("POST", "/webhooks/start", _start, control_params.StartParams),
    Control("POST", "/webhooks/rotate", _rotate, control_params.RotateParams),
    Control("POST", "/events/redeliver", _redeliver, control_params.RedeliverParams),
    Control("POST", "/events/<identifier>/redeliver", _redeliver_one),
    Control("GET", "/state", _state),
    Control("GET", "/deliveries", _deliveries),
    Control("POST", "/drain", _drain, control_params.DrainParams, waits=True),
    Control("POST", "/clock", _clock, control_params.ClockParams),
    Control("POST", "/api", _plan_api_faults, control_params.ApiFaultParams),
    Control("POST", "/keys", _add_key, control_params.KeyParams),
    Control("POST", "/reset", _reset),
)
