"""From a confirmed payment to credits: exactly once, whatever arrives, however often, in any order."""

import copy
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from fake_stripe import lifecycle
from fake_stripe.faults import Fault
from local.processes import free_port
from prepaid.core.purchase import Purchase
from prepaid.payments.sessions import open_stripe
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table, open_client
from tests.functions.conftest import Output
from tests.support.api import (
    BUY,
    CODE,
    CONSUME,
    FUNCTION_OF,
    GRANT,
    MANAGER_CODE,
    MANAGER_SESSION,
    PURCHASE,
    PUT_ACCOUNT,
    PUT_CATALOG,
    WEBHOOK,
    Service,
)
from tests.support.gateway_events import ADMIN
from tests.support.store_driver import FakeTime, Stored, entry_items, lines, types
from tests.support.stripe_purchases import STRIPE_KEYS, Json, Till, deliver, signed

GRANTED = ["plan_change", "purchase"]


def quarantined(stored: Stored) -> list[dict[str, Any]]:
    return [
        {"event": sort.partition("#")[0], "mismatches": [name["S"] for name in item["mismatches"]["L"]]}
        for (partition, sort), item in sorted(stored.items())
        if partition.startswith("QUARANTINE#")
    ]


def test_a_card_payment_becomes_a_lot(till: Till, service: Service, output: Output) -> None:
    purchase = till.sell()
    [event] = till.pay(purchase)
    answer = till.tell(event)
    assert (answer.status, answer.body) == (200, {"received": True})
    stored = service.stored()
    assert types(stored) == GRANTED
    assert lines(stored)[-1] | {"at": 0} == {
        "at": 0,
        "type": "purchase",
        "credits": 100,
        "quota": 0,
        "balance_after": 100,
        "quota_remaining": 0,
        "draws": [],
        "actor": "stripe",
        "catalog_version": 1,
        "description": "credits-100",
        "lot": [2, "purchase", 100, 100, 1781614800000, 1813201200000],
        "purchase": "pur_1",
    }
    record = till.purchase(purchase)
    assert (record.state, [lot.id for lot in record.lots]) == ("granted", ["lot_000000000002"])
    assert record.payment
    assert (f"PAYMENT#{record.payment}", "PAYMENT") in stored
    assert service.balance()["credits"]["next_expiry_at"] == "2027-06-17T03:00:00.000Z"
    assert output.metric("PurchaseQuarantined") == []


def test_what_is_granted_comes_from_the_record(till: Till, service: Service) -> None:
    purchase = till.sell(credits=777, pack="special", valid_months=1)
    till.tell_all(till.pay(purchase))
    assert service.balance()["credits"]["lots"] == [
        {
            "lot": "lot_000000000002",
            "kind": "purchase",
            "granted": 777,
            "remaining": 777,
            "granted_at": "2026-06-16T13:00:00.000Z",
            "expires_at": "2026-07-17T03:00:00.000Z",
        }
    ]


def test_a_code_to_pay_is_not_money(till: Till, service: Service) -> None:
    purchase = till.sell()
    with till.fake.state.lock:
        lifecycle.confirm(till.fake.state, purchase.session or "", "pix")
    till.tell_all(till.events(purchase.session))
    assert till.purchase(purchase).state == "pending"
    assert types(service.stored()) == ["plan_change"]
    till.tell_all(till.pay(purchase, "pix"))
    assert till.purchase(purchase).state == "granted"
    assert types(service.stored()) == GRANTED


def test_a_payment_that_failed_grants_nothing(till: Till, service: Service) -> None:
    purchase = till.sell()
    with till.fake.state.lock:
        lifecycle.confirm(till.fake.state, purchase.session or "", "boleto")
        lifecycle.fail(till.fake.state, purchase.session or "")
    events = till.events(purchase.session)
    for order in (events, events[::-1]):
        till.tell_all(order)
        assert till.purchase(purchase).state == "failed"
    assert types(service.stored()) == ["plan_change"]


def test_an_expired_purchase_that_is_paid_after_all_is_granted(till: Till, service: Service) -> None:
    purchase = till.sell()
    session = purchase.session or ""
    with till.fake.state.lock:
        lifecycle.expire(till.fake.state, session)
    till.tell_all(till.events(session))
    assert till.purchase(purchase).state == "expired"
    with till.fake.state.lock:
        lifecycle.pay_after_expiry(till.fake.state, session, "pix")
    till.tell_all(till.events(session))
    assert till.purchase(purchase).state == "granted"
    assert types(service.stored()) == GRANTED


def test_eight_deliveries_of_one_event_at_once_grant_once(till: Till, service: Service) -> None:
    for _ in range(3):
        purchase = till.sell()
        [event] = till.pay(purchase)
        before = len(entry_items(service.stored()))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: till.tell(event), range(8)))  # noqa: B023
        assert [answer.status for answer in answers] == [200] * 8
        assert len(entry_items(service.stored())) == before + 1
        assert till.purchase(purchase).state == "granted"
    assert quarantined(service.stored()) == []


def test_eight_purchases_of_one_account_paid_at_once_are_all_granted(till: Till, service: Service) -> None:
    events = [event for _ in range(8) for event in till.pay(till.sell())]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(till.tell, events))
    assert service.balance()["credits"]["available"] == 800


def test_two_events_that_announce_one_session(till: Till, service: Service) -> None:
    purchase = till.sell()
    [event] = till.pay(purchase)
    till.tell(event)
    till.tell(event | {"id": "evt_another_object"})
    till.tell(event | {"id": "evt_a_third", "type": "checkout.session.async_payment_succeeded"})
    assert types(service.stored()) == GRANTED


MISMATCHES: list[tuple[dict[str, Any], str]] = [
    ({"amount": 4991}, "amount"),
    ({"amount": 4989}, "amount"),
    ({"currency": "usd"}, "currency"),
    ({"currency": "BRL"}, "currency"),
    ({"live": True}, "live"),
    ({"session": "cs_another"}, "session"),
]


@pytest.mark.parametrize(("recorded", "name"), MISMATCHES)
def test_what_does_not_match_its_record_waits_for_a_person(
    till: Till, service: Service, output: Output, recorded: dict[str, Any], name: str
) -> None:
    purchase = till.sell(**recorded)
    [event] = till.pay(purchase) if purchase.session == till.sell().session else paid_event(till)
    check_quarantine(till, service, output, purchase, event, [name])


def paid_event(till: Till) -> list[Json]:
    """The event of the session that was made first, whatever its record says."""
    with till.fake.state.lock:
        session = till.fake.state.newest_first("checkout.session")[1]
        lifecycle.pay(till.fake.state, session["id"], "card")
    return till.events(session["id"])


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ({"mode": "subscription"}, ["mode"]),
        ({"livemode": True}, ["live"]),
        ({"amount_total": None}, ["amount"]),
        ({"amount_total": 0}, ["amount"]),
        ({"currency": None}, ["currency"]),
        ({"currency": "usd", "amount_total": 1, "mode": "setup"}, ["amount", "currency", "mode"]),
    ],
)
def test_a_session_that_says_otherwise(
    till: Till, service: Service, output: Output, told: dict[str, Any], names: list[str]
) -> None:
    purchase = till.sell()
    [event] = till.pay(purchase)
    till.session(purchase.session or "").update(told)
    check_quarantine(till, service, output, purchase, event, names)


def test_claims_of_riches_grant_what_was_recorded(till: Till, service: Service) -> None:
    """Whatever metadata or the event itself say of credits."""
    purchase = till.buy()
    session = till.session(purchase.session or "")
    riches = {"credits": "999999", "prepaid_credits": "999999", "amount": "999999", "pack": "credits-1000"}
    session["metadata"] |= riches
    [event] = till.pay(purchase)
    event = copy.deepcopy(event)
    event["data"]["object"] |= {"amount_total": 99999900, "credits": 999999, "metadata": session["metadata"]}
    till.tell(event)
    assert service.balance()["credits"]["available"] == 100
    assert quarantined(service.stored()) == []


@pytest.mark.parametrize("quantity", [2, 100])
def test_a_session_for_another_quantity(till: Till, service: Service, output: Output, quantity: int) -> None:
    metadata = {"prepaid_account": "acme", "prepaid_purchase": "pur_1"}
    session = till.open_session(metadata, quantity=quantity, amount=100)
    purchase = till.sell(session=session["id"], amount=100 * quantity)
    [event] = till.pay(purchase)
    check_quarantine(till, service, output, purchase, event, ["quantity"])


def test_a_session_with_another_thing_in_the_basket(till: Till, service: Service, output: Output) -> None:
    purchase = till.sell()
    [event] = till.pay(purchase)
    with till.fake.state.lock:
        items = till.fake.state.baskets[purchase.session or ""].items
        items.append(copy.deepcopy(items[0]))
    check_quarantine(till, service, output, purchase, event, ["quantity"])


def check_quarantine(
    till: Till, service: Service, output: Output, purchase: Purchase, event: Json, names: list[str]
) -> None:
    assert till.tell(event).body == {"received": True}
    stored = service.stored()
    assert quarantined(stored) == [{"event": event["id"], "mismatches": names}]
    assert types(stored) == ["plan_change"]
    # Money of its own session has come, and waits; money of another one is no news of this purchase.
    came: dict[str, Any] = (
        {} if "session" in names else {"state": "paid", "version": purchase.version + 1, "changed_at": till.now}
    )
    assert till.purchase(purchase) == replace(purchase, **came)
    assert output.metric("PurchaseQuarantined") == [1]
    [metric] = [line for line in output.lines if "_aws" in line]
    [definition] = metric["_aws"]["CloudWatchMetrics"]
    assert (definition["Namespace"], definition["Dimensions"]) == ("Prepaid", [["service"]])
    assert metric["service"] == "prepaid-test"
    # Told again it is the same row.
    till.tell(event)
    assert service.stored().keys() == stored.keys()


@pytest.mark.parametrize("event_id", ["", "\ud800", "evt_" + "x" * 1_100], ids=lambda text: ascii(text)[:10])
def test_an_event_that_can_not_be_named_is_none(till: Till, event_id: str) -> None:
    [event] = till.pay(till.sell(amount=1))
    body = json.dumps(event | {"id": event_id}).encode()
    assert deliver(till.service, body, signed(body, till.now)).status == 400


def test_a_payment_that_paid_for_something_else_already(till: Till, service: Service, output: Output) -> None:
    first, second = till.sell(), till.sell()
    till.tell_all(till.pay(first))
    [event] = till.pay(second)
    till.session(second.session or "")["payment_intent"] = till.session(first.session or "")["payment_intent"]
    till.tell(event)
    assert types(service.stored()) == GRANTED
    assert quarantined(service.stored()) == [{"event": event["id"], "mismatches": ["payment"]}]
    assert output.metric("PurchaseQuarantined") == [1]


@pytest.mark.parametrize(
    "pointers",
    [
        {"prepaid_account": "acme", "prepaid_purchase": "pur_99"},
        {"prepaid_account": "zoo", "prepaid_purchase": "pur_1"},
        {"prepaid_account": "acme#x", "prepaid_purchase": "../ENTRY#000000000001"},
        {"prepaid_account": "é" * 200, "prepaid_purchase": "x" * 500},
    ],
    ids=lambda pointers: pointers["prepaid_account"][:8],
)
def test_a_purchase_that_nobody_recorded(
    till: Till, service: Service, output: Output, pointers: dict[str, str]
) -> None:
    till.sell()
    session = till.open_session(pointers)
    with till.fake.state.lock:
        lifecycle.pay(till.fake.state, session["id"], "card")
    [event] = till.events(session["id"])
    assert till.tell(event).status == 200
    assert quarantined(service.stored()) == [{"event": event["id"], "mismatches": ["unknown_purchase"]}]
    assert output.metric("PurchaseQuarantined") == [1]


@pytest.mark.parametrize("metadata", [{}, {"prepaid_account": "acme"}, {"prepaid_purchase": "pur_1"}, {"order": "1"}])
def test_a_session_that_is_not_ours(till: Till, service: Service, metadata: dict[str, str]) -> None:
    till.sell()
    before = service.stored()
    session = till.open_session(metadata)
    with till.fake.state.lock:
        lifecycle.pay(till.fake.state, session["id"], "card")
    till.tell_all(till.events(session["id"]))
    assert service.stored() == before


def test_a_session_that_stripe_does_not_know(till: Till, service: Service) -> None:
    purchase = till.sell()
    [event] = till.pay(purchase)
    before = service.stored()
    event["data"]["object"]["id"] = "cs_test_unknown"
    assert till.tell(event).status == 200
    assert service.stored() == before


def test_a_session_that_is_still_open_says_nothing(till: Till, service: Service) -> None:
    purchase = till.sell()
    before = service.stored()
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": {"id": purchase.session}}}
    assert till.tell(event).status == 200
    assert service.stored() == before


def test_the_event_itself_is_never_believed(till: Till, service: Service) -> None:
    """Signed, and full of lies about money that the session knows nothing of."""
    purchase = till.sell()
    event = {
        "id": "evt_1",
        "type": "checkout.session.completed",
        "data": {"object": {"id": purchase.session, "payment_status": "paid", "amount_total": 4990}},
    }
    till.tell(event)
    assert types(service.stored()) == ["plan_change"]


def test_a_purchase_of_an_account_that_was_never_opened(till: Till, service: Service, output: Output) -> None:
    purchase = till.sell(account="nobody")
    [event] = till.pay(purchase)
    assert till.tell(event).status == 200
    assert [row["event"] for row in quarantined(service.stored())] == [event["id"]]


def recovers(till: Till, service: Service, event: Json) -> None:
    """What Stripe does after a 5xx: it comes again."""
    till.tell(event)
    assert types(service.stored()) == GRANTED


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("status", [500, 503, 429])
def test_stripe_refuses_to_answer(till: Till, service: Service, status: int) -> None:
    [event] = till.pay(till.sell())
    before = service.stored()
    till.fake.api.faults.plan(10, Fault(status=status))
    answer = till.tell(event, trouble=True)
    assert (answer.status, answer.code) == (503, "payments_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert service.stored() == before
    till.fake.api.faults.plan(0, Fault())
    recovers(till, service, event)


def test_a_request_that_stripe_does_not_understand_is_our_trouble(till: Till, service: Service) -> None:
    [event] = till.pay(till.sell())
    till.fake.api.faults.plan(1, Fault(status=400))
    assert till.tell(event, trouble=True).status >= 500
    recovers(till, service, event)


@pytest.mark.usefixtures("_no_pauses")
def test_stripe_hangs_up(till: Till, service: Service) -> None:
    [event] = till.pay(till.sell())
    till.fake.api.faults.plan(10, Fault(drop=True))
    assert till.tell(event, trouble=True).code == "payments_unavailable"
    till.fake.api.faults.plan(0, Fault())
    recovers(till, service, event)


@pytest.mark.usefixtures("_no_pauses")
def test_stripe_is_not_there(till: Till, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    [event] = till.pay(till.sell())
    before = service.stored()
    stripe = service.functions.deps["purchase_webhook"].stripe
    nowhere = f"http://127.0.0.1:{free_port()}"
    service.functions.change(stripe=lambda: open_stripe(STRIPE_KEYS["purchase_webhook"], nowhere))
    assert till.tell(event, trouble=True).code == "payments_unavailable"
    assert service.stored() == before
    service.functions.change("purchase_webhook", stripe=stripe)
    recovers(till, service, event)


def test_one_hiccup_of_stripe_is_not_noticed(till: Till, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe.HTTPClient._sleep_time_seconds", lambda *_, **__: 0)
    [event] = till.pay(till.sell())
    till.fake.api.faults.plan(1, Fault(status=500))
    recovers(till, service, event)


@contextmanager
def no_database(service: Service) -> Iterator[None]:
    """For the length of a with block nobody answers where the functions look for their table."""
    deps = dict(service.functions.deps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        gone = Table(client=open_client(), name="gone", deadline=FakeTime().deadline())
    service.functions.change(table=gone, catalog=CatalogCache(time.monotonic))
    yield
    service.functions.deps.update(deps)


@pytest.mark.usefixtures("impatient")
def test_the_database_is_not_there(till: Till, service: Service) -> None:
    [event] = till.pay(till.sell())
    with no_database(service):
        answer = till.tell(event, trouble=True)
    assert (answer.status, answer.code) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    recovers(till, service, event)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("route", sorted(set(FUNCTION_OF) - {WEBHOOK}))
def test_no_route_has_an_answer_without_a_database(service: Service, route: str) -> None:
    asked: dict[str, Json] = {
        CONSUME: {"feature": "sticker"},
        GRANT: {"credits": 1, "kind": "promotion", "reason": "r"},
        PUT_ACCOUNT: {"name": "Pet", "plan": "none"},
        PUT_CATALOG: {
            "features": [{"id": "a", "price": 1, "quota_backed": False}],
            "plans": [{"id": "b", "quota": 0}],
            "packs": [],
        },
    }
    asked |= {MANAGER_CODE: {"code": CODE}, MANAGER_SESSION: {"code": CODE}, BUY: {"pack": "credits-100"}}
    more: dict[str, Any] = {"id": "pur_1"} if route == PURCHASE else {}
    with no_database(service):
        answer = service(route, json=asked.get(route), headers={"if-match": "1"}, claims=ADMIN, trouble=True, **more)
    assert (answer.status, answer.code) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0


def test_what_nobody_expected_says_nothing_of_itself(
    till: Till, service: Service, monkeypatch: pytest.MonkeyPatch, output: Output
) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("Traceback: /var/task/app.py, table ACCOUNT#acme")

    [event] = till.pay(till.sell())
    before = service.stored()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prepaid.api.webhooks.follow_event", breaks)
        answer = till.tell(event, trouble=True)
    assert (answer.status, answer.body) == (
        500,
        {
            "type": "urn:prepaid:problem:internal_error",
            "title": "Internal error",
            "status": 500,
            "detail": "Something went wrong on our side.",
            "code": "internal_error",
        },
    )
    assert [line["exception_name"] for line in output.lines if "exception" in line] == ["RuntimeError"]
    assert service.stored() == before
    recovers(till, service, event)


def test_secrets_that_can_not_be_read_are_trouble_not_a_refusal(
    till: Till, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    [event] = till.pay(till.sell())

    def unreadable() -> tuple[str, ...]:
        raise OSError("no such host: secretsmanager")

    secrets = service.functions.deps["purchase_webhook"].webhook_secrets
    service.functions.change("purchase_webhook", webhook_secrets=unreadable)
    assert till.tell(event, trouble=True).status >= 500
    service.functions.change("purchase_webhook", webhook_secrets=secrets)
    recovers(till, service, event)


def test_a_log_line_is_about_its_own_event(till: Till, service: Service, output: Output) -> None:
    [event] = till.pay(till.sell())
    till.tell(event)
    output.forget()
    till.tell({"id": 1})
    assert event["id"] not in output.getvalue()


def test_a_session_of_ours_that_the_key_cannot_see_is_told_again_until_the_key_is_mended(
    till: Till, service: Service
) -> None:
    """A key of another Stripe account: to take that for nothing would let a payment pass unseen."""
    purchase = till.buy()
    [event] = till.pay(purchase)
    session = till.session(purchase.session or "")
    with till.fake.state.lock:
        del till.fake.state.tables["checkout.session"][session["id"]]
    before = service.stored()

    answer = till.tell(event, trouble=True)

    assert (answer.status, answer.code) == (502, "payment_provider_refused")
    assert service.stored() == before
    till.replace_session(session["id"], session)
    assert till.tell(event).status == 200
    assert till.purchase(purchase).state == "granted"


def test_a_session_of_somebody_elses_that_the_key_cannot_see_is_none_of_ours(till: Till, service: Service) -> None:
    purchase = till.buy()
    [event] = till.pay(till.sell())
    with till.fake.state.lock:
        del till.fake.state.tables["checkout.session"][event["data"]["object"]["id"]]
    event["data"]["object"]["metadata"]["prepaid_purchase"] = purchase.id
    before = service.stored()

    assert till.tell(event).status == 200

    assert service.stored() == before
