"""The switches under /_control: act on a session, charge, refund or dispute; disturb the webhooks; look inside."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fake_stripe import keys, lifecycle, money_back
from fake_stripe.api import Api
from fake_stripe.errors import Json, StripeError
from fake_stripe.faults import Fault
from fake_stripe.state import State
from fake_stripe.web import Request, Response, json_response, redirect
from fake_stripe.webhooks import SIGN_WITH, Settings, Webhooks
from fake_stripe.wishes import Wishes

FORM = "application/x-www-form-urlencoded"
TEN_YEARS = 10 * 366 * 86_400


@dataclass
class Fake:
    """The three parts that controls reach."""

    state: State
    api: Api
    webhooks: Webhooks


type Run = Callable[[Fake, str, Wishes, Request], Any]


def handle(fake: Fake, request: Request) -> Response:
    try:
        run, identifier = _match(request)
        if run is _raw:
            return json_response(200, _raw(fake, "", Wishes({}), request))
        wishes = Wishes(_wishes(request) if request.method == "POST" else {})
        result = run(fake, identifier, wishes, request)
        wishes.done()
    except StripeError as error:
        return json_response(error.status, error.body())
    pressed_in_browser = request.method == "POST" and "text/html" in request.headers.get("accept", "")
    return redirect("/") if pressed_in_browser else json_response(200, result)


def _match(request: Request) -> tuple[Run, str]:
    path = urlsplit(request.target).path
    for method, pattern, run in ROUTES:
        found = re.fullmatch(pattern, path)
        if found and method == request.method:
            return run, found[1] if found.groups() else ""
    raise StripeError(f"No such control: {request.method} {path[:100]}; see fake_stripe/README.md", status=404)


def _wishes(request: Request) -> Json:
    """A JSON object, whatever curl calls it, or a browser's form."""
    if request.headers.get("content-type", "").startswith(FORM) and not request.body.startswith((b"{", b"[")):
        return dict(parse_qsl(request.body.decode("ascii", "replace"), max_num_fields=50, strict_parsing=False))
    try:
        values = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise StripeError("The body is not JSON") from error
    if not isinstance(values, dict):
        raise StripeError("The body must be a JSON object")
    return values


# Sessions, charges, refunds, disputes


def _pay(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    method, card = wishes.text("method"), wishes.text("card", lifecycle.TEST_CARD)
    wishes.done()
    with fake.state.lock:
        return dict(lifecycle.pay(fake.state, identifier, method or None, card))


def _confirm(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    method = wishes.text("method")
    wishes.done()
    with fake.state.lock:
        return dict(lifecycle.confirm(fake.state, identifier, method or None))


def _fail(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    decline_code = wishes.text("decline_code", "generic_decline")
    wishes.done()
    with fake.state.lock:
        return dict(lifecycle.fail(fake.state, identifier, decline_code))


def _expire(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    wishes.done()
    with fake.state.lock:
        return dict(lifecycle.expire(fake.state, identifier))


def _pay_after_expiry(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    method = wishes.text("method")
    wishes.done()
    with fake.state.lock:
        return dict(lifecycle.pay_after_expiry(fake.state, identifier, method or None))


def _refund(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    amount, status = wishes.count("amount", least=1, most=10**10), wishes.text("status", "succeeded")
    wishes.done()
    with fake.state.lock:
        charge = money_back.charge_of(fake.state, identifier)
        return dict(money_back.refund(fake.state, charge["id"], amount, status))


def _refund_action(action: str) -> Run:
    def run(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
        wishes.done()
        with fake.state.lock:
            change = money_back.fail_refund if action == "fail" else money_back.succeed_refund
            return dict(change(fake.state, identifier))

    return run


def _dispute(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    amount = wishes.count("amount", least=1, most=10**10)
    reason, inquiry = wishes.text("reason", "fraudulent"), wishes.flag("inquiry", default=False)
    withdraw = wishes.flag("withdraw", default=True)
    wishes.done()
    with fake.state.lock:
        charge = money_back.charge_of(fake.state, identifier)["id"]
        return dict(
            money_back.dispute(fake.state, charge, amount=amount, reason=reason, withdraw=withdraw, inquiry=inquiry)
        )


def _dispute_action(action: str) -> Run:
    def run(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
        reinstate = wishes.flag("reinstate", default=True) if action == "won" else False
        wishes.done()
        with fake.state.lock:
            if action == "funds_withdrawn":
                return dict(money_back.withdraw_funds(fake.state, identifier))
            if action == "funds_reinstated":
                return dict(money_back.reinstate_funds(fake.state, identifier))
            if action == "under_review":
                return dict(money_back.submit_evidence(fake.state, identifier, {}, submit=True))
            return dict(money_back.close_dispute(fake.state, identifier, action, reinstate=reinstate))

    return run


# Webhooks


def _settings(fake: Fake, _id: str, _wishes: Wishes, _request: Request) -> Json:
    with fake.webhooks.changed:
        return asdict(fake.webhooks.settings) | {"api_version": fake.state.api_version}


def _configure(fake: Fake, identifier: str, wishes: Wishes, request: Request) -> Json:
    old = Settings()
    with fake.webhooks.changing() as settings:
        wanted = {field.name: _setting(field.name, getattr(settings, field.name), wishes) for field in fields(old)}
        fake.state.api_version = wishes.text("api_version", fake.state.api_version)
        wishes.done()
        for name, value in wanted.items():
            setattr(settings, name, value)
    return _settings(fake, identifier, wishes, request)


def _setting(name: str, now: Any, wishes: Wishes) -> Any:
    """A setting's new value, of the type that it has now."""
    if name == "timestamp_offset_seconds":
        return wishes.count(name, now, least=-TEN_YEARS, most=TEN_YEARS)
    if isinstance(now, bool):
        return wishes.flag(name, default=now)
    if isinstance(now, int):
        return wishes.count(name, now, least=int(name == "concurrency"))
    if isinstance(now, float):
        return wishes.seconds(name, now)
    if isinstance(now, list):
        return wishes.waits(name, now)
    return _named_text(name, wishes.text(name, now))


def _named_text(name: str, value: str) -> str:
    if name == "sign_with" and value not in SIGN_WITH:
        raise StripeError(f"sign_with is one of {', '.join(SIGN_WITH)}", param=name)
    return webhook_url(value) if name == "url" else value


def webhook_url(url: str) -> str:
    if url and not re.fullmatch(r"https?://[^\s@/]+(/\S*)?", url, re.ASCII):
        raise StripeError("The webhook URL must be http:// or https://", param="url")
    return url


def _switch(name: str, key: str) -> Run:
    """Shortcuts such as POST /_control/webhooks/lose {"next": 2}."""

    def run(fake: Fake, identifier: str, wishes: Wishes, request: Request) -> Json:
        count = wishes.count(key, 1)
        copies = wishes.count("copies", 1, least=1, most=100) if name == "duplicate_next" else None
        wishes.done()
        with fake.webhooks.changing() as settings:
            setattr(settings, name, count)
            settings.copies = copies or settings.copies
        return _settings(fake, identifier, wishes, request)

    return run


def _running(*, wanted: bool) -> Run:
    def run(fake: Fake, _id: str, wishes: Wishes, _request: Request) -> Json:
        discard = wishes.flag("discard", default=False) if wanted else False
        wishes.done()
        lost = fake.webhooks.discard() if discard else 0
        with fake.webhooks.changing() as settings:
            settings.running = wanted
        return {"running": wanted, "discarded": lost}

    return run


def _release(fake: Fake, _id: str, _wishes: Wishes, _request: Request) -> Json:
    fake.webhooks.release()
    return {"released": True}


def _rotate(fake: Fake, _id: str, wishes: Wishes, _request: Request) -> Json:
    fake.webhooks.rotate(wishes.text("secret"))
    with fake.webhooks.changed:
        return {"secret": fake.webhooks.settings.secret, "previous_secret": fake.webhooks.settings.previous_secret}


def _raw(fake: Fake, _id: str, _wishes: Wishes, request: Request) -> Json:
    with fake.webhooks.changed:
        if not fake.webhooks.settings.url:
            raise StripeError("There is no webhook URL", status=409)
    kind = request.headers.get("content-type", FORM)
    return fake.webhooks.send_raw(request.body, "application/json" if kind == FORM else kind)


def _redeliver(fake: Fake, identifier: str, wishes: Wishes, _request: Request) -> Json:
    """One event by its id, or all of them (of some types), oldest first unless reversed."""
    kinds, backwards = wishes.text("types"), wishes.flag("reverse", default=False)
    wishes.done()
    with fake.state.lock:
        if identifier:
            chosen = [fake.state.find("event", identifier)]
        else:
            wanted = set(filter(None, kinds.split(",")))
            chosen = [event for event in fake.state.newest_first("event") if not wanted or event["type"] in wanted]
            chosen = chosen if backwards else chosen[::-1]
        for event in chosen:
            fake.webhooks.redeliver(event)
    return {"redelivered": len(chosen)}


# The whole fake


def _state(fake: Fake, _id: str, _wishes: Wishes, _request: Request) -> Json:
    with fake.state.lock:
        lifecycle.expire_due(fake.state)
        objects = {kind: list(things.values()) for kind, things in sorted(fake.state.tables.items())}
        return copy.deepcopy({"now": fake.state.now(), "objects": objects})


def _deliveries(fake: Fake, _id: str, _wishes: Wishes, _request: Request) -> Json:
    return {"deliveries": fake.webhooks.attempts()}


def _drain(fake: Fake, _id: str, wishes: Wishes, _request: Request) -> Json:
    return fake.webhooks.drain(wishes.seconds("timeout_seconds", 10.0))


def _clock(fake: Fake, _id: str, wishes: Wishes, _request: Request) -> Json:
    """Move the fake's time forward; signatures keep the real time."""
    seconds = wishes.count("advance_seconds", 0, most=TEN_YEARS) or 0
    wishes.done()
    with fake.state.lock:
        fake.state.clock_offset += seconds
        lifecycle.expire_due(fake.state)
        return {"now": fake.state.now(), "offset_seconds": fake.state.clock_offset}


def _api_faults(fake: Fake, _id: str, wishes: Wishes, _request: Request) -> Json:
    count = wishes.count("next", 1) or 0
    status = wishes.count("status", 0, most=599) or 0
    fault = Fault(status, wishes.seconds("delay_seconds", 0.0), wishes.flag("drop_answer", default=False))
    wishes.done()
    fake.api.faults.plan(count, fault)
    return {"next": count, "fault": asdict(fault)}


def _add_key(fake: Fake, _id: str, wishes: Wishes, _request: Request) -> Json:
    try:
        key, permissions = keys.parse(wishes.text("key"))
    except ValueError as error:
        raise StripeError(str(error), param="key") from error
    fake.api.keys[key] = permissions
    return {"key": key, "permissions": permissions}


def _reset(fake: Fake, _id: str, _wishes: Wishes, _request: Request) -> Json:
    """Forget every object, event, attempt and idempotency key; switches that disturb go back to normal."""
    with fake.state.lock:
        fake.state.clear()
        fake.state.clock_offset = 0
        fake.api.idempotency.clear()
        fake.api.faults.plan(0, Fault())
        fake.webhooks.clear()
        with fake.webhooks.changing() as settings:
            settings.running, settings.sign_with, settings.delay_seconds = True, "current", 0.0
            settings.timestamp_offset_seconds = settings.duplicate_next = settings.lose_next = settings.hold_next = 0
    return {"reset": True}


ID = "([A-Za-z0-9_]{1,255})"
DISPUTE_ACTIONS = ("won", "lost", "funds_withdrawn", "funds_reinstated", "under_review")
ROUTES: tuple[tuple[str, str, Run], ...] = (
    ("POST", f"/_control/sessions/{ID}/pay", _pay),
    ("POST", f"/_control/sessions/{ID}/confirm", _confirm),
    ("POST", f"/_control/sessions/{ID}/fail", _fail),
    ("POST", f"/_control/sessions/{ID}/expire", _expire),
    ("POST", f"/_control/sessions/{ID}/pay_after_expiry", _pay_after_expiry),
    ("POST", f"/_control/(?:sessions|charges)/{ID}/refund", _refund),
    ("POST", f"/_control/(?:sessions|charges)/{ID}/dispute", _dispute),
    *(("POST", f"/_control/refunds?/{ID}/{action}", _refund_action(action)) for action in ("fail", "succeed")),
    *(("POST", f"/_control/disputes?/{ID}/{action}", _dispute_action(action)) for action in DISPUTE_ACTIONS),
    ("GET", "/_control/webhooks", _settings),
    ("POST", "/_control/webhooks", _configure),
    ("POST", "/_control/webhooks/duplicate", _switch("duplicate_next", "next")),
    ("POST", "/_control/webhooks/lose", _switch("lose_next", "next")),
    ("POST", "/_control/webhooks/reorder", _switch("hold_next", "hold")),
    ("POST", "/_control/webhooks/release", _release),
    ("POST", "/_control/webhooks/stop", _running(wanted=False)),
    ("POST", "/_control/webhooks/start", _running(wanted=True)),
    ("POST", "/_control/webhooks/rotate", _rotate),
    ("POST", "/_control/webhooks/raw", _raw),
    ("POST", "/_control/events/redeliver", _redeliver),
    ("POST", f"/_control/events/{ID}/redeliver", _redeliver),
    ("GET", "/_control/state", _state),
    ("GET", "/_control/deliveries", _deliveries),
    ("POST", "/_control/drain", _drain),
    ("POST", "/_control/clock", _clock),
    ("POST", "/_control/api", _api_faults),
    ("POST", "/_control/keys", _add_key),
    ("POST", "/_control/reset", _reset),
)
