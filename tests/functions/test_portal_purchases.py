"""The page of one purchase: each state in its own words, and a payment that arrives meanwhile."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prepaid.core.purchase import Purchase
from prepaid.store.purchases import save_purchase
from tests.support.api import PURCHASE
from tests.support.browser import Browser, Page
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.page_visits import bought, choose, entered
from tests.support.stripe_purchases import Storefront, at_stripe

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
def browser(storefront: Storefront, service: Service) -> Browser:
    """A manager who has just chosen a pack of 100."""
    service.set_code()
    browser = entered(service)
    assert choose(browser, browser.open("/portal/buy")).status == 303
    return browser


@pytest.fixture
def purchase(storefront: Storefront, service: Service, browser: Browser) -> Purchase:
    return storefront.read(bought(service)[0]["id"], "acme")


def open_purchase(browser: Browser, purchase: Purchase, query: str = "") -> Page:
    page = browser.open(f"/portal/purchases/{purchase.id}{query}")
    assert page.status == 200, page
    return page


def state(browser: Browser, purchase: Purchase) -> str:
    page = browser.open(f"/portal/purchases/{purchase.id}/state")
    assert (page.status, page.headers["content-type"]) == (200, "application/json")
    return str(json.loads(page.html)["state"])


def watched(page: Page) -> bool:
    """Whether the script checks for a change."""
    return "data-watch=" in page.html


def reloaded(page: Page) -> bool:
    """Whether the page reloads itself without a script."""
    return '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page.html


def test_an_open_purchase_can_be_continued(browser: Browser, purchase: Purchase) -> None:
    page = open_purchase(browser, purchase, "?result=cancelled")

    assert "Falta pagar" in page.text
    assert "Nada foi cobrado até agora." in page.text
    assert f'href="{purchase.checkout_url}"' in page.html
    assert (state(browser, purchase), watched(page), reloaded(page)) == ("open", True, True)


def test_a_return_before_the_event_does_not_ask_for_payment(browser: Browser, purchase: Purchase) -> None:
    page = open_purchase(browser, purchase, "?result=completed")

    assert "Confirmando o pagamento" in page.text
    assert "Não pague de novo." in page.text
    assert str(purchase.checkout_url) not in page.html
    assert 'data-state="open"' in page.html
    assert reloaded(page)


def test_a_waiting_pix_shows_its_code(
    storefront: Storefront, service: Service, browser: Browser, purchase: Purchase
) -> None:
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))

    page = open_purchase(browser, purchase)

    [intent] = at_stripe(storefront, "payment_intent")
    code = intent["next_action"]["pix_display_qr_code"]["data"]
    assert page.html.count(code) == 2
    assert "Aguardando o pagamento 100 créditos · R$ 49,90 · vale até 17 de junho de 2026, 10:00" in page.text
    assert page.html.index("data-copy") < page.html.index('<svg class="qr"')
    assert (state(browser, purchase), watched(page), reloaded(page)) == ("waiting", True, True)
    # The page itself shows it, so no banner does.
    assert "notice waiting" not in page.html
    assert "Aguardando o pagamento de R$ 49,90" in browser.open("/portal").text


def test_a_pix_code_shows_until_when_it_is_valid_today(
    storefront: Storefront, browser: Browser, purchase: Purchase, clock: Clock
) -> None:
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))
    clock.now += DAY - 20 * MINUTE

    assert "vale até hoje, 10:00" in entered(storefront.service).open(f"/portal/purchases/{purchase.id}").text


def test_the_code_is_stored_and_read_while_pending(
    storefront: Storefront, service: Service, browser: Browser, purchase: Purchase
) -> None:
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))

    shown = service(PURCHASE, id=purchase.id).body["voucher"]
    [intent] = at_stripe(storefront, "payment_intent")
    assert shown == {
        "method": "pix",
        "code": intent["next_action"]["pix_display_qr_code"]["data"],
        "expires_at": "2026-06-17T13:00:00.000Z",
        "pdf": None,
    }
    storefront.deliver_all(storefront.pay(purchase, "pix"))
    assert service(PURCHASE, id=purchase.id).body["voucher"] is None
    assert storefront.purchase(purchase).voucher is None


def test_a_waiting_boleto_shows_its_number_and_pdf(
    storefront: Storefront, service: Service, browser: Browser, purchase: Purchase
) -> None:
    events = storefront.happen(purchase, "confirm", "boleto")
    [intent] = at_stripe(storefront, "payment_intent")
    details = intent["next_action"]["boleto_display_details"]
    details["pdf"] = "https://payments.stripe.com/boleto/1/pdf"
    storefront.deliver_all(events)

    page = open_purchase(browser, purchase)

    assert "vence em 19 de junho de 2026" in page.text
    assert "até 3 dias úteis" in page.text
    assert f'data-value="{details["number"]}"' in page.html
    [spaced] = re.findall(r"<textarea[^>]*>([^<]*)<", page.html)
    assert re.fullmatch(r"\d{5}\.\d{5} \d{5}\.\d{6} \d{5}\.\d{6} \d \d{14}", spaced)
    assert re.sub(r"[ .]", "", spaced) == details["number"]
    assert 'href="https://payments.stripe.com/boleto/1/pdf"' in page.html
    assert "<svg" not in page.html
    voucher = service(PURCHASE, id=purchase.id).body["voucher"]
    assert (voucher["method"], voucher["pdf"]) == ("boleto", "https://payments.stripe.com/boleto/1/pdf")


def test_a_pending_purchase_without_a_voucher_waits_too(
    storefront: Storefront, browser: Browser, purchase: Purchase
) -> None:
    events = storefront.happen(purchase, "confirm", "pix")
    [intent] = at_stripe(storefront, "payment_intent")
    intent["next_action"] = None
    storefront.deliver_all(events)

    page = open_purchase(browser, purchase)

    assert "Aguardando o pagamento" in page.text
    assert "textarea" not in page.html


def test_a_paid_purchase_shows_the_new_balance(storefront: Storefront, browser: Browser, purchase: Purchase) -> None:
    storefront.service.give(7)
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))
    before = state(browser, purchase)

    storefront.deliver_all(storefront.pay(purchase, "pix"))

    page = open_purchase(browser, purchase)
    assert "Créditos adicionados: 100" in page.text
    assert "Agora você tem 107. Valem até 16 de junho de 2027, inclusive." in page.text
    assert f'href="/portal/purchases/{purchase.id}"' in browser.open("/portal/history").html
    assert (before, state(browser, purchase)) == ("waiting", "granted")
    assert not watched(page)
    assert not reloaded(page)


def test_a_voucher_that_ran_out_charged_nothing(
    storefront: Storefront, service: Service, browser: Browser, purchase: Purchase, clock: Clock
) -> None:
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))
    clock.now += DAY
    browser = entered(service)

    page = open_purchase(browser, purchase)

    assert "O código venceu Nada foi cobrado" in page.text.replace("100 créditos · R$ 49,90 ", "")
    assert 'href="/portal/buy">Comprar de novo' in page.html
    assert "textarea" not in page.html
    assert (state(browser, purchase), watched(page)) == ("voucher_ended", True)


def test_a_failed_purchase_can_still_be_granted(storefront: Storefront, browser: Browser, purchase: Purchase) -> None:
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))
    storefront.deliver_all(storefront.happen(purchase, "fail"))

    page = open_purchase(browser, purchase)
    storefront.deliver_all(storefront.happen(purchase, "pay_after_expiry"))

    assert "O código venceu sem pagamento" in page.text
    assert "os créditos entram quando o banco confirmar" in page.text
    assert watched(page)
    assert "Créditos adicionados" in open_purchase(browser, purchase).text


def test_an_expired_page_can_still_be_paid(storefront: Storefront, browser: Browser, purchase: Purchase) -> None:
    storefront.deliver_all(storefront.happen(purchase, "expire"))

    page = open_purchase(browser, purchase)
    storefront.deliver_all(storefront.happen(purchase, "pay_after_expiry", "pix"))

    assert "A página de pagamento venceu" in page.text
    assert "Nada foi cobrado." in page.text
    assert watched(page)
    assert "Créditos adicionados" in open_purchase(browser, purchase).text


def test_a_page_whose_event_is_late_is_not_offered(
    storefront: Storefront, service: Service, purchase: Purchase, clock: Clock
) -> None:
    clock.now += DAY

    page = open_purchase(entered(service), purchase)

    assert "A página de pagamento venceu" in page.text
    assert str(purchase.checkout_url) not in page.html


def test_money_that_is_being_checked_is_neither_failed_nor_added(
    storefront: Storefront, browser: Browser, purchase: Purchase
) -> None:
    storefront.session(str(purchase.session))["amount_total"] = 4991
    storefront.deliver_all(storefront.pay(purchase))

    page = open_purchase(browser, purchase)

    assert storefront.purchase(purchase).state == "paid"
    assert "Pagamento recebido, em verificação" in page.text
    assert "Não pague de novo." in page.text
    assert "em verificação" in browser.open("/portal").text


@pytest.mark.parametrize(
    ("back", "title", "text"),
    [
        (1000, "Parte do pagamento foi devolvida", "Valor devolvido: R$ 10,00. Créditos retirados: 20."),
        (None, "O pagamento foi devolvido", "Valor devolvido: R$ 49,90. Créditos retirados: 100."),
    ],
)
def test_a_refund_shows_the_credits_taken_back(
    storefront: Storefront, browser: Browser, purchase: Purchase, back: int | None, title: str, text: str
) -> None:
    storefront.deliver_all(storefront.pay(purchase))
    storefront.deliver_all(storefront.refund(purchase, back))

    page = open_purchase(browser, purchase)

    assert title in page.text
    assert text in page.text


def test_a_dispute_shows_the_credits_taken_back(storefront: Storefront, browser: Browser, purchase: Purchase) -> None:
    storefront.deliver_all(storefront.pay(purchase))
    storefront.deliver_all(storefront.dispute(purchase))

    page = open_purchase(browser, purchase)

    assert "O pagamento foi contestado" in page.text
    assert "Créditos retirados: 100." in page.text


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"state": "created", "checkout_url": None}, "O pagamento ainda não começou"),
        ({"state": "cancelled"}, "A compra foi cancelada"),
    ],
)
def test_other_states_have_their_own_words(
    storefront: Storefront, service: Service, browser: Browser, purchase: Purchase, changes: dict[str, Any], title: str
) -> None:
    save_purchase(service.table, replace(purchase, version=purchase.version + 1, **changes))

    page = open_purchase(browser, purchase)

    assert title in page.text
    assert "Nada foi cobrado." in page.text


def test_a_granted_purchase_shows_the_debt_it_paid(storefront: Storefront, service: Service, browser: Browser) -> None:
    first = storefront.buy("credits-50")
    storefront.deliver_all(storefront.pay(first))
    service.spend(50)
    storefront.deliver_all(storefront.refund(first))
    second = storefront.buy("credits-100")

    storefront.deliver_all(storefront.pay(second))

    page = open_purchase(browser, second)
    assert "Agora você tem 50." in page.text
    assert "A compra quitou primeiro o que se devia." in page.text


@pytest.mark.parametrize("purchase_id", ["pur_0", "pur_00000000000000000000", "x", "..", "PUR_1"])
def test_an_unknown_purchase_is_not_found(browser: Browser, purchase_id: str) -> None:
    assert browser.open(f"/portal/purchases/{purchase_id}").status == 404
    assert browser.open(f"/portal/purchases/{purchase_id}/state").status == 404


def test_another_accounts_purchase_is_not_found(storefront: Storefront, service: Service, browser: Browser) -> None:
    service.open("zoo")
    service.set_code(account="zoo")
    theirs = storefront.buy(account="zoo")

    assert browser.open(f"/portal/purchases/{theirs.id}").status == 404
    assert browser.open(f"/portal/purchases/{theirs.id}/state").status == 404


def test_checking_for_the_payment_needs_the_session(service: Service, browser: Browser, purchase: Purchase) -> None:
    stranger = Browser(service.functions)

    page = stranger.open(f"/portal/purchases/{purchase.id}/state")

    assert page.status == 401
    assert "Um pagamento já iniciado continua valendo" in stranger.open(f"/portal/purchases/{purchase.id}").text


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_state_has_a_text_in_each_language(
    storefront: Storefront, service: Service, browser: Browser, purchase: Purchase, language: str
) -> None:
    browser = entered(service, language=language)
    pages = [open_purchase(browser, purchase), open_purchase(browser, purchase, "?result=completed")]
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))
    pages.append(open_purchase(browser, purchase))
    storefront.deliver_all(storefront.pay(purchase, "pix"))
    pages.append(open_purchase(browser, purchase))

    titles = {
        "en": ["Not paid yet", "Confirming the payment", "Waiting for the payment", "Credits added: 100"],
        "es": ["Falta pagar", "Confirmando el pago", "Esperando el pago", "Créditos añadidos: 100"],
    }
    assert [title in page.text for title, page in zip(titles[language], pages, strict=True)] == [True] * 4
