"""Administration: open or change an account, replace the catalog."""

from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from prepaid.core.account import Terms
from prepaid.core.catalog import Catalog, with_retired
from prepaid.core.errors import AccountNotFound, Busy, InvalidRequest, VersionConflict
from prepaid.core.ledger import ChangeTerms, open_account
from prepaid.store.accounts import (
    LISTED,
    PROFILE,
    Profile,
    StoredProfile,
    listed_put,
    new_profile_put,
    profile_put,
    read_profile,
)
from prepaid.store.catalog import read_catalog, read_catalog_version, write_catalog
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.ledger import Tail, commit, drafts, open_ledger, read_tail


def put_account(
    table: Table,
    account_id: str,
    terms: Terms,
    profile: Profile,
    *,
    left_out: Collection[str] = (),
    keep: Collection[str] = (),
    actor: str,
    catalog: Catalog,
    now: datetime,
) -> tuple[bool, Terms]:
    """Set the account's terms and profile; open the account if it doesn't exist. Returns whether it was opened, and its
    new terms.

    left_out: fields that the request leaves out, for which `terms` and `profile` have the defaults. A new account gets
    the defaults. For an existing one, leaving fields out is an error, unless nothing changes (a retry).
    keep: fields of the terms that stay as they are in an existing account. A currency of None stays too; a new account
    gets the catalog's. Raises InvalidRequest for an unknown plan or for fields left out, Busy.
    """
    for _ in attempts(table.deadline):
        try:
            stored = read_profile(table, account_id)
            if stored:
                # Read after the profile, as in patch_account.
                names = keep if terms.currency else {*keep, "currency"}
                tail = read_tail(table, account_id)
                new_terms = _with(terms, {name: getattr(tail.entry.after.terms, name) for name in names})
                if left_out:
                    _check_nothing_changes(new_terms, profile, stored, tail, left_out)
                _change_account(
                    table, account_id, new_terms, profile, stored, tail, actor=actor, catalog=catalog, now=now
                )
                return False, new_terms
            new_terms = replace(terms, currency=terms.currency or catalog.currency)
            first = open_account(account_id, new_terms, actor=actor, catalog=catalog, now=now)
            also = {PROFILE: new_profile_put(account_id, profile), LISTED: listed_put(account_id)}
            open_ledger(table, first, also)
            return True, new_terms
        except ConditionFailed:
            # Another request opened or changed the account meanwhile: read it again. The last write wins.
            continue
    raise Busy


def patch_account(
    table: Table,
    account_id: str,
    changes: Mapping[str, Any],
    *,
    actor: str,
    catalog: Catalog,
    now: datetime,
) -> tuple[Terms, Profile]:
    """Change the named fields of the account's terms and profile and no others. Returns both as they then are.

    Raises AccountNotFound, InvalidRequest for an unknown plan, Busy.
    """
    for _ in attempts(table.deadline):
        stored = read_profile(table, account_id)
        if stored is None:
            raise AccountNotFound
        # Read after the profile: if the terms change in between, the write loses to the profile's newer version.
        tail = read_tail(table, account_id)
        terms, profile = _with(tail.entry.after.terms, changes), _with(stored.profile, changes)
        try:
            _change_account(table, account_id, terms, profile, stored, tail, actor=actor, catalog=catalog, now=now)
            return terms, profile
        except ConditionFailed:
            continue
    raise Busy


def _with[T: Terms | Profile](record: T, changes: Mapping[str, Any]) -> T:
    """The record with the changes that name one of its fields."""
    return replace(record, **{field.name: changes[field.name] for field in fields(record) if field.name in changes})


def _check_nothing_changes(
    terms: Terms, profile: Profile, stored: StoredProfile, tail: Tail, left_out: Collection[str]
) -> None:
    """Reject a change that would reset fields to their defaults because the caller left them out (InvalidRequest)."""
    if profile == stored.profile and terms == tail.entry.after.terms:
        # A retry of the request that opened the account.
        return
    message = "is missing: PUT names every field of an account that exists, and PATCH changes only what it names"
    raise InvalidRequest(tuple((name, message) for name in left_out))


def _change_account(
    table: Table,
    account_id: str,
    terms: Terms,
    profile: Profile,
    stored: StoredProfile,
    tail: Tail,
    *,
    actor: str,
    catalog: Catalog,
    now: datetime,
) -> None:
    """Change terms and profile in one transaction. Raises ConditionFailed when either was changed, Busy.

    tail: the entry from which `terms` has the fields that the caller didn't name. Written after a newer entry, they
    could undo another change, or name a retired plan that is no longer the account's.

    Every change of terms also writes the profile, even an unchanged one. So the profile's version orders all changes:
    of two concurrent changes the later one wins entirely, and terms from one never combine with a profile from the
    other.
    """
    profile_write = {PROFILE: profile_put(account_id, profile, over=stored)}
    for draft in drafts(table, account_id, ChangeTerms(actor=actor, terms=terms), catalog=catalog, now=now, tail=tail):
        terms_change = any(entry.type == "plan_change" for entry in draft.entries)
        if commit(table, draft, profile_write if terms_change or profile != stored.profile else {}):
            return
        raise ConditionFailed({})
    raise Busy


def replace_catalog(table: Table, successor: Catalog, *, expected_version: int, now: datetime) -> Catalog:
    """Make `successor` the version after `expected_version`. Whatever it leaves out is retired.

    Raises VersionConflict, InvalidRequest, Busy.
    """
    numbered = replace(successor, version=expected_version + 1)
    for _ in attempts(table.deadline):
        current = read_catalog(table)
        if current.version == numbered.version:
            complete = with_retired(numbered, read_catalog_version(table, expected_version))
            if current == complete:
                # An earlier attempt's reply was lost, or the request is a retry: the version is already in force.
                return current
        if current.version != expected_version:
            raise VersionConflict(current.version)
        complete = with_retired(numbered, current)
        try:
            write_catalog(table, complete, now)
            return complete
        except ConditionFailed:
            continue
    raise Busy
