"""Pages for errors: of addresses that don't exist, of forms that are wrong, in a session and without one."""

from dataclasses import replace

import pytest

from prepaid.portal.visits import OLDER_PAGES, RECENT_PURCHASES
from prepaid.store.purchases import PAGE_PURCHASES, purchase_put, read_purchase
from tests.support.browser import OWN_FORM, Browser, Form, Page
from tests.support.gateway_events import REQUEST_ID
from tests.support.handlers import RETURN_URL, Clock
from tests.support.in_process import Service
from tests.support.page_visits import bought, entered
from tests.support.stripe_purchases import Storefront

TABS = "Assinatura Comprar Histórico Relatórios"
NOT_FOUND = "Página não encontrada"


@pytest.fixture
def shop(service: Service) -> Service:
    """Account acme has a code."""
    service.open(credits=5)
    assert service.set_code().status == 204
    return service


def has_the_headers(page: Page) -> bool:
    return (
        "default-src 'none'" in page.headers["content-security-policy"]
        and page.headers["cache-control"] == "no-store"
        and page.headers["x-frame-options"] == "DENY"
        and page.headers["x-content-type-options"] == "nosniff"
        and page.headers["strict-transport-security"] == "max-age=31536000"
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/portal/x"),
        ("GET", "/portal/x/y/z"),
        ("GET", "/portal/purchases"),
        ("HEAD", "/portal/x"),
        ("POST", "/portal/x"),
        ("POST", "/portal/history"),
        ("PUT", "/portal"),
        ("DELETE", "/portal/leave"),
        ("OPTIONS", "/portal/buy"),
    ],
)
def test_an_address_that_does_not_exist_has_a_page(shop: Service, method: str, path: str) -> None:
    browser = entered(shop)

    inside, outside = browser.request(method, path), Browser(shop.functions).request(method, path)

    assert inside.status == outside.status == 404
    assert has_the_headers(inside)
    assert has_the_headers(outside)
    assert NOT_FOUND in inside.text
    assert NOT_FOUND in outside.text
    assert TABS in inside.text
    assert TABS not in outside.text
    assert RETURN_URL in outside.html
    assert REQUEST_ID in inside.text
    assert REQUEST_ID in outside.text


@pytest.mark.parametrize("path", ["/portal", "/portal/buy", "/portal/history", "/portal/reports"])
def test_the_head_of_a_page_is_that_of_the_page(shop: Service, path: str) -> None:
    browser = entered(shop)

    head, got = browser.request("HEAD", path), browser.request("GET", path)

    assert (head.status, head.headers) == (200, got.headers)
    assert Browser(shop.functions).request("HEAD", path).status == 401


@pytest.mark.parametrize("path", ["/portal/leave", "/portal/language"])
def test_the_address_of_a_form_leads_to_the_page(shop: Service, path: str) -> None:
    browser = entered(shop)
    before = shop.stored()

    assert browser.open(path).path == "/portal"
    assert Browser(shop.functions).open(path).status == 401
    assert shop.stored() == before


def test_an_error_in_a_session_keeps_its_language_and_tabs(shop: Service) -> None:
    browser = entered(shop, language="en")

    pages = [
        browser.open("/portal/reports?month=1999-01"),
        browser.open("/portal/purchases/pur_0"),
        browser.open("/portal/x"),
    ]

    for page in pages:
        assert page.status == 404
        assert "Page not found" in page.text
        assert "Subscription Buy History Reports" in page.text
        assert "Pet & Cia" in page.text


def test_a_form_without_its_token_keeps_the_tabs(shop: Service) -> None:
    browser = entered(shop)

    page = browser.send(Form("POST", "/portal/leave", {}))

    assert page.status == 403
    assert "Este formulário não é desta página" in page.text
    assert TABS in page.text


def test_an_unknown_language_says_so(shop: Service) -> None:
    browser = entered(shop)
    form = browser.open("/portal").form("/portal/language")

    page = browser.send(form, language="tlh")

    assert page.status == 422
    assert "Este valor não existe aqui" in page.text
    assert TABS in page.text
    assert 'lang="pt-BR"' in browser.open("/portal").html


def test_an_ended_session_speaks_its_language_and_leads_back(shop: Service, clock: Clock) -> None:
    back = f"{RETURN_URL}?tab=credits"
    browser = Browser(shop.functions)
    address = str(shop.portal_session(language="es", return_url=back).body["url"])
    browser.send(browser.open(address.removeprefix("https://api.example.com")).forms[0], code="274913")
    shop.set_code("830164")

    page = browser.open("/portal")

    assert page.status == 401
    assert "La sesión terminó" in page.text
    assert back in page.html
    assert "Pet & Cia" not in page.text


def test_too_large_a_form_says_that_it_is_not_ours(shop: Service) -> None:
    page = entered(shop).request("POST", "/portal/leave", body="x" * 70_000, headers=OWN_FORM)

    assert page.status == 413
    assert "Este formulário não é desta página" in page.text


def test_a_payment_that_is_awaited_shows_among_later_ones(service: Service, storefront: Storefront) -> None:
    waiting = storefront.buy("credits-500")
    storefront.deliver_all(storefront.happen(waiting, "confirm", "pix"))
    for _ in range(130):
        storefront.sell()
    browser = entered(service)

    page = browser.open("/portal/history")

    assert waiting.id not in [purchase["id"] for purchase in bought(service)][:100]
    assert "Aguardando o pagamento de R$\u00a0199,90 por 500 créditos." in page.text.replace("R$ ", "R$\u00a0")
    assert f"/portal/purchases/{waiting.id}" in page.html


def test_a_view_reads_the_newest_purchases_only(service: Service, storefront: Storefront) -> None:
    waiting = storefront.buy("credits-500")
    storefront.deliver_all(storefront.happen(waiting, "confirm", "pix"))
    later = storefront.sell()
    browser = entered(service)
    sold = read_purchase(service.table, "acme", later.id)
    assert sold
    for number in range(RECENT_PURCHASES + OLDER_PAGES * PAGE_PURCHASES - 1):
        copy = purchase_put(replace(sold, id=f"pur_f{number:015x}"))["Item"]
        service.table.client.put_item(TableName=service.table.name, Item=copy)

    page = browser.open("/portal/history")
    screen = browser.open(f"/portal/purchases/{waiting.id}")

    assert page.status == 200
    assert waiting.id not in page.html
    assert "Aguardando o pagamento" in screen.text


def test_a_line_says_in_words_who_asked(service: Service, storefront: Storefront) -> None:
    service.give(5)
    service.spend(1)
    bought_here = storefront.buy("credits-50")
    storefront.deliver_all(storefront.pay(bought_here))
    storefront.deliver_all(storefront.refund(bought_here, 100))
    browser = entered(service)

    page = browser.open("/portal/history")
    file = browser.open("/portal/history?download=csv").html

    for shown in (page.text, file):
        assert "pelo seu sistema" in shown
        assert "pelo meio de pagamento" in shown
        assert "service-client" not in shown
        assert "storefront-client" not in shown
