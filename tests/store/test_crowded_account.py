"""An account on which many callers debit at once: what a debit takes, and grants and purchases beside them."""

import threading
import time
from dataclasses import replace

from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import StoreDriver, a_purchase, stored
from tests.support.wire import Wire
from tests.support.workers import REFUSED, debit

CALLERS = 32
GRANTS = 6
# Within what a request may take, they must get in between.
SECONDS = 3.0


def test_many_callers_share_transactions_and_let_others_in(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=100_000)
    driver.record(a_purchase())
    granted, counts = threading.Event(), [0] * CALLERS
    wire.forget()

    def spend(caller: int) -> None:
        while not granted.is_set():
            assert debit(driver, f"{caller}-{counts[caller]}") != REFUSED
            counts[caller] += 1

    callers = [threading.Thread(target=spend, args=(caller,)) for caller in range(CALLERS)]
    for thread in callers:
        thread.start()
    try:
        for number in range(GRANTS):
            within_a_request(driver).grant(1, key=f"grant {number}")
            time.sleep(1.0)
        within_a_request(driver).receive(a_payment_status("paid", a_purchase()))
    finally:
        granted.set()
        for thread in callers:
            thread.join()

    audited = audit(stored(driver.table))
    assert audited.spent == audited.consumptions == sum(counts)
    # Alone, each debit would take one, and more after each lost race.
    assert wire.calls.count("TransactWriteItems") <= 0.5 * sum(counts)
    assert min(counts) >= 0.5 * sum(counts) / CALLERS
    assert driver.account().available == 100_000 + GRANTS + 100 - sum(counts)


def within_a_request(driver: StoreDriver) -> StoreDriver:
    """With the deadline of a request that begins now."""
    return driver.with_deadline(replace(driver.table.deadline, at=driver.table.deadline.clock() + SECONDS))
