"""Accounts: the ledger's opening and terms, and beside them the profile, which no credit depends on."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from prepaid.core.account import Terms
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import AccountNotFound
from prepaid.core.ledger import ChangeTerms, open_account
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Patience, Table, Transient, attempts, get, persist
from prepaid.store.items import checksummed
from prepaid.store.ledger import Puts, append, open_ledger, read_tail

PROFILE = "profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What the platform tells about an account besides its terms. low_credit_threshold: credits."""

    name: str
    language: str
    low_credit_threshold: int
    manager_contact: str | None


def put_account(
    table: Table,
    account_id: str,
    terms: Terms,
    profile: Profile,
    *,
    actor: str,
    catalog: Catalog,
    now: datetime,
    patience: Patience,
) -> bool:
    """Make the account be so, opening it if need be; whether it was opened. The same again changes nothing.

    Raises InvalidRequest for an unknown plan, Busy.
    """
    for _ in attempts(patience):
        try:
            stored = get(table, keys.profile(account_id))
            profile_puts = _profile_puts(account_id, profile, stored)
            if stored is None:
                first = open_account(account_id, terms, actor=actor, catalog=catalog, now=now)
                open_ledger(table, first, profile_puts)
                return True
            append(
                table,
                account_id,
                ChangeTerms(actor=actor, terms=terms),
                catalog=catalog,
                now=now,
                patience=patience,
                also=partial(_with_profile, profile_puts, changed=_profile_from_item(stored) != profile),
            )
            return False
        except (ConditionFailed, Transient):
            # Somebody opened or changed the account meanwhile: look again, the last one to ask wins.
            continue
    raise AssertionError("attempts() ends by raising")


def read_account(table: Table, account_id: str, patience: Patience) -> tuple[Terms, Profile]:
    """The account's terms and profile. Raises AccountNotFound, Busy."""
    item = persist(patience, get, table, keys.profile(account_id))
    if item is None:
        raise AccountNotFound
    tail = persist(patience, read_tail, table, account_id)
    return tail.entry.after.terms, _profile_from_item(item)


def _with_profile(profile_puts: Puts, entries: tuple[Entry, ...], *, changed: bool) -> Puts:
    """The profile travels with every change of terms, its own change or not: so its version orders all changes, and of
    two at once the later one stands whole instead of one's terms beside the other's profile."""
    return profile_puts if changed or any(entry.type == "plan_change" for entry in entries) else {}


def _profile_puts(account_id: str, profile: Profile, stored: Item | None) -> Puts:
    """The profile's write."""
    if stored is None:
        # An account is opened once: its profile and its first entry are both absent, or both there.
        return {PROFILE: {"Item": _profile_to_item(account_id, profile, 1), "ConditionExpression": IF_ABSENT}}
    version = int(stored["version"]["N"])
    return {
        PROFILE: {
            "Item": _profile_to_item(account_id, profile, version + 1),
            # Closes the race of two changes: the later one must have seen the earlier one.
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": {"N": str(version)}},
        }
    }


def _profile_to_item(account_id: str, profile: Profile, version: int) -> Item:
    contact = {"manager_contact": {"S": profile.manager_contact}} if profile.manager_contact is not None else {}
    item = {
        **keys.profile(account_id),
        "version": {"N": str(version)},
        "name": {"S": profile.name},
        "language": {"S": profile.language},
        "low_credit_threshold": {"N": str(profile.low_credit_threshold)},
        **contact,
    }
    return checksummed(item)


def _profile_from_item(item: Item) -> Profile:
    return Profile(
        name=item["name"]["S"],
        language=item["language"]["S"],
        low_credit_threshold=int(item["low_credit_threshold"]["N"]),
        manager_contact=item["manager_contact"]["S"] if "manager_contact" in item else None,
    )
