"""The home page for developers: sessions with what can be done to them, and how deliveries went."""

from html import escape

from fake_stripe.errors import Json
from fake_stripe.page import document, shown_state
from fake_stripe.state import State
from fake_stripe.webhooks import Webhooks
from fake_stripe.words import LANGUAGES, moment, money

SHOWN_SESSIONS = 50
SHOWN_DELIVERIES = 40
OUTCOMES = {"delivered": "paid", "failed": "waiting", "gave_up": "failed", "lost": "failed"}


def home_page(state: State, webhooks: Webhooks, spoken: str) -> bytes:
    """The caller holds the state's lock."""
    words = LANGUAGES[spoken]
    sessions = state.newest_first("checkout.session")[:SHOWN_SESSIONS]
    rows = "".join(_session_row(state, session, spoken) for session in sessions)
    shown = f'<div class="rows">{rows}</div>' if rows else f'<p class="empty">{words["no_sessions"]}</p>'
    body = (
        f'<main class="home" id="main"><header><h1>{words["sessions"]}</h1><a class="button" href="/">'
        f"{words['reload']}</a></header><section>{shown}</section>{_delivery_section(webhooks, spoken)}</main>"
    )
    return document(words["sessions"], body, spoken)


def _button(action: str, label: str, **hidden: str) -> str:
    inputs = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in hidden.items())
    return f'<form method="post" action="/_control/{action}">{inputs}<button>{label}</button></form>'


def _badge(look: str, text: str) -> str:
    return f'<span class="badge {look}">{text}</span>'


def _session_row(state: State, session: Json, spoken: str) -> str:
    words = LANGUAGES[spoken]
    intent = state.tables.get("payment_intent", {}).get(session["payment_intent"] or "")
    shown = shown_state(session, intent)
    here = session["id"]
    goods = ", ".join(f"{item['quantity']} × {item['description']}" for item in state.baskets[here].items)
    about = " · ".join(
        filter(None, (moment(session["created"], spoken), session["client_reference_id"], session["id"]))
    )
    return (
        f'<article class="row"><div class="top"><h3>{escape(goods)}</h3><strong>'
        f"{money(session['amount_total'], session['currency'], spoken)}</strong>"
        f'{_badge(shown, words[f"state_{shown}"])}</div><p class="id">{escape(about)}</p>'
        f'<div class="tools">{_session_tools(session, shown, _left(state, intent), words)}</div>'
        f"{_money_back(state, session, spoken)}</article>"
    )


def _left(state: State, intent: Json | None) -> int:
    """What can still be refunded."""
    if not intent or not intent["latest_charge"]:
        return 0
    charge = state.find("charge", intent["latest_charge"])
    return int(charge["amount"] - charge["amount_refunded"])


def _session_tools(session: Json, shown: str, left: int, words: dict[str, str]) -> str:
    here = f"sessions/{session['id']}"
    link = f'<a class="button" href="/pay/{session["id"]}">{words["open_page"]}</a>'
    if shown == "open":
        offered = [one for one in ("pix", "boleto") if one in session["payment_method_types"]]
        confirms = "".join(_button(f"{here}/confirm", words[f"do_confirm_{one}"], method=one) for one in offered)
        card = _button(f"{here}/pay", words["do_pay"]) + confirms
        return link + card + _button(f"{here}/expire", words["do_expire"])
    if shown == "waiting":
        return link + _button(f"{here}/pay", words["do_pay"]) + _button(f"{here}/fail", words["do_fail"])
    if shown == "paid":
        amount = f"amount-{session['id']}"
        form = (
            f'<form method="post" action="/_control/{here}/refund"><div><label for="{amount}">{words["refund_amount"]}'
            f'</label><input id="{amount}" name="amount" inputmode="numeric" pattern="[0-9]+" required '
            f'value="{left}"></div><button>{words["do_refund"]}</button></form>'
        )
        return link + (form if left else "") + _button(f"{here}/dispute", words["do_dispute"])
    return link + _button(f"{here}/pay_after_expiry", words["do_late"])


def _money_back(state: State, session: Json, spoken: str) -> str:
    """The refunds and disputes of one session, oldest first."""
    words = LANGUAGES[spoken]
    lines = []
    for kind in ("refund", "dispute"):
        for thing in reversed(state.newest_first(kind)):
            if not session["payment_intent"] or thing["payment_intent"] != session["payment_intent"]:
                continue
            look = {"succeeded": "paid", "won": "paid", "failed": "failed", "lost": "failed"}
            tools = ""
            if kind == "refund" and thing["status"] != "failed":
                tools = _button(f"refunds/{thing['id']}/fail", words["do_refund_fail"])
            if kind == "dispute" and thing["status"] not in {"won", "lost", "warning_closed"}:
                tools = "".join(_button(f"disputes/{thing['id']}/{end}", words[f"do_{end}"]) for end in ("won", "lost"))
            lines.append(
                f'<div class="back-line"><span>{words[kind]}</span><strong>'
                f"{money(thing['amount'], thing['currency'], spoken)}</strong>"
                f'{_badge(look.get(thing["status"], "waiting"), thing["status"])}<span class="id">{thing["id"]}</span>'
                f'<div class="tools">{tools}</div></div>'
            )
    return "".join(lines)


def _delivery_section(webhooks: Webhooks, spoken: str) -> str:
    words = LANGUAGES[spoken]
    with webhooks.changed:
        url, running = webhooks.settings.url, webhooks.settings.running
    if not url:
        return f'<section><h2>{words["deliveries"]}</h2><p class="empty">{words["goes_nowhere"]}</p></section>'
    switch = _button("webhooks/stop", words["do_stop"]) if running else _button("webhooks/start", words["do_start"])
    tools = (
        switch + _button("webhooks/duplicate", words["do_duplicate"]) + _button("webhooks/lose", words["do_lose"])
        + _button("events/redeliver", words["do_redeliver"])
    )  # fmt: skip
    stopped = "" if running else f'<p class="notice waiting" role="status">{words["stopped"]}</p>'
    attempts = webhooks.attempts()[::-1][:SHOWN_DELIVERIES]
    return (
        f"<section><h2>{words['deliveries']}</h2><p>{words['goes_to']} <code>{escape(url)}</code></p>"
        f'<div class="tools">{tools}</div></section><section>{stopped}{_delivery_table(attempts, spoken)}</section>'
    )


def _delivery_table(attempts: list[Json], spoken: str) -> str:
    words = LANGUAGES[spoken]
    if not attempts:
        return f'<p class="empty">{words["no_deliveries"]}</p>'
    rows = "".join(
        f"<tr><td>{moment(one['at'], spoken)}</td>"
        f"<td>{escape(one['type'])}<br><span class=id>{one['event']}</span></td>"
        f"<td>{one['attempt']}</td><td>{_badge(OUTCOMES[one['outcome']], one['outcome'])}</td>"
        f"<td>{one['status'] or escape(one['error'][:60]) or '–'}</td></tr>"
        for one in attempts
    )
    heads = "".join(f'<th scope="col">{words[word]}</th>' for word in ("when", "event", "attempt", "state", "answer"))
    caption = words["newest"].format(count=len(attempts))
    return (
        f'<p class="hint">{caption}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{words["deliveries"]}">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
