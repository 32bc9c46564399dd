"""This project: entry and claim in one transaction, on DynamoDB."""

from datetime import UTC, datetime

from bench.debits import CATALOG, Ours, new_table
from bench.race.ways.units import Units
from prepaid.core.ledger import Grant
from prepaid.store.ledger import append, read_tail

CREDITS, LOTS = 1_000_000, 3


def prepare(_where: str) -> str:
    """Create a table. The endpoint is in AWS's environment variables."""
    return new_table()


class Caller(Ours):
    """One warm function, with a client of its own."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.units = Units(self.client)

    def open(self, account: str) -> None:
        """Create an account with three lots."""
        super().open(account)
        for number in range(1, LOTS):
            append(
                self.table,
                account,
                Grant(actor="bench", kind="promotion", credits=CREDITS, validity=12 + number),
                idempotency_key=f"grant {number}",
                catalog=CATALOG,
                now=datetime.now(UTC),
            )

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        return LOTS * CREDITS - read_tail(self.table, account).entry.after.available
