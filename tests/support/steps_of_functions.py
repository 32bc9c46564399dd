"""What each function does at least once, in the life of a few accounts. tests/security watches it."""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from prepaid.aws import open_sqs
from prepaid.core.calendar import rfc3339
from prepaid.messaging.queue import send
from prepaid.messaging.webhook import Reply
from prepaid.store import keys
from prepaid.use_cases.entering import TOKEN_BYTES
from tests.support.api import (
    ACCOUNTS,
    CODE,
    CONSUME,
    EVENTS,
    FEED,
    GET_ACCOUNT,
    GET_CATALOG,
    GRANT,
    HISTORY,
    PURCHASE,
    PURCHASES,
    PURCHASES_BY_STATE,
    PUT_CATALOG,
    STATEMENT,
)
from tests.support.browser import OWN_FORM, Browser
from tests.support.gateway_events import ADMIN, BUYER, Context
from tests.support.handlers import RETURN_URL, Clock
from tests.support.iam_rights import acting_as
from tests.support.in_process import Service
from tests.support.stripe_line import cut, stripe_tapped
from tests.support.stripe_purchases import Storefront

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
QUEUES = "https://queue.amazonaws.com/123456789012"
# What the webhook's receiver answers next.
REPLIES: list[Reply] = []


def administer(service: Service) -> None:
    service.open("zoo")
    assert service(GET_ACCOUNT).status == 200
    assert service(ACCOUNTS, query={"limit": "1"}).body["accounts"]
    assert service(FEED, None).body["events"] == []
    # A cursor with a wrong signature makes the function read the secret, as that of a second page does.
    assert service(ACCOUNTS, query={"cursor": f"acme.{'0' * 64}"}).status == 400
    promotion = {"credits": 5, "kind": "promotion", "reason": "welcome"}
    grants = [service(GRANT, json=promotion, key="promotion") for _ in range(2)]
    assert [service.void(grant.body["id"], credits=1, key="void").status for grant in grants] == [201, 201]
    catalog = service(GET_CATALOG).body
    del catalog["version"]
    assert service(PUT_CATALOG, json=catalog, headers={"if-match": "1"}, by=ADMIN).status == 200


def spend_and_look(service: Service, clock: Clock) -> None:
    service.give(100)
    clock.now += SECOND
    assert [service.spend(key="order").status for _ in range(2)] == [201, 201]
    assert service.spend(10_000).status == 402
    # In a crowd, a debit leaves a row and looks at those of others.
    service.functions.deps["consume"].crowds.note("acme")
    assert service.spend(key="in-a-crowd").status == 201
    batches = [service.batch(("order", 1), ("batch", 1)).body["results"] for _ in range(2)]
    assert [[item["status"] for item in results] for results in batches] == [[201, 201]] * 2
    assert [service.find(key).status for key in ("order", "no-order")] == [200, 404]
    capture = service.capture(service.hold(3).body["id"], 2).body["id"]
    assert service.reverse(capture).status == 201
    assert service.release(service.hold(1).body["id"]).status == 200
    assert service.quote().body["affordable"]
    assert service.balance()["credits"]["available"]
    assert service.balance(at="2026-06-16T13:00:00Z")["credits"]["available"]
    assert service(HISTORY, query={"limit": "1"}).body["next_cursor"]
    clock.now += 31 * DAY
    assert service(STATEMENT, "zoo", month="2026-06").body["closed"]
    assert service(EVENTS, query={"limit": "5"}).body["events"]


def erase(service: Service) -> None:
    """Twice with one key: the second request finds the saved walk, then the claim."""
    assert service(CONSUME, json={"feature": "sticker", "customer": "Maria Pereira"}).status == 201
    assert [service.erase("Maria Pereira", key="erase").body["entries"] for _ in range(2)] == [1, 1]


def buy(service: Service, storefront: Storefront) -> None:
    session = service.manager_session()
    answers = [service.buy(session=session, key="purchase") for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert service(PURCHASES, by=BUYER).body["purchases"]
    # A cursor with a wrong signature makes the function read the secret, as that of a second page does.
    assert service(PURCHASES_BY_STATE, None, query={"state": "open"}).body["purchases"]
    assert service(PURCHASES, by=BUYER, query={"cursor": f"{answers[0].body['id']}.{'0' * 64}"}).status == 400
    assert service(PURCHASE, id=answers[0].body["id"], by=BUYER).status == 200
    assert service.set_code("271829", current=CODE).status == 204
    assert service.set_code(CODE, current="271829").status == 204


def visit_the_page(service: Service, clock: Clock) -> None:
    """A manager enters while another client tries a code, uses the page for more than five minutes, and signs out.

    The first view sums up a month that ended, and reads the reason of a grant from before the last lines.
    """
    service.give(30)
    assert [service.spend().status for _ in range(21)] == [201] * 21
    clock.now += 31 * DAY
    browser, codes = Browser(service.functions), service.functions.deps["checkout"].codes

    def meddling(count: int) -> bytes:
        if count == TOKEN_BYTES:
            service.functions.change("checkout", codes=codes)
            assert service.try_code("830164").status == 403
        return secrets.token_bytes(count)

    wanted = [("link", None), ("link", None), ("other-link", RETURN_URL)]
    links = [service.portal_session(key=key, return_url=back).body["url"] for key, back in wanted]
    first, same, other = (link.removeprefix("https://api.example.com") for link in links)
    assert first == same
    assert browser.send(browser.open(first).forms[0], code="830164").status == 403
    service.functions.change("checkout", codes=lambda deadline: replace(codes(deadline), random_bytes=meddling))
    assert browser.send(browser.open(first).forms[0], code=CODE).status == 200
    clock.now += 6 * MINUTE
    page = browser.open("/portal")
    assert browser.open("/portal/history").status == 200
    # Closed by now, and not stored yet.
    assert browser.open("/portal/reports?month=2026-06").status == 200
    assert browser.send(page.form("/portal/language"), language="en").status == 200
    # An old browser sends only the form's origin.
    sent = {name: value for name, value in OWN_FORM.items() if name != "sec-fetch-site"}
    assert browser.request("POST", "/portal/language", body="language=es", headers=sent).status == 403
    buy_on_the_page(service, browser)
    assert browser.send(page.form("/portal/leave")).status == 200
    assert browser.open(first).status == 410
    assert browser.open("/portal/elsewhere").status == 404
    assert browser.request("HEAD", "/portal").status == 401
    # Entering anew ends the session before.
    assert browser.send(browser.open(other).forms[0], code=CODE).status == 200
    another = service.portal_session(key="another-link").body["url"].removeprefix("https://api.example.com")
    assert browser.send(browser.open(another).forms[0], code=CODE).status == 200


def buy_on_the_page(service: Service, browser: Browser) -> None:
    """A purchase with the manager session of the page, and one with the code."""
    form = browser.open("/portal/buy").form("/portal/buy")
    assert browser.send(form, pack="credits-50").status == 303
    page = browser.open("/portal/buy")
    assert browser.send(page.form("/portal/buy"), pack="credits-100", code=CODE).status == 303
    newest = service(PURCHASES, by=BUYER).body["purchases"][0]["id"]
    assert browser.open(f"/portal/purchases/{newest}").status == 200
    assert browser.open(f"/portal/purchases/{newest}/state").status == 200


def hear_of_money(storefront: Storefront) -> None:
    """A payment, its refund, and a payment that doesn't match."""
    bought = storefront.buy()
    storefront.deliver_all(storefront.pay(bought))
    storefront.deliver_all(storefront.refund(bought, 100))
    storefront.deliver_all(storefront.pay(storefront.sell(amount=1)))


def reconcile(service: Service, storefront: Storefront, clock: Clock) -> None:
    """The same without events; and at first Stripe doesn't respond."""
    bought, other = storefront.buy(), storefront.buy("credits-50")
    storefront.pay(bought)
    storefront.refund(bought, 100)
    storefront.pay(other)
    storefront.pay(storefront.sell(amount=1))

    def run() -> None:
        clock.now += HOUR
        with acting_as("reconcile"):
            service.functions["reconcile"]({}, Context(remaining=300_000))

    with stripe_tapped(lambda call: cut if call.session else None):
        run()
    run()
    clock.now += 4 * DAY
    run()
    assert {storefront.purchase(purchase).state for purchase in (bought, other)} == {"granted", "partially_refunded"}


def sweep(service: Service, clock: Clock) -> None:
    service.give(5, "zoo", expires_at=rfc3339(clock.now + HOUR))
    clock.now += DAY
    with acting_as("expiry_sweep"):
        assert service.functions["expiry_sweep"]({}, Context(remaining=120_000))["recorded"]


def publish(service: Service) -> None:
    """A change of an entry, of a purchase and of a code; then what no change named, and lots that expire soon."""
    purchase = service(PURCHASES, by=BUYER).body["purchases"][0]["id"]
    changed = [keys.entry("acme", 1), keys.purchase("acme", purchase), keys.manager("acme")]
    records = [{"dynamodb": {"Keys": key}} for key in changed]
    with acting_as("publish"):
        assert service.functions["publish"]({"Records": records}, Context(remaining=300_000))["failed"] == 0
        assert service.functions["publish"]({}, Context(remaining=300_000))["failed"] == 0


def deliver(service: Service) -> None:
    """An event that is accepted, one that fails, and one after which the receiver wants no more."""
    REPLIES[:] = [Reply(204), Reply(500), Reply(410)]
    sqs = open_sqs()
    # What an earlier life left under way holds back the later messages of its group.
    sqs.purge_queue(QueueUrl=f"{QUEUES}/WebhookQueue.fifo")
    for number in range(3):
        # SQS drops a repeat of an id, and each test lives this life once.
        send(sqs, f"{QUEUES}/WebhookQueue.fifo", f"acme-{number}", f"evt_{uuid4().hex}", '{"id":"evt_1"}')
    received = sqs.receive_message(
        QueueUrl=f"{QUEUES}/WebhookQueue.fifo", MaxNumberOfMessages=3, AttributeNames=["All"]
    )
    for message in received["Messages"]:
        record = {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
        }
        with acting_as("deliver"):
            service.functions["deliver"]({"Records": [record]}, Context())
    assert REPLIES == []


def verify(service: Service, clock: Clock) -> None:
    """What looks wrong is looked at again: rows that somebody else has changed or added."""
    kinds = (
        "ACCOUNT#acme",
        "CATALOG",
        "CLAIM#",
        "DUE#",
        "PAYMENT#",
        "PORTAL_LINK#",
        "SESSION#",
        "QUARANTINE#",
        "SWEEP",
    )
    rows = service.stored()
    for kind in kinds:
        key = next(key for key in sorted(rows) if key[0].startswith(kind))
        service.table.client.put_item(TableName=service.table.name, Item={**rows[key], "more": {"S": "x"}})
    mark: dict[str, Any] = {
        "PK": {"S": "VERIFIED#gone"},
        "SK": {"S": "VERIFIED"},
        "number": {"N": "1"},
        "hash": {"B": b"x"},
    }
    service.table.client.put_item(TableName=service.table.name, Item=mark)
    unknown: dict[str, Any] = {"PK": {"S": "VOUCHER#1"}, "SK": {"S": "VOUCHER"}}
    service.table.client.put_item(TableName=service.table.name, Item=unknown)
    with acting_as("verify"):
        assert service.functions["verify"]({}, Context(remaining=900_000))["found"] >= len(kinds)
    # A day later only what is new is read, by the list of accounts.
    clock.now += timedelta(days=1)
    with acting_as("verify"):
        assert service.functions["verify"]({}, Context(remaining=900_000))["finished"]
