"""PostgreSQL by hand, without lots: one statement that takes the credit and writes the line."""

from typing import Any

import psycopg  # type: ignore[import-not-found]

CREDITS = 1_000_000
SCHEMA = """
DROP SCHEMA IF EXISTS plain CASCADE;
CREATE SCHEMA plain;
CREATE TABLE plain.account (id text PRIMARY KEY, available bigint NOT NULL) WITH (fillfactor = 50);
CREATE TABLE plain.entry (
    account text NOT NULL, key text NOT NULL, at timestamptz NOT NULL DEFAULT now(), credits bigint NOT NULL,
    balance_after bigint NOT NULL, PRIMARY KEY (account, key)
);
"""
DEBIT = """
WITH spent AS (
    UPDATE plain.account SET available = available - 1 WHERE id = %(account)s AND available >= 1 RETURNING available
)
INSERT INTO plain.entry (account, key, credits, balance_after)
SELECT %(account)s, %(key)s, -1, available FROM spent RETURNING balance_after
"""


def prepare(where: str) -> str:
    """Create the tables."""
    with psycopg.connect(where) as connection:
        connection.execute(SCHEMA)
    return where


class Caller:
    """One connection."""

    def __init__(self, where: str) -> None:
        self._connection: Any = psycopg.connect(where, autocommit=True, prepare_threshold=0)

    def open(self, account: str) -> None:
        """Create an account with credits to spend."""
        self._connection.execute("INSERT INTO plain.account VALUES (%s, %s)", (account, CREDITS))

    def debit(self, account: str, key: str) -> None:
        """Take one credit. In a retry, the line's primary key makes the whole statement fail."""
        try:
            self._connection.execute(DEBIT, {"account": account, "key": key}).fetchone()
        except psycopg.errors.UniqueViolation:
            query = "SELECT balance_after FROM plain.entry WHERE account = %s AND key = %s"
            self._connection.execute(query, (account, key)).fetchone()

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        query = "SELECT available FROM plain.account WHERE id = %s"
        return CREDITS - int(self._connection.execute(query, (account,)).fetchone()[0])
