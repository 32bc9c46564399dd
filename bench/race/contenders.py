"""The contenders of the race, and those that can't take part."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bench.race import engines


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to debit. way: its module in bench.race.ways. tool: its environment; None for the project's own.

    lots, line: whether it has lots, and a ledger's line for each debit. compiled: whether its installation compiles.
    """

    name: str
    way: str
    engine: Callable[[], AbstractContextManager[engines.Engine]]
    tool: str | None
    lots: bool
    line: bool
    compiled: bool = False


CONTENDERS = (
    Contender(name="Prepaid", way="prepaid_ledger", engine=engines.dynamodb, tool=None, lots=True, line=True),
    Contender(name="Powertools by hand", way="by_hand", engine=engines.dynamodb, tool=None, lots=False, line=True),
    Contender(
        name="plpgsql with lots",
        way="sql_lots",
        engine=engines.postgresql,
        tool="bench-postgresql",
        lots=True,
        line=True,
    ),
    Contender(
        name="SQL, one statement",
        way="sql_one_statement",
        engine=engines.postgresql,
        tool="bench-postgresql",
        lots=False,
        line=True,
    ),
    Contender(
        name="hf-nostro", way="hf_nostro", engine=engines.postgresql, tool="bench-hf-nostro", lots=True, line=True
    ),
    Contender(
        name="credit-ledger",
        way="credit_ledger_pg",
        engine=engines.postgresql,
        tool="bench-credit-ledger",
        lots=False,
        line=True,
    ),
    Contender(
        name="escrowmint",
        way="escrowmint_redis",
        engine=engines.redis,
        tool="bench-escrowmint",
        lots=False,
        line=False,
        compiled=True,
    ),
)
# Of the systems that a team would consider, those that don't take part. The last one could be installed.
ABSENT = {
    "TigerBeetle": "PyPI and npm have its clients, and its server is only a download from GitHub",
    "pgledger": "it is a file of SQL in a repository, in no package registry",
    "bursar": "its schema needs pg_partman and pg_jsonschema, which no package registry has for this PostgreSQL",
    "gringotts-api": "left out by choice. PyPI has it, but it debits only inside a request of a FastAPI application, "
    "and none of the others serves HTTP here",
}
