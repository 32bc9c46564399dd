"""Buying on the subscription page: what it shows of the packs, and one purchase per click, tab and pack."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from prepaid.store.purchases import save_purchase
from tests.support.api import CODE, GET_CATALOG, PATCH_ACCOUNT, PUT_CATALOG
from tests.support.browser import OWN_FORM, Browser, Page
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.page_visits import bought, choose, entered
from tests.support.stripe_line import cut, refuses, stripe_tapped
from tests.support.stripe_purchases import Storefront, at_stripe

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WRONG = "115599"


@pytest.fixture
def browser(storefront: Storefront, service: Service) -> Browser:
    """A manager who has just entered."""
    service.set_code()
    return entered(service)


def pack_of(page: Page, credits: str) -> str:
    """The words of one pack's card."""
    cards = re.findall(r'(?s)<li class="pack.*?</li>', page.html)
    [card] = [card for card in cards if f'<span class="big">{credits}</span>' in card]
    return Page("", 200, {}, card).text


# What the page shows


def test_each_pack_shows_its_price_and_saving(browser: Browser) -> None:
    page = browser.open("/portal/buy")

    assert pack_of(page, "50") == "50 créditos R$\xa029,90 R$\xa00,60 por crédito Vale 12 meses Comprar".replace(
        "\xa0", " "
    )
    assert "R$ 0,35 por crédito Economia de 41%" in pack_of(page, "1.000")
    assert [word for word in ("50", "100", "500", "1.000") if "Melhor preço" in pack_of(page, word)] == ["1.000"]


def test_a_new_page_states_that_no_code_is_needed(browser: Browser) -> None:
    page = browser.open("/portal/buy")

    assert "esta compra não pede de novo" in page.text
    assert "code" not in page.form("/portal/buy").fields


def test_a_pack_shows_how_long_it_lasts(service: Service, browser: Browser, clock: Clock) -> None:
    service.give(300)
    clock.now += DAY
    service.spend(90)
    clock.now += 200 * DAY
    service.spend(30)
    clock.now += 60 * DAY
    browser = entered(service)

    page = browser.open("/portal/buy")

    # 30 credits in the last 90 days; the 90 before them don't count.
    assert "Com seu uso dura cerca de 5 meses" in pack_of(page, "50")
    assert "Com seu uso dura cerca de 10 meses" in pack_of(page, "100")
    assert "parte vence antes de ser usada" in pack_of(page, "500")


def test_without_use_no_pack_shows_how_long_it_lasts(service: Service, browser: Browser, clock: Clock) -> None:
    service.give(10)
    clock.now += 9 * MINUTE

    assert "Com seu uso" not in browser.open("/portal/buy").text


@pytest.mark.parametrize(
    ("query", "covering"), [("?missing=75", "100"), ("?missing=50", "50"), ("?missing=501", "1.000")]
)
def test_the_smallest_pack_that_covers_is_named(browser: Browser, query: str, covering: str) -> None:
    page = browser.open(f"/portal/buy{query}")

    assert f"O pacote de {covering} é o menor que cobre." in page.text
    assert "Cobre o que falta" in pack_of(page, covering)


@pytest.mark.parametrize(
    "query", ["", "?missing=", "?missing=-1", "?missing=٣", "?missing=1e3", "?missing=99999999999"]
)
def test_an_invalid_number_of_credits_is_ignored(browser: Browser, query: str) -> None:
    page = browser.open(f"/portal/buy{query}")

    assert page.status == 200
    assert "menor que cobre" not in page.text


def test_no_pack_covers_more_than_the_largest(browser: Browser) -> None:
    assert "Nenhum pacote cobre tudo de uma vez." in browser.open("/portal/buy?missing=1001").text


def test_owed_credits_are_paid_first(storefront: Storefront, service: Service, browser: Browser) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    service.spend(70)
    storefront.deliver_all(storefront.refund(purchase))

    page = browser.open("/portal/buy")

    assert "Créditos devidos: 70. A compra quita primeiro o que se deve. O pacote de 100" in page.text


def test_only_packs_of_one_currency_are_offered(storefront: Storefront, service: Service, browser: Browser) -> None:
    catalog = service(GET_CATALOG).body
    version = catalog.pop("version")
    catalog["packs"].append(
        {"id": "usd", "credits": 70, "amount": 100, "currency": "usd", "valid_months": 1, "active": True}
    )
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": str(version)}).status == 200
    page = browser.open("/portal/buy")

    assert "US$" not in page.text
    refused = choose(browser, page, "usd")
    assert (refused.status, bought(service)) == (422, [])
    assert "não está mais à venda" in refused.text


def test_an_account_in_dollars_sees_packs_in_dollars(service: Service, browser: Browser) -> None:
    catalog = service(GET_CATALOG).body
    version = catalog.pop("version")
    catalog["packs"].append(
        {"id": "usd", "credits": 70, "amount": 100, "currency": "usd", "valid_months": 1, "active": True}
    )
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": str(version)}).status == 200
    assert service(PATCH_ACCOUNT, json={"currency": "usd"}).status == 200

    page = browser.open("/portal/buy?missing=60")

    assert "US$ 1,00" in pack_of(page, "70")
    assert "Cobre o que falta" in pack_of(page, "70")
    assert "R$ 29,90" not in page.text


# From the form to the payment page


def test_a_click_leads_to_the_payment_page(storefront: Storefront, service: Service, browser: Browser) -> None:
    sent = choose(browser, browser.open("/portal/buy"))

    [purchase] = bought(service)
    assert (sent.status, sent.headers["location"]) == (303, purchase["checkout_url"])
    assert (purchase["state"], purchase["pack"]) == ("open", "credits-100")
    assert storefront.read(purchase["id"], "acme").requested_by == "portal"


def test_the_payment_page_leads_back_to_the_purchase(
    storefront: Storefront, service: Service, browser: Browser
) -> None:
    choose(browser, browser.open("/portal/buy"))

    [session], [purchase] = at_stripe(storefront, "checkout.session"), bought(service)
    page = f"https://api.example.com/portal/purchases/{purchase['id']}"
    assert session["success_url"] == f"{page}?result=completed"
    assert session["cancel_url"] == f"{page}?result=cancelled"


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_payment_page_has_the_language_of_the_page(
    storefront: Storefront, service: Service, browser: Browser, language: str
) -> None:
    browser.send(browser.open("/portal").form("/portal/language"), language=language)

    choose(browser, browser.open("/portal/buy"))

    [session], [purchase] = at_stripe(storefront, "checkout.session"), bought(service)
    assert session["locale"] == language
    assert storefront.read(purchase["id"], "acme").language == language


def test_a_double_click_is_one_purchase(storefront: Storefront, service: Service, browser: Browser) -> None:
    page = browser.open("/portal/buy")

    answers = [choose(browser, page) for _ in range(2)]

    assert [answer.status for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len(bought(service)) == len(at_stripe(storefront, "checkout.session")) == 1


def test_a_double_click_with_the_code_is_one_purchase(
    storefront: Storefront, service: Service, browser: Browser
) -> None:
    choose(browser, browser.open("/portal/buy"))
    page = browser.open("/portal/buy")

    answers = [choose(browser, page, "credits-50", code=CODE) for _ in range(2)]

    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert sorted(purchase["pack"] for purchase in bought(service)) == ["credits-100", "credits-50"]


def test_back_and_another_pack_is_another_purchase(storefront: Storefront, service: Service, browser: Browser) -> None:
    page = browser.open("/portal/buy")
    choose(browser, page, "credits-100")

    with_code_form = choose(browser, page, "credits-500")

    assert with_code_form.status == 403
    assert "Esta compra precisa do código do gerente. Nada foi comprado ainda." in with_code_form.text
    assert choose(browser, with_code_form, "credits-500", code=CODE).status == 303
    assert sorted(purchase["pack"] for purchase in bought(service)) == ["credits-100", "credits-500"]


def test_a_second_tab_is_asked_for_the_code(storefront: Storefront, service: Service, browser: Browser) -> None:
    first, second = browser.open("/portal/buy"), browser.open("/portal/buy")
    choose(browser, first)

    with_code_form = choose(browser, second)

    assert (with_code_form.status, len(bought(service))) == (403, 1)
    assert "Continuar pagamento" in pack_of(with_code_form, "100")


def test_an_open_purchase_of_the_pack_can_be_continued(
    storefront: Storefront, service: Service, browser: Browser
) -> None:
    choose(browser, browser.open("/portal/buy"))

    page = browser.open("/portal/buy")

    [purchase] = bought(service)
    assert "Pagamento aberto em 16/06/2026, 10:00 Continuar pagamento Comprar mais um" in pack_of(page, "100")
    assert f'href="{purchase["checkout_url"]}"' in page.html
    assert "Continuar" not in pack_of(page, "500")


def test_a_payment_page_of_yesterday_is_not_offered(
    storefront: Storefront, service: Service, browser: Browser, clock: Clock
) -> None:
    choose(browser, browser.open("/portal/buy"))
    clock.now += DAY

    assert "Continuar" not in entered(service).open("/portal/buy").text


def test_a_waiting_pix_is_shown_at_its_pack(storefront: Storefront, service: Service, browser: Browser) -> None:
    choose(browser, browser.open("/portal/buy"))
    purchase = storefront.read(bought(service)[0]["id"], "acme")
    storefront.deliver_all(storefront.happen(purchase, "confirm", "pix"))

    page = browser.open("/portal/buy")

    assert "Ver pagamento" in pack_of(page, "100")
    assert page.html.count(f'href="/portal/purchases/{purchase.id}"') == 2


def test_a_click_after_the_payment_shows_the_purchase(
    storefront: Storefront, service: Service, browser: Browser
) -> None:
    page = browser.open("/portal/buy")
    choose(browser, page)
    purchase = storefront.read(bought(service)[0]["id"], "acme")
    storefront.deliver_all(storefront.pay(purchase))

    again = choose(browser, page)

    assert (again.path, again.status) == (f"/portal/purchases/{purchase.id}", 200)
    assert "Créditos adicionados: 100" in again.text


# The code


def test_the_code_is_asked_for_ten_minutes_after_entering(
    storefront: Storefront, service: Service, browser: Browser, clock: Clock
) -> None:
    page = browser.open("/portal/buy")
    clock.now += 10 * MINUTE

    assert "Cada compra pede o código." in browser.open("/portal/buy").text
    assert choose(browser, page).status == 403
    assert bought(service) == []


def test_a_wrong_code_is_reported_in_the_form(storefront: Storefront, service: Service, browser: Browser) -> None:
    choose(browser, browser.open("/portal/buy"))
    page = browser.open("/portal/buy")

    wrong = choose(browser, page, "credits-50", code=WRONG)

    assert wrong.status == 403
    assert "O código está errado. Tentativas restantes: 4." in wrong.text
    assert len(bought(service)) == 1
    assert choose(browser, wrong, "credits-50", code=CODE).status == 303


def test_a_locked_code_is_reported_in_the_form(storefront: Storefront, service: Service, browser: Browser) -> None:
    choose(browser, browser.open("/portal/buy"))
    page = browser.open("/portal/buy")
    for _ in range(5):
        choose(browser, page, code=WRONG)

    locked = choose(browser, page, "credits-50", code=CODE)

    assert (locked.status, locked.headers["retry-after"], len(bought(service))) == (429, "60", 1)
    assert "Tente de novo a partir de 10:01 de 16 de junho de 2026." in locked.text


@pytest.mark.parametrize("typed", ["", "27491", "abcdef"])
def test_a_malformed_code_counts_no_try(storefront: Storefront, service: Service, browser: Browser, typed: str) -> None:
    choose(browser, browser.open("/portal/buy"))
    page = browser.open("/portal/buy")

    refused = choose(browser, page, "credits-50", code=typed)

    assert refused.status == 422
    assert "Nenhuma tentativa foi contada." in refused.text
    assert "Tentativas restantes: 4." in choose(browser, page, "credits-50", code=WRONG).text


def test_a_code_typed_for_a_lost_click_serves_once(
    storefront: Storefront, service: Service, browser: Browser, clock: Clock
) -> None:
    choose(browser, browser.open("/portal/buy"))
    page = browser.open("/portal/buy")
    # The code opened a manager session, and the purchase it was meant for was never begun.
    assert choose(browser, page, "gone", code=CODE).status == 422
    clock.now += 11 * MINUTE

    again = choose(browser, page, "gone", code=CODE)

    assert again.status == 403
    assert again.form("/portal/buy").fields["nonce"] != page.form("/portal/buy").fields["nonce"]
    assert choose(browser, again, "credits-50", code=CODE).status == 303


# Errors


@pytest.mark.parametrize(
    ("fault", "status"),
    [(cut, 503), (refuses(402, "Your account cannot currently make charges."), 503), (refuses(403, "No."), 502)],
)
def test_an_error_of_stripe_is_reported_and_a_retry_continues(
    storefront: Storefront, service: Service, browser: Browser, output: Output, fault: Any, status: int
) -> None:
    page = browser.open("/portal/buy")
    with stripe_tapped(lambda _: fault):
        failed = choose(browser, page)

    assert failed.status == status
    assert "A página de pagamento não abriu. Nada foi cobrado." in failed.text
    assert output.metric("PaymentProviderRefusals") == ([1] if status == 502 else [])
    # Without the code: the purchase is recorded already.
    assert choose(browser, failed).status == 303
    assert [purchase["state"] for purchase in bought(service)] == ["open"]


def test_a_purchase_that_began_too_long_ago_is_begun_anew(
    storefront: Storefront, service: Service, browser: Browser
) -> None:
    page = browser.open("/portal/buy")
    with stripe_tapped(lambda _: cut):
        choose(browser, page)
    begun = storefront.read(bought(service)[0]["id"], "acme")
    save_purchase(service.table, replace(begun, created_at=begun.created_at - DAY, version=begun.version + 1))

    old = choose(browser, page)

    assert old.status == 409
    assert "começou há muito tempo e não pode continuar. Nada foi cobrado." in old.text
    assert choose(browser, old, code=CODE).status == 303
    assert sorted(purchase["state"] for purchase in bought(service)) == ["created", "open"]


@pytest.mark.parametrize("change", [{"form_token": "0" * 64}, {"nonce": "0" * 32}, {"nonce": ""}])
def test_a_changed_form_buys_nothing(
    storefront: Storefront, service: Service, browser: Browser, change: dict[str, str]
) -> None:
    page = browser.open("/portal/buy")

    assert choose(browser, page, **change).status == 403
    assert bought(service) == []


def test_another_sites_form_buys_nothing(storefront: Storefront, service: Service, browser: Browser) -> None:
    fields = browser.open("/portal/buy").form("/portal/buy").fields
    body = "&".join(f"{name}={value}" for name, value in fields.items()) + "&pack=credits-50"

    page = browser.request("POST", "/portal/buy", body=body, headers={**OWN_FORM, "sec-fetch-site": "cross-site"})

    assert (page.status, bought(service)) == (403, [])


def test_without_a_session_nothing_is_shown_or_bought(
    storefront: Storefront, service: Service, browser: Browser
) -> None:
    form = browser.open("/portal/buy").form("/portal/buy")
    stranger = Browser(service.functions)

    assert stranger.open("/portal/buy").status == 401
    assert stranger.send(form, pack="credits-50").status == 401
    assert bought(service) == []
