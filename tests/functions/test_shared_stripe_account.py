"""Several stacks and other products sell through one Stripe account: each handles its own sales, each misfit once."""

from datetime import timedelta

import pytest

from fake_stripe import lifecycle
from prepaid.core.purchase import Purchase
from tests.support.functions import STACK
from tests.support.handlers import Clock, Output
from tests.support.in_process import Service
from tests.support.interruptions import killed_before
from tests.support.reconciliation import NOTHING, Run, available, fetched, run
from tests.support.store_driver import Stored
from tests.support.stripe_purchases import Json, Storefront

__all__ = ["fetched", "run"]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
UNKNOWN = "pur_" + "0" * 20
OURS = {"prepaid_account": "acme", "prepaid_purchase": UNKNOWN, "prepaid_stack": STACK}
THEIRS = OURS | {"prepaid_stack": "111122223333/sa-east-1/prepaid"}


def quarantined(service: Service) -> list[list[str]]:
    """The mismatches of each row in quarantine."""
    rows = [item for (partition, _), item in service.stored().items() if partition.startswith("QUARANTINE#")]
    return [[name["S"] for name in row["mismatches"]["L"]] for row in rows]


def without_checkpoint(stored: Stored) -> Stored:
    return {key: item for key, item in stored.items() if key[0] != "RECONCILIATION"}


def sold(storefront: Storefront, metadata: dict[str, str], method: str = "pix") -> Purchase:
    """A paid session of another product with this metadata, refunded and disputed."""
    session = storefront.open_session(metadata)
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], method)
    sale = storefront.sell(id="pur_9", account="nobody", session=session["id"])
    storefront.refund(sale, 1000)
    storefront.dispute(sale, amount=1000)
    storefront.later("dispute", "close_dispute", "lost")
    return sale


def forget(service: Service, purchase: Purchase) -> None:
    """As after restoring the table to a time before the purchase."""
    key = {"PK": {"S": f"ACCOUNT#{purchase.account}"}, "SK": {"S": f"PURCHASE#{purchase.id}"}}
    service.table.client.delete_item(TableName=service.table.name, Key=key)


def other_sales(storefront: Storefront, service: Service) -> list[Json]:
    """The events of everything that another stack's customers do."""
    sessions = [storefront.open_session(THEIRS)["id"] for _ in range(3)]
    with storefront.fake.state.lock:
        lifecycle.expire(storefront.fake.state, sessions[0])
        lifecycle.confirm(storefront.fake.state, sessions[1], "boleto")
        lifecycle.fail(storefront.fake.state, sessions[1])
        lifecycle.pay(storefront.fake.state, sessions[2], "card")
    forget(service, sold(storefront, THEIRS))
    return storefront.since(0)


def test_the_sales_of_another_stack_are_ignored(
    storefront: Storefront, run: Run, service: Service, output: Output
) -> None:
    events = other_sales(storefront, service)
    before = service.stored()

    storefront.deliver_all([*events, *reversed(events)])
    answer = run()

    assert answer == NOTHING
    assert without_checkpoint(service.stored()) == before
    assert output.metric("PurchaseQuarantined") == []


def test_a_fresh_stack_does_not_fetch_the_old_stacks_sales(
    storefront: Storefront, run: Run, service: Service, clock: Clock, fetched: list[str]
) -> None:
    for _ in range(5):
        session = storefront.open_session(THEIRS)
        with storefront.fake.state.lock:
            lifecycle.pay(storefront.fake.state, session["id"], "pix")
    clock.now += 28 * DAY
    before = service.stored()

    assert run() == NOTHING

    assert fetched == []
    assert without_checkpoint(service.stored()) == before


@pytest.mark.parametrize("named", [OURS, OURS | {"prepaid_account": "zoo"}, OURS | {"prepaid_purchase": ""}])
def test_an_unpaid_page_is_never_quarantined(
    storefront: Storefront, run: Run, service: Service, output: Output, named: dict[str, str]
) -> None:
    sessions = [storefront.open_session(named)["id"] for _ in range(2)]
    with storefront.fake.state.lock:
        lifecycle.expire(storefront.fake.state, sessions[0])
        lifecycle.confirm(storefront.fake.state, sessions[1], "boleto")
    before = service.stored()

    storefront.deliver_all(storefront.since(0))

    assert run() == NOTHING
    assert without_checkpoint(service.stored()) == before
    assert output.metric("PurchaseQuarantined") == []


def test_an_unpaid_page_unlike_its_record_is_not_quarantined(
    storefront: Storefront, service: Service, output: Output
) -> None:
    purchase = storefront.buy()
    storefront.session(purchase.session or "")["amount_total"] = 1
    storefront.deliver_all(storefront.happen(purchase, "expire"))

    assert quarantined(service) == []
    assert output.metric("PurchaseQuarantined") == []


@pytest.mark.parametrize("first", ["webhook", "reconciliation"])
def test_a_misfit_is_recorded_and_reported_once(
    storefront: Storefront, run: Run, service: Service, output: Output, clock: Clock, first: str
) -> None:
    """A forgotten sale that was paid by Pix, refunded and disputed has many events."""
    forget(service, sold(storefront, OURS))
    events = storefront.since(0)
    if first == "webhook":
        storefront.deliver_all(events)
    for _ in range(3):
        run()
        clock.now += HOUR / 2
    storefront.deliver_all(events)

    assert quarantined(service) == [["unknown_purchase"]]
    assert output.metric("PurchaseQuarantined") == [1]


def test_two_misfits_of_one_purchase_are_two(storefront: Storefront, service: Service, output: Output) -> None:
    purchase = storefront.buy()
    [event] = storefront.pay(purchase)
    session = storefront.session(purchase.session or "")
    session["amount_total"] = 1
    storefront.deliver(event)
    session["amount_total"] = 4990
    storefront.deliver(event)
    session["payment_status"] = "unpaid"
    storefront.deliver(event)

    assert sorted(quarantined(service)) == [["amount"], ["progress"]]
    assert output.metric("PurchaseQuarantined") == [1, 1]


def test_a_misfit_is_reported_before_its_row_is_stored(
    storefront: Storefront, service: Service, output: Output
) -> None:
    """A process that dies in between reports it again."""
    purchase = storefront.buy()
    [event] = storefront.pay(purchase)
    storefront.session(purchase.session or "")["amount_total"] = 1

    with killed_before(service.table.client, "PutItem QUARANTINE#"):
        storefront.deliver(event)
    storefront.deliver(event)

    assert quarantined(service) == [["amount"]]
    assert output.metric("PurchaseQuarantined") == [1, 1]


def test_a_sale_that_lost_its_stacks_name_is_found_by_its_record(
    storefront: Storefront, service: Service, output: Output
) -> None:
    purchase = storefront.buy()
    del storefront.session(purchase.session or "")["metadata"]["prepaid_stack"]

    storefront.deliver_all(storefront.pay(purchase))

    assert storefront.purchase(purchase).state == "granted"
    assert output.metric("PurchaseQuarantined") == []


def test_our_page_under_another_stacks_name_is_quarantined(
    storefront: Storefront, run: Run, service: Service, output: Output
) -> None:
    purchase = storefront.buy()
    metadata = storefront.session(purchase.session or "")["metadata"]
    metadata["prepaid_stack"] = THEIRS["prepaid_stack"]
    events = storefront.pay(purchase)
    storefront.deliver_all(events)

    assert storefront.purchase(purchase).state == "paid"
    assert quarantined(service) == [["stack"]]
    assert output.metric("PurchaseQuarantined") == [1]
    metadata["prepaid_stack"] = STACK
    assert run()["healed"] == 1
    assert available(service) == 100


def test_another_stacks_page_does_not_touch_a_purchase_that_it_names(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    session = storefront.open_session(THEIRS | {"prepaid_purchase": purchase.id})
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, session["id"], "card")
    before = service.stored()

    storefront.deliver_all(storefront.events(session["id"]))

    assert service.stored() == before


def test_a_restored_table_finds_the_sales_that_it_lost(
    storefront: Storefront, run: Run, service: Service, output: Output, clock: Clock
) -> None:
    forgotten, behind = storefront.buy(), storefront.buy()
    before = service.stored()
    for purchase in (forgotten, behind):
        storefront.deliver_all(storefront.pay(purchase))
    now = service.stored()
    for key in now.keys() - before.keys():
        row = now[key]
        service.table.client.delete_item(TableName=service.table.name, Key={"PK": row["PK"], "SK": row["SK"]})
    for item in before.values():
        service.table.client.put_item(TableName=service.table.name, Item=item)
    forget(service, forgotten)
    clock.now += DAY

    assert run() == NOTHING | {"healed": 1, "quarantined": 1}

    assert storefront.purchase(behind).state == "granted"
    assert quarantined(service) == [["unknown_purchase"]]
    clock.now += HOUR / 2
    assert run() == NOTHING
    assert output.metric("PurchaseQuarantined") == [1]
