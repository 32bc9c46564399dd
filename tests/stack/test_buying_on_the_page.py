"""Buying on the subscription page in a real browser: pending, expired and quarantined payments, and second clicks."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from local import demo
from prepaid.core.purchase import Purchase
from prepaid.store import keys
from prepaid.store.dynamodb import query
from prepaid.store.purchases import read_purchase, save_purchase
from tests.support.api import PURCHASES
from tests.support.on_screen import PAYMENT_TIMEOUT_MS, choose, enter, link_to, order
from tests.support.over_http import HttpApi
from tests.support.payment_page import StackStorefront
from tests.support.screen import Device, Scheme, screen


def bought(api: HttpApi, account: str) -> list[Any]:
    """The account's purchases, newest first."""
    return list(api(PURCHASES, account).body["purchases"])


def rewrite(
    storefront: StackStorefront, account: str, purchase_id: str, change: Callable[[Purchase], Purchase]
) -> None:
    """Store a purchase with a change that otherwise only time or a fault causes."""
    purchase = read_purchase(storefront.table(), account, purchase_id)
    assert purchase
    save_purchase(storefront.table(), replace(change(purchase), version=purchase.version + 1))


def clear_quarantine(storefront: StackStorefront) -> None:
    """Delete quarantine rows that were resolved, so that the tests of the written table find none."""
    table = storefront.table()
    for item in query(table, keys.quarantine("")["PK"]["S"], first="!", last="~", limit=100):
        table.client.delete_item(TableName=table.name, Key={"PK": item["PK"], "SK": item["SK"]})


@pytest.mark.parametrize(("device", "scheme"), [("desktop", "light"), ("narrow", "dark")])
def test_a_boleto_shows_its_number_pdf_and_due_day(
    browser: Browser, api: HttpApi, storefront: StackStorefront, shop: str, device: Device, scheme: Scheme
) -> None:
    with screen(browser, device=device, scheme=scheme) as shown:
        shown.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        site = enter(shown, link_to(api, shop))
        session = order(shown, "boleto")
        storefront.drain()
        [purchase] = bought(api, shop)

        shown.page.goto(f"{site}/portal/purchases/{purchase['id']}")
        expect(shown.page.locator(".bought")).to_contain_text("vence em")
        expect(shown.page.locator("main")).to_contain_text("até 3 dias úteis")
        number = shown.page.locator("#voucher").input_value()
        assert re.fullmatch(r"\d{5}\.\d{5} \d{5}\.\d{6} \d{5}\.\d{6} \d \d{14}", number)
        shown.page.get_by_role("button", name="Copiar número").click()
        expect(shown.page.get_by_role("button", name="Copiado")).to_be_visible()
        assert shown.page.evaluate("navigator.clipboard.readText()") == re.sub(r"\D", "", number)
        pdf = shown.page.get_by_role("link", name="Abrir o boleto (PDF)").get_attribute("href")
        assert pdf
        assert shown.page.request.get(pdf).body().startswith(b"%PDF-")
        shown.check()

        storefront.control(f"sessions/{session}/pay")
        expect(shown.page.locator("h1")).to_contain_text("Créditos adicionados: 50", timeout=PAYMENT_TIMEOUT_MS)
        shown.check()


def test_an_expired_voucher_shows_that_nothing_was_charged(
    browser: Browser, api: HttpApi, storefront: StackStorefront, shop: str
) -> None:
    with screen(browser, device="phone") as shown:
        site = enter(shown, link_to(api, shop))
        session = order(shown, "pix")
        storefront.drain()
        [purchase] = bought(api, shop)

        def run_out(pending: Purchase) -> Purchase:
            assert pending.voucher
            ended = replace(pending.voucher, expires_at=pending.created_at - timedelta(seconds=1))
            return replace(pending, voucher=ended)

        rewrite(storefront, shop, purchase["id"], run_out)
        shown.page.goto(f"{site}/portal/purchases/{purchase['id']}")
        heading, words = shown.page.locator("h1"), shown.page.locator("main")

        expect(heading).to_have_text("O código venceu")
        expect(words).to_contain_text("Nada foi cobrado.")
        expect(shown.page.locator("#voucher")).to_have_count(0)
        expect(shown.page.get_by_role("link", name="Comprar de novo")).to_be_visible()
        shown.check()

        storefront.control(f"sessions/{session}/fail")
        expect(heading).to_have_text("O código venceu sem pagamento", timeout=PAYMENT_TIMEOUT_MS)
        expect(words).to_contain_text("Nada foi cobrado.")
        # A bank may confirm late.
        storefront.control(f"sessions/{session}/pay_after_expiry", method="pix")
        expect(heading).to_contain_text("Créditos adicionados: 50", timeout=PAYMENT_TIMEOUT_MS)


def test_money_that_is_checked_is_neither_missing_nor_added(
    browser: Browser, api: HttpApi, storefront: StackStorefront, shop: str
) -> None:
    with screen(browser) as shown:
        site = enter(shown, link_to(api, shop))
        session = order(shown, "pix")
        storefront.drain()
        [purchase] = bought(api, shop)
        shown.page.goto(f"{site}/portal/purchases/{purchase['id']}")
        rewrite(storefront, shop, purchase["id"], lambda pending: replace(pending, amount=pending.amount - 1))

        storefront.control(f"sessions/{session}/pay")

        heading = shown.page.locator("h1")
        expect(heading).to_have_text("Pagamento recebido, em verificação", timeout=PAYMENT_TIMEOUT_MS)
        expect(shown.page.locator("main")).to_contain_text("Não pague de novo.")
        shown.check()
        shown.page.goto(f"{site}/portal")
        expect(shown.page.locator(".notice.waiting")).to_contain_text("chegou e está em verificação")
        expect(shown.page.locator(".balance .big")).to_have_text("120")
        shown.check()

        # The operator corrects the record, Stripe delivers again, and the quarantine's row is no longer needed.
        rewrite(storefront, shop, purchase["id"], lambda checked: replace(checked, amount=checked.amount + 1))
        storefront.control("events/redeliver", types="checkout.session.async_payment_succeeded")
        shown.page.goto(f"{site}/portal/purchases/{purchase['id']}")
        expect(heading).to_contain_text("Créditos adicionados", timeout=PAYMENT_TIMEOUT_MS)
        clear_quarantine(storefront)


@pytest.mark.parametrize("scripts", [True, False], ids=["with a script", "without JavaScript"])
def test_a_double_click_buys_once(browser: Browser, api: HttpApi, shop: str, scripts: bool) -> None:
    with screen(browser, scripts=scripts) as shown:
        site = enter(shown, link_to(api, shop))
        shown.page.goto(f"{site}/portal/buy")

        shown.page.locator("button[name=pack][value=credits-50]").dblclick()
        # Without a script, the second click aborts the first one's navigation, and wait_for_url would raise that.
        expect(shown.page).to_have_url(re.compile(r"/pay/[^/]+$"), timeout=PAYMENT_TIMEOUT_MS)

        [purchase] = bought(api, shop)
        assert purchase["checkout_url"] == shown.page.url
        assert shown.problems == []


def test_a_second_tab_is_led_to_the_open_payment(browser: Browser, api: HttpApi, shop: str) -> None:
    with screen(browser, device="phone") as shown:
        site = enter(shown, link_to(api, shop))
        other = shown.page.context.new_page()
        for tab in (shown.page, other):
            tab.goto(f"{site}/portal/buy")
        choose(shown, "credits-50")

        other.locator("button[name=pack][value=credits-50]").click()

        expect(other.get_by_role("alert")).to_contain_text("Nada foi comprado ainda.")
        other.get_by_role("link", name="Continuar pagamento").click()
        other.wait_for_url("**/pay/*")
        [purchase] = bought(api, shop)
        assert other.url == purchase["checkout_url"] == shown.page.url


def test_back_and_another_pack_asks_for_the_code(browser: Browser, api: HttpApi, shop: str) -> None:
    with screen(browser) as shown:
        enter(shown, link_to(api, shop))
        shown.page.locator("a.button[href='/portal/buy']").click()
        choose(shown, "credits-50")
        first = shown.page.url

        shown.page.go_back()
        # Back shows the form as it was. Its next click asks for the code, and buys nothing.
        shown.page.locator("button[name=pack][value=credits-100]").click()
        expect(shown.page.locator("#code")).to_be_visible()
        shown.check()
        assert len(bought(api, shop)) == 1
        shown.page.locator("#code").fill(demo.CODE)
        choose(shown, "credits-100")

        assert shown.page.url != first
        assert {purchase["pack"] for purchase in bought(api, shop)} == {"credits-50", "credits-100"}


def test_an_open_purchase_of_the_pack_is_continued(browser: Browser, api: HttpApi, shop: str) -> None:
    with screen(browser, device="narrow") as shown:
        site = enter(shown, link_to(api, shop))
        shown.page.goto(f"{site}/portal/buy")
        choose(shown, "credits-500")
        opened = shown.page.url

        shown.page.goto(f"{site}/portal/buy")
        shown.check()
        shown.page.get_by_role("link", name="Continuar pagamento").click()
        shown.page.wait_for_url("**/pay/*")

        assert shown.page.url == opened
        assert len(bought(api, shop)) == 1
