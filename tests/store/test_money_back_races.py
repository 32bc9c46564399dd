"""Refunds and disputes under races, kills and lost responses. The record is read before Stripe is asked (rule 13)."""

import random
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import pytest

from prepaid.core.errors import Busy
from prepaid.core.purchase import PaymentStatus
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.money_back import DISPUTED, FAULTS, HALF, PAID, REFUNDED, bought, standing
from tests.support.store_driver import (
    FakeTime,
    StoreDriver,
    a_purchase,
    quarantined,
    stored,
    types,
    until_answered,
)
from tests.support.wire import Fault, Wire, connection_refused, first, no_answer
from tests.support.workers import at_once

TRANSACTION = "TransactWriteItems"


class Killed(Exception):
    """The function's process ended here."""


def killed(_: object) -> None:
    raise Killed


def killed_after(send: Callable[[], object]) -> None:
    send()
    raise Killed


# Statuses of different age


def test_an_older_status_does_not_undo_a_newer_one(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """The fetch returns half of the refund and is slow; a rival fetches all of it and writes first."""
    bought(driver)
    statuses = [HALF]

    def whole_meanwhile() -> None:
        statuses.append(REFUNDED)
        rival.follow(lambda: statuses[-1], event="evt_2")

    wire.plan(TRANSACTION, first(whole_meanwhile))

    assert driver.follow(lambda: statuses[-1], event="evt_1") == "unchanged"

    assert standing(driver) == ("refunded", 100, 0, 0)
    assert types(stored(driver.table)).count("refund") == 1


def test_an_outdated_response_of_stripe_is_not_written(driver: StoreDriver, rival: StoreDriver) -> None:
    """The record is read before the status is fetched: a rival's write meanwhile makes our own write fail."""
    bought(driver)
    answers = [HALF, REFUNDED]

    def fetch_status() -> PaymentStatus:
        answer = answers.pop(0)
        if answer == HALF:
            rival.receive(REFUNDED, event="evt_2")
        return answer

    assert driver.follow(fetch_status, event="evt_1") == "unchanged"

    assert standing(driver) == ("refunded", 100, 0, 0)
    assert types(stored(driver.table))[-2:] == ["purchase", "refund"]


def test_an_outdated_status_that_was_written_is_undone(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """The refund fails between our fetch and our write: its event finds a matching record and changes nothing."""
    bought(driver)
    statuses, outcomes = [REFUNDED], []

    def refund_fails() -> None:
        statuses.append(PAID)
        outcomes.append(rival.follow(lambda: statuses[-1], event="evt_failed"))

    wire.plan(TRANSACTION, first(refund_fails))

    assert driver.follow(lambda: statuses[-1], event="evt_created") == "changed"

    assert outcomes == ["unchanged"]
    assert standing(driver) == ("granted", 0, 100, 0)
    assert types(stored(driver.table))[-2:] == ["refund", "refund"]


def test_an_outdated_status_of_less_than_a_credit_is_undone(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    bought(driver)
    statuses = [replace(PAID, disputed=1)]

    def dispute_ends() -> None:
        statuses.append(PAID)
        assert rival.follow(lambda: statuses[-1], event="evt_2") == "unchanged"

    wire.plan("PutItem", first(dispute_ends))

    driver.follow(lambda: statuses[-1], event="evt_1")

    assert standing(driver) == ("granted", 0, 100, 0)


def test_a_debit_between_status_and_write_is_owed(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    bought(driver)
    wire.plan(TRANSACTION, first(lambda: rival.debit(30)))

    driver.receive(REFUNDED)

    assert standing(driver) == ("refunded", 100, 0, 30)
    assert driver.purchase().debt == 30


def test_a_grant_before_the_write_is_not_revoked(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    """It is written between Stripe's response and our write, and belongs to another lot."""
    bought(driver, spent=100)
    wire.plan(TRANSACTION, first(lambda: rival.grant(50)))

    driver.receive(REFUNDED)

    assert standing(driver) == ("refunded", 100, 50, 100)


@pytest.mark.parametrize("seed", range(3))
def test_parallel_reads_of_a_changing_status_end_at_its_end(driver: StoreDriver, seed: int) -> None:
    dice = random.Random(seed)
    driver.open()
    driver.record(a_purchase())
    statuses = [a_payment_status("awaiting_payment", a_purchase()), PAID]
    statuses += [
        replace(PAID, refunded=dice.choice([0, 1000, 2495, 4990]), disputed=dice.choice([0, 0, 1000, 4990]))
        for _ in range(8)
    ]
    place, lock = [0], Lock()

    def fetch_status() -> PaymentStatus:
        with lock:
            return statuses[place[0]]

    def deliver(index: int) -> None:
        # The status changes, then its event is delivered.
        with lock:
            place[0] = max(place[0], min(place[0] + 1, len(statuses) - 1))
        until_answered(lambda: driver.follow(fetch_status, event=f"evt_{index}"))

    at_once(deliver, range(len(statuses) + 4), threads=4)

    last = statuses[-1]
    back = min(4990, last.refunded + last.disputed)
    purchase = driver.purchase()
    assert (purchase.refunded, purchase.disputed) == (last.refunded, last.disputed)
    assert standing(driver)[1:] == (100 * back // 4990, 100 - 100 * back // 4990, 0)
    assert types(stored(driver.table)).count("purchase") == 1
    assert quarantined(stored(driver.table)) == []


@pytest.mark.parametrize("status", [REFUNDED, HALF, DISPUTED, replace(HALF, disputed=1000)])
def test_eight_parallel_events_of_one_refund_revoke_once(driver: StoreDriver, status: PaymentStatus) -> None:
    bought(driver, spent=30)

    at_once(lambda index: until_answered(lambda: driver.receive(status, event=f"evt_{index}")), range(8), threads=8)

    revoked = 100 * min(4990, status.refunded + status.disputed) // 4990
    assert standing(driver)[1] == revoked
    items = stored(driver.table)
    assert types(items).count("refund") + types(items).count("dispute") == 1
    audited = audit(items)
    assert audited.available - audited.owed == 70 - revoked


# Kills, lost responses, a busy database


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
@pytest.mark.parametrize("operation", ["GetItem", "Query", TRANSACTION])
@pytest.mark.parametrize("status", [REFUNDED, PAID], ids=["takes", "gives back"])
def test_money_moves_once_under_every_fault(
    driver: StoreDriver, wire: Wire, operation: str, fault: Fault, status: PaymentStatus
) -> None:
    bought(driver, spent=60)
    if status == PAID:
        driver.receive(DISPUTED)
    wire.plan(operation, fault, fault)

    driver.receive(status)

    assert wire.undone == 0
    assert standing(driver) == (("refunded", 100, 0, 60) if status == REFUNDED else ("granted", 0, 40, 0))


@pytest.mark.parametrize("at", range(3))
@pytest.mark.parametrize("stop", [killed, killed_after])
def test_after_a_kill_at_any_write_the_next_event_continues(
    driver: StoreDriver, rival: StoreDriver, wire: Wire, at: int, stop: Callable[..., None]
) -> None:
    """Paid, refunded and disputed before any event arrives: two steps, and one that comes later."""
    driver.open()
    driver.record(a_purchase())
    statuses = [replace(HALF), replace(HALF, disputed=1000)]
    planned: list[Fault] = [*[lambda _: None] * at, stop]
    wire.plan(TRANSACTION, *planned)

    stopped = 0
    for number, status in enumerate(statuses):
        try:
            driver.receive(status, event=f"evt_{number}")
        except Killed:
            stopped += 1
            assert rival.receive(status, event=f"evt_{number}") in {"changed", "unchanged"}

    assert stopped == 1
    assert standing(driver) == ("disputed", 70, 30, 0)
    assert types(stored(driver.table)) == ["plan_change", "purchase", "refund", "dispute"]


def test_an_unknown_status_of_stripe_changes_nothing(driver: StoreDriver) -> None:
    class Silent(Exception):
        pass

    def silent() -> PaymentStatus | None:
        raise Silent

    bought(driver)
    before = stored(driver.table)

    with pytest.raises(Silent):
        driver.follow(silent)

    assert stored(driver.table) == before


@pytest.mark.parametrize("fault", [no_answer, connection_refused])
def test_a_refund_that_cannot_be_written_is_busy(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    """So that its event is delivered again."""
    bought(driver)
    wire.always(TRANSACTION, fault)

    with pytest.raises(Busy):
        driver.with_deadline(FakeTime().deadline(0.3)).receive(REFUNDED)

    wire.end_faults()
    assert standing(driver) == ("granted", 0, 100, 0)
    driver.receive(REFUNDED)
    assert standing(driver) == ("refunded", 100, 0, 0)
