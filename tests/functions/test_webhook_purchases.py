"""From a confirmed payment to credits: exactly once, whatever arrives, however often, in any order."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from fake_stripe import lifecycle
from prepaid.core.purchase import Purchase
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.store_driver import Stored, lines, types
from tests.support.stripe_purchases import Json, Storefront, deliver, signed

GRANTED = ["plan_change", "purchase"]


def quarantined(stored: Stored) -> list[dict[str, Any]]:
    return [
        {"event": item["reason"]["S"], "mismatches": [name["S"] for name in item["mismatches"]["L"]]}
        for (partition, _), item in sorted(stored.items())
        if partition.startswith("QUARANTINE#")
    ]


def test_a_card_payment_becomes_a_lot(storefront: Storefront, service: Service, output: Output) -> None:
    purchase = storefront.sell()
    [event] = storefront.pay(purchase)
    answer = storefront.deliver(event)
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
        "actor": "shop",
        "catalog_version": 1,
        "description": "credits-100",
        "lot": [2, "purchase", 100, 100, 1781614800000, 1813201200000],
        "purchase": "pur_1",
    }
    record = storefront.purchase(purchase)
    assert (record.state, [lot.id for lot in record.lots]) == ("granted", ["lot_000000000002"])
    assert record.payment
    assert (f"PAYMENT#{record.payment}", "PAYMENT") in stored
    assert service.balance()["credits"]["next_expiry_at"] == "2027-06-17T03:00:00.000Z"
    assert output.metric("PurchaseQuarantined") == []


def test_what_is_granted_comes_from_the_record(storefront: Storefront, service: Service) -> None:
    purchase = storefront.sell(credits=777, pack="special", valid_months=1)
    storefront.deliver_all(storefront.pay(purchase))
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


def test_an_unpaid_voucher_grants_nothing(storefront: Storefront, service: Service) -> None:
    purchase = storefront.sell()
    with storefront.fake.state.lock:
        lifecycle.confirm(storefront.fake.state, purchase.session or "", "pix")
    storefront.deliver_all(storefront.events(purchase.session))
    assert storefront.purchase(purchase).state == "pending"
    assert types(service.stored()) == ["plan_change"]
    storefront.deliver_all(storefront.pay(purchase, "pix"))
    assert storefront.purchase(purchase).state == "granted"
    assert types(service.stored()) == GRANTED


def test_a_payment_that_failed_grants_nothing(storefront: Storefront, service: Service) -> None:
    purchase = storefront.sell()
    with storefront.fake.state.lock:
        lifecycle.confirm(storefront.fake.state, purchase.session or "", "boleto")
        lifecycle.fail(storefront.fake.state, purchase.session or "")
    events = storefront.events(purchase.session)
    for order in (events, events[::-1]):
        storefront.deliver_all(order)
        assert storefront.purchase(purchase).state == "failed"
    assert types(service.stored()) == ["plan_change"]


def test_an_expired_purchase_that_is_paid_after_all_is_granted(storefront: Storefront, service: Service) -> None:
    purchase = storefront.sell()
    session = purchase.session or ""
    with storefront.fake.state.lock:
        lifecycle.expire(storefront.fake.state, session)
    storefront.deliver_all(storefront.events(session))
    assert storefront.purchase(purchase).state == "expired"
    with storefront.fake.state.lock:
        lifecycle.pay_after_expiry(storefront.fake.state, session, "pix")
    storefront.deliver_all(storefront.events(session))
    assert storefront.purchase(purchase).state == "granted"
    assert types(service.stored()) == GRANTED


def test_two_events_of_one_session_grant_once(storefront: Storefront, service: Service) -> None:
    purchase = storefront.sell()
    [event] = storefront.pay(purchase)
    storefront.deliver(event)
    storefront.deliver(event | {"id": "evt_another_object"})
    storefront.deliver(event | {"id": "evt_a_third", "type": "checkout.session.async_payment_succeeded"})
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
def test_a_payment_that_does_not_match_is_quarantined(
    storefront: Storefront, service: Service, output: Output, recorded: dict[str, Any], name: str
) -> None:
    purchase = storefront.sell(**recorded)
    [event] = storefront.pay(purchase) if purchase.session == storefront.sell().session else paid_event(storefront)
    check_quarantine(storefront, service, output, purchase, event, [name])


def paid_event(storefront: Storefront) -> list[Json]:
    """The event of the session that was created first, whatever its record says."""
    with storefront.fake.state.lock:
        session = storefront.fake.state.newest_first("checkout.session")[1]
        lifecycle.pay(storefront.fake.state, session["id"], "card")
    return storefront.events(session["id"])


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"mode": "subscription"}, ["mode"]),
        ({"livemode": True}, ["live"]),
        ({"amount_total": None}, ["amount"]),
        ({"amount_total": 0}, ["amount"]),
        ({"currency": None}, ["currency"]),
        ({"currency": "usd", "amount_total": 1, "mode": "setup"}, ["amount", "currency", "mode"]),
    ],
)
def test_a_session_that_differs_from_its_record_is_quarantined(
    storefront: Storefront, service: Service, output: Output, changes: dict[str, Any], names: list[str]
) -> None:
    purchase = storefront.sell()
    [event] = storefront.pay(purchase)
    storefront.session(purchase.session or "").update(changes)
    check_quarantine(storefront, service, output, purchase, event, names)


def test_inflated_metadata_grants_the_recorded_credits(storefront: Storefront, service: Service) -> None:
    """Whatever number of credits the metadata or the event states."""
    purchase = storefront.buy()
    session = storefront.session(purchase.session or "")
    riches = {"credits": "999999", "prepaid_credits": "999999", "amount": "999999", "pack": "credits-1000"}
    session["metadata"] |= riches
    [event] = storefront.pay(purchase)
    event = copy.deepcopy(event)
    event["data"]["object"] |= {"amount_total": 99999900, "credits": 999999, "metadata": session["metadata"]}
    storefront.deliver(event)
    assert service.balance()["credits"]["available"] == 100
    assert quarantined(service.stored()) == []


@pytest.mark.parametrize("quantity", [2, 100])
def test_a_session_for_another_quantity_is_quarantined(
    storefront: Storefront, service: Service, output: Output, quantity: int
) -> None:
    metadata = {"prepaid_account": "acme", "prepaid_purchase": "pur_1"}
    session = storefront.open_session(metadata, quantity=quantity, amount=100)
    purchase = storefront.sell(session=session["id"], amount=100 * quantity)
    [event] = storefront.pay(purchase)
    check_quarantine(storefront, service, output, purchase, event, ["quantity"])


def test_a_session_with_another_line_item_is_quarantined(
    storefront: Storefront, service: Service, output: Output
) -> None:
    purchase = storefront.sell()
    [event] = storefront.pay(purchase)
    with storefront.fake.state.lock:
        items = storefront.fake.state.baskets[purchase.session or ""].items
        items.append(copy.deepcopy(items[0]))
    check_quarantine(storefront, service, output, purchase, event, ["quantity"])


def check_quarantine(
    storefront: Storefront, service: Service, output: Output, purchase: Purchase, event: Json, names: list[str]
) -> None:
    assert storefront.deliver(event).body == {"received": True}
    stored = service.stored()
    assert quarantined(stored) == [{"event": event["id"], "mismatches": names}]
    assert types(stored) == ["plan_change"]
    # A payment of its own session leaves it paid. A payment of another session doesn't concern it.
    came: dict[str, Any] = (
        {} if "session" in names else {"state": "paid", "version": purchase.version + 1, "changed_at": storefront.now}
    )
    assert storefront.purchase(purchase) == replace(purchase, **came)
    assert output.metric("PurchaseQuarantined") == [1]
    [metric] = [line for line in output.lines if "_aws" in line]
    [definition] = metric["_aws"]["CloudWatchMetrics"]
    assert (definition["Namespace"], definition["Dimensions"]) == ("Prepaid", [["service"]])
    assert metric["service"] == "prepaid-test"
    # Delivered again, and by other events, it is the same row, and no second alarm is raised.
    storefront.deliver(event)
    storefront.deliver(event | {"id": "evt_another"})
    assert service.stored() == stored
    assert output.metric("PurchaseQuarantined") == [1]


@pytest.mark.parametrize("event_id", ["", "\ud800", "evt_" + "x" * 1_100], ids=lambda text: ascii(text)[:10])
def test_an_event_without_a_usable_id_is_rejected(storefront: Storefront, event_id: str) -> None:
    [event] = storefront.pay(storefront.sell(amount=1))
    body = json.dumps(event | {"id": event_id}).encode()
    assert deliver(storefront.service, body, signed(body, storefront.now)).status == 400


def test_a_payment_of_another_purchase_is_quarantined(storefront: Storefront, service: Service, output: Output) -> None:
    first, second = storefront.sell(), storefront.sell()
    storefront.deliver_all(storefront.pay(first))
    [event] = storefront.pay(second)
    storefront.session(second.session or "")["payment_intent"] = storefront.session(first.session or "")[
        "payment_intent"
    ]
    storefront.deliver(event)
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
def test_a_paid_session_without_a_record_is_quarantined(
    storefront: Storefront, service: Service, output: Output, pointers: dict[str, str]
) -> None:
    storefront.sell()
    session = storefront.open_session(pointers)
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], "card")
    [event] = storefront.events(session["id"])
    assert storefront.deliver(event).status == 200
    assert quarantined(service.stored()) == [{"event": event["id"], "mismatches": ["unknown_purchase"]}]
    assert output.metric("PurchaseQuarantined") == [1]


@pytest.mark.parametrize("metadata", [{}, {"prepaid_account": "acme"}, {"prepaid_purchase": "pur_1"}, {"order": "1"}])
def test_sessions_of_others_are_ignored(storefront: Storefront, service: Service, metadata: dict[str, str]) -> None:
    storefront.sell()
    before = service.stored()
    session = storefront.open_session(metadata)
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], "card")
    storefront.deliver_all(storefront.events(session["id"]))
    assert service.stored() == before


def test_an_event_of_an_unknown_session_is_ignored(storefront: Storefront, service: Service) -> None:
    purchase = storefront.sell()
    [event] = storefront.pay(purchase)
    before = service.stored()
    event["data"]["object"]["id"] = "cs_test_unknown"
    assert storefront.deliver(event).status == 200
    assert service.stored() == before


def test_an_open_session_changes_nothing(storefront: Storefront, service: Service) -> None:
    purchase = storefront.sell()
    before = service.stored()
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": {"id": purchase.session}}}
    assert storefront.deliver(event).status == 200
    assert service.stored() == before


def test_the_events_own_payload_is_never_trusted(storefront: Storefront, service: Service) -> None:
    """A signed event with values of a payment that the session doesn't have."""
    purchase = storefront.sell()
    event = {
        "id": "evt_1",
        "type": "checkout.session.completed",
        "data": {"object": {"id": purchase.session, "payment_status": "paid", "amount_total": 4990}},
    }
    storefront.deliver(event)
    assert types(service.stored()) == ["plan_change"]


def test_a_purchase_of_an_unknown_account_is_quarantined(
    storefront: Storefront, service: Service, output: Output
) -> None:
    purchase = storefront.sell(account="nobody")
    [event] = storefront.pay(purchase)
    assert storefront.deliver(event).status == 200
    assert [row["event"] for row in quarantined(service.stored())] == [event["id"]]
