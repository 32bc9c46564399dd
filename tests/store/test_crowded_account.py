"""Grants and purchases of an account on which many callers debit at once."""

import threading
from dataclasses import replace

from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import StoreDriver, a_purchase, stored
from tests.support.workers import REFUSED, debit

CALLERS = 32
GRANTS = 4
# Within this time they must get in between.
SECONDS = 20.0


def test_many_callers_do_not_starve_grants_and_purchases(driver: StoreDriver) -> None:
    driver.open(credits=100_000)
    driver.record(a_purchase())
    granted, counts = threading.Event(), [0] * CALLERS

    def spend(caller: int) -> None:
        while not granted.is_set():
            assert debit(driver, f"{caller}-{counts[caller]}") != REFUSED
            counts[caller] += 1

    callers = [threading.Thread(target=spend, args=(caller,)) for caller in range(CALLERS)]
    for thread in callers:
        thread.start()
    try:
        timely = driver.with_deadline(replace(driver.table.deadline, at=driver.table.deadline.clock() + SECONDS))
        for number in range(GRANTS):
            timely.grant(1, key=f"grant {number}")
        timely.receive(a_payment_status("paid", a_purchase()))
    finally:
        granted.set()
        for thread in callers:
            thread.join()

    audited = audit(stored(driver.table))
    assert audited.spent == audited.consumptions == sum(counts)
    assert min(counts) > 0
    assert driver.account().available == 100_000 + GRANTS + 100 - sum(counts)
