"""A purchase on a real table that is refunded or disputed."""

from dataclasses import replace

from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import StoreDriver, a_purchase, stored
from tests.support.wire import Fault, answer_lost, no_answer, refuses, reset_after_commit

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


def bought(driver: StoreDriver, *, spent: int = 0) -> None:
    driver.open()
    driver.record(a_purchase())
    assert driver.receive(PAID, event="evt_paid") == "changed"
    if spent:
        driver.debit(spent)


def standing(driver: StoreDriver) -> tuple[str, int, int, int]:
    """State and revoked credits of the purchase, credits available and owed."""
    audited = audit(stored(driver.table))
    purchase = driver.purchase()
    assert audited.taken + purchase.debt <= purchase.revoked + audited.settled
    return purchase.state, purchase.revoked, audited.available, audited.owed
