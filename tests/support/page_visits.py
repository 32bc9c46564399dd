"""A manager's visits to the subscription page, in the browser without a screen."""

from typing import Any

from tests.support.api import CODE, PURCHASES
from tests.support.browser import Browser, Page
from tests.support.in_process import Service


def entered(service: Service, language: str | None = None) -> Browser:
    """The browser of a manager who has just entered account acme."""
    browser = Browser(service.functions)
    address = str(service.portal_session(language=language).body["url"]).removeprefix("https://api.example.com")
    assert browser.send(browser.open(address).forms[0], code=CODE).path == "/portal"
    return browser


def choose(browser: Browser, page: Page, pack: str = "credits-100", **more: str) -> Page:
    """Send the form of the packs."""
    return browser.send(page.form("/portal/buy"), pack=pack, **more)


def bought(service: Service) -> list[Any]:
    """The purchases of account acme."""
    return list(service(PURCHASES).body["purchases"])
