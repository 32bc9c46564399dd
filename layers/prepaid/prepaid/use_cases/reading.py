"""An account as it is now, or as it was: the state after its newest entry, and what time has changed since (rule 2)."""

from dataclasses import dataclass
from datetime import datetime

from prepaid.core.account import Account
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.ledger import settle
from prepaid.store.catalog import catalog_at_least, read_catalog_at
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import find_entry_at


@dataclass(frozen=True, slots=True)
class Settled:
    """An account at an instant. newest: the last entry written by then. catalog: the one in force.

    unwritten: the entries of expiries and renewals since `newest`. The next write records them.
    """

    newest: Entry
    account: Account
    catalog: Catalog
    unwritten: tuple[Entry, ...]


def account_now(table: Table, newest: Entry, *, catalog: Catalog, now: datetime) -> Settled:
    """The account at `now`. newest: its newest entry. catalog: the current one, as far as this instance knows.

    Reads only if an entry was written with a newer catalog. Raises Busy.
    """
    return _settled(newest, catalog_at_least(table, catalog, newest.catalog_version), now)


def account_at(table: Table, newest: Entry, at: datetime) -> Settled | None:
    """The account at an instant in the past; None before it was opened. newest: its newest entry now. Raises Busy."""
    entry = find_entry_at(table, newest.after.id, newest, at)
    return _settled(entry, read_catalog_at(table, at, entry.catalog_version), at) if entry else None


def _settled(newest: Entry, catalog: Catalog, at: datetime) -> Settled:
    account, unwritten = settle(newest.after, catalog=catalog, now=at)
    return Settled(newest, account, catalog, unwritten)
