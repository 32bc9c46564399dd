"""hf-nostro: an embeddable ledger with lots, as functions in PostgreSQL."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from nostro import Ledger  # type: ignore[import-not-found]
from nostro.migrate import migrate  # type: ignore[import-not-found]
from psycopg_pool import ConnectionPool  # type: ignore[import-not-found]

CREDITS, LOTS = 1_000_000, 3
CALLERS = 33


@cache
def _ledger(where: str) -> Any:
    return Ledger(pool=ConnectionPool(where, min_size=CALLERS, max_size=CALLERS, open=True), scale=0)


def prepare(where: str) -> str:
    """Its own schema."""
    migrate(dsn=where, scale=0)
    return where


class Caller:
    """A caller of the pool that all callers share. An account's id is remembered, which saves its debits a look-up."""

    def __init__(self, where: str) -> None:
        self._ledger = _ledger(where)
        self._one: Any = self._ledger.amount(1)
        self._accounts: dict[str, Any] = {}

    def _account(self, name: str) -> Any:
        if name not in self._accounts:
            self._accounts[name] = self._ledger.accounts.get_or_create("bench", name)
        return self._accounts[name]

    def open(self, account: str) -> None:
        """Create an account with three lots."""
        for number in range(LOTS):
            self._ledger.credit(
                self._account(account),
                self._ledger.amount(CREDITS),
                category="topup",
                idempotency_key=f"topup {account} {number}",
                expires_at=datetime.now(UTC) + timedelta(days=365 + number),
            )

    def debit(self, account: str, key: str) -> None:
        """Take one credit."""
        self._ledger.debit(self._account(account), self._one, category="sticker", idempotency_key=key)

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        balance = self._ledger.balance(self._account(account)).balance
        return LOTS * CREDITS - int(str(balance))
