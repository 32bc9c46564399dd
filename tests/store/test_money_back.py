"""Money that comes and goes, on a real table: several at once, killed in between, answers lost, truths of all ages.

Whoever looks reads the record first and asks then; what is written last was asked for last (rule 13).
"""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock

import pytest

from prepaid.core.errors import Busy
from prepaid.core.purchase import PaymentStatus
from prepaid.use_cases.syncing import INSTANT
from tests.support.ledger_audit import audit
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
    until_told,
)
from tests.support.wire import (
    Fault,
    Wire,
    answer_lost,
    connection_refused,
    first,
    no_answer,
    refuses,
    reset_after_commit,
)
from tests.support.workers import at_once

TRANSACTION = "TransactWriteItems"
PAID = a_payment_status("paid", a_purchase())
REFUNDED = replace(PAID, refunded=4990)
HALF = replace(PAID, refunded=2495)
DISPUTED = replace(PAID, disputed=4990)

FAULTS: dict[str, Fault] = {
    "timed out": answer_lost,
    "reset": reset_after_commit,
    "no answer": no_answer,
    "500": refuses("InternalServerError", 500),
    "throttled": refuses("ThrottlingException"),
}


class Killed(Exception):
    """The function was stopped here."""


def killed(_: object) -> None:
    raise Killed


def killed_after(send: Callable[[], object]) -> None:
    send()
    raise Killed


def bought(desk: Desk, *, spent: int = 0) -> None:
    desk.open()
    desk.record(a_purchase())
    assert desk.receive(PAID, event="evt_paid") == "changed"
    if spent:
        desk.debit(spent)


def standing(desk: Desk) -> tuple[str, int, int, int]:
    """State and revoked credits of the purchase, credits available and owed."""
    audited = audit(stored(desk.table))
    purchase = desk.purchase()
    assert audited.taken + purchase.debt <= purchase.revoked + audited.settled
    return purchase.state, purchase.revoked, audited.available, audited.owed


def test_a_refund_takes_what_is_left_and_owes_the_rest_in_one_transaction(desk: Desk, wire: Wire) -> None:
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


def test_the_next_purchase_settles_what_is_owed_and_owes_it_when_it_is_refunded_too(desk: Desk) -> None:
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


def test_money_that_is_back_before_we_hear_that_it_came_leaves_a_grant_and_a_refund(desk: Desk, wire: Wire) -> None:
    desk.open()
    desk.record(a_purchase())

    assert desk.receive(REFUNDED) == "changed"

    assert types(stored(desk.table)) == ["plan_change", "purchase", "refund"]
    assert standing(desk) == ("refunded", 100, 0, 0)
    assert desk.receive(REFUNDED) == "unchanged"


def test_a_dispute_won_after_the_lots_end_gives_back_a_lot_for_a_week_that_the_sweep_will_find(desk: Desk) -> None:
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


def test_what_had_expired_unspent_when_its_money_went_back_is_not_owed(desk: Desk, wire: Wire) -> None:
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


def test_what_expires_in_the_refunds_own_transaction_is_not_owed_either(desk: Desk) -> None:
    bought(desk, spent=60)

    desk.receive(HALF, at=END)
    assert ended(desk) == (10, 40)
    desk.receive(REFUNDED, at=END + DAY)
    assert ended(desk) == (60, 40)

    desk.receive(PAID, at=END + DAY)
    assert ended(desk) == (0, 0)
    assert standing(desk) == ("granted", 0, 0, 0)
    assert types(stored(desk.table))[-4:] == ["expiry", "refund", "refund", "refund"]


def test_a_rival_whose_clock_is_behind_spends_what_we_took_for_expired(desk: Desk, rival: Desk, wire: Wire) -> None:
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
def test_what_had_expired_is_counted_once_whatever_the_database_does_meanwhile(
    desk: Desk, wire: Wire, operation: str, fault: Fault
) -> None:
    bought(desk, spent=60)
    desk.settle(at=END)
    wire.plan(operation, fault, fault)

    desk.receive(REFUNDED, at=END)

    assert wire.undone == 0
    assert ended(desk) == (60, 40)


def test_a_debt_that_a_grant_paid_comes_back_in_a_lot_that_the_sweep_will_find(desk: Desk) -> None:
    bought(desk, spent=60)
    desk.receive(DISPUTED)
    desk.grant(60)

    desk.receive(PAID)

    old, new = desk.purchase().lots
    assert [(lot.number, lot.remaining) for lot in desk.account().lots] == [(old.number, 40), (new.number, 60)]
    assert f"acme#{new.id}" in due_keys(stored(desk.table))
    desk.receive(REFUNDED)
    assert standing(desk) == ("refunded", 100, 0, 0)


# Truths of different age


def test_what_was_asked_earlier_does_not_undo_what_was_asked_later(desk: Desk, rival: Desk, wire: Wire) -> None:
    """We ask when half is refunded, and are slow; a rival hears of all of it and writes first."""
    bought(desk)
    truth = [HALF]

    def whole_meanwhile() -> None:
        truth.append(REFUNDED)
        rival.follow(lambda: truth[-1], event="evt_2")

    wire.plan(TRANSACTION, first(whole_meanwhile))

    assert desk.follow(lambda: truth[-1], event="evt_1") == "unchanged"

    assert standing(desk) == ("refunded", 100, 0, 0)
    assert types(stored(desk.table)).count("refund") == 1


def test_an_answer_that_was_overtaken_on_its_way_to_us_is_written_by_nobody(desk: Desk, rival: Desk) -> None:
    """The record is read before the provider is asked: what a rival writes while we wait makes our own write lose."""
    bought(desk)
    answers = [HALF, REFUNDED]

    def look() -> PaymentStatus:
        answer = answers.pop(0)
        if answer == HALF:
            rival.receive(REFUNDED, event="evt_2")
        return answer

    assert desk.follow(look, event="evt_1") == "unchanged"

    assert standing(desk) == ("refunded", 100, 0, 0)
    assert types(stored(desk.table))[-2:] == ["purchase", "refund"]


def test_a_truth_that_passed_before_it_was_written_is_undone_though_its_own_event_found_nothing_to_do(
    desk: Desk, rival: Desk, wire: Wire
) -> None:
    """The refund fails between our question and our write: its event finds a record that is right, and is done."""
    bought(desk)
    truth, outcomes = [REFUNDED], []

    def refund_fails() -> None:
        truth.append(PAID)
        outcomes.append(rival.follow(lambda: truth[-1], event="evt_failed"))

    wire.plan(TRANSACTION, first(refund_fails))

    assert desk.follow(lambda: truth[-1], event="evt_created") == "changed"

    assert outcomes == ["unchanged"]
    assert standing(desk) == ("granted", 0, 100, 0)
    assert types(stored(desk.table))[-2:] == ["refund", "refund"]


def test_a_truth_of_less_than_a_credit_that_passed_is_undone_too(desk: Desk, rival: Desk, wire: Wire) -> None:
    bought(desk)
    truth = [replace(PAID, disputed=1)]

    def dispute_ends() -> None:
        truth.append(PAID)
        assert rival.follow(lambda: truth[-1], event="evt_2") == "unchanged"

    wire.plan("PutItem", first(dispute_ends))

    desk.follow(lambda: truth[-1], event="evt_1")

    assert standing(desk) == ("granted", 0, 100, 0)


def test_a_spend_between_question_and_write_is_owed(desk: Desk, rival: Desk, wire: Wire) -> None:
    bought(desk)
    wire.plan(TRANSACTION, first(lambda: rival.debit(30)))

    desk.receive(REFUNDED)

    assert standing(desk) == ("refunded", 100, 0, 30)
    assert desk.purchase().debt == 30


def test_a_grant_between_question_and_write_is_not_taken_for_another_lots_money(
    desk: Desk, rival: Desk, wire: Wire
) -> None:
    bought(desk, spent=100)
    wire.plan(TRANSACTION, first(lambda: rival.grant(50)))

    desk.receive(REFUNDED)

    assert standing(desk) == ("refunded", 100, 50, 100)


@pytest.mark.parametrize("seed", range(3))
def test_many_that_look_at_a_moving_truth_at_once_end_where_it_ends(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    desk.open()
    desk.record(a_purchase())
    truths = [a_payment_status("awaiting_payment", a_purchase()), PAID]
    truths += [
        replace(PAID, refunded=dice.choice([0, 1000, 2495, 4990]), disputed=dice.choice([0, 0, 1000, 4990]))
        for _ in range(8)
    ]
    place, lock = [0], Lock()

    def look() -> PaymentStatus:
        with lock:
            return truths[place[0]]

    def news(index: int) -> None:
        # Something becomes true, then its event is delivered.
        with lock:
            place[0] = max(place[0], min(place[0] + 1, len(truths) - 1))
        until_told(lambda: desk.follow(look, event=f"evt_{index}"))

    at_once(news, range(len(truths) + 4), threads=4)

    last = truths[-1]
    back = min(4990, last.refunded + last.disputed)
    purchase = desk.purchase()
    assert (purchase.refunded, purchase.disputed) == (last.refunded, last.disputed)
    assert standing(desk)[1:] == (100 * back // 4990, 100 - 100 * back // 4990, 0)
    assert types(stored(desk.table)).count("purchase") == 1
    assert quarantined(stored(desk.table)) == []


@pytest.mark.parametrize("truth", [REFUNDED, HALF, DISPUTED, replace(HALF, disputed=1000)])
def test_eight_that_hear_of_the_same_money_take_it_once(desk: Desk, truth: PaymentStatus) -> None:
    bought(desk, spent=30)

    at_once(lambda index: until_told(lambda: desk.receive(truth, event=f"evt_{index}")), range(8), threads=8)

    revoked = 100 * min(4990, truth.refunded + truth.disputed) // 4990
    assert standing(desk)[1] == revoked
    items = stored(desk.table)
    assert types(items).count("refund") + types(items).count("dispute") == 1
    audited = audit(items)
    assert audited.available - audited.owed == 70 - revoked


# Killed, lost, busy


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
@pytest.mark.parametrize("operation", ["GetItem", "Query", TRANSACTION])
@pytest.mark.parametrize("truth", [REFUNDED, PAID], ids=["takes", "gives back"])
def test_money_moves_once_whatever_the_database_does_meanwhile(
    desk: Desk, wire: Wire, operation: str, fault: Fault, truth: PaymentStatus
) -> None:
    bought(desk, spent=60)
    if truth == PAID:
        desk.receive(DISPUTED)
    wire.plan(operation, fault, fault)

    desk.receive(truth)

    assert wire.undone == 0
    assert standing(desk) == (("refunded", 100, 0, 60) if truth == REFUNDED else ("granted", 0, 40, 0))


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("stop", [killed, killed_after])
def test_killed_at_any_write_the_next_event_goes_on(
    desk: Desk, rival: Desk, wire: Wire, at: int, stop: Callable[..., None]
) -> None:
    """Granted and refunded and, before we hear of either, disputed: two steps, and one that comes later."""
    desk.open()
    desk.record(a_purchase())
    truths = [replace(HALF), replace(HALF, disputed=1000)]
    planned: list[Fault] = [*[lambda _: None] * at, stop]
    wire.plan(TRANSACTION, *planned)

    stopped = 0
    for number, truth in enumerate(truths):
        try:
            desk.receive(truth, event=f"evt_{number}")
        except Killed:
            stopped += 1
            assert rival.receive(truth, event=f"evt_{number}") in {"changed", "unchanged"}

    assert stopped == 1
    assert standing(desk) == ("disputed", 70, 30, 0)
    assert types(stored(desk.table)) == ["plan_change", "purchase", "refund", "dispute"]


def test_what_the_provider_could_not_say_leaves_everything_as_it_was(desk: Desk) -> None:
    class Silent(Exception):
        pass

    def silent() -> PaymentStatus | None:
        raise Silent

    bought(desk)
    before = stored(desk.table)

    with pytest.raises(Silent):
        desk.follow(silent)

    assert stored(desk.table) == before


@pytest.mark.parametrize("fault", [no_answer, connection_refused])
def test_money_that_cannot_be_dealt_with_is_busy_so_that_its_event_comes_again(
    desk: Desk, wire: Wire, fault: Fault
) -> None:
    bought(desk)
    wire.always(TRANSACTION, fault)

    with pytest.raises(Busy):
        desk.with_deadline(FakeTime().deadline(0.3)).receive(REFUNDED)

    wire.calm()
    assert standing(desk) == ("granted", 0, 100, 0)
    desk.receive(REFUNDED)
    assert standing(desk) == ("refunded", 100, 0, 0)


# Put aside


def test_of_what_was_not_granted_a_provider_that_knows_nothing_says_nothing(desk: Desk) -> None:
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
def test_what_does_not_fit_what_was_granted_takes_nothing_and_is_put_aside(
    desk: Desk, said: PaymentStatus, named: list[str]
) -> None:
    bought(desk)
    before = stored(desk.table)

    assert desk.receive(said, event="evt_9") == "quarantined"

    after = stored(desk.table)
    assert quarantined(after) == [("evt_9#pur_1", named)]
    assert {key: after[key] for key in before} == before


def test_money_of_another_purchase_is_put_aside_however_long_the_database_takes_to_hear_it(
    desk: Desk, wire: Wire
) -> None:
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
