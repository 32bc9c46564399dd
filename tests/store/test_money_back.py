"""Refunds and disputes on a real table: what they take, what had expired, what is quarantined (rule 13)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from prepaid.core.errors import Busy
from prepaid.core.purchase import PaymentStatus
from prepaid.use_cases.syncing import INSTANT
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.money_back import DISPUTED, FAULTS, HALF, PAID, REFUNDED, bought, standing
from tests.support.store_driver import (
    DAY,
    NOW,
    FakeTime,
    StoreDriver,
    a_purchase,
    due_keys,
    lines,
    quarantined,
    stored,
    types,
)
from tests.support.wire import Fault, Wire, first, no_answer

TRANSACTION = "TransactWriteItems"


def test_a_refund_revokes_and_owes_in_one_transaction(driver: StoreDriver, wire: Wire) -> None:
    """What is left is revoked, and the rest is owed."""
    bought(driver, spent=60)
    before = stored(driver.table)
    wire.forget()

    assert driver.receive(REFUNDED) == "changed"

    # The Query finds what had expired, and its entry is also the tail. The last fetch comes after the write.
    assert wire.calls == ["GetItem", "Query", TRANSACTION, "GetItem"]
    after = stored(driver.table)
    assert {key for key in after if after[key] != before.get(key)} == {
        ("ACCOUNT#acme", "ENTRY#000000000004"),
        ("ACCOUNT#acme", "PURCHASE#pur_1"),
    }
    line = lines(after)[-1]
    assert (line["type"], line["credits"], line["owed"], line["purchase"]) == ("refund", -40, 60, "pur_1")
    assert standing(driver) == ("refunded", 100, 0, 60)
    purchase = driver.purchase()
    assert (purchase.refunded, purchase.debt, purchase.version) == (4990, 60, 3)


def test_a_refund_that_fails_gives_back_exactly_that(driver: StoreDriver) -> None:
    bought(driver, spent=60)
    account, purchase = driver.account(), driver.purchase()

    driver.receive(REFUNDED)
    driver.receive(PAID)

    after = driver.account()
    assert (after.lots, after.owed) == (account.lots, 0)
    assert driver.purchase() == replace(purchase, version=4)
    assert types(stored(driver.table))[-2:] == ["refund", "refund"]


def test_the_next_grant_settles_what_is_owed(driver: StoreDriver) -> None:
    bought(driver, spent=60)
    driver.receive(REFUNDED)

    driver.grant(50)
    driver.grant(50, key="g2")

    line, last = lines(stored(driver.table))[-2:]
    assert (line["credits"], line["owed"], last["credits"], last["owed"]) == (0, -50, 40, -10)
    assert standing(driver) == ("refunded", 100, 40, 0)
    assert driver.grant(50, key="g2").replayed
    assert standing(driver) == ("refunded", 100, 40, 0)


def test_the_next_purchase_settles_what_is_owed(driver: StoreDriver) -> None:
    """Its own refund owes the same credits again."""
    bought(driver, spent=100)
    driver.receive(REFUNDED)
    second = a_purchase("pur_2")
    driver.record(second)

    driver.receive(a_payment_status("paid", second))
    assert standing(driver)[2:] == (0, 0)

    driver.receive(a_payment_status("paid", second, refunded=4990))
    assert standing(driver)[2:] == (0, 100)
    driver.receive(PAID)
    assert standing(driver)[2:] == (0, 0)


def test_a_refund_before_the_grant_leaves_both_entries(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    driver.record(a_purchase())

    assert driver.receive(REFUNDED) == "changed"

    assert types(stored(driver.table)) == ["plan_change", "purchase", "refund"]
    assert standing(driver) == ("refunded", 100, 0, 0)
    assert driver.receive(REFUNDED) == "unchanged"


def test_a_dispute_won_after_expiry_returns_a_lot_for_a_week(driver: StoreDriver) -> None:
    """The sweep finds it."""
    bought(driver)
    driver.receive(DISPUTED)
    later = NOW + 400 * DAY

    driver.receive(PAID, at=later)

    [lot] = driver.account().lots
    assert (lot.remaining, lot.expires_at) == (100, later + 7 * DAY)
    assert driver.purchase().lots[-1] == lot
    assert f"acme#{lot.id}" in due_keys(stored(driver.table))
    driver.receive(REFUNDED, at=later + DAY)
    assert driver.account().lots == ()
    assert standing(driver) == ("refunded", 100, 0, 0)


def test_less_than_a_credits_money_changes_the_record_only(driver: StoreDriver) -> None:
    bought(driver)
    before = stored(driver.table)

    assert driver.receive(replace(PAID, refunded=1)) == "changed"

    after = stored(driver.table)
    assert [key for key in after if after[key] != before.get(key)] == [("ACCOUNT#acme", "PURCHASE#pur_1")]
    assert standing(driver) == ("partially_refunded", 0, 100, 0)


# Credits that had expired
END = datetime(2027, 6, 17, 3, tzinfo=UTC)


def ended(driver: StoreDriver) -> tuple[int, int]:
    """Credits owed, and those that the purchase knows to have expired."""
    assert standing(driver)[2] == 0
    return standing(driver)[3], driver.purchase().expired_unspent


def test_credits_that_had_expired_unspent_are_not_owed(driver: StoreDriver, wire: Wire) -> None:
    """Their money went back after they expired."""
    bought(driver, spent=60)
    driver.settle(at=END)
    for day in range(1, 30):
        driver.grant(1, at=END + day * DAY)
        driver.debit(1, at=END + day * DAY, key=f"later {day}")
    wire.forget()

    assert driver.receive(REFUNDED, at=END + 40 * DAY) == "changed"

    # The entry before the lot's end is searched for among 62, not walked to.
    assert wire.calls.count("GetItem") <= 2 + 6
    assert ended(driver) == (60, 40)
    assert lines(stored(driver.table))[-1]["draws"] == []


def test_credits_that_expire_with_the_refund_are_not_owed_either(driver: StoreDriver) -> None:
    """Both are written in one transaction."""
    bought(driver, spent=60)

    driver.receive(HALF, at=END)
    assert ended(driver) == (10, 40)
    driver.receive(REFUNDED, at=END + DAY)
    assert ended(driver) == (60, 40)

    driver.receive(PAID, at=END + DAY)
    assert ended(driver) == (0, 0)
    assert standing(driver) == ("granted", 0, 0, 0)
    assert types(stored(driver.table))[-4:] == ["expiry", "refund", "refund", "refund"]


def test_a_rival_with_a_slow_clock_spends_an_expired_lot(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """The refund counts those credits as spent."""
    bought(driver, spent=60)
    wire.plan(TRANSACTION, first(lambda: rival.debit(10, at=END - INSTANT, key="late")))

    assert driver.receive(REFUNDED, at=END) == "changed"

    assert ended(driver) == (70, 30)


def test_a_ledger_ahead_of_our_clock_has_expired_the_lot(driver: StoreDriver) -> None:
    bought(driver, spent=60)
    driver.settle(at=END)

    driver.receive(REFUNDED, at=END - DAY)

    assert ended(driver) == (60, 40)


@pytest.mark.parametrize("operation", ["GetItem", "Query", TRANSACTION])
@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
def test_expired_credits_are_counted_once_under_every_fault(
    driver: StoreDriver, wire: Wire, operation: str, fault: Fault
) -> None:
    bought(driver, spent=60)
    driver.settle(at=END)
    wire.plan(operation, fault, fault)

    driver.receive(REFUNDED, at=END)

    assert wire.undone == 0
    assert ended(driver) == (60, 40)


def test_a_paid_debt_returns_as_a_lot_that_the_sweep_finds(driver: StoreDriver) -> None:
    bought(driver, spent=60)
    driver.receive(DISPUTED)
    driver.grant(60)

    driver.receive(PAID)

    old, new = driver.purchase().lots
    assert [(lot.number, lot.remaining) for lot in driver.account().lots] == [(old.number, 40), (new.number, 60)]
    assert f"acme#{new.id}" in due_keys(stored(driver.table))
    driver.receive(REFUNDED)
    assert standing(driver) == ("refunded", 100, 0, 0)


# Quarantined


def test_an_unknown_session_of_no_grant_changes_nothing(driver: StoreDriver) -> None:
    driver.open()
    driver.record(a_purchase())
    before = stored(driver.table)

    assert driver.follow(lambda: None) == "ignored"
    assert driver.follow(lambda: None, "pur_unknown") == "ignored"
    assert stored(driver.table) == before


def test_a_grant_that_stripe_does_not_know_is_quarantined(driver: StoreDriver) -> None:
    bought(driver)
    before = stored(driver.table)

    assert driver.follow(lambda: None, event="reconciliation") == "quarantined"

    after = stored(driver.table)
    [key] = after.keys() - before.keys()
    assert quarantined(after) == [("pur_1#unknown_session", ["unknown_session"])]
    assert after[key]["status"] == {"M": {}}


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (replace(REFUNDED, amount=4989), ["amount"]),
        (replace(REFUNDED, payment="pi_other"), ["payment"]),
        (replace(REFUNDED, session="cs_other"), ["session"]),
        (a_payment_status("awaiting_payment", a_purchase(), payment="pi_pur_1"), ["progress"]),
    ],
)
def test_a_mismatch_after_the_grant_is_quarantined(
    driver: StoreDriver, status: PaymentStatus, named: list[str]
) -> None:
    """It revokes nothing."""
    bought(driver)
    before = stored(driver.table)

    assert driver.receive(status, event="evt_9") == "quarantined"

    after = stored(driver.table)
    assert quarantined(after) == [(f"{status.payment}#{named[0]}", named)]
    assert {key: after[key] for key in before} == before


def test_another_purchases_payment_is_quarantined(driver: StoreDriver, wire: Wire) -> None:
    """Even when the database fails meanwhile."""
    for name in ("pur_1", "pur_2"):
        driver.record(a_purchase(name))
    driver.open()
    driver.receive(a_payment_status("paid", a_purchase("pur_1"), payment="pi_1"))
    wire.plan("PutItem", no_answer, no_answer, no_answer, no_answer)

    outcome = driver.receive(a_payment_status("paid", a_purchase("pur_2"), payment="pi_1"), event="evt_2")

    assert wire.undone == 0
    assert outcome == "quarantined"
    assert quarantined(stored(driver.table)) == [("pi_1#payment", ["payment"])]
    assert audit(stored(driver.table)).granted == 100


def test_a_quarantine_that_cannot_be_written_is_busy(driver: StoreDriver, wire: Wire) -> None:
    for name in ("pur_1", "pur_2"):
        driver.record(a_purchase(name))
    driver.open()
    driver.receive(a_payment_status("paid", a_purchase("pur_1"), payment="pi_1"))
    wire.always("PutItem", no_answer)

    with pytest.raises(Busy):
        driver.with_deadline(FakeTime().deadline(0.2)).receive(
            a_payment_status("paid", a_purchase("pur_2"), payment="pi_1")
        )


def test_two_purchases_quarantined_by_one_run_are_two_rows(driver: StoreDriver) -> None:
    driver.open()
    for name in ("pur_1", "pur_2"):
        driver.record(a_purchase(name))
        driver.receive(a_payment_status("paid", a_purchase(name), amount=1), event="reconciliation")

    assert [row for row, _ in quarantined(stored(driver.table))] == ["pi_pur_1#amount", "pi_pur_2#amount"]
