"""What a manager does on the subscription page in a real browser."""

from urllib.parse import urlsplit

from playwright.sync_api import expect

from local import demo
from tests.support.over_http import HttpApi
from tests.support.screen import Screen

# A page without a script looks for a payment every ten seconds, one with a script sooner.
PAYMENT_TIMEOUT_MS = 60_000


def link_to(api: HttpApi, account: str, language: str | None = None) -> str:
    return str(api.portal_session(account, language=language).body["url"])


def type_code(shown: Screen, code: str) -> None:
    """Type a code and send it, by keyboard."""
    shown.page.locator("#code").fill(code)
    shown.page.keyboard.press("Enter")


def enter(shown: Screen, link: str) -> str:
    """Open a link and enter with the right code. Returns the page's site."""
    shown.page.goto(link)
    type_code(shown, demo.CODE)
    shown.page.wait_for_url("**/portal")
    return site_of(shown.page.url)


def go(shown: Screen, path: str) -> int:
    """Open a path of the page's site. Returns the status."""
    answer = shown.page.goto(f"{site_of(shown.page.url)}{path}")
    assert answer
    return answer.status


def site_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def choose(shown: Screen, pack: str) -> str:
    """Press the button of a pack. Returns the id of the payment page's session, which opens then."""
    shown.page.locator(f"button[name=pack][value={pack}]").click()
    shown.page.wait_for_url("**/pay/*")
    return urlsplit(shown.page.url).path.rpartition("/")[2]


def order(shown: Screen, method: str, pack: str = "credits-50") -> str:
    """Choose a pack, and Pix or a boleto on the payment page. Returns the id of the payment page's session."""
    go(shown, "/portal/buy")
    session = choose(shown, pack)
    shown.page.locator(f"a[href='?method={method}']").click()
    shown.page.locator(f"form[action$='/{method}'] button").click()
    expect(shown.page.locator("form[action$='/paid']")).to_be_visible()
    return session
