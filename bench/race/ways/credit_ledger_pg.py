"""credit-ledger: one balance and its lines in PostgreSQL, without lots."""

from functools import cache
from typing import Any

from credit_ledger import metering  # type: ignore[import-not-found]
from sqlalchemy import create_engine, text  # type: ignore[import-not-found]

CREDITS = 1_000_000
CALLERS = 33
# Its schema.sql isn't in the package: these are the tables that its code uses.
SCHEMA = """
DROP TABLE IF EXISTS credit_ledger, credit_balance;
CREATE TABLE credit_balance (
    tenant_id text PRIMARY KEY, credits numeric(18, 4) NOT NULL CHECK (credits >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE credit_ledger (
    id uuid PRIMARY KEY, tenant_id text NOT NULL, delta numeric(18, 4) NOT NULL, reason text NOT NULL,
    idempotency_key text, balance_after numeric(18, 4) NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, idempotency_key)
);
"""


@cache
def _engine(where: str) -> Any:
    return create_engine(where.replace("postgresql:", "postgresql+psycopg:"), pool_size=CALLERS, max_overflow=0)


def prepare(where: str) -> str:
    """Create the tables."""
    with _engine(where).begin() as connection:
        connection.execute(text(SCHEMA))
    return where


class Caller:
    """A caller of the pool that all callers share, as its documentation advises."""

    def __init__(self, where: str) -> None:
        self._engine = _engine(where)

    def open(self, account: str) -> None:
        """Create an account with credits to spend."""
        metering.grant(account, CREDITS, idempotency_key="topup", engine=self._engine)

    def debit(self, account: str, key: str) -> None:
        """Take one credit."""
        if not metering.decrement(account, 1, idempotency_key=key, engine=self._engine).ok:
            raise RuntimeError("refused")

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        return CREDITS - int(metering.balance(account, engine=self._engine))
