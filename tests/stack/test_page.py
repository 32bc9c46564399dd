"""The subscription page in a real browser: what a manager sees and does, on a desktop and a phone."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from local import demo
from tests.support.chromium import NoBrowserError, executable
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import Storefront
from tests.support.screen import Device, Scheme, Screen, screen


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each has a window of its own."""
    try:
        path = executable()
    except NoBrowserError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        # Chromium's sandbox doesn't run as root, as which containers run.
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def shop(api: HttpApi, cashier: Storefront) -> str:
    """An account with a code, some credits and a quota."""
    account = api.open(new_account(), credits=120, name="Pet Shop da Ana", plan="trio", ai_enabled=True)
    cashier.set_code(account)
    return account


def enter(shown: Screen, api: HttpApi, account: str, language: str | None = None) -> None:
    """Open a new link and type the code."""
    shown.page.goto(api.portal_session(account, language=language).body["url"])
    shown.page.locator("#code").fill(demo.CODE)
    shown.page.locator("form button").first.click()
    shown.page.wait_for_url("**/portal")


@pytest.mark.parametrize("device", ["desktop", "phone", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_manager_enters_and_sees_the_credits(
    browser: Browser, api: HttpApi, shop: str, device: Device, scheme: Scheme
) -> None:
    with screen(browser, device=device, scheme=scheme) as shown:
        shown.page.goto(api.portal_session(shop).body["url"])
        shown.check()
        enter(shown, api, shop)

        expect(shown.page.get_by_role("heading", name="Créditos disponíveis")).to_be_visible()
        expect(shown.page.locator(".big")).to_have_text("120")
        shown.check()
