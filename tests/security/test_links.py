"""Links, cookies and headers of responses: no part of a request can redirect a reader to another site.

The payment page's own links and texts are attacked in fake_stripe/tests/test_page.py.
"""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.api import BALANCE, BUY, CODE, CONSUME, HISTORY, NEEDS_KEY, PATCH_ACCOUNT, PURCHASES, WEBHOOK, Answer
from tests.support.contract import routes, smallest_body
from tests.support.gateway_events import ADMIN, BUYER, http_event
from tests.support.handlers import RETURN_URL
from tests.support.history_csv import read_file
from tests.support.in_process import Service
from tests.support.stripe_purchases import Storefront

EVIL = "https://evil.example"
# What frameworks build addresses from.
MISLEADING = {
    "host": "evil.example",
    "forwarded": "host=evil.example;proto=http",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "javascript",
    "x-forwarded-prefix": "//evil.example",
    "x-original-url": f"{EVIL}/",
    "x-rewrite-url": f"{EVIL}/",
    "origin": EVIL,
    "referer": f"{EVIL}/?next={EVIL}",
}
TARGETS = ("success_url", "cancel_url", "return_url", "redirect", "next", "url", "callback")
WITH_A_BODY = [route for route in routes() if not route.startswith("GET") and route != WEBHOOK]
BREAKS = ["\r\nSet-Cookie: a=b", "\nx", "\rx", "\x00", "\x1b[2J", "\x7f", "a\r\n\r\n<script>alert(1)</script>"]


def return_addresses(storefront: Storefront, answer: Answer) -> list[str]:
    purchase = storefront.read(answer.body["id"], "acme")
    session = storefront.session(purchase.session or "")
    assert answer.body["checkout_url"] == session["url"]
    return [session["success_url"], session["cancel_url"]]


def test_no_request_changes_the_return_address(service: Service, storefront: Storefront) -> None:
    assert service(PATCH_ACCOUNT, json={"name": f"{EVIL}/?x=#"}, by=ADMIN).status == 200

    key = "&result=paid&next=//evil.example"
    answer = service.buy(headers=MISLEADING, query=dict.fromkeys(TARGETS, EVIL), key=key)

    assert answer.status == 201
    assert urlsplit(answer.body["checkout_url"]).netloc == urlsplit(storefront.fake.url).netloc
    for address in return_addresses(storefront, answer):
        assert address.startswith(f"{RETURN_URL}?purchase=pur_")
        assert set(parse_qs(urlsplit(address).query)) == {"purchase", "result"}
        assert "evil" not in address


@pytest.mark.parametrize("member", TARGETS)
def test_no_body_has_a_return_address(service: Service, storefront: Storefront, member: str) -> None:
    headers = {"manager-session": service.manager_session()}
    before = service.stored()

    answer = service(BUY, json={"pack": "credits-50", member: EVIL}, headers=headers, by=BUYER)

    assert (answer.status, answer.fields) == (422, [member])
    assert service.stored() == before


@pytest.mark.parametrize("route", routes())
def test_cookies_are_neither_read_nor_set(service: Service, route: str) -> None:
    """Nor is any response a page that a browser would run."""
    service.open()
    event = http_event(route, path={"account": "acme", "id": "pur_0"}, claims=None, body="{}")
    token = "a.b.c"
    cookies = [f"access_token={token}", f"Authorization=Bearer {token}", "account_id=acme", f"manager_session={CODE}"]
    accepting = {**event["headers"], "accept": "text/html", "content-type": "application/json"}
    with_cookies = {**event, "cookies": cookies, "headers": {**accepting, "cookie": "; ".join(cookies)}}

    answers = [service.send({**event, "headers": accepting}), service.send(with_cookies)]

    assert answers[0] == answers[1]
    assert answers[1].status == (400 if route == WEBHOOK else 401)
    assert not {"set-cookie", "location", "refresh", "link"} & set(answers[1].headers)
    assert "html" not in answers[1].headers["content-type"]


@pytest.mark.parametrize("text", BREAKS, ids=ascii)
@pytest.mark.parametrize("route", WITH_A_BODY)
def test_no_text_breaks_a_header_or_log_line(service: Service, route: str, text: str) -> None:
    """In the account's name or in a field: refused, and no part of it is stored or returned."""
    service.open()
    body = smallest_body(route)
    before = service.stored()

    answers = [service(route, f"acme{text}", json=body, by=ADMIN)] if "{account}" in route else []
    for name, value in (body or {}).items():
        if isinstance(value, str):
            answers.append(service(route, json={**body, name: text}, by=ADMIN, headers={"if-match": "1"}))

    for answer in answers:
        assert answer.status in {404, 422}, answer
        assert text not in answer.text
        assert json.dumps(text)[1:-1] not in answer.text
    assert service.stored() == before


@pytest.mark.parametrize("text", BREAKS, ids=ascii)
@pytest.mark.parametrize("route", sorted(NEEDS_KEY))
def test_no_key_breaks_a_header_or_log_line(service: Service, route: str, text: str) -> None:
    service.open(credits=1)
    before = service.stored()

    answer = service(route, json=smallest_body(route), by=ADMIN, key=f"key{text}")

    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")
    assert service.stored() == before


@pytest.mark.parametrize("route", [BALANCE, HISTORY, PURCHASES])
@pytest.mark.parametrize(
    "name",
    ["\ud800", "x\udfff", "\r\nSet-Cookie: a=b", "\x00", "x" * 9_000, "<script>"],
    ids=lambda name: ascii(name)[:20],
)
def test_a_parameter_of_any_name_gets_a_documented_response(service: Service, route: str, name: str) -> None:
    service.open()

    answer = service(route, query={name: "1"})

    assert (answer.status, answer.fields) == (422, [name.encode(errors="replace").decode()])


def test_any_text_stays_within_one_csv_line(service: Service) -> None:
    texts = ['a","b', "a;b", '"', "a,=1+1", "'"]
    service.open(credits=len(texts))
    for text in texts:
        body = {"feature": "sticker", "description": text}
        caller = {"client_id": f"x\r\n\u2028\u0085\u202e=1+1,{text}"}
        assert service(CONSUME, json=body, by=caller).status == 201

    answer = service(HISTORY, query={"type": "consumption"}, headers={"accept": "text/csv"})

    lines = read_file(answer.text).lines
    assert [line["description"] for line in lines] == texts[::-1]
    names = [line["actor"].replace("'", "") for line in lines]
    assert names == [f"x\r\n\u2028\u0085\u202e=1+1,{text}".replace("'", "") for text in texts[::-1]]


def test_a_purchase_id_is_no_cursor(service: Service, storefront: Storefront) -> None:
    service.open("zoo")
    service.set_code(account="zoo")
    theirs = storefront.buy(account="zoo")
    mine = storefront.buy()

    for cursor in (theirs.id, mine.id, "pur_" + "f" * 20):
        answer = service(PURCHASES, query={"cursor": cursor}, by=BUYER)
        assert (answer.status, answer.code) == (400, "invalid_cursor")
        assert "zoo" not in answer.text
