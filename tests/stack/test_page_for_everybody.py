"""The subscription page by keyboard, on paper, enlarged, and read aloud; and what its gateway passes on to it."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local import demo
from local.stack import Stack
from tests.support.on_screen import enter, go, link_to, order
from tests.support.over_http import HttpApi, exchange
from tests.support.payment_page import StackStorefront
from tests.support.screen import screen

SCREENS = ("/portal", "/portal/buy", "/portal/history", "/portal/reports", "/portal/elsewhere")
# Roles whose elements say nothing without a name.
NAMED = ("link", "button", "textbox", "combobox", "img", "navigation", "region", "table", "DisclosureTriangle")
FOCUSED = """() => {
  const shown = document.activeElement, style = getComputedStyle(shown), box = shown.getBoundingClientRect();
  return {name: shown.textContent.trim() || shown.id, body: shown === document.body,
          ring: style.outlineStyle !== "none" && style.outlineWidth !== "0px",
          inside: box.bottom > 0 && box.top < innerHeight};
}"""


def tab(page: Page) -> dict[str, Any]:
    """What has the focus after the next press of Tab."""
    page.keyboard.press("Tab")
    found: dict[str, Any] = page.evaluate(FOCUSED)
    return found


def unnamed(page: Page) -> list[str]:
    """The roles of what a screen reader would announce without a name."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node["ignored"]]
    return [
        node["role"]["value"]
        for node in shown
        if node["role"]["value"] in NAMED and not node.get("name", {}).get("value", "").strip()
    ]


@pytest.fixture
def demo_account(stack: Stack) -> str:
    """The account with a year behind it."""
    return stack.addresses.demo_account


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/portal/x", 404),
        ("GET", "/portal/x/y", 404),
        ("DELETE", "/portal/leave", 404),
        ("HEAD", "/portal", 401),
        ("HEAD", "/portal/history", 401),
        ("GET", "/portal/leave", 303),
        ("GET", "/portal/language", 303),
        ("POST", "/portal/history", 404),
    ],
)
def test_the_gateway_passes_every_address_on_to_the_page(api: HttpApi, method: str, path: str, status: int) -> None:
    answer = exchange(method, f"{api.url}{path}", None, {})

    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"


def test_the_keyboard_reaches_everything(browser: Browser, api: HttpApi, demo_account: str) -> None:
    with screen(browser) as shown:
        enter(shown, link_to(api, demo_account, language="en"))
        for path in SCREENS:
            go(shown, path)
            stops = [tab(shown.page) for _ in range(8)]

            assert [stop["name"] for stop in stops[:2]] == ["Skip to content", "Menu"]
            assert [stop["name"] for stop in stops[3:7]] == ["Subscription", "Buy", "History", "Reports"]
            assert all(stop["ring"] and stop["inside"] for stop in stops if not stop["body"]), stops
        go(shown, "/portal/buy")
        tab(shown.page)
        shown.page.keyboard.press("Enter")
        assert "Buy" in tab(shown.page)["name"]


def test_a_screen_reader_finds_a_name_for_everything(
    browser: Browser, api: HttpApi, storefront: StackStorefront, shop: str
) -> None:
    with screen(browser) as shown:
        enter(shown, link_to(api, shop))
        order(shown, "pix")
        storefront.drain()
        shown.page.goto(link_to(api, shop))
        assert unnamed(shown.page) == []
        shown.page.locator("#code").fill(demo.CODE)
        shown.page.keyboard.press("Enter")
        shown.page.locator(".notice.waiting a").click()
        assert unnamed(shown.page) == []
        for path in SCREENS:
            go(shown, path)
            assert unnamed(shown.page) == [], path


def test_every_screen_fits_at_400_percent(browser: Browser, api: HttpApi, demo_account: str) -> None:
    with screen(browser) as shown:
        enter(shown, link_to(api, demo_account, language="es"))
        shown.page.set_viewport_size({"width": 320, "height": 225})
        for path in SCREENS:
            go(shown, path)
            shown.check()
        # No word of a table's head is broken: each is as wide as its longest word.
        go(shown, "/portal/reports")
        heads = shown.page.locator(".totals thead th.figure").all()
        assert heads
        assert all(head.evaluate("head => head.scrollWidth <= head.clientWidth") for head in heads)


def test_paper_shows_whose_statement_it_is(browser: Browser, api: HttpApi, demo_account: str) -> None:
    with screen(browser, scheme="dark") as shown:
        enter(shown, link_to(api, demo_account))
        go(shown, "/portal/reports")
        shown.page.emulate_media(media="print", color_scheme="dark")

        expect(shown.page.locator(".owner")).to_be_visible()
        expect(shown.page.locator("table.sums")).to_be_visible()
        for hidden in ("nav", ".menu", "form.card", ".notice", "footer .screen", ".button"):
            for element in shown.page.locator(hidden).all():
                expect(element).to_be_hidden()
        colours = shown.page.locator("section.card").first.evaluate(
            "card => [getComputedStyle(card).backgroundColor, getComputedStyle(card).color]"
        )
        assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
