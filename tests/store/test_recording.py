"""What is stored around a purchase: keys, sessions, pending checks, pages, customers, a run's position."""

from dataclasses import replace
from datetime import datetime

import pytest

from prepaid.core.errors import Busy, IdempotencyKeyReused, InsufficientCredits
from prepaid.core.purchase import PAYABLE, with_page
from prepaid.store.customers import read_customer, save_customer
from prepaid.store.dynamodb import ConditionFailed
from prepaid.store.items import key_digest
from prepaid.store.purchases import (
    PurchaseRef,
    find_payment,
    find_purchase_by_key,
    read_purchase,
    read_purchases,
    save_purchase,
)
from prepaid.store.reconciliation import (
    FailedCheck,
    PendingCheck,
    ReconciliationCheckpoint,
    delete_failed_check,
    delete_pending_check,
    read_checkpoint,
    read_failed_checks,
    read_pending_checks,
    save_checkpoint,
    save_failed_check,
)
from tests.support.core_builders import a_payment_status
from tests.support.store_driver import (
    DAY,
    NOW,
    TICK,
    FakeTime,
    StoreDriver,
    a_purchase,
    a_session,
    stored,
)
from tests.support.wire import Wire, answer_lost, first, no_answer
from tests.support.workers import at_once

PACK = "credits-100"


def test_a_purchase_is_recorded_in_one_transaction(driver: StoreDriver, wire: Wire) -> None:
    """With its key, its session and its pending check."""
    purchase = a_purchase(session=None, state="created", created_at=NOW)
    driver.has_manager()
    before = stored(driver.table).keys()
    wire.forget()

    driver.record(purchase, key="k1", session=a_session("s"))

    assert wire.calls == ["TransactWriteItems"]
    items = stored(driver.table)
    assert items.keys() - before == {
        ("ACCOUNT#acme", "PURCHASE#pur_1"),
        ("CLAIM#acme#k1", "CLAIM"),
        ("SESSION#digest of s", "SESSION"),
        ("PENDING_CHECK", "2026-06-26T13:00:00.000+00:00#pur_1"),
    }
    assert items["CLAIM#acme#k1", "CLAIM"]["purchase"] == {"S": "pur_1"}
    assert items["SESSION#digest of s", "SESSION"]["purchase"] == {"S": "pur_1"}
    assert find_purchase_by_key(driver.table, "acme", "k1", PACK) == replace(purchase, key=key_digest("k1"))


# Keys


def test_an_unused_key_finds_no_purchase(driver: StoreDriver) -> None:
    driver.record(a_purchase(), key="k1")

    assert find_purchase_by_key(driver.table, "acme", "k2", PACK) is None
    assert find_purchase_by_key(driver.table, "other", "k1", PACK) is None


def test_a_used_key_finds_its_purchase_as_it_is_now(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase(), key="k1")
    driver.receive(a_payment_status("paid", a_purchase()))

    found = find_purchase_by_key(driver.table, "acme", "k1", PACK)

    assert found == driver.purchase()
    assert found.state == "granted"


def test_a_key_used_for_another_pack_is_rejected(driver: StoreDriver) -> None:
    driver.record(a_purchase(), key="k1")

    with pytest.raises(IdempotencyKeyReused):
        find_purchase_by_key(driver.table, "acme", "k1", "credits-500")


def test_no_key_serves_a_purchase_and_a_debit_or_a_grant(driver: StoreDriver) -> None:
    driver.open(credits=10)
    driver.debit(1, key="spent")
    driver.grant(1, key="given")
    driver.record(a_purchase(), key="bought")
    before = stored(driver.table)

    for key in ("spent", "given"):
        with pytest.raises(IdempotencyKeyReused):
            find_purchase_by_key(driver.table, "acme", key, PACK)
        with pytest.raises(ConditionFailed) as lost:
            driver.record(a_purchase("pur_2"), key=key)
        assert lost.value.existing.keys() == {"claim"}
    for quantity in (1, 10_000):
        with pytest.raises(IdempotencyKeyReused):
            driver.debit(quantity, key="bought")
    with pytest.raises(IdempotencyKeyReused):
        driver.grant(1, key="bought")
    assert stored(driver.table) == before
    with pytest.raises(InsufficientCredits):
        driver.debit(10_000, key="fresh")


def test_one_key_used_twice_at_once_begins_one_purchase(driver: StoreDriver) -> None:
    driver.has_manager()

    def begin(index: int) -> str:
        try:
            driver.record(a_purchase(f"pur_{index}"), key="k1", session=a_session(f"s{index}"))
        except ConditionFailed:
            found = find_purchase_by_key(driver.table, "acme", "k1", PACK)
            return found.id if found else "nothing"
        return f"pur_{index}"

    answers = at_once(begin, range(8), threads=8)

    items = stored(driver.table)
    assert len(set(answers)) == 1
    assert [sort for _, sort in items if sort.startswith("PURCHASE#")] == [f"PURCHASE#{answers[0]}"]
    # The sessions of the others can still be used.
    assert len([partition for partition, _ in items if partition.startswith("SESSION#")]) == 1
    assert len([partition for partition, _ in items if partition == "PENDING_CHECK"]) == 1


def test_a_purchase_whose_response_was_lost_is_found_by_its_key(driver: StoreDriver, wire: Wire) -> None:
    wire.plan("TransactWriteItems", answer_lost, answer_lost)
    with pytest.raises(ConditionFailed):
        driver.record(a_purchase(), key="k1")

    with pytest.raises(ConditionFailed) as lost:
        driver.record(a_purchase("pur_2"), key="k1", session=a_session("acme pur_1"))

    assert lost.value.existing.keys() == {"claim", "manager_session"}
    found = find_purchase_by_key(driver.table, "acme", "k1", PACK)
    assert found
    assert found.id == "pur_1"


def test_a_key_that_cannot_be_read_is_busy(driver: StoreDriver, wire: Wire) -> None:
    driver.record(a_purchase(), key="k1")
    wire.always("GetItem", no_answer)

    with pytest.raises(Busy):
        find_purchase_by_key(driver.with_deadline(FakeTime().deadline()).table, "acme", "k1", PACK)


# Pages


def test_a_page_is_stored_over_the_record_that_was_read_only(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open()
    created = a_purchase(session=None, state="created")
    driver.record(created)
    page = with_page(created, "cs_pur_1", "https://checkout.example/1", NOW)
    wire.plan("PutItem", first(lambda: rival.receive(a_payment_status("paid", a_purchase()))))

    with pytest.raises(ConditionFailed):
        save_purchase(driver.table, page)

    granted = driver.purchase()
    assert (granted.state, granted.session, granted.checkout_url) == ("granted", "cs_pur_1", None)
    save_purchase(driver.table, with_page(granted, "cs_pur_1", "https://checkout.example/1", NOW))
    assert driver.purchase() == replace(granted, version=3, checkout_url="https://checkout.example/1")


def test_a_purchase_keeps_its_page_through_everything_that_follows(driver: StoreDriver) -> None:
    driver.open()
    purchase = a_purchase(checkout_url="https://checkout.example/1")
    driver.record(purchase)

    for progress in ("awaiting_payment", "paid"):
        driver.receive(a_payment_status(progress, purchase))
    driver.receive(a_payment_status("paid", purchase, refunded=1000, disputed=100))

    assert driver.purchase().checkout_url == "https://checkout.example/1"
    assert driver.purchase().language == "pt-BR"


# Reading


def test_purchases_below_an_id_are_read_newest_first(driver: StoreDriver) -> None:
    names = [f"pur_{index:03d}" for index in range(12)]
    for name in reversed(names):
        driver.record(a_purchase(name))
    driver.record(a_purchase("pur_0055", account="other"))

    def ids(before: str, limit: int) -> list[str]:
        return [purchase.id for purchase in read_purchases(driver.table, "acme", before=before, limit=limit)]

    assert ids("pur_g", 5) == names[:-6:-1]
    assert ids(names[7], 5) == [*reversed(names[2:7])]
    assert ids(names[2], 5) == [names[1], names[0]]
    assert ids(names[0], 5) == []
    assert ids("pur_g", 500) == [*reversed(names)]


def test_a_purchase_is_due_for_a_check_once_it_cannot_be_paid(driver: StoreDriver) -> None:
    for index in range(5):
        driver.record(a_purchase(f"pur_{index}", created_at=NOW + index * TICK))
    driver.record(a_purchase("pur_0", account="other", created_at=NOW - DAY))

    end = NOW + PAYABLE
    assert purchases_due(driver, end - DAY - TICK) == []
    assert purchases_due(driver, end - TICK) == ["other pur_0"]
    assert purchases_due(driver, end + TICK) == ["other pur_0", "acme pur_0", "acme pur_1"]
    assert len(purchases_due(driver, end + DAY)) == 6
    assert purchases_due(driver, end + DAY, limit=2) == ["other pur_0", "acme pur_0"]


def test_a_grant_is_due_for_a_check_at_once(driver: StoreDriver, wire: Wire) -> None:
    """However old its purchase is."""
    driver.open()
    driver.record(a_purchase(created_at=NOW - 60 * DAY))
    [begun] = read_pending_checks(driver.table, NOW, 9)
    delete_pending_check(driver.table, begun)

    wire.forget()
    driver.receive(a_payment_status("paid", a_purchase()))

    assert wire.calls == ["GetItem", "Query", "TransactWriteItems"]
    assert purchases_due(driver, NOW - TICK) == []
    [granted] = read_pending_checks(driver.table, NOW, 9)
    assert granted == PendingCheck(account="acme", purchase="pur_1", due=granted.due)
    delete_pending_check(driver.table, granted)
    assert purchases_due(driver, NOW + DAY) == []


def test_refunds_and_mismatches_schedule_no_check(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase())
    driver.receive(a_payment_status("awaiting_payment", a_purchase()))
    driver.receive(a_payment_status("paid", a_purchase(), amount=1))
    assert purchases_due(driver, NOW) == []
    driver.receive(a_payment_status("paid", a_purchase()))
    assert purchases_due(driver, NOW) == ["acme pur_1"]

    driver.receive(a_payment_status("paid", a_purchase(), refunded=4990), at=NOW + DAY)

    assert purchases_due(driver, NOW + DAY) == ["acme pur_1"]


def purchases_due(driver: StoreDriver, at: datetime, *, limit: int = 100) -> list[str]:
    return [f"{review.account} {review.purchase}" for review in read_pending_checks(driver.table, at, limit)]


def test_a_payment_leads_to_its_purchase_after_the_grant(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase())
    assert find_payment(driver.table, "pi_pur_1") is None

    driver.receive(a_payment_status("paid", a_purchase()))

    assert find_payment(driver.table, "pi_pur_1") == PurchaseRef(account="acme", purchase="pur_1")
    assert find_payment(driver.table, "pi_other") is None


@pytest.mark.parametrize("owed", [0, 60, 100, 250])
def test_a_purchase_that_settled_a_debt_keeps_its_lot(driver: StoreDriver, owed: int) -> None:
    """It is read back as it was granted."""
    driver.open()
    debtor = a_purchase("pur_0", credits=250)
    driver.record(debtor)
    driver.receive(a_payment_status("paid", debtor))
    if owed:
        driver.debit(owed)
    driver.receive(a_payment_status("paid", debtor, refunded=4990))
    driver.record(a_purchase())

    driver.receive(a_payment_status("paid", a_purchase()))

    [lot] = driver.purchase().lots
    assert (lot.granted, lot.remaining) == (100, max(0, 100 - owed))
    assert driver.account().owed == max(0, owed - 100)


# Customers


def test_a_customer_is_remembered_once(driver: StoreDriver) -> None:
    assert read_customer(driver.table, "acme") is None

    assert save_customer(driver.table, "acme", "cus_1") == "cus_1"
    assert save_customer(driver.table, "acme", "cus_2") == "cus_1"

    assert read_customer(driver.table, "acme") == "cus_1"
    assert read_customer(driver.table, "other") is None


def test_a_customer_with_a_lost_response_is_kept(driver: StoreDriver, wire: Wire) -> None:
    wire.plan("PutItem", answer_lost)

    assert save_customer(driver.table, "acme", "cus_1") == "cus_1"


def test_parallel_requests_get_one_customer(driver: StoreDriver) -> None:
    customers = at_once(lambda index: save_customer(driver.table, "acme", f"cus_{index}"), range(8), threads=8)

    assert set(customers) == {read_customer(driver.table, "acme")}


# The reconciliation's position

PLACES = [
    ReconciliationCheckpoint(since=NOW - DAY),
    ReconciliationCheckpoint(since=NOW - DAY, until=NOW),
    ReconciliationCheckpoint(since=NOW, until=NOW + TICK, event="evt_9"),
    ReconciliationCheckpoint(since=NOW + DAY),
]


def test_there_is_no_position_before_the_first_run(driver: StoreDriver) -> None:
    assert read_checkpoint(driver.table) is None


@pytest.mark.parametrize("place", PLACES)
def test_a_position_is_read_back_as_it_was_saved(driver: StoreDriver, place: ReconciliationCheckpoint) -> None:
    save_checkpoint(driver.table, PLACES[2])
    save_checkpoint(driver.table, place)

    assert read_checkpoint(driver.table) == place


def test_sweep_and_reconciliation_have_separate_positions(driver: StoreDriver) -> None:
    from prepaid.store import due  # noqa: PLC0415 - both have a read_checkpoint

    due.save_checkpoint(driver.table, due.SweepCheckpoint(day=NOW.date()))

    assert read_checkpoint(driver.table) is None


def test_a_failed_check_keeps_the_time_of_its_first_failure(driver: StoreDriver) -> None:
    save_checkpoint(driver.table, PLACES[0])
    save_failed_check(driver.table, "evt_1", {"id": "evt_1", "type": "refund.created"}, NOW)
    save_failed_check(driver.table, "pur_1", {"account": "acme", "purchase": "pur_1"}, NOW + TICK)
    save_failed_check(driver.table, "evt_1", {"id": "evt_1", "type": "refund.created"}, NOW + DAY)

    event, purchase = read_failed_checks(driver.table, 9)

    about = {"id": "evt_1", "type": "refund.created"}
    assert event == FailedCheck(what="evt_1", subject=about, first_at=NOW, last_at=NOW + DAY, tries=2)
    assert (purchase.what, purchase.subject, purchase.tries) == ("pur_1", {"account": "acme", "purchase": "pur_1"}, 1)
    assert len(read_failed_checks(driver.table, 1)) == 1
    delete_failed_check(driver.table, event)
    assert read_failed_checks(driver.table, 9) == (purchase,)
    assert read_checkpoint(driver.table) == PLACES[0]


def test_a_purchase_of_another_account_is_not_read(driver: StoreDriver) -> None:
    driver.record(a_purchase())

    assert read_purchase(driver.table, "acm", "pur_1") is None
    assert read_purchases(driver.table, "acm", before="pur_g", limit=5) == ()
