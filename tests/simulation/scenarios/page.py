"""Every kind of request to the subscription page, as a manager's browser sends it. No redirect is followed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

from prepaid.portal.rendering import STYLESHEET, asset
from tests.simulation.bench import Bench
from tests.simulation.scenarios.scenario import (
    Outcome,
    Scenario,
    a_month_ago,
    buyer,
    link_before,
    partly_spent,
    renames,
    set_code,
    spends,
    tries_a_code,
)
from tests.support.api import CODE, PURCHASES
from tests.support.browser import OWN_FORM, Browser, Page
from tests.support.page_visits import entered

TYPED = {"sec-fetch-site": "none"}
BUSY = "Tente de novo em instantes"
PAYMENTS = "A página de pagamento não abriu."
CHARTS = re.compile("(Uso nos últimos 12 meses .*|O uso dos 12 meses .*)(?=Últimas linhas )")
REFUSALS = {401: "portal_session_ended", 403: "forbidden", 404: "not_found", 410: "portal_link_used"}


@dataclass(frozen=True)
class Visitor:
    """An open browser. cookies: what it holds. address: where it goes next. form: what it sends there."""

    cookies: dict[str, str]
    address: str = "/portal"
    form: dict[str, str] = field(default_factory=dict)


def seen(page: Page) -> Outcome:
    """The page's text, with the API's code for a refusal. Each response, even an error, is a page of the site."""
    assert "content-security-policy" in page.headers, page
    if page.status >= 500:
        code = "busy" if BUSY in page.text else "payments_unavailable" if PAYMENTS in page.text else "internal"
        assert code == "internal" or "retry-after" in page.headers, page.headers
        return page.status, {"code": code}
    if page.status >= 400:
        return page.status, {"code": REFUSALS[page.status]}
    return page.status, {"to": page.headers.get("location"), "text": page.text}


def opens(bench: Bench, visitor: Visitor) -> Outcome:
    return seen(browser_of(bench, visitor).request("GET", visitor.address, headers=TYPED))


def opens_without_charts(bench: Bench, visitor: Visitor) -> Outcome:
    """The first page. It leaves its charts out when their months take too long."""
    status, outcome = opens(bench, visitor)
    if "text" in outcome:
        outcome["text"] = CHARTS.sub("", outcome["text"])
    return status, outcome


def sends(bench: Bench, visitor: Visitor) -> Outcome:
    body = urlencode(visitor.form)
    return seen(browser_of(bench, visitor).request("POST", visitor.address, body=body, headers=OWN_FORM))


def browser_of(bench: Bench, visitor: Visitor) -> Browser:
    """A browser with the visitor's cookies, whatever an earlier response changed."""
    return Browser(bench.service.functions, dict(visitor.cookies))


def code_form(bench: Bench) -> Visitor:
    return Visitor({}, link_before(bench))


def scans(bench: Bench, visitor: Visitor) -> Outcome:
    """What link previews do first."""
    return seen(browser_of(bench, visitor).request("HEAD", visitor.address))


def asks_for_the_head(bench: Bench, visitor: Visitor) -> Outcome:
    """Of a page whose text may differ by its charts."""
    status, outcome = scans(bench, visitor)
    return status, outcome if status >= 400 else None


def entering_anew(bench: Bench) -> Visitor:
    """The right code on the page of a link, in a browser that has a session."""
    link = link_before(bench)
    return Visitor(entered(bench.service).cookies, link, {"code": CODE})


def entering(bench: Bench) -> Visitor:
    """The right code on the page of a link."""
    return Visitor({}, link_before(bench), {"code": CODE})


def enters(bench: Bench, visitor: Visitor) -> Outcome:
    status, outcome = sends(bench, visitor)
    return status, None if status == 303 else outcome


def at(address: str, given: Callable[[Bench], object] = buyer) -> Callable[[Bench], Visitor]:
    """A manager who entered after `given`, and who opens an address next."""

    def enter(bench: Bench) -> Visitor:
        given(bench)
        return Visitor(entered(bench.service).cookies, address)

    return enter


def much_used(bench: Bench) -> None:
    """Bought and spent; and a grant whose reason is only in its entry, before many other entries."""
    partly_spent(bench)
    bench.service.give(5)
    for _ in range(20):
        assert bench.service.spend(1).status == 201


def used_a_month_ago(bench: Bench) -> None:
    a_month_ago(bench)
    bench.service.set_code()


def at_purchase(bench: Bench, tail: str = "") -> Visitor:
    """A Pix that waits for its payment, and the page that shows its code."""
    buyer(bench)
    purchase = bench.storefront.buy()
    bench.storefront.deliver_all(bench.storefront.happen(purchase, "confirm", "pix"))
    return Visitor(entered(bench.service).cookies, f"/portal/purchases/{purchase.id}{tail}")


def pays(bench: Bench, _: object) -> None:
    """The payment of the only purchase arrives."""
    [listed] = bench.service(PURCHASES).body["purchases"]
    purchase = bench.storefront.read(listed["id"], "acme")
    if purchase.state == "pending":
        bench.storefront.deliver_all(bench.storefront.happen(purchase, "pay"))


def used_again(bench: Bench) -> Visitor:
    """The session's last use is so long ago that the next one is stored."""
    visitor = at_purchase(bench, "/state")
    bench.now += timedelta(minutes=6)
    return visitor


def on_form(action: str, address: str = "/portal", **chosen: str) -> Callable[[Bench], Visitor]:
    """A manager who is about to send a form."""

    def fill_in(bench: Bench) -> Visitor:
        buyer(bench)
        return filled_in(entered(bench.service), action, address, chosen)

    return fill_in


def filled_in(browser: Browser, action: str, address: str, chosen: dict[str, str]) -> Visitor:
    form = browser.open(address).form(action)
    return Visitor(dict(browser.cookies), action, {**form.fields, **chosen})


def with_code(bench: Bench) -> Visitor:
    """The manager entered a while ago, so the form of the packs asks for the code."""
    buyer(bench)
    browser = entered(bench.service)
    bench.now += timedelta(minutes=11)
    return filled_in(browser, "/portal/buy", "/portal/buy", {"pack": "credits-500", "code": CODE})


def leaves(bench: Bench, visitor: Visitor) -> None:
    """The same manager signs out in another tab, if the session is still open."""
    browser = browser_of(bench, visitor)
    page = browser.open("/portal/history")
    if page.status == 200:
        browser.send(page.form("/portal/leave"))


def buys_another_pack(bench: Bench, visitor: Visitor) -> Outcome:
    """Back, and another pack: the session pays for one of them without a code."""
    return sends(bench, replace(visitor, form={**visitor.form, "pack": "credits-500"}))


def changes_the_code(bench: Bench, _: object) -> None:
    """That ends every session."""
    set_code(bench, None)


REPORTS = "/portal/reports"
ONE_PACK = on_form("/portal/buy", "/portal/buy", pack="credits-100")

# It calls neither the database nor Stripe.
ASSET = Scenario("portal: stylesheet", at(asset(STYLESHEET, "", "")), opens, spends, reads=True)
SCENARIOS = (
    Scenario("portal: code form", code_form, opens, renames, reads=True),
    Scenario("portal: code form for a preview", code_form, scans, renames, reads=True),
    Scenario("portal: subscription", at("/portal", much_used), opens_without_charts, spends, reads=True),
    Scenario("portal: packs", at("/portal/buy", partly_spent), opens, spends, reads=True),
    Scenario("portal: purchase", at_purchase, opens, pays, reads=True),
    Scenario("portal: state of a purchase", partial(at_purchase, tail="/state"), opens, pays, reads=True),
    # The only page that writes is one of a session in use: its last use.
    Scenario("portal: page of an older session", used_again, opens, leaves),
    Scenario("portal: history", at("/portal/history", partly_spent), opens, spends, reads=True),
    Scenario("portal: history as CSV", at("/portal/history?download=csv", partly_spent), opens, spends, reads=True),
    Scenario("portal: report", at(REPORTS, partly_spent), opens, spends, reads=True),
    # The first to read a closed month stores its statement.
    Scenario("portal: report of a closed month", at(f"{REPORTS}?month=2026-06", used_a_month_ago), opens, spends),
    Scenario("portal: statement as CSV", at(f"{REPORTS}?download=statement", partly_spent), opens, spends, reads=True),
    Scenario("portal: services as CSV", at(f"{REPORTS}?download=services", partly_spent), opens, spends, reads=True),
    Scenario("portal: head of the first page", at("/portal", partly_spent), asks_for_the_head, spends, reads=True),
    Scenario("portal: no such page", at("/portal/x", partly_spent), opens, spends, reads=True),
    Scenario("portal: language", on_form("/portal/language", language="en", back="/portal/buy"), sends, leaves),
    Scenario("portal: leave", on_form("/portal/leave"), sends, changes_the_code, late_refusal="portal_session_ended"),
    Scenario("checkout: enter the page", entering, enters, tries_a_code, late_refusal="portal_link_used"),
    Scenario("checkout: enter anew", entering_anew, enters, tries_a_code, late_refusal="portal_link_used"),
    Scenario("checkout: buy on the page", ONE_PACK, sends, spends, paired=True),
    Scenario("checkout: buy on the page, or another pack", ONE_PACK, sends, buys_another_pack),
    Scenario("checkout: buy on the page with the code", with_code, sends, tries_a_code),
)
