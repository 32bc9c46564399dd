"""The payment page a person uses: HTML from a session, nothing else. Every value is escaped where it enters."""

from html import escape

from fake_stripe import qr, vouchers
from fake_stripe.errors import Json
from fake_stripe.lifecycle import MERCHANT, TEST_CARD
from fake_stripe.words import LANGUAGES, language, moment, money

SIGNS = {"paid": "✓", "waiting": "…", "failed": "✕", "expired": "–", "open": "○"}


def document(title: str, body: str, spoken: str) -> bytes:
    words = LANGUAGES[spoken]
    return (
        f'<!doctype html><html lang="{spoken}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        '<link rel="stylesheet" href="/style.css"><link rel="icon" href="data:,">'
        f'<script src="/copy.js" defer></script></head><body><a class="skip" href="#main">{words["skip"]}</a>'
        f'<p class="ribbon">{words["test_mode"]}</p>{body}<p class="foot">{words["powered"]}</p></body></html>'
    ).encode()


def shown_state(session: Json, intent: Json | None) -> str:
    """One word for people: open, waiting, paid, failed or expired."""
    if session["payment_status"] == "paid":
        return "paid"
    if session["status"] == "complete":
        return "waiting" if intent and intent["next_action"] else "failed"
    return str(session["status"])


def payment_page(session: Json, items: list[Json], intent: Json | None, chosen: str, problem: str = "") -> bytes:
    spoken = language(session["locale"])
    state = shown_state(session, intent)
    title = f"{LANGUAGES[spoken]['pay_to']} {MERCHANT}"
    if state == "open":
        panel = _open_panel(session, chosen, problem, spoken)
    elif state == "waiting" and intent:
        panel = _waiting_panel(session, intent["next_action"], spoken)
    else:
        panel = _finished_panel(session, state, spoken)
    main = f'<main class="checkout" id="main">{_summary(session, items, spoken)}{panel}</main>'
    return document(title, main, spoken)


def not_found(spoken: str) -> bytes:
    words = LANGUAGES[spoken]
    text = (
        f'<main class="home" id="main"><h1>{words["not_found"]}</h1><p>{words["not_found_text"]}</p>'
        f'<p><a href="/">{words["sessions"]}</a></p></main>'
    )
    return document(words["not_found"], text, spoken)


def _summary(session: Json, items: list[Json], spoken: str) -> str:
    words = LANGUAGES[spoken]
    lines = "".join(
        f'<li><span>{escape(item["description"])}<span class="many">{words["quantity"]}: {item["quantity"]}</span>'
        f'</span><span class="sum">{money(item["amount_total"], item["currency"], spoken)}</span></li>'
        for item in items
    )
    total = money(session["amount_total"], session["currency"], spoken)
    return (
        f'<section class="summary"><p class="merchant"><span class="mark" aria-hidden="true">{escape(MERCHANT[0])}'
        f'</span>{escape(MERCHANT)}</p><h1>{words["pay_to"]} {escape(MERCHANT)}</h1><p class="price">{total}</p>'
        f'<ul class="items">{lines}<li class="all"><span>{words["total"]}</span><span class="sum">{total}</span>'
        "</li></ul></section>"
    )


def _open_panel(session: Json, chosen: str, problem: str, spoken: str) -> str:
    words = LANGUAGES[spoken]
    methods = session["payment_method_types"]
    chosen = chosen if chosen in methods else methods[0]
    tabs = "".join(
        f'<a href="?method={method}"{" aria-current=page" if method == chosen else ""}>{words[method]}</a>'
        for method in methods
    )
    warning = f'<p class="notice failed" role="alert">{words[problem]}</p>' if problem in words else ""
    form = _card_form(session, spoken) if chosen == "card" else _confirm_form(session, chosen, spoken)
    navigation = f'<nav class="tabs" aria-label="{words["method"]}">{tabs}</nav>'
    return (
        f'<section class="panel"><h2>{words["method"]}</h2>{navigation}<div class="stack">{warning}{form}'
        f"{_back(session['cancel_url'], words['back_cancel'])}</div></section>"
    )


def _card_form(session: Json, spoken: str) -> str:
    words = LANGUAGES[spoken]
    number = " ".join(TEST_CARD[place : place + 4] for place in range(0, 16, 4))
    total = money(session["amount_total"], session["currency"], spoken)
    fields = (
        ("number", "card_number", number, "wide", 'inputmode="numeric"'),
        ("expiry", "card_expiry", "12/34", "", 'inputmode="numeric"'),
        ("code", "card_code", "123", "", 'inputmode="numeric"'),
        ("name", "card_name", "Maria de Teste", "wide", ""),
    )
    inputs = "".join(
        f'<div class="{wide}"><label for="{name}">{words[word]}</label><input id="{name}" name="{name}" '
        f'value="{value}" maxlength="40" autocomplete="off" required {extra}></div>'
        for name, word, value, wide, extra in fields
    )
    return (
        f'<form method="post" action="/pay/{session["id"]}/card" class="stack"><div class="fields">{inputs}</div>'
        f'<p class="hint">{words["declined_card"]} <span class="card-number">4000 0000 0000 0002</span></p>'
        f'<button class="main">{words["pay"].format(amount=total)}</button></form>'
    )


def _confirm_form(session: Json, method: str, spoken: str) -> str:
    words = LANGUAGES[spoken]
    return (
        f'<form method="post" action="/pay/{session["id"]}/{method}" class="stack"><p>{words[f"{method}_intro"]}</p>'
        f'<button class="main">{words[f"{method}_make"]}</button></form>'
    )


def _waiting_panel(session: Json, next_action: Json, spoken: str) -> str:
    words = LANGUAGES[spoken]
    if next_action["type"] == "pix_display_qr_code":
        pix = next_action["pix_display_qr_code"]
        voucher = qr.svg(pix["data"], words["qr_label"]) + _copyable("pix_code", pix["data"], 5, words)
        voucher += f'<p class="hint">{words["pix_valid"].format(when=moment(pix["expires_at"], spoken))}</p>'
        lapse = words["pix_lapse"]
    else:
        boleto = next_action["boleto_display_details"]
        due = moment(boleto["expires_at"], spoken, with_time=False)
        voucher = _copyable("boleto_number", vouchers.spaced_boleto(boleto["number"]), 2, words)
        voucher += f'<p class="hint">{words["boleto_due"].format(when=due)}</p>'
        lapse = words["boleto_lapse"]
    here = f"/pay/{session['id']}"
    bank = (
        f'<div class="bank"><h3>{words["simulate"]}</h3><div class="pair">'
        f'<form method="post" action="{here}/paid"><button class="main">{words["paid_now"]}</button></form>'
        f'<form method="post" action="{here}/failed"><button>{lapse}</button></form></div></div>'
    )
    notice = _notice("waiting", words["state_waiting"], words["waiting_text"])
    back = _back(_success(session), words["back_success"])
    return f'<section class="panel stack">{notice}{voucher}{bank}{back}</section>'


def _copyable(word: str, value: str, rows: int, words: dict[str, str]) -> str:
    return (
        f'<div><label for="{word}">{words[word]}</label><textarea id="{word}" readonly rows="{rows}">{escape(value)}'
        f'</textarea><button type="button" hidden data-copy="{word}" data-done="{words["copied"]}">{words["copy"]}'
        "</button></div>"
    )


def _finished_panel(session: Json, state: str, spoken: str) -> str:
    words = LANGUAGES[spoken]
    total = money(session["amount_total"], session["currency"], spoken)
    notice = _notice(state, words[f"state_{state}"], words[f"{state}_text"].format(amount=total))
    url = _success(session) if state == "paid" else session["cancel_url"] or _success(session)
    link = _back(url, words["back_success"], "button main")
    return f'<section class="panel stack">{notice}{link}</section>'


def _notice(state: str, heading: str, text: str) -> str:
    return (
        f'<div class="notice {state}" role="status"><span class="sign" aria-hidden="true">{SIGNS[state]}</span>'
        f"<div><h2>{heading}</h2><p>{text}</p></div></div>"
    )


def _success(session: Json) -> str | None:
    url: str | None = session["success_url"]
    return url.replace("{CHECKOUT_SESSION_ID}", session["id"]) if url else None


def _back(url: str | None, words: str, look: str = "back") -> str:
    """A link out; only to web addresses, whatever the session says."""
    if not url or not url.startswith(("http://", "https://")):
        return ""
    return f'<a class="{look}" href="{escape(url)}">{words}</a>'
