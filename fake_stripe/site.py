"""What a browser sees: the dashboard at /, the payment page at /pay/{session}, and their two small files."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from fake_stripe import dashboard, lifecycle, page, qr
from fake_stripe.controls import Fake
from fake_stripe.errors import StripeError
from fake_stripe.lifecycle import DECLINES, TEST_CARD
from fake_stripe.web import Request, Response, redirect
from fake_stripe.words import language

HERE = Path(__file__).parent
FILES = {
    "/style.css": ((HERE / "style.css").read_bytes(), "text/css; charset=utf-8"),
    "/copy.js": ((HERE / "copy.js").read_bytes(), "text/javascript; charset=utf-8"),
}
PAY = re.compile(r"/pay/([A-Za-z0-9_]{1,255})(?:/(card|pix|boleto|paid|failed|pix\.svg))?")
SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def handle(fake: Fake, request: Request) -> Response:
    path = urlsplit(request.target).path
    spoken = language(request.headers.get("accept-language"))
    if request.method in {"GET", "HEAD"} and path in FILES:
        body, kind = FILES[path]
        return Response(200, body, dict(SAFE), kind)
    paying = PAY.fullmatch(path)
    try:
        with fake.state.lock:
            lifecycle.expire_due(fake.state)
            if request.method == "POST" and paying and paying[2]:
                return _act(fake, request, paying[1], paying[2])
            if request.method == "GET" and paying:
                return _show(fake, request, paying[1], paying[2])
            if request.method == "GET" and path == "/":
                return _html(200, dashboard.home_page(fake.state, fake.webhooks, spoken))
    except StripeError as error:
        if error.status != 404:  # noqa: PLR2004
            return redirect(f"/pay/{paying[1]}" if paying else "/")
    return _html(404, page.not_found(spoken))


def _html(status: int, body: bytes) -> Response:
    return Response(status, body, dict(SAFE), "text/html; charset=utf-8")


def _show(fake: Fake, request: Request, session_id: str, part: str | None) -> Response:
    session = fake.state.find("checkout.session", session_id)
    intent = fake.state.find("payment_intent", session["payment_intent"]) if session["payment_intent"] else None
    if part == "pix.svg":
        code = ((intent or {}).get("next_action") or {}).get("pix_display_qr_code", {}).get("data", "")
        return Response(200, qr.svg(code, "Pix").encode(), dict(SAFE), "image/svg+xml") if code else _html(404, b"")
    if part:
        return redirect(f"/pay/{session_id}")
    query = parse_qs(urlsplit(request.target).query, max_num_fields=20)
    chosen, problem = query.get("method", [""])[0], query.get("problem", [""])[0]
    items = fake.state.baskets[session_id].items
    known = problem if problem in {"declined", "not_a_test_card"} else ""
    return _html(200, page.payment_page(session, items, intent, chosen, known))


def _act(fake: Fake, request: Request, session_id: str, action: str) -> Response:
    """A button was pressed; whatever it did, the page shows the state afterwards."""
    back = f"/pay/{session_id}"
    if action == "card":
        form = parse_qs(request.body.decode("ascii", "replace"), max_num_fields=20)
        number = re.sub(r"\D", "", form.get("number", [""])[0])
        if number not in {TEST_CARD, *DECLINES}:
            return redirect(f"{back}?method=card&problem=not_a_test_card")
        session = lifecycle.pay(fake.state, session_id, "card", number)
        return redirect(back if session["payment_status"] == "paid" else f"{back}?method=card&problem=declined")
    if action in {"pix", "boleto"}:
        lifecycle.confirm(fake.state, session_id, action)
    elif action == "paid":
        lifecycle.pay(fake.state, session_id)
    elif action == "failed":
        lifecycle.fail(fake.state, session_id)
    return redirect(back)
