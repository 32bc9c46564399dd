"""Stored profiles, accounts as read from profile and ledger, and the list of all accounts. No credit depends on it."""

from collections.abc import Iterable
from dataclasses import dataclass

from prepaid.core.account import Terms
from prepaid.core.errors import AccountNotFound
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, Item, Table, get, get_many, query
from prepaid.store.items import checksummed
from prepaid.store.ledger import read_tail

PROFILE = "profile"
LISTED = "listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The platform's data about an account, besides its terms."""

    name: str
    language: str
    manager_contact: str | None


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile with its version, which orders all changes of the account."""

    profile: Profile
    version: int


def read_profile(table: Table, account_id: str) -> StoredProfile | None:
    """The account's profile; None when the account doesn't exist. Raises Busy."""
    item = get(table, keys.profile(account_id))
    return StoredProfile(_profile_from_item(item), int(item["version"]["N"])) if item else None


def read_account(table: Table, account_id: str) -> tuple[Terms, Profile]:
    """The account's terms and profile. Raises AccountNotFound, Busy."""
    stored = read_profile(table, account_id)
    if stored is None:
        raise AccountNotFound
    return read_tail(table, account_id).entry.after.terms, stored.profile


def read_profiles(table: Table, account_ids: Iterable[str]) -> dict[str, Profile]:
    """The profiles of existing accounts, in one read per hundred. Raises Busy."""
    items = get_many(table, [keys.profile(account_id) for account_id in account_ids], consistent=True)
    return {keys.split(partition)[1]: _profile_from_item(item) for (partition, _), item in items.items()}


def read_account_ids(table: Table, *, after: str, limit: int) -> tuple[str, ...]:
    """At most `limit` account ids after `after`, in order; "" is before all. Raises Busy."""
    # The key right after `after`: BETWEEN includes its ends.
    items = query(table, keys.ACCOUNTS, first=after + "\x00", last="\U0010ffff", limit=limit)
    return tuple(item["SK"]["S"] for item in items)


def listed_put(account_id: str) -> Item:
    """The write of a new account's row in the list, for the transaction with its first entry."""
    # Without a condition of its own: the first entry's is enough, and the row holds only its key.
    return {"Item": keys.listed(account_id)}


def new_profile_put(account_id: str, profile: Profile) -> Item:
    """The write of a new account's profile, for the transaction with its first entry."""
    # Closes the race of two openings: profile and first entry are both absent or both present.
    return {"Item": _profile_to_item(account_id, profile, 1), "ConditionExpression": IF_ABSENT}


def profile_put(account_id: str, profile: Profile, over: StoredProfile) -> Item:
    """The write that replaces profile `over`, as it was read, with `profile`."""
    return {
        "Item": _profile_to_item(account_id, profile, over.version + 1),
        # Closes the race of two changes: the later one must have seen the earlier one.
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(over.version)}},
    }


def _profile_to_item(account_id: str, profile: Profile, version: int) -> Item:
    contact = {"manager_contact": {"S": profile.manager_contact}} if profile.manager_contact is not None else {}
    item = {
        **keys.profile(account_id),
        "version": {"N": str(version)},
        "name": {"S": profile.name},
        "language": {"S": profile.language},
        **contact,
    }
    return checksummed(item)


def _profile_from_item(item: Item) -> Profile:
    return Profile(
        name=item["name"]["S"],
        language=item["language"]["S"],
        manager_contact=item["manager_contact"]["S"] if "manager_contact" in item else None,
    )
