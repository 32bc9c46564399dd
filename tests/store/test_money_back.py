"""Refunds and disputes on a real table: what they take, what had expired, what is quarantined (rule 13)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from prepaid.core.errors import Busy
from prepaid.core.purchase import PaymentStatus
from prepaid.use_cases.syncing import INSTANT
from tests.support.ledger_audit import audit
from tests.support.money_back import DISPUTED, FAULTS, HALF, PAID, REFUNDED, bought, standing
from tests.support.store_driver import (
    DAY,
    NOW,
    Desk,
    FakeTime,
    a_payment_status,
    a_purchase,
    due_keys,
    lines,
    quarantined,
    stored,
    types,
)
from tests.support.wire import Fault, Wire, first, no_answer

TRANSACTION = "TransactWriteItems"


def test_a_refund_revokes_and_owes_in_one_transaction(desk: Desk, wire: Wire) -> None:
    """What is left is revoked, and the rest is owed."""
    bought(desk, spent=60)
    before = stored(desk.table)
    wire.forget()

    assert desk.receive(REFUNDED) == "changed"

    # The Query looks whether something had expired, and its entry is the tail too; the last look comes after the write.
    assert wire.calls == ["GetItem", "Query", TRANSACTION, "GetItem"]
    after = stored(desk.table)
    assert {key for key in after if after[key] != before.get(key)} == {
        ("ACCOUNT#acme", "ENTRY#000000000004"),
        ("ACCOUNT#acme", "PURCHASE#pur_1"),
    }
    line = lines(after)[-1]
    assert (line["type"], line["credits"], line["owed"], line["purchase"]) == ("refund", -40, 60, "pur_1")
    assert standing(desk) == ("refunded", 100, 0, 60)
    purchase = desk.purchase()
    assert (purchase.refunded, purchase.debt, purchase.version) == (4990, 60, 3)


def test_a_refund_that_fails_gives_back_exactly_that(desk: Desk) -> None:
    bought(desk, spent=60)
    account, purchase = desk.account(), desk.purchase()

    desk.receive(REFUNDED)
    desk.receive(PAID)

    after = desk.account()
    assert (after.lots, after.owed) == (account.lots, 0)
    assert desk.purchase() == replace(purchase, version=4)
    assert types(stored(desk.table))[-2:] == ["refund", "refund"]


def test_the_next_grant_settles_what_is_owed(desk: Desk) -> None:
    bought(desk, spent=60)
    desk.receive(REFUNDED)

    desk.grant(50)
    desk.grant(50, key="g2")

    line, last = lines(stored(desk.table))[-2:]
    assert (line["credits"], line["owed"], last["credits"], last["owed"]) == (0, -50, 40, -10)
    assert standing(desk) == ("refunded", 100, 40, 0)
    assert desk.grant(50, key="g2").replayed
    assert standing(desk) == ("refunded", 100, 40, 0)


def test_the_next_purchase_settles_what_is_owed(desk: Desk) -> None:
    """Its own refund owes the same credits again."""
    bought(desk, spent=100)
    desk.receive(REFUNDED)
    second = a_purchase("pur_2")
    desk.record(second)

    desk.receive(a_payment_status("paid", second))
    assert standing(desk)[2:] == (0, 0)

    desk.receive(a_payment_status("paid", second, refunded=4990))
    assert standing(desk)[2:] == (0, 100)
    desk.receive(PAID)
    assert standing(desk)[2:] == (0, 0)


def test_a_refund_before_the_grant_leaves_both_entries(desk: Desk, wire: Wire) -> None:
    desk.open()
    desk.record(a_purchase())

    assert desk.receive(REFUNDED) == "changed"

    assert types(stored(desk.table)) == ["plan_change", "purchase", "refund"]
    assert standing(desk) == ("refunded", 100, 0, 0)
    assert desk.receive(REFUNDED) == "unchanged"


def test_a_dispute_won_after_expiry_returns_a_lot_for_a_week(desk: Desk) -> None:
    """The sweep finds it."""
    bought(desk)
    desk.receive(DISPUTED)
    later = NOW + 400 * DAY

    desk.receive(PAID, at=later)

    [lot] = desk.account().lots
    assert (lot.remaining, lot.expires_at) == (100, later + 7 * DAY)
    assert desk.purchase().lots[-1] == lot
    assert f"acme#{lot.id}" in due_keys(stored(desk.table))
    desk.receive(REFUNDED, at=later + DAY)
    assert desk.account().lots == ()
    assert standing(desk) == ("refunded", 100, 0, 0)


def test_less_than_a_credits_money_changes_the_record_only(desk: Desk) -> None:
    bought(desk)
    before = stored(desk.table)

    assert desk.receive(replace(PAID, refunded=1)) == "changed"

    after = stored(desk.table)
    assert [key for key in after if after[key] != before.get(key)] == [("ACCOUNT#acme", "PURCHASE#pur_1")]
    assert standing(desk) == ("partially_refunded", 0, 100, 0)


# What had expired
END = datetime(2027, 6, 17, 3, tzinfo=UTC)


def ended(desk: Desk) -> tuple[int, int]:
    """Credits owed, and those that the purchase knows to have expired."""
    assert standing(desk)[2] == 0
    return standing(desk)[3], desk.purchase().lapsed


def test_credits_that_had_expired_unspent_are_not_owed(desk: Desk, wire: Wire) -> None:
    """Their money went back after they expired."""
    bought(desk, spent=60)
    desk.settle(at=END)
    for day in range(1, 30):
        desk.grant(1, at=END + day * DAY)
        desk.debit(1, at=END + day * DAY, key=f"later {day}")
    wire.forget()

    assert desk.receive(REFUNDED, at=END + 40 * DAY) == "changed"

    # The entry before the lot's end is searched for among 62, not walked to.
    assert wire.calls.count("GetItem") <= 2 + 6
    assert ended(desk) == (60, 40)
    assert lines(stored(desk.table))[-1]["draws"] == []


def test_credits_that_expire_with_the_refund_are_not_owed_either(desk: Desk) -> None:
    """Both are written in one transaction."""
    bought(desk, spent=60)

    desk.receive(HALF, at=END)
    assert ended(desk) == (10, 40)
    desk.receive(REFUNDED, at=END + DAY)
    assert ended(desk) == (60, 40)

    desk.receive(PAID, at=END + DAY)
    assert ended(desk) == (0, 0)
    assert standing(desk) == ("granted", 0, 0, 0)
    assert types(stored(desk.table))[-4:] == ["expiry", "refund", "refund", "refund"]


def test_a_rival_with_a_slow_clock_spends_an_expired_lot(desk: Desk, rival: Desk, wire: Wire) -> None:
    """The refund counts those credits as spent."""
    bought(desk, spent=60)
    wire.plan(TRANSACTION, first(lambda: rival.debit(10, at=END - INSTANT, key="late")))

    assert desk.receive(REFUNDED, at=END) == "changed"

    assert ended(desk) == (70, 30)


def test_a_ledger_that_is_ahead_of_our_clock_has_let_the_lot_expire(desk: Desk) -> None:
    bought(desk, spent=60)
    desk.settle(at=END)

    desk.receive(REFUNDED, at=END - DAY)

    assert ended(desk) == (60, 40)


@pytest.mark.parametrize("operation", ["GetItem", "Query", TRANSACTION])
@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
def test_expired_credits_are_counted_once_under_every_fault(
    desk: Desk, wire: Wire, operation: str, fault: Fault
) -> None:
    bought(desk, spent=60)
    desk.settle(at=END)
    wire.plan(operation, fault, fault)

    desk.receive(REFUNDED, at=END)

    assert wire.undone == 0
    assert ended(desk) == (60, 40)


def test_a_paid_debt_returns_as_a_lot_that_the_sweep_finds(desk: Desk) -> None:
    bought(desk, spent=60)
    desk.receive(DISPUTED)
    desk.grant(60)

    desk.receive(PAID)

    old, new = desk.purchase().lots
    assert [(lot.number, lot.remaining) for lot in desk.account().lots] == [(old.number, 40), (new.number, 60)]
    assert f"acme#{new.id}" in due_keys(stored(desk.table))
    desk.receive(REFUNDED)
    assert standing(desk) == ("refunded", 100, 0, 0)


# Put aside


def test_an_unknown_session_of_no_grant_changes_nothing(desk: Desk) -> None:
    desk.open()
    desk.record(a_purchase())
    before = stored(desk.table)

    assert desk.follow(lambda: None) == "ignored"
    assert desk.follow(lambda: None, "pur_unknown") == "ignored"
    assert stored(desk.table) == before


def test_what_was_granted_and_the_provider_does_not_know_is_put_aside(desk: Desk) -> None:
    bought(desk)
    before = stored(desk.table)

    assert desk.follow(lambda: None, event="reconciliation") == "quarantined"

    after = stored(desk.table)
    [key] = after.keys() - before.keys()
    assert quarantined(after) == [("reconciliation#pur_1", ["unknown_session"])]
    assert after[key]["status"] == {"M": {}}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (replace(REFUNDED, amount=4989), ["amount"]),
        (replace(REFUNDED, payment="pi_other"), ["payment"]),
        (replace(REFUNDED, session="cs_other"), ["session"]),
        (a_payment_status("awaiting_payment", a_purchase(), payment="pi_pur_1"), ["progress"]),
    ],
)
def test_a_mismatch_after_the_grant_is_quarantined(desk: Desk, said: PaymentStatus, named: list[str]) -> None:
    """It revokes nothing."""
    bought(desk)
    before = stored(desk.table)

    assert desk.receive(said, event="evt_9") == "quarantined"

    after = stored(desk.table)
    assert quarantined(after) == [("evt_9#pur_1", named)]
    assert {key: after[key] for key in before} == before


def test_another_purchases_payment_is_quarantined(desk: Desk, wire: Wire) -> None:
    """However often the database fails meanwhile."""
    for name in ("pur_1", "pur_2"):
        desk.record(a_purchase(name))
    desk.open()
    desk.receive(a_payment_status("paid", a_purchase("pur_1"), payment="pi_1"))
    wire.plan("PutItem", no_answer, no_answer, no_answer, no_answer)

    outcome = desk.receive(a_payment_status("paid", a_purchase("pur_2"), payment="pi_1"), event="evt_2")

    assert wire.undone == 0
    assert outcome == "quarantined"
    assert quarantined(stored(desk.table)) == [("evt_2#pur_2", ["payment"])]
    assert audit(stored(desk.table)).granted == 100


def test_a_quarantine_that_cannot_be_written_is_busy(desk: Desk, wire: Wire) -> None:
    for name in ("pur_1", "pur_2"):
        desk.record(a_purchase(name))
    desk.open()
    desk.receive(a_payment_status("paid", a_purchase("pur_1"), payment="pi_1"))
    wire.always("PutItem", no_answer)

    with pytest.raises(Busy):
        desk.with_deadline(FakeTime().deadline(0.2)).receive(
            a_payment_status("paid", a_purchase("pur_2"), payment="pi_1")
        )


def test_two_purchases_put_aside_by_one_run_are_two_rows(desk: Desk) -> None:
    desk.open()
    for name in ("pur_1", "pur_2"):
        desk.record(a_purchase(name))
        desk.receive(a_payment_status("paid", a_purchase(name), amount=1), event="reconciliation")

    assert [row for row, _ in quarantined(stored(desk.table))] == ["reconciliation#pur_1", "reconciliation#pur_2"]
