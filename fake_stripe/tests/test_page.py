"""The payment page and the dashboard as a person uses them, without JavaScript."""

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import stripe

from fake_stripe.pages import texts as page_texts
from fake_stripe.server import RunningFake
from fake_stripe.tests.support import Controls, Sdk

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html,*/*"}
NASTY = '<script>alert("1")</script>&\'x'


class ParsedPage(HTMLParser):
    """The text, links, form targets, labels and fields of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.forms: list[str] = []
        self.labels: set[str] = set()
        self.fields: dict[str, dict[str, str | None]] = {}
        self.tags: list[str] = []
        self.lang = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag == "html":
            self.lang = found["lang"] or ""
        elif tag == "a":
            self.links.append(found["href"] or "")
        elif tag == "form":
            self.forms.append(found["action"] or "")
        elif tag == "label":
            self.labels.add(found["for"] or "")
        elif tag in {"input", "textarea"} and found.get("type") != "hidden":
            self.fields[found["id"] or ""] = found

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def page(controls: Controls, path: str, language: str = "") -> ParsedPage:
    status, headers, body = controls.request("GET", path, headers={"Accept-Language": language} if language else {})
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    return ParsedPage(body.decode())


def press(controls: Controls, path: str, **fields: str) -> tuple[int, str]:
    status, headers, _ = controls.request("POST", path, urlencode(fields).encode(), FORM)
    return status, headers.get("location", "")


def test_the_page_shows_merchant_items_and_amount(sdk: Sdk, controls: Controls) -> None:
    item = {
        "price_data": {"currency": "brl", "unit_amount": 123_456, "product_data": {"name": "Pacote"}},
        "quantity": 2,
    }
    session = sdk.session(line_items=[item])

    shown = page(controls, f"/pay/{session.id}")

    assert shown.lang == "pt-BR"
    assert "R$\u00a02.469,12" in shown.text
    assert "Pacote" in shown.text
    assert "Quantidade: 2" in shown.text
    assert [link for link in shown.links if link.startswith("?")] == ["?method=card", "?method=pix", "?method=boleto"]
    assert shown.fields["number"]["value"] == "4242 4242 4242 4242"
    assert set(shown.fields) == shown.labels


@pytest.mark.parametrize(
    ("locale", "language", "text", "amount"),
    [
        ("en", "en", "Card number", "R$129.90"),
        ("es-419", "es", "Número de tarjeta", "129,90\u00a0BRL"),
        ("pt-BR", "pt-BR", "Número do cartão", "R$\u00a0129,90"),
        ("auto", "pt-BR", "Número do cartão", "R$\u00a0129,90"),
    ],
)
def test_the_page_is_in_the_sessions_language(
    sdk: Sdk, controls: Controls, locale: str, language: str, text: str, amount: str
) -> None:
    session = sdk.session(locale=locale)

    shown = page(controls, f"/pay/{session.id}")

    assert (shown.lang, text in shown.text, amount in shown.text) == (language, True, True)


def test_every_text_exists_in_every_language() -> None:
    for language, texts in page_texts.LANGUAGES.items():
        assert texts.keys() == page_texts.PORTUGUESE.keys(), language
        for name, text in texts.items():
            assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", page_texts.PORTUGUESE[name]), (language, name)


def test_a_card_pays_and_the_page_links_back_to_the_shop(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    shown = page(controls, f"/pay/{session.id}?method=card")

    status, location = press(controls, shown.forms[0], number="4242 4242 4242 4242", name="Maria")
    after = page(controls, location)

    assert (status, location) == (303, f"/pay/{session.id}")
    assert "Pagamento confirmado" in after.text
    assert f"https://shop.example/ok?session={session.id}" in after.links
    assert after.forms == []
    assert sdk.fetched(session).payment_status == "paid"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("4000 0000 0000 0002", "recusado"),
        ("4000 0000 0000 9995", "recusado"),
        ("5555 4444 3333 2222", "cartões de teste"),
        ("", "cartões de teste"),
    ],
)
def test_a_rejected_card_shows_the_reason_and_the_form_again(
    sdk: Sdk, controls: Controls, number: str, text: str
) -> None:
    session = sdk.session()

    _, location = press(controls, f"/pay/{session.id}/card", number=number)
    after = page(controls, location)

    assert text in after.text
    assert after.forms == [f"/pay/{session.id}/card"]
    assert sdk.fetched(session).payment_status == "unpaid"


@pytest.mark.parametrize(
    ("method", "field", "shape", "end"),
    [
        ("pix", "pix_code", r"00020126.*6304[0-9A-F]{4}", "Deixar expirar"),
        ("boleto", "boleto_number", r"\d{5}\.\d{5} \d{5}\.\d{6} \d{5}\.\d{6} \d \d{14}", "Venceu sem pagamento"),
    ],
)
def test_pix_and_boleto_show_the_code_and_two_bank_buttons(
    sdk: Sdk, controls: Controls, method: str, field: str, shape: str, end: str
) -> None:
    session = sdk.session()

    chosen = page(controls, f"/pay/{session.id}?method={method}")
    press(controls, chosen.forms[0])
    shown = page(controls, f"/pay/{session.id}")

    assert "Aguardando o pagamento" in shown.text
    assert end in shown.text
    assert "Copiar" in shown.text
    assert field in shown.fields
    assert re.search(shape, shown.text)
    assert ("svg" in shown.tags) == (method == "pix")
    assert shown.forms == [f"/pay/{session.id}/paid", f"/pay/{session.id}/failed"]
    assert set(shown.fields) == shown.labels


@pytest.mark.parametrize(
    ("kind", "content_type", "start"),
    [("svg", "image/svg+xml", b"<?xml"), ("png", "image/png", b"\x89PNG\r\n")],
)
def test_the_pix_qr_code_is_served_as_an_image(
    sdk: Sdk, controls: Controls, kind: str, content_type: str, start: bytes
) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/confirm", method="pix")
    intent = sdk.fetched(session, "payment_intent").payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.next_action is not None
    pix = intent.next_action.pix_display_qr_code
    assert pix is not None

    address = urlsplit(str(getattr(pix, f"image_url_{kind}")))
    status, headers, body = controls.request("GET", address.path)

    assert (status, headers["content-type"].split(";")[0]) == (200, content_type)
    assert body.startswith(start)


@pytest.mark.parametrize(
    ("button", "text", "status"),
    [("paid", "Pagamento confirmado", "paid"), ("failed", "Pagamento não realizado", "unpaid")],
)
def test_the_bank_buttons_pay_or_fail_the_session(
    sdk: Sdk, controls: Controls, button: str, text: str, status: str
) -> None:
    session = sdk.session()
    press(controls, f"/pay/{session.id}/pix")

    press(controls, f"/pay/{session.id}/{button}")

    assert text in page(controls, f"/pay/{session.id}").text
    assert sdk.fetched(session).payment_status == status


@pytest.mark.parametrize("button", ["paid", "failed", None])
def test_nobody_is_led_back_from_pix(sdk: Sdk, controls: Controls, button: str | None) -> None:
    session = sdk.session()
    press(controls, f"/pay/{session.id}/pix")
    if button:
        press(controls, f"/pay/{session.id}/{button}")

    assert [link for link in page(controls, f"/pay/{session.id}").links if "shop.example" in link] == []


@pytest.mark.parametrize("button", ["paid", None])
def test_a_boleto_links_back_to_the_shop(sdk: Sdk, controls: Controls, button: str | None) -> None:
    session = sdk.session()
    press(controls, f"/pay/{session.id}/boleto")
    if button:
        press(controls, f"/pay/{session.id}/{button}")

    assert f"https://shop.example/ok?session={session.id}" in page(controls, f"/pay/{session.id}").links


def test_an_expired_page_links_back_to_the_shop(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    sdk.client.v1.checkout.sessions.expire(session.id)

    shown = page(controls, f"/pay/{session.id}")

    assert "Sessão expirada" in shown.text
    assert "https://shop.example/cancel" in shown.links
    assert shown.forms == []


def test_a_second_click_changes_nothing(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    for _ in range(2):
        press(controls, f"/pay/{session.id}/card", number="4242424242424242")

    assert len(sdk.events("charge.succeeded")) == 1


def test_text_from_a_request_is_escaped(sdk: Sdk, controls: Controls) -> None:
    item = {"price_data": {"currency": "brl", "unit_amount": 900, "product_data": {"name": NASTY}}, "quantity": 1}
    session = sdk.session(
        line_items=[item],
        client_reference_id=NASTY,
        cancel_url='https://shop.example/?a="><script>alert(1)</script>',
    )

    for path in (f"/pay/{session.id}", f"/pay/{session.id}?method=%22%3E%3Cscript%3E&problem=%3Cb%3E", "/"):
        shown = page(controls, path)
        assert shown.tags.count("script") == 1
        assert NASTY in shown.text


def test_pages_forbid_content_from_other_sites(sdk: Sdk, controls: Controls) -> None:
    _, headers, _ = controls.request("GET", f"/pay/{sdk.session().id}")

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_the_style_and_the_script_are_served(fake: RunningFake, controls: Controls) -> None:
    for path, kind in (("/static/style.css", "text/css"), ("/static/copy.js", "text/javascript")):
        status, headers, body = controls.request("GET", path)
        assert (status, headers["content-type"].split(";")[0], bool(body)) == (200, kind, True)


def test_an_unknown_address_shows_a_page_with_status_404(fake: RunningFake, controls: Controls) -> None:
    for path in ("/pay/cs_test_nobody", "/nothing", "/pay/../../etc/passwd", "/pay/x/pix.svg"):
        status, _, body = controls.request("GET", path)
        assert (status, b"<html" in body) == (404, True)


def test_another_sites_page_cannot_submit_forms(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    foreign = FORM | {"Origin": "https://evil.example"}

    pay = controls.request("POST", f"/pay/{session.id}/card", b"number=4242424242424242", foreign)[0]
    control = controls.request("POST", f"/_control/sessions/{session.id}/pay", b"", foreign)[0]

    assert (pay, control) == (403, 403)
    assert sdk.fetched(session).payment_status == "unpaid"


def test_the_dashboard_offers_what_each_state_allows(sdk: Sdk, controls: Controls) -> None:
    sessions: dict[str, Any] = {name: sdk.session() for name in ("open", "waiting", "paid", "expired")}
    controls.post(f"sessions/{sessions['waiting'].id}/confirm", method="pix")
    controls.post(f"sessions/{sessions['paid'].id}/pay")
    controls.post(f"sessions/{sessions['expired'].id}/expire")

    shown = page(controls, "/")

    actions = {
        name: [form.rpartition("/")[2] for form in shown.forms if f"/{session.id}/" in form]
        for name, session in sessions.items()
    }
    assert actions == {
        "open": ["pay", "confirm", "confirm", "expire"],
        "waiting": ["pay", "fail"],
        "paid": ["refund", "dispute"],
        "expired": ["pay_after_expiry"],
    }
    assert all(f"/pay/{session.id}" in shown.links for session in sessions.values())
    assert set(shown.fields) == shown.labels


def test_the_dashboards_buttons_work_and_return_to_it(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    here = f"/_control/sessions/{session.id}"

    answers = [
        press(controls, f"{here}/pay"),
        press(controls, f"{here}/refund", amount="990"),
        press(controls, f"{here}/dispute"),
    ]
    shown = page(controls, "/", "en")

    assert answers == [(303, "/")] * 3
    assert "R$9.90" in shown.text
    assert "needs_response" in shown.text
    assert shown.fields[f"amount-{session.id}"]["value"] == "12000"
    assert {form.rpartition("/")[2] for form in shown.forms if "/disputes/" in form} == {"won", "lost"}


def test_the_dashboard_lists_deliveries_with_their_outcome(sdk: Sdk, controls: Controls) -> None:
    sdk.client.v1.customers.create(params={"name": "A"})
    controls.drain()

    shown = page(controls, "/", "en-GB,en;q=0.9")

    assert (shown.lang, "customer.created" in shown.text, "delivered" in shown.text) == ("en", True, True)
    assert "/_control/webhooks/stop" in shown.forms


def test_a_boleto_has_a_pdf_with_its_number(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/confirm", method="boleto")

    status, headers, pdf = controls.request("GET", f"/pay/{session.id}/boleto.pdf")

    assert (status, headers["content-type"]) == (200, "application/pdf")
    assert pdf.startswith(b"%PDF-")
    # A reader begins at the end: with the table of the objects, and where each stands.
    table = int(pdf.rpartition(b"startxref\n")[2].split()[0])
    assert pdf[table:].startswith(b"xref")
    starts = [int(found) for found in re.findall(rb"(\d{10}) 00000 n", pdf[table:])]
    assert [pdf[start:].partition(b" ")[0] for start in starts] == [b"1", b"2", b"3", b"4", b"5"]
    assert re.search(rb"\(\d{5}\.\d{5} \d{5}\.\d{6} \d{5}\.\d{6} \d \d{14}\)", pdf)


def test_a_pix_has_no_pdf(sdk: Sdk, controls: Controls) -> None:
    session = sdk.session()
    controls.post(f"sessions/{session.id}/confirm", method="pix")

    assert controls.request("GET", f"/pay/{session.id}/boleto.pdf")[0] == 404
