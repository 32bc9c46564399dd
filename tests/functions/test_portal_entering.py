"""Entering the subscription page: the one-time link, the manager's code, the session and its end."""

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.support.api import CODE
from tests.support.browser import OWN_FORM, Browser, Page
from tests.support.handlers import RETURN_URL, Clock
from tests.support.in_process import Service

MINUTE = timedelta(minutes=1)
WRONG = "115599"


@pytest.fixture
def shop(service: Service) -> Service:
    """Account acme has a code."""
    service.open()
    assert service.set_code().status == 204
    return service


@pytest.fixture
def browser(shop: Service) -> Browser:
    return Browser(shop.functions)


def link_of(shop: Service, **body: Any) -> str:
    """The path of a new link."""
    answer = shop.portal_session(**body)
    assert answer.status == 201, answer.text
    return str(answer.body["url"]).removeprefix("https://api.example.com")


def enter(browser: Browser, link: str, code: str = CODE) -> Page:
    return browser.send(browser.open(link).forms[0], code=code)


def test_the_right_code_opens_the_page(shop: Service, browser: Browser) -> None:
    page = enter(browser, link_of(shop))

    assert (page.path, page.status) == ("/portal", 200)
    assert "Créditos disponíveis" in page.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_fetching_a_link_changes_nothing(shop: Service, browser: Browser, method: str) -> None:
    link = link_of(shop)
    before = shop.stored()

    for _ in range(3):
        assert browser.open(link, method=method).status == 200

    assert shop.stored() == before
    assert enter(browser, link).path == "/portal"


def test_a_link_opens_one_session(shop: Service, browser: Browser) -> None:
    link = link_of(shop)
    form = browser.open(link).forms[0]
    enter(browser, link)

    again = Browser(shop.functions).send(form, code=CODE)

    assert again.status == 410
    assert "Este link já foi usado" in again.text
    assert RETURN_URL in again.html
    assert len([key for key in shop.stored() if key[1] == "PORTAL"]) == 1


def test_an_expired_and_an_unknown_link_look_the_same(shop: Service, browser: Browser, clock: Clock) -> None:
    link = link_of(shop, return_url=f"{RETURN_URL}?from=app")
    clock.now += 10 * MINUTE

    expired = browser.open(link)
    unknown = browser.open(f"/portal/enter/{'A' * 43}")
    malformed = browser.open("/portal/enter/short")

    assert expired.status == unknown.status == malformed.status == 410
    assert expired.html == unknown.html == malformed.html
    assert expired.headers == unknown.headers == malformed.headers


def test_a_wrong_code_leaves_the_link_usable(shop: Service, browser: Browser) -> None:
    link = link_of(shop)

    wrong = enter(browser, link, WRONG)

    assert wrong.status == 403
    assert "O código está errado. Tentativas restantes: 4." in wrong.text
    assert enter(browser, link).path == "/portal"


def test_a_locked_code_shows_until_when_in_local_time(shop: Service, browser: Browser) -> None:
    link = link_of(shop)
    for _ in range(5):
        enter(browser, link, WRONG)

    locked = enter(browser, link)

    assert locked.status == 429
    assert locked.headers["retry-after"] == "60"
    # 13:00 UTC is 10:00 in São Paulo.
    assert "Tente de novo a partir de 10:01 de 16 de junho de 2026." in locked.text


@pytest.mark.parametrize("typed", ["274 913", " 274913 ", "274-913", "274.913", "27\u00a04913"])
def test_a_code_may_be_typed_with_separators(shop: Service, browser: Browser, typed: str) -> None:
    assert enter(browser, link_of(shop), typed).path == "/portal"


@pytest.mark.parametrize("typed", ["", "27491", "2749131", "27491a", "２７４９１３"])
def test_a_malformed_code_counts_no_try(shop: Service, browser: Browser, typed: str) -> None:
    link = link_of(shop)

    page = enter(browser, link, typed)

    assert page.status == 422
    assert "Tentativas restantes: 4." in enter(browser, link, WRONG).text


def test_a_second_click_on_enter_shows_the_page(shop: Service, browser: Browser) -> None:
    link = link_of(shop)
    form = browser.open(link).forms[0]
    browser.send(form, code=CODE)

    again = browser.send(form, code=CODE)

    assert (again.path, again.status) == ("/portal", 200)


def test_the_cookie_is_for_this_site_alone(shop: Service, browser: Browser) -> None:
    link = link_of(shop)

    page = browser.request("POST", link, body=f"code={CODE}", headers=OWN_FORM)

    [cookie] = page.cookies
    name, _, value = cookie.partition("; ")[0].partition("=")
    assert name == "__Host-prepaid"
    assert re.fullmatch(r"[\w-]{43}", value)
    assert cookie.split("; ")[1:] == ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=1800"]
    assert value not in str(shop.stored())


def test_a_session_ends_after_thirty_minutes_without_use(shop: Service, browser: Browser, clock: Clock) -> None:
    enter(browser, link_of(shop))
    for _ in range(3):
        clock.now += 29 * MINUTE
        assert browser.open("/portal").status == 200

    clock.now += 30 * MINUTE
    page = browser.open("/portal")

    assert page.status == 401
    assert "A sessão terminou" in page.text
    assert "Um pagamento já iniciado continua valendo" in page.text


def test_a_session_ends_after_eight_hours_of_use(shop: Service, browser: Browser, clock: Clock) -> None:
    enter(browser, link_of(shop))
    start = clock.now
    while clock.now < start + 480 * MINUTE - 20 * MINUTE:
        clock.now += 20 * MINUTE
        assert browser.open("/portal").status == 200

    clock.now = start + 480 * MINUTE

    assert browser.open("/portal").status == 401


def test_leaving_ends_the_session(shop: Service, browser: Browser) -> None:
    page = enter(browser, link_of(shop))
    kept = dict(browser.cookies)

    left = browser.send(page.form("/portal/leave"))

    assert "Você saiu" in left.text
    assert browser.cookies == {}
    assert Browser(shop.functions, cookies=kept).open("/portal").status == 401


def test_a_changed_code_ends_the_session(shop: Service, browser: Browser) -> None:
    enter(browser, link_of(shop))

    shop.set_code("830164")

    assert browser.open("/portal").status == 401


def test_entering_by_another_link_shows_that_account(shop: Service, browser: Browser) -> None:
    shop.open("zoo", name="Zoo")
    shop.set_code(account="zoo")
    enter(browser, link_of(shop))

    page = enter(browser, str(shop.portal_session("zoo").body["url"]).removeprefix("https://api.example.com"))

    assert "Zoo" in page.text
    assert "Pet & Cia" not in browser.open("/portal").text


def test_entering_anew_ends_the_session_before(shop: Service, browser: Browser) -> None:
    enter(browser, link_of(shop))
    before = dict(browser.cookies)

    enter(browser, link_of(shop))

    assert Browser(shop.functions, cookies=before).open("/portal").status == 401
    assert browser.open("/portal").status == 200
    assert len([key for key in shop.stored() if key[1] == "PORTAL"]) == 1


def test_entering_elsewhere_ends_no_other_browsers_session(shop: Service, browser: Browser) -> None:
    enter(browser, link_of(shop))

    enter(Browser(shop.functions), link_of(shop))

    assert browser.open("/portal").status == 200


def test_a_wrong_code_ends_no_session(shop: Service, browser: Browser) -> None:
    enter(browser, link_of(shop))

    assert enter(browser, link_of(shop), WRONG).status == 403

    assert browser.open("/portal").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://api.example.com"},
        {"sec-fetch-site": "same-site", "origin": "https://api.example.com"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example.com"},
        {"origin": "null"},
        {},
    ],
)
def test_a_form_of_another_site_does_nothing(shop: Service, browser: Browser, headers: dict[str, str]) -> None:
    link = link_of(shop)
    before = shop.stored()

    page = browser.request(
        "POST", link, body=f"code={CODE}", headers={"content-type": "application/x-www-form-urlencoded", **headers}
    )

    assert page.status == 403
    assert shop.stored() == before


def test_a_form_of_another_session_does_nothing(shop: Service, browser: Browser) -> None:
    theirs = enter(Browser(shop.functions), link_of(shop)).form("/portal/leave")
    enter(browser, link_of(shop))

    assert browser.send(theirs).status == 403
    assert browser.open("/portal").status == 200


def test_the_language_is_kept_on_the_session(shop: Service, browser: Browser) -> None:
    page = enter(browser, link_of(shop))

    english = browser.send(page.form("/portal/language"), language="en")

    assert "Available credits" in english.text
    assert 'lang="en"' in browser.open("/portal").html


@pytest.mark.parametrize("back", ["https://evil.example.com", "//evil.example.com", "/\\evil", "/portal\n/x", "/v1"])
def test_the_language_form_leads_to_this_page_only(shop: Service, browser: Browser, back: str) -> None:
    page = enter(browser, link_of(shop))

    assert browser.send(page.form("/portal/language"), language="es", back=back).path == "/portal"


def test_a_link_opens_the_page_in_its_own_language(shop: Service, browser: Browser) -> None:
    assert "Manager’s code" in browser.open(link_of(shop, language="en")).text
    assert "Código del gerente" in browser.open(link_of(shop, language="es")).text


def test_a_retry_gets_the_same_link(shop: Service) -> None:
    first = shop.portal_session(key="k")

    again = shop.portal_session(key="k")

    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert shop.portal_session(key="k", language="en").code == "idempotency_key_reused"
    assert shop.portal_session().body["url"] != first.body["url"]


@pytest.mark.parametrize(
    "return_url",
    [
        "https://evil.example.com/",
        "https://shop.example.com.evil.com/",
        "https://shop.example.com@evil.com/",
        "https://evil.com\\@shop.example.com/",
        "//shop.example.com/",
        "javascript:alert(1)",
        "http://shop.example.com/",
        "https://shop.example.com/\u200b",
    ],
)
def test_a_link_leads_back_to_listed_sites_only(shop: Service, return_url: str) -> None:
    answer = shop.portal_session(return_url=return_url)

    assert (answer.status, answer.code) == (422, "invalid_request")
    assert "https://shop.example.com" in answer.body["detail"]


def test_the_page_leads_back_to_the_return_url(shop: Service, browser: Browser) -> None:
    page = enter(browser, link_of(shop, return_url="https://shop.example.com/account?tab=2&x=1"))

    assert 'href="https://shop.example.com/account?tab=2&amp;x=1"' in page.html


def test_every_page_has_the_security_headers(shop: Service, browser: Browser) -> None:
    link = link_of(shop)
    wrong, page, ended = enter(browser, link, WRONG), enter(browser, link), Browser(shop.functions).open("/portal")

    for shown in (wrong, page, ended):
        policy = shown.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "form-action 'self' https://checkout.example.com; frame-ancestors 'none'; base-uri 'none'" in policy
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["x-frame-options"] == "DENY"
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert shown.headers["x-content-type-options"] == "nosniff"


def test_the_assets_are_kept_forever(shop: Service, browser: Browser) -> None:
    html = browser.open(link_of(shop)).html

    for path in re.findall(r"/portal/assets/[\w.-]+", html):
        asset = browser.open(path)
        assert asset.status == 200
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert browser.open("/portal/assets/portal-000000000000.css").status == 404
