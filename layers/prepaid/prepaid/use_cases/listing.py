"""Listing: all accounts page by page, each in its current state."""

from dataclasses import dataclass
from datetime import datetime

from prepaid.core.account import Account
from prepaid.core.catalog import Catalog
from prepaid.store.accounts import Profile, read_account_ids, read_profiles
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import read_tail
from prepaid.use_cases.reading import account_now


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """account: settled at the time of the request. last_entry_at: the time of its newest entry."""

    account: Account
    profile: Profile
    last_entry_at: datetime


def list_accounts(
    table: Table, *, after: str, limit: int, catalog: Catalog, now: datetime
) -> tuple[tuple[ListedAccount, ...], bool]:
    """At most `limit` accounts with ids after `after`, in order, and whether more follow.

    Reads the ids, then each account's newest entry, and the profiles together. Raises Busy.
    """
    # One more than a page shows whether there is a next page.
    ids = read_account_ids(table, after=after, limit=limit + 1)
    page = ids[:limit]
    profiles = read_profiles(table, page)
    accounts = tuple(_listed(table, account_id, profiles[account_id], catalog, now) for account_id in page)
    return accounts, len(ids) > limit


def _listed(table: Table, account_id: str, profile: Profile, catalog: Catalog, now: datetime) -> ListedAccount:
    entry = read_tail(table, account_id).entry
    # No expired credit is shown as available, whether or not its expiry is recorded (rule 2).
    return ListedAccount(account_now(table, entry, catalog=catalog, now=now).account, profile, entry.at)
