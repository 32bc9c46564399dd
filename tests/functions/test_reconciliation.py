"""Stripe's payments and our grants, compared in both directions: lost events are recovered, mismatches reported."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fake_stripe import lifecycle
from fake_stripe.faults import Fault
from prepaid.core.purchase import PAYABLE
from prepaid.payments import checkout
from prepaid.payments.errors import PaymentsUnavailable
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.reconciliation import NOTHING, Run, available, forget_events, reviews_due
from tests.support.store_driver import TICK, types
from tests.support.stripe_line import Call, cut, stripe_tapped
from tests.support.stripe_line import Fault as LineFault
from tests.support.stripe_purchases import Storefront

DAY = timedelta(days=1)

HOUR = timedelta(hours=1)

ENOUGH = 300_000
EVENTS = "GET /v1/events"


def quarantined(service: Service) -> list[tuple[str, list[str]]]:
    """The purchase and the mismatches of each row in quarantine."""
    return [
        (item["purchase"]["S"], [name["S"] for name in item["mismatches"]["L"]])
        for (partition, _), item in sorted(service.stored().items())
        if partition.startswith("QUARANTINE#")
    ]


def test_a_run_without_payments_changes_nothing(
    storefront: Storefront, run: Run, output: Output, service: Service
) -> None:
    before = service.stored()
    assert run() == NOTHING
    after = service.stored()
    assert after.keys() - before.keys() == {("RECONCILIATION", "CHECKPOINT")}
    assert run() == NOTHING
    assert service.stored() == after
    for name in ("ReconciliationFailures", "ReconciliationOldestFailure", "ReconciliationBehind"):
        assert output.metric(name) == [0, 0]
    assert output.metric("PurchasesHealed") == [0, 0]
    assert output.metric("PurchaseQuarantined") == []


def test_a_run_recovers_three_days_without_a_webhook(
    storefront: Storefront, run: Run, service: Service, clock: Clock
) -> None:
    """From here on no event is delivered."""
    old = storefront.buy()
    storefront.deliver_all(storefront.pay(old))
    assert run()["finished"]
    clock.now += HOUR
    card, pix, boleto, failed, expired, late = (storefront.buy("credits-50") for _ in range(6))
    storefront.pay(card)
    storefront.happen(pix, "confirm", "pix")
    storefront.happen(boleto, "confirm", "boleto")
    storefront.happen(failed, "confirm", "pix")
    storefront.happen(late, "expire")
    storefront.refund(old, 2495)
    clock.now += DAY
    storefront.happen(pix, "pay")
    storefront.dispute(card)
    storefront.happen(failed, "fail")
    storefront.happen(late, "pay_after_expiry", "pix")
    clock.now += 2 * DAY
    storefront.happen(boleto, "pay")
    clock.now += HOUR
    with storefront.fake.state.lock:
        lifecycle.expire_due(storefront.fake.state)
    assert run() == NOTHING | {"healed": 7}
    assert {name: storefront.purchase(purchase).state for name, purchase in locals().items() if name in NAMES} == {
        "old": "partially_refunded",
        "card": "disputed",
        "pix": "granted",
        "boleto": "granted",
        "failed": "failed",
        "expired": "expired",
        "late": "granted",
    }
    # 50 of the old one, and three times 50.
    assert available(service) == 200
    after = service.stored()
    assert run() == NOTHING
    assert {key: item for key, item in service.stored().items() if key[0] != "RECONCILIATION"} == {
        key: item for key, item in after.items() if key[0] != "RECONCILIATION"
    }
    # The webhook is up again, and Stripe resends the events.
    storefront.deliver_all(storefront.since(0))
    assert available(service) == 200
    assert quarantined(service) == []


NAMES = {"old", "card", "pix", "boleto", "failed", "expired", "late"}


def test_the_first_run_reads_every_event_that_stripe_keeps(
    storefront: Storefront, run: Run, service: Service, clock: Clock
) -> None:
    storefront.pay(storefront.buy())
    clock.now += 28 * DAY
    assert run()["healed"] == 1
    assert available(service) == 100


def test_each_run_continues_where_the_last_one_ended(
    storefront: Storefront, run: Run, service: Service, clock: Clock
) -> None:
    first = clock.now
    with stripe_tapped() as calls:
        run()
        clock.now += HOUR
        run()
        clock.now += HOUR
        run()
    spans = [(call.params["created[gte]"], call.params["created[lte]"]) for call in calls if call.name == EVENTS]
    assert [tuple(datetime.fromtimestamp(int(end), UTC) for end in span) for span in spans] == [
        (first - 29 * DAY - HOUR, first),
        (first - HOUR, first + HOUR),
        (first, first + 2 * HOUR),
    ]


def test_an_event_that_is_listed_late_is_found(
    storefront: Storefront, run: Run, service: Service, clock: Clock
) -> None:
    [event] = storefront.pay(storefront.buy())
    with storefront.fake.state.lock:
        hidden = storefront.fake.state.tables["event"].pop(event["id"])
    clock.now += 4 * DAY
    assert run()["healed"] == 0
    clock.now += timedelta(minutes=30)
    with storefront.fake.state.lock:
        hidden["created"] = int((clock.now - timedelta(minutes=45)).timestamp())
        storefront.fake.state.tables["event"][event["id"]] = hidden
    assert run()["healed"] == 1


def test_a_payment_without_an_event_is_found_from_our_side(
    storefront: Storefront, run: Run, service: Service, clock: Clock
) -> None:
    purchase = storefront.buy()
    storefront.pay(purchase)
    with storefront.fake.state.lock:
        storefront.fake.state.tables["event"].clear()
    clock.now += PAYABLE - TICK
    assert run() == NOTHING
    clock.now += TICK
    assert run() == NOTHING | {"healed": 1}
    assert storefront.purchase(purchase).state == "granted"


def test_a_purchase_without_a_page_needs_no_check(storefront: Storefront, run: Run, service: Service) -> None:
    storefront.fake.api.faults.plan(10, Fault(status=500))
    assert service.buy(may_fail=True).status == 503
    storefront.fake.api.faults.plan(0, Fault())
    assert run() == NOTHING


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"payment_status": "unpaid"}, ["progress"]),
        ({"payment_status": "unpaid", "status": "expired"}, ["progress"]),
        ({"amount_total": 4989}, ["amount"]),
        ({"currency": "usd"}, ["currency"]),
        ({"livemode": True}, ["live"]),
        ({"payment_intent": "pi_another"}, ["payment"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_grant_without_its_payment_is_quarantined(
    storefront: Storefront, run: Run, service: Service, output: Output, changes: dict[str, Any], names: list[str]
) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    with storefront.fake.state.lock:
        intents = storefront.fake.state.tables["payment_intent"]
        intents["pi_another"] = {**intents[storefront.purchase(purchase).payment or ""], "id": "pi_another"}
    storefront.session(purchase.session or "").update(changes)
    ledger = types(service.stored())
    assert run()["quarantined"] > 0
    assert {tuple(mismatches) for _, mismatches in quarantined(service)} == {tuple(names)}
    assert {purchase_id for purchase_id, _ in quarantined(service)} == {purchase.id}
    assert max(output.metric("PurchaseQuarantined")) > 0
    # Nothing is revoked automatically.
    assert types(service.stored()) == ledger
    assert storefront.purchase(purchase).state == "granted"


def test_a_grant_whose_session_is_gone_is_quarantined(storefront: Storefront, run: Run, service: Service) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    with storefront.fake.state.lock:
        storefront.fake.state.tables["checkout.session"].clear()
        storefront.fake.state.tables["event"].clear()
    assert run()["quarantined"] == 1
    assert quarantined(service) == [(purchase.id, ["unknown_session"])]


def test_an_unpaid_boleto_granted_weeks_later_is_reported_once(
    storefront: Storefront, run: Run, service: Service, output: Output, clock: Clock
) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.happen(purchase, "confirm", "boleto"))
    clock.now += 12 * DAY
    assert run()["finished"]
    clock.now += 8 * DAY
    storefront.deliver_all(storefront.happen(purchase, "pay_after_expiry", "boleto"))
    assert available(service) == 100
    forget_events(storefront)
    storefront.session(purchase.session or "").update({"payment_status": "unpaid"})
    clock.now += HOUR
    assert run() == NOTHING | {"quarantined": 1}
    assert quarantined(service) == [(purchase.id, ["progress"])]
    assert output.metric("PurchaseQuarantined") == [1]
    for _ in range(3):
        clock.now += 5 * DAY
        assert run() == NOTHING
    assert len(quarantined(service)) == 1
    assert available(service) == 100


def test_each_grant_and_each_ended_purchase_is_checked_once(
    storefront: Storefront, run: Run, clock: Clock, fetched: list[str]
) -> None:
    bought = [storefront.buy() for _ in range(3)]
    for purchase in bought:
        storefront.deliver_all(storefront.pay(purchase))
    forget_events(storefront)
    fetched.clear()
    run()
    assert sorted(fetched) == sorted(purchase.session or "" for purchase in bought)
    fetched.clear()
    for _ in range(9):
        clock.now += DAY
        run()
    assert fetched == []
    clock.now += DAY
    run()
    assert sorted(fetched) == sorted(purchase.session or "" for purchase in bought)
    fetched.clear()
    for _ in range(20):
        clock.now += DAY
        run()
    assert fetched == []


def test_a_grant_whose_row_is_committed_late_is_checked(
    storefront: Storefront, run: Run, service: Service, clock: Clock, fetched: list[str]
) -> None:
    """Its transaction began before the newest one that the reconciliation has seen, and ended after it."""
    early, late = storefront.buy(), storefront.buy()
    storefront.deliver_all(storefront.pay(early))
    [(key, row)] = [(key, row) for key, row in reviews_due(service, clock).items()]
    service.table.client.delete_item(TableName=service.table.name, Key={"PK": row["PK"], "SK": row["SK"]})
    clock.now += timedelta(seconds=1)
    storefront.deliver_all(storefront.pay(late))
    forget_events(storefront)
    fetched.clear()
    run()
    assert fetched == [late.session]
    service.table.client.put_item(TableName=service.table.name, Item=row)
    clock.now += HOUR
    run()
    assert fetched == [late.session, early.session]
    assert key not in service.stored()


def test_a_purchase_is_reviewed_after_its_page_and_boleto_end() -> None:
    banks_holidays = 5
    assert timedelta(days=1 + checkout.BOLETO_DAYS + banks_holidays) < PAYABLE
    assert timedelta(days=1, seconds=checkout.PIX_SECONDS) < PAYABLE


def test_a_paid_session_without_a_record_is_quarantined(
    storefront: Storefront, run: Run, service: Service, output: Output
) -> None:
    session = storefront.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], "card")
    assert run() == NOTHING | {"quarantined": 1}
    assert quarantined(service) == [("pur_" + "0" * 20, ["unknown_purchase"])]
    assert types(service.stored()) == ["plan_change"]
    assert output.metric("PurchaseQuarantined")[-1] == 1


def test_a_paid_session_without_a_record_is_quarantined_once(
    storefront: Storefront, run: Run, service: Service, output: Output, clock: Clock
) -> None:
    """Pix has two events, and each of the two is in the spans of two runs."""
    clock.now = clock.now.replace(hour=23, minute=30)
    session = storefront.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], "pix")
    assert run()["quarantined"] == 1
    for _ in range(3):
        clock.now += HOUR / 2
        assert run() == NOTHING
    assert quarantined(service) == [("pur_" + "0" * 20, ["unknown_purchase"])]
    assert output.metric("PurchaseQuarantined") == [1]


def test_a_mismatch_is_reported_even_if_the_run_fails_later(
    storefront: Storefront, run: Run, service: Service, output: Output
) -> None:
    session = storefront.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], "card")

    def meet(call: Call) -> LineFault | None:
        return cut if call.name == EVENTS and "starting_after" in call.params else None

    with stripe_tapped(meet), pytest.raises(PaymentsUnavailable):
        run()
    assert output.metric("PurchaseQuarantined") == [1]
    assert len(quarantined(service)) == 1


def test_sales_of_others_in_the_stripe_account_are_ignored(storefront: Storefront, run: Run, service: Service) -> None:
    sale = storefront.sell(session=storefront.open_session({"order": "4711"})["id"])
    storefront.pay(sale)
    storefront.refund(sale, 100)
    with storefront.fake.state.lock:
        storefront.fake.state.tables["event"] = {
            name: event
            for name, event in storefront.fake.state.tables["event"].items()
            if "session" not in event["type"]
        }
    before = types(service.stored())
    answer = run()
    assert (answer["healed"], answer["quarantined"]) == (0, 0)
    assert types(service.stored()) == before
