"""The subscription page in a real browser: each screen and each refusal, on three devices and in three languages."""

import pytest
from playwright.sync_api import Browser, Response, expect

from local import demo
from local.stack import Stack
from tests.support.on_screen import PAYMENT_TIMEOUT_MS, enter, go, link_to, order, site_of, type_code
from tests.support.over_http import HttpApi, exchange, new_account
from tests.support.payment_page import StackStorefront
from tests.support.screen import DEVICES, Device, Scheme, screen

# The screens of a session without a purchase.
SCREENS = {
    "/portal": {"pt-BR": "Assinatura", "en": "Subscription", "es": "Suscripción"},
    "/portal/buy": {"pt-BR": "Comprar créditos", "en": "Buy credits", "es": "Comprar créditos"},
    "/portal/history": {"pt-BR": "Histórico", "en": "History", "es": "Historial"},
    "/portal/reports": {"pt-BR": "Relatórios", "en": "Reports", "es": "Informes"},
}
MAX_FIRST_VIEW_BYTES = 50_000
WRONG_CODE = "000000"
TRIES = 5
# Characters of a name, a description, a customer or a reference.
MAX_TEXT = 200
# Texts of a purchase of 50 credits: pending, credits added, and the balance after them.
WORDS = {
    "pt-BR": ("Aguardando o pagamento", "Créditos adicionados: 50", "Agora você tem 170."),
    "en": ("Waiting for the payment", "Credits added: 50", "You now have 170."),
    "es": ("Esperando el pago", "Créditos añadidos: 50", "Ahora tiene 170."),
}


@pytest.fixture
def demo_account(stack: Stack) -> str:
    """The account with a year behind it."""
    return stack.addresses.demo_account


@pytest.mark.parametrize(
    ("device", "scheme", "language"),
    [
        ("desktop", "light", "pt-BR"),
        ("desktop", "dark", "en"),
        ("phone", "dark", "pt-BR"),
        ("phone", "light", "es"),
        ("narrow", "light", "en"),
        ("narrow", "dark", "es"),
    ],
)
def test_every_screen_keeps_the_rules_on_each_device(
    browser: Browser, api: HttpApi, demo_account: str, device: Device, scheme: Scheme, language: str
) -> None:
    with screen(browser, device=device, scheme=scheme, language=language) as shown:
        shown.page.goto(link_to(api, demo_account, language=language))
        shown.check()
        type_code(shown, demo.CODE)
        shown.page.wait_for_url("**/portal")
        for path, titles in SCREENS.items():
            assert go(shown, path) == 200
            expect(shown.page.locator("h1")).to_have_text(titles[language])
            expect(shown.page.locator("html")).to_have_attribute("lang", language)
            shown.check()
            # At 200 %, the window is half as large.
            shown.page.set_viewport_size({"width": 640, "height": 450})
            shown.check_fit()
            shown.page.set_viewport_size(DEVICES[device]["viewport"])


def test_the_page_works_without_javascript(browser: Browser, api: HttpApi, demo_account: str) -> None:
    with screen(browser, scripts=False) as shown:
        enter(shown, link_to(api, demo_account))
        for path, titles in SCREENS.items():
            assert go(shown, path) == 200
            expect(shown.page.locator("h1")).to_have_text(titles["pt-BR"])
        shown.page.locator("summary", has_text="Menu").click()
        shown.page.get_by_role("button", name="English").click()
        expect(shown.page.locator("h1")).to_have_text("Reports")
        shown.page.locator("summary", has_text="Menu").click()
        shown.page.get_by_role("button", name="Sign out").click()
        expect(shown.page.locator("h1")).to_have_text("You have signed out")
        assert go(shown, "/portal") == 401
        shown.check()


def test_the_first_view_is_small_and_asks_no_other_host(browser: Browser, api: HttpApi, demo_account: str) -> None:
    with screen(browser) as shown:
        enter(shown, link_to(api, demo_account))
        # As for a first visit: nothing is in the cache.
        cold = shown.page.context.new_page()
        responses: list[Response] = []
        cold.on("response", lambda response: responses.append(response))  # noqa: PLW0108 - Playwright marks the function
        cold.goto(shown.page.url, wait_until="networkidle")

        sizes = {response.url: len(response.body()) for response in responses if response.url.startswith("http")}
        assert {site_of(address) for address in sizes} == {site_of(cold.url)}
        # The page, its style and its script.
        assert len(sizes) == 3, sizes
        assert sum(sizes.values()) < MAX_FIRST_VIEW_BYTES, sizes


@pytest.mark.parametrize(
    ("language", "device", "scripts"),
    [("pt-BR", "phone", True), ("en", "desktop", True), ("es", "phone", True), ("pt-BR", "desktop", False)],
    ids=["in Portuguese", "in English", "in Spanish", "without JavaScript"],
)
def test_a_manager_buys_with_pix_and_finds_the_line(
    browser: Browser, api: HttpApi, storefront: StackStorefront, shop: str, language: str, device: Device, scripts: bool
) -> None:
    waiting, added, now_have = WORDS[language]
    with screen(browser, device=device, language=language, scripts=scripts) as shown:
        enter(shown, link_to(api, shop, language=language))
        site = site_of(shown.page.url)
        session = order(shown, "pix")
        storefront.drain()

        # Stripe doesn't redirect after Pix. When the page is opened again, every screen shows the payment.
        shown.page.goto(f"{site}/portal/history")
        shown.page.locator(".notice.waiting a").click()
        heading = shown.page.locator("h1")
        expect(heading).to_contain_text(waiting)
        expect(shown.page.locator("svg")).to_be_visible()
        shown.check()
        storefront.control(f"sessions/{session}/pay")
        # The page changes by itself: by its script, or by reloading itself.
        expect(heading).to_contain_text(added, timeout=PAYMENT_TIMEOUT_MS)
        expect(shown.page.locator("main")).to_contain_text(now_have)
        shown.check()

        go(shown, "/portal/history")
        expect(shown.page.locator("tbody tr").first).to_contain_text("+50")
        with shown.page.expect_download() as download:
            shown.page.locator("button[name=download]").click()
        csv = download.value.path().read_text("utf-8-sig")
        assert csv.splitlines()[0].count("," if language == "en" else ";") > 5
        go(shown, "/portal/reports")
        expect(shown.page.locator("tr.total").last).to_contain_text("170")
        shown.check()


def test_a_second_purchase_asks_for_the_code(
    browser: Browser, api: HttpApi, storefront: StackStorefront, shop: str
) -> None:
    with screen(browser) as shown:
        enter(shown, link_to(api, shop))
        site = site_of(shown.page.url)
        order(shown, "pix")
        storefront.drain()
        shown.page.goto(f"{site}/portal/buy")

        shown.page.locator("#code").fill(WRONG_CODE)
        shown.page.locator("button[name=pack][value=credits-100]").click()
        expect(shown.page.get_by_role("alert")).to_contain_text("O código está errado")
        shown.check()
        shown.page.locator("#code").fill(demo.CODE)
        shown.page.locator("button[name=pack][value=credits-100]").click()
        shown.page.wait_for_url("**/pay/*")


def test_asking_for_the_head_of_a_link_uses_nothing_up(browser: Browser, api: HttpApi, shop: str) -> None:
    """As messengers, mail scanners and link checkers do."""
    link = link_to(api, shop)
    address = f"{api.url}/portal/enter/{link.rpartition('/')[2]}"

    for _ in range(2):
        head = exchange("HEAD", address, None, {})
        assert (head.status, head.text) == (200, "")
        assert "default-src 'none'" in head.headers["content-security-policy"]
        assert exchange("GET", address, None, {}).status == 200
    assert exchange("HEAD", f"{address[:-43]}{'A' * 43}", None, {}).status == 410
    with screen(browser) as shown:
        enter(shown, link)


def test_a_used_and_an_unknown_link_have_their_messages(browser: Browser, api: HttpApi, demo_account: str) -> None:
    with screen(browser, device="phone") as shown:
        used = link_to(api, demo_account)
        enter(shown, used)

        for link, title in (
            (used, "Este link já foi usado"),
            (f"{used[:-43]}{'A' * 43}", "Este link não vale mais"),
        ):
            answer = shown.page.goto(link)
            assert answer
            assert answer.status == 410
            expect(shown.page.locator("h1")).to_have_text(title)
            expect(shown.page.locator(".way-back a")).to_be_visible()
            shown.check()


def test_wrong_codes_are_counted_down_and_lock(browser: Browser, api: HttpApi, shop: str) -> None:
    with screen(browser, device="phone") as shown:
        shown.page.goto(link_to(api, shop))
        alert = shown.page.get_by_role("alert")
        type_code(shown, "12 34")
        expect(alert).to_contain_text("exatamente seis números")
        shown.check()
        for left in range(TRIES - 1, 0, -1):
            type_code(shown, WRONG_CODE)
            expect(alert).to_contain_text(str(left))
        shown.check()
        type_code(shown, WRONG_CODE)
        type_code(shown, demo.CODE)
        expect(alert).to_contain_text("Houve tentativas erradas demais")
        expect(shown.page.locator("#code")).to_have_count(0)
        shown.check()


def test_without_a_session_the_page_explains_how_to_return(browser: Browser, api: HttpApi, shop: str) -> None:
    with screen(browser) as shown:
        enter(shown, link_to(api, shop))
        shown.page.context.clear_cookies()

        for path in SCREENS:
            assert go(shown, path) == 401
            expect(shown.page.locator("h1")).to_have_text("A sessão terminou")
            shown.check()


def test_names_and_descriptions_show_as_text(browser: Browser, api: HttpApi, cashier: StackStorefront) -> None:
    rude = ("<script>alert(1)</script> & 'שלום' 🐶 " + "x" * MAX_TEXT)[:MAX_TEXT]
    account = api.open(new_account(), credits=9, name=rude)
    cashier.set_code(account)
    api.spend(account=account, description=rude, customer=rude, reference=rude)
    with screen(browser, device="narrow") as shown:
        enter(shown, link_to(api, account))
        for path in SCREENS:
            go(shown, path)
            expect(shown.page.locator(".owner bdi")).to_contain_text("<script>alert(1)</script>")
            shown.check()
