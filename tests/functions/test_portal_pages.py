"""What holds for every page: without a session, without a database, and the headers of each response."""

from collections import Counter

import pytest

from tests.support.api import CODE
from tests.support.browser import OWN_FORM, Browser, Page
from tests.support.in_process import FUNCTION_OF, Service
from tests.support.no_database import no_database
from tests.support.page_visits import entered

# What any other request gets: test_portal_errors.py.
PAGES = sorted(
    route for route in FUNCTION_OF if " /portal" in route and "/assets/" not in route and not route.startswith("ANY ")
)
BEHIND_THE_CODE = [route for route in PAGES if "/enter/" not in route]
TOKEN = "A" * 43


def request(browser: Browser, route: str) -> Page:
    """One request, as a form of the page makes it."""
    method, _, path = route.partition(" ")
    path = path.replace("{token}", TOKEN).replace("{id}", "pur_01990000000000000000aaaa")
    body, headers = (f"code={CODE}", OWN_FORM) if method == "POST" else (None, {})
    return browser.request(method, path, body=body, headers=headers)


@pytest.mark.parametrize("route", BEHIND_THE_CODE)
def test_a_page_without_a_session_states_that_it_ended(service: Service, route: str) -> None:
    service.open(credits=1)
    before = service.stored()

    page = request(Browser(service.functions), route)

    assert page.status == 401
    assert service.stored() == before


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("route", PAGES)
def test_every_page_is_busy_without_a_database(service: Service, route: str) -> None:
    browser = Browser(service.functions, cookies={"__Host-prepaid": TOKEN})

    with no_database(service):
        page = request(browser, route)

    assert page.status == 503
    assert int(page.headers["retry-after"]) > 0


@pytest.mark.parametrize("route", PAGES)
def test_every_answer_has_the_security_headers(service: Service, route: str) -> None:
    page = request(Browser(service.functions), route)

    assert page.status in {401, 410}
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/portal/buy", {"GetItem": 5, "Query": 3}),
        ("/portal/history", {"GetItem": 3, "Query": 4}),
        ("/portal/reports", {"GetItem": 5, "Query": 5}),
    ],
)
def test_a_screen_costs_few_reads(service: Service, path: str, expected: dict[str, int]) -> None:
    service.open(plan="individual", ai_enabled=True, credits=100)
    service.spend(30)
    service.set_code()
    browser = entered(service)
    # Read once per process.
    browser.open(path)
    calls: list[str] = []
    listening = service.table.client.meta.events
    listening.register("before-call.dynamodb", note := lambda model, **_: calls.append(model.name))

    page = browser.open(path)

    listening.unregister("before-call.dynamodb", note)
    assert page.status == 200
    assert Counter(calls) == expected
