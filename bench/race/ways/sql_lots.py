"""PostgreSQL by hand, with lots: one function in plpgsql, one statement a debit."""

from pathlib import Path
from typing import Any

import psycopg  # type: ignore[import-not-found]

SCHEMA = Path(__file__).with_name("sql_lots.sql")
CREDITS, LOTS = 1_000_000, 3
# A prepared statement from the first execution on.
PREPARE_AT = 0


def prepare(where: str) -> str:
    """Create the tables and the function."""
    with psycopg.connect(where) as connection:
        connection.execute(SCHEMA.read_text("utf-8"))
    return where


class Caller:
    """One connection."""

    def __init__(self, where: str) -> None:
        self._connection: Any = psycopg.connect(where, autocommit=True, prepare_threshold=PREPARE_AT)

    def open(self, account: str) -> None:
        """Create an account with three lots."""
        self._connection.execute("SELECT lots.open(%s, %s, %s)", (account, LOTS, CREDITS))

    def debit(self, account: str, key: str) -> None:
        """Take one credit."""
        self._connection.execute("SELECT lots.debit(%s, %s, 1)", (account, key)).fetchone()

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        query = "SELECT sum(remaining) FROM lots.lot WHERE account = %s"
        return LOTS * CREDITS - int(self._connection.execute(query, (account,)).fetchone()[0])
