"""A purchase in the core that is refunded or disputed, and what its entries state."""

from collections.abc import Sequence
from datetime import timedelta

from prepaid.core.account import Account, Lot
from prepaid.core.entry import Entry
from prepaid.core.purchase import PaymentStatus, Purchase
from tests.support.core_builders import NOW, a_debit, a_payment_status, a_purchase, an_account, civil, followed, run

LATER = NOW + timedelta(days=30)
YEAR_LATER = civil("2027-06-17 00:00")
LATEST = YEAR_LATER + timedelta(days=40)


def bought(*, spent: int = 0, others: Sequence[Lot] = ()) -> tuple[Purchase, Account]:
    """A hundred credits for 49.90, of which `spent` are spent, and other lots."""
    purchase, account, _ = followed(a_purchase("open"), an_account(*others), a_payment_status("paid"))
    if spent:
        account, _ = run(account, a_debit(quantity=spent))
    return purchase, account


def back(*statuses: PaymentStatus, spent: int = 0) -> tuple[Purchase, Account]:
    purchase, account, _ = followed(*bought(spent=spent), *statuses)
    return purchase, account


def line(entry: Entry) -> tuple[str, int, int]:
    return entry.type, entry.credits, entry.owed
