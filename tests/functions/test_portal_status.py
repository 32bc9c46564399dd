"""The subscription page of a frozen or closed account: it shows what has stopped and why, and sells nothing."""

from datetime import timedelta

import pytest

from tests.support.api import PATCH_ACCOUNT, PURCHASES
from tests.support.browser import Browser
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.page_visits import choose, entered
from tests.support.stripe_purchases import Storefront

STOPPED = {"frozen": "Esta conta está congelada.", "closed": "Esta conta está encerrada."}
PAGES = ("/portal", "/portal/buy", "/portal/history", "/portal/reports")


@pytest.fixture
def browser(storefront: Storefront, service: Service) -> Browser:
    """A manager who has just entered."""
    return entered(service)


def become(service: Service, status: str) -> None:
    assert service(PATCH_ACCOUNT, json={"status": status}).status == 200


@pytest.mark.parametrize("status", STOPPED)
@pytest.mark.parametrize("path", PAGES)
def test_each_page_shows_that_an_account_stopped(service: Service, browser: Browser, status: str, path: str) -> None:
    assert STOPPED[status] not in browser.open(path).text

    become(service, status)

    page = browser.open(path)
    assert (page.status, STOPPED[status] in page.text) == (200, True)
    assert "Fale com quem administra o seu sistema" in page.text


@pytest.mark.parametrize(("status", "words"), [("frozen", "Conta congelada"), ("closed", "Conta encerrada")])
def test_the_history_says_when_the_status_changed(service: Service, browser: Browser, status: str, words: str) -> None:
    become(service, status)
    become(service, "active")

    table = browser.open("/portal/history?type=plan_change").html.partition("<tbody>")[2]
    lines = browser.open("/portal/history?download=csv").html.splitlines()

    for text in (table, "".join(lines)):
        assert words in text
        assert "Conta reativada" in text
        assert "Mudança do plano" not in text.replace(lines[-1], "")


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_accounts_page_offers_no_credits(service: Service, browser: Browser, status: str) -> None:
    become(service, status)

    page = browser.open("/portal")

    assert "/portal/buy" not in page.html.partition("<main")[2]
    assert {"frozen": "congelada", "closed": "encerrada"}[status] in page.text
    assert "Parado por falta de créditos" not in page.text


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_sees_no_packs(service: Service, browser: Browser, status: str) -> None:
    become(service, status)

    page = browser.open("/portal/buy")

    assert 'name="pack"' not in page.html
    assert "Não há pacotes" not in page.text


@pytest.mark.parametrize("status", STOPPED)
def test_a_pack_chosen_before_the_freeze_is_not_bought(service: Service, browser: Browser, status: str) -> None:
    page = browser.open("/portal/buy")
    become(service, status)

    refused = choose(browser, page, "credits-100")

    assert (refused.status, STOPPED[status] in refused.text) == (409, True)
    assert service(PURCHASES).body["purchases"] == []


def test_a_second_click_after_the_freeze_leads_to_the_payment(service: Service, browser: Browser) -> None:
    page = browser.open("/portal/buy")
    first = choose(browser, page, "credits-100")
    become(service, "frozen")

    second = choose(browser, page, "credits-100")

    assert (second.status, second.headers["location"]) == (first.status, first.headers["location"])


def test_a_code_typed_after_the_freeze_buys_nothing(service: Service, browser: Browser, clock: Clock) -> None:
    clock.now += timedelta(minutes=11)
    page = browser.open("/portal/buy")
    become(service, "frozen")

    refused = choose(browser, page, "credits-100", code="274913")

    assert (refused.status, STOPPED["frozen"] in refused.text) == (409, True)


def test_an_open_purchase_of_a_frozen_account_has_no_link(
    storefront: Storefront, service: Service, browser: Browser
) -> None:
    purchase = storefront.buy()
    become(service, "frozen")

    page = browser.open(f"/portal/purchases/{purchase.id}")

    assert purchase.checkout_url
    assert purchase.checkout_url not in page.html
    assert STOPPED["frozen"] in page.text


def test_a_stopped_account_can_still_be_entered(service: Service, browser: Browser) -> None:
    become(service, "closed")

    again = entered(service)

    assert STOPPED["closed"] in again.open("/portal").text


def test_the_last_lines_hide_a_change_of_status(service: Service, browser: Browser) -> None:
    service.give(5)
    become(service, "frozen")
    become(service, "active")
    service(PATCH_ACCOUNT, json={"low_credit_threshold": 3})

    lines = browser.open("/portal").html.partition('id="last"')[2]

    assert lines.count('<td class="when">') == 2
