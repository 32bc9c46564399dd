"""The routes for browsers: the dashboard at /, and the payment page at /pay/{session}."""

import io
import re
from functools import partial
from typing import Any

import segno
from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from fake_stripe import lifecycle
from fake_stripe.errors import Json, StripeError
from fake_stripe.fake import Fake
from fake_stripe.lifecycle import DECLINES, MERCHANT, TEST_CARD
from fake_stripe.pages import dashboard
from fake_stripe.pages.formats import day, language_of, moment, money
from fake_stripe.pages.texts import LANGUAGES
from fake_stripe.pdf import one_page_pdf
from fake_stripe.vouchers import boleto_day, spaced_boleto

PROBLEMS = ("declined", "not_a_test_card")
SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def blueprint(fake: Fake) -> Blueprint:
    """Return the routes of the pages of `fake`."""
    pages = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")
    pages.after_request(_add_headers)
    pages.register_error_handler(StripeError, _after_refusal)
    pages.add_url_rule("/", "home", partial(_home, fake))
    pages.add_url_rule("/pay/<session_id>", "pay", partial(_pay, fake))
    pages.add_url_rule("/pay/<session_id>/pix.<any(svg, png):kind>", "qr_code", partial(_qr_code, fake))
    pages.add_url_rule("/pay/<session_id>/boleto.pdf", "boleto_pdf", partial(_boleto_pdf, fake))
    action = "/pay/<session_id>/<any(card, pix, boleto, paid, failed):action>"
    pages.add_url_rule(action, "act", partial(_act, fake), methods=["POST"])
    pages.add_url_rule(action, "reload", lambda session_id, **_: redirect(f"/pay/{session_id}", 303))
    return pages


def not_found() -> ResponseReturnValue:
    """Return the page for an unknown address, with status 404."""
    return _add_headers(Response(_page("not_found.html", _browser_language()), 404))


def _add_headers(response: Response) -> Response:
    response.headers.update(SAFE)
    return response


def _after_refusal(error: StripeError) -> ResponseReturnValue:
    """Show the current page after a button that no longer fits the session's state."""
    if error.status == NotFound.code:
        return not_found()
    return redirect(request.path.rpartition("/")[0], 303)


def _browser_language() -> str:
    return language_of(request.headers.get("Accept-Language"))


def _page(template: str, language: str, **values: Any) -> str:
    return render_template(
        template,
        language=language,
        t=LANGUAGES[language],
        money=partial(money, language=language),
        day=partial(day, language=language),
        moment=partial(moment, language=language),
        **values,
    )


def _home(fake: Fake) -> str:
    with fake.state.lock:
        lifecycle.expire_due(fake.state)
        values = dashboard.values(fake.state, fake.webhooks)
    return _page("dashboard.html", _browser_language(), **values)


def _pay(fake: Fake, session_id: str) -> str:
    with fake.state.lock:
        lifecycle.expire_due(fake.state)
        session = fake.state.find("checkout.session", session_id)
        intent = _intent(fake, session)
        methods = session["payment_method_types"]
        returns = lifecycle.returns(fake.state, session)
        method, problem = request.args.get("method"), request.args.get("problem")
        return _page(
            "checkout.html",
            language_of(session["locale"]),
            merchant=MERCHANT,
            session=session,
            items=fake.state.baskets[session_id].items,
            state=lifecycle.page_state(session, intent),
            method=method if method in methods else methods[0],
            problem=problem if problem in PROBLEMS else None,
            test_card=TEST_CARD,
            voucher=intent and intent["next_action"],
            qr_code=_inline_qr_code,
            spaced_boleto=spaced_boleto,
            success_url=_link(session["success_url"], session_id) if returns else None,
            cancel_url=_link(session["cancel_url"], session_id) if returns or session["status"] == "open" else None,
        )


def _intent(fake: Fake, session: Json) -> Json | None:
    identifier = session["payment_intent"]
    return fake.state.find("payment_intent", identifier) if identifier else None


def _link(url: str | None, session_id: str) -> str | None:
    """Return `url` if it is a web address, else None, so that a page never links to a script."""
    if not url or not url.startswith(("http://", "https://")):
        return None
    return url.replace("{CHECKOUT_SESSION_ID}", session_id)


def _inline_qr_code(text: str, label: str) -> Markup:
    code = segno.make(text, error="m", micro=False)
    return Markup(code.svg_inline(border=4, light="#fff", title=label, omitsize=True))  # noqa: S704 (segno escapes it)


def _qr_code(fake: Fake, session_id: str, kind: str) -> Response:
    with fake.state.lock:
        intent = _intent(fake, fake.state.find("checkout.session", session_id))
    pix = ((intent or {}).get("next_action") or {}).get("pix_display_qr_code")
    if pix is None:
        raise NotFound
    image = io.BytesIO()
    segno.make(pix["data"], error="m", micro=False).save(image, kind=kind, border=4, scale=8, light="#fff")
    return Response(image.getvalue(), content_type={"svg": "image/svg+xml", "png": "image/png"}[kind])


def _boleto_pdf(fake: Fake, session_id: str) -> Response:
    with fake.state.lock:
        intent = _intent(fake, fake.state.find("checkout.session", session_id))
    boleto = ((intent or {}).get("next_action") or {}).get("boleto_display_details")
    if intent is None or boleto is None:
        raise NotFound
    reais, centavos = divmod(intent["amount"], 100)
    due = f"{boleto_day(boleto['expires_at']):%d/%m/%Y}"
    lines = (MERCHANT, spaced_boleto(boleto["number"]), f"R$ {reais},{centavos:02d}", f"Vencimento {due}")
    return Response(one_page_pdf(lines), content_type="application/pdf")


def _act(fake: Fake, session_id: str, action: str) -> ResponseReturnValue:
    """Carry out a button's action, then show the page in its new state."""
    page_url = f"/pay/{session_id}"
    with fake.state.lock:
        lifecycle.expire_due(fake.state)
        match action:
            case "card":
                return redirect(page_url + _pay_by_card(fake, session_id), 303)
            case "pix" | "boleto":
                lifecycle.confirm(fake.state, session_id, action)
            case "paid":
                lifecycle.pay(fake.state, session_id)
            case "failed":
                lifecycle.fail(fake.state, session_id)
    return redirect(page_url, 303)


def _pay_by_card(fake: Fake, session_id: str) -> str:
    """Pay by card. Returns the page's query: "" after a payment, else the problem to show."""
    number = re.sub(r"\D", "", request.form.get("number", ""))
    if number not in {TEST_CARD, *DECLINES}:
        return "?method=card&problem=not_a_test_card"
    session = lifecycle.pay(fake.state, session_id, "card", number)
    return "" if session["payment_status"] == "paid" else "?method=card&problem=declined"
