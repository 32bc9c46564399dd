"""Stripe's payments and our grants, compared both ways: lost webhooks heal, and what doesn't match is reported."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fake_stripe import lifecycle
from fake_stripe.faults import Fault
from prepaid.payments import checkout
from prepaid.payments.errors import PaymentsUnavailable
from prepaid.store.reconciliation import PAYABLE
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.reconciliation import NOTHING, Run, available, forget_events, reviews_due
from tests.support.store_driver import TICK, types
from tests.support.stripe_line import Call, cut, stripe_tapped
from tests.support.stripe_line import Fault as LineFault
from tests.support.stripe_purchases import Till

DAY = timedelta(days=1)

HOUR = timedelta(hours=1)

ENOUGH = 300_000
EVENTS = "GET /v1/events"


def quarantined(service: Service) -> list[tuple[str, list[str]]]:
    """The purchase and the mismatches of each row that waits for a person."""
    return [
        (item["purchase"]["S"], [name["S"] for name in item["mismatches"]["L"]])
        for (partition, _), item in sorted(service.stored().items())
        if partition.startswith("QUARANTINE#")
    ]


def test_a_run_without_payments_changes_nothing(till: Till, run: Run, output: Output, service: Service) -> None:
    before = service.stored()
    assert run() == NOTHING
    after = service.stored()
    assert after.keys() - before.keys() == {("RECONCILIATION", "CHECKPOINT")}
    assert run() == NOTHING
    assert service.stored() == after
    for name in ("PurchasesHealed", "ReconciliationFailures", "ReconciliationOldestFailure", "ReconciliationBehind"):
        assert output.metric(name) == [0, 0]
    assert output.metric("PurchaseQuarantined") == []


def test_a_webhook_down_for_three_days_is_made_up_for(till: Till, run: Run, service: Service, clock: Clock) -> None:
    """Nothing at all is told from here on."""
    old = till.buy()
    till.tell_all(till.pay(old))
    assert run()["finished"]
    clock.now += HOUR
    card, pix, boleto, failed, expired, late = (till.buy("credits-50") for _ in range(6))
    till.pay(card)
    till.happen(pix, "confirm", "pix")
    till.happen(boleto, "confirm", "boleto")
    till.happen(failed, "confirm", "pix")
    till.happen(late, "expire")
    till.refund(old, 2495)
    clock.now += DAY
    till.happen(pix, "pay")
    till.dispute(card)
    till.happen(failed, "fail")
    till.happen(late, "pay_after_expiry", "pix")
    clock.now += 2 * DAY
    till.happen(boleto, "pay")
    clock.now += HOUR
    with till.fake.state.lock:
        lifecycle.expire_due(till.fake.state)
    assert run() == NOTHING | {"healed": 7}
    assert {name: till.purchase(one).state for name, one in locals().items() if name in NAMES} == {
        "old": "partially_refunded",
        "card": "disputed",
        "pix": "granted",
        "boleto": "granted",
        "failed": "failed",
        "expired": "expired",
        "late": "granted",
    }
    # Half of the old one, and three times 50.
    assert available(service) == 200
    after = service.stored()
    assert run() == NOTHING
    assert {key: item for key, item in service.stored().items() if key[0] != "RECONCILIATION"} == {
        key: item for key, item in after.items() if key[0] != "RECONCILIATION"
    }
    # The webhook is up again, and Stripe sends what waited.
    till.tell_all(till.since(0))
    assert available(service) == 200
    assert quarantined(service) == []


NAMES = {"old", "card", "pix", "boleto", "failed", "expired", "late"}


def test_the_first_run_reads_every_event_that_stripe_keeps(
    till: Till, run: Run, service: Service, clock: Clock
) -> None:
    till.pay(till.buy())
    clock.now += 28 * DAY
    assert run()["healed"] == 1
    assert available(service) == 100


def test_each_run_continues_where_the_last_one_ended(till: Till, run: Run, service: Service, clock: Clock) -> None:
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


def test_an_event_that_is_listed_late_is_found(till: Till, run: Run, service: Service, clock: Clock) -> None:
    [event] = till.pay(till.buy())
    with till.fake.state.lock:
        hidden = till.fake.state.tables["event"].pop(event["id"])
    clock.now += 4 * DAY
    assert run()["healed"] == 0
    clock.now += timedelta(minutes=30)
    with till.fake.state.lock:
        hidden["created"] = int((clock.now - timedelta(minutes=45)).timestamp())
        till.fake.state.tables["event"][event["id"]] = hidden
    assert run()["healed"] == 1


def test_a_payment_without_an_event_is_found_from_our_side(
    till: Till, run: Run, service: Service, clock: Clock
) -> None:
    purchase = till.buy()
    till.pay(purchase)
    with till.fake.state.lock:
        till.fake.state.tables["event"].clear()
    clock.now += PAYABLE - TICK
    assert run() == NOTHING
    clock.now += TICK
    assert run() == NOTHING | {"healed": 1}
    assert till.purchase(purchase).state == "granted"


def test_a_purchase_without_a_page_needs_no_check(till: Till, run: Run, service: Service) -> None:
    till.fake.api.faults.plan(10, Fault(status=500))
    assert service.buy(trouble=True).status == 503
    till.fake.api.faults.plan(0, Fault())
    assert run() == NOTHING


@pytest.mark.parametrize(
    ("told", "names"),
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
    till: Till, run: Run, service: Service, output: Output, told: dict[str, Any], names: list[str]
) -> None:
    purchase = till.buy()
    till.tell_all(till.pay(purchase))
    with till.fake.state.lock:
        intents = till.fake.state.tables["payment_intent"]
        intents["pi_another"] = {**intents[till.purchase(purchase).payment or ""], "id": "pi_another"}
    till.session(purchase.session or "").update(told)
    ledger = types(service.stored())
    assert run()["quarantined"] > 0
    assert {tuple(mismatches) for _, mismatches in quarantined(service)} == {tuple(names)}
    assert {purchase_id for purchase_id, _ in quarantined(service)} == {purchase.id}
    assert max(output.metric("PurchaseQuarantined")) > 0
    # Nothing is taken back by a machine.
    assert types(service.stored()) == ledger
    assert till.purchase(purchase).state == "granted"


def test_a_grant_whose_session_is_gone_is_quarantined(till: Till, run: Run, service: Service) -> None:
    purchase = till.buy()
    till.tell_all(till.pay(purchase))
    with till.fake.state.lock:
        till.fake.state.tables["checkout.session"].clear()
        till.fake.state.tables["event"].clear()
    assert run()["quarantined"] == 1
    assert quarantined(service) == [(purchase.id, ["unknown_session"])]


def test_an_unpaid_boleto_granted_weeks_later_is_reported_once(
    till: Till, run: Run, service: Service, output: Output, clock: Clock
) -> None:
    purchase = till.buy()
    till.tell_all(till.happen(purchase, "confirm", "boleto"))
    clock.now += 12 * DAY
    assert run()["finished"]
    clock.now += 8 * DAY
    till.tell_all(till.happen(purchase, "pay_after_expiry", "boleto"))
    assert available(service) == 100
    forget_events(till)
    till.session(purchase.session or "").update({"payment_status": "unpaid"})
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
    till: Till, run: Run, clock: Clock, asked: list[str]
) -> None:
    bought = [till.buy() for _ in range(3)]
    for purchase in bought:
        till.tell_all(till.pay(purchase))
    forget_events(till)
    asked.clear()
    run()
    assert sorted(asked) == sorted(purchase.session or "" for purchase in bought)
    asked.clear()
    for _ in range(9):
        clock.now += DAY
        run()
    assert asked == []
    clock.now += DAY
    run()
    assert sorted(asked) == sorted(purchase.session or "" for purchase in bought)
    asked.clear()
    for _ in range(20):
        clock.now += DAY
        run()
    assert asked == []


def test_a_grant_whose_row_is_committed_late_is_looked_at(
    till: Till, run: Run, service: Service, clock: Clock, asked: list[str]
) -> None:
    """Its transaction began before the newest one that our side has looked at, and ended after it."""
    early, late = till.buy(), till.buy()
    till.tell_all(till.pay(early))
    [(key, row)] = [(key, row) for key, row in reviews_due(service, clock).items()]
    service.table.client.delete_item(TableName=service.table.name, Key={"PK": row["PK"], "SK": row["SK"]})
    clock.now += timedelta(seconds=1)
    till.tell_all(till.pay(late))
    forget_events(till)
    asked.clear()
    run()
    assert asked == [late.session]
    service.table.client.put_item(TableName=service.table.name, Item=row)
    clock.now += HOUR
    run()
    assert asked == [late.session, early.session]
    assert key not in service.stored()


def test_a_purchase_is_reviewed_after_its_page_and_boleto_end() -> None:
    banks_holidays = 5
    assert timedelta(days=1 + checkout.BOLETO_DAYS + banks_holidays) < PAYABLE
    assert timedelta(days=1, seconds=checkout.PIX_SECONDS) < PAYABLE


def test_a_paid_session_without_a_record_is_quarantined(till: Till, run: Run, service: Service, output: Output) -> None:
    session = till.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with till.fake.state.lock:
        lifecycle.pay(till.fake.state, session["id"], "card")
    assert run() == NOTHING | {"quarantined": 1}
    assert quarantined(service) == [("pur_" + "0" * 20, ["unknown_purchase"])]
    assert types(service.stored()) == ["plan_change"]
    assert output.metric("PurchaseQuarantined")[-1] == 1


def test_a_paid_session_without_a_record_is_quarantined_once(
    till: Till, run: Run, service: Service, output: Output, clock: Clock
) -> None:
    """Pix has two events, and each of the two is in the spans of two runs."""
    clock.now = clock.now.replace(hour=23, minute=30)
    session = till.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with till.fake.state.lock:
        lifecycle.pay(till.fake.state, session["id"], "pix")
    assert run()["quarantined"] == 1
    for _ in range(3):
        clock.now += HOUR / 2
        assert run() == NOTHING
    assert quarantined(service) == [("pur_" + "0" * 20, ["unknown_purchase"])]
    assert output.metric("PurchaseQuarantined") == [1]


def test_a_mismatch_is_reported_even_if_the_run_fails_later(
    till: Till, run: Run, service: Service, output: Output
) -> None:
    session = till.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with till.fake.state.lock:
        lifecycle.pay(till.fake.state, session["id"], "card")

    def meet(call: Call) -> LineFault | None:
        return cut if call.name == EVENTS and "starting_after" in call.params else None

    with stripe_tapped(meet), pytest.raises(PaymentsUnavailable):
        run()
    assert output.metric("PurchaseQuarantined") == [1]
    assert len(quarantined(service)) == 1


def test_sales_of_others_in_the_stripe_account_are_ignored(till: Till, run: Run, service: Service) -> None:
    sale = till.sell(session=till.open_session({"order": "4711"})["id"])
    till.pay(sale)
    till.refund(sale, 100)
    with till.fake.state.lock:
        till.fake.state.tables["event"] = {
            name: event for name, event in till.fake.state.tables["event"].items() if "session" not in event["type"]
        }
    before = types(service.stored())
    answer = run()
    assert (answer["healed"], answer["quarantined"]) == (0, 0)
    assert types(service.stored()) == before
