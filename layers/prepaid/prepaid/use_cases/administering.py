"""What an administrator does: open an account or change it, put a catalog in force."""

from dataclasses import replace
from datetime import datetime

from prepaid.core.account import Terms
from prepaid.core.catalog import Catalog, check_successor
from prepaid.core.errors import Busy, VersionConflict
from prepaid.core.ledger import ChangeTerms, open_account
from prepaid.store.accounts import PROFILE, Profile, StoredProfile, new_profile_put, profile_put, read_profile
from prepaid.store.catalog import read_catalog, write_catalog
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.ledger import commit, drafts, open_ledger


def put_account(
    table: Table,
    account_id: str,
    terms: Terms,
    profile: Profile,
    *,
    actor: str,
    catalog: Catalog,
    now: datetime,
) -> bool:
    """Make the account have these terms and this profile; open it if it doesn't exist. True when it was opened.

    The same request again changes nothing. Raises InvalidRequest for an unknown plan, Busy.
    """
    for _ in attempts(table.deadline):
        try:
            stored = read_profile(table, account_id)
            if stored:
                _change_account(table, account_id, terms, profile, stored, actor=actor, catalog=catalog, now=now)
                return False
            first = open_account(account_id, terms, actor=actor, catalog=catalog, now=now)
            open_ledger(table, first, {PROFILE: new_profile_put(account_id, profile)})
            return True
        except ConditionFailed:
            # Another request opened or changed the account meanwhile: read it again. The last one to ask wins.
            continue
    raise Busy


def _change_account(
    table: Table,
    account_id: str,
    terms: Terms,
    profile: Profile,
    stored: StoredProfile,
    *,
    actor: str,
    catalog: Catalog,
    now: datetime,
) -> None:
    """Change terms and profile in one transaction. Raises ConditionFailed when the profile was changed, Busy.

    The profile is written with every change of terms, its own change or not. So its version orders all changes, and of
    two at once the later one stands whole, instead of terms from one beside the profile from the other.
    """
    profile_write = {PROFILE: profile_put(account_id, profile, over=stored)}
    for draft in drafts(table, account_id, ChangeTerms(actor=actor, terms=terms), catalog=catalog, now=now):
        terms_change = any(entry.type == "plan_change" for entry in draft.entries)
        if commit(table, draft, profile_write if terms_change or profile != stored.profile else {}):
            return
    raise Busy


def replace_catalog(table: Table, successor: Catalog, *, expected_version: int, now: datetime) -> Catalog:
    """Make `successor` the version after `expected_version`. Raises VersionConflict, InvalidRequest, Busy."""
    numbered = replace(successor, version=expected_version + 1)
    for _ in attempts(table.deadline):
        current = read_catalog(table)
        if current == numbered:
            # An earlier attempt whose reply was lost, or a retry of the request: the version is in force already.
            return numbered
        if current.version != expected_version:
            raise VersionConflict(current.version)
        check_successor(current, numbered)
        try:
            write_catalog(table, numbered, now)
            return numbered
        except ConditionFailed:
            continue
    raise Busy
