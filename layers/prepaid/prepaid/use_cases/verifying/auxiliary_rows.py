"""Rows on which no credit depends: each is held against its form, its own key and the rows it points to.

What else in them may be lost or changed unseen, and why no credit is lost or doubled by it:

    MANAGER         digest, salt, most of its numbers: who has another code buys, but nothing is granted unpaid
    CUSTOMER        all of it: Stripe's page shows another buyer; what it grants comes from the purchase's record
    SESSION         that it was used, or that it is there, its end within a second: as for the code
    session's claim that it is there, nonce, end: a repeat is refused or opens another session
    PENDING_CHECK   that it is there once it is due: it goes when it was looked at, and Stripe's events lead there too
    RECONCILIATION  all but a place in the future: purchases have their pending checks
    QUARANTINE      what it says: a note for a person; Stripe has the payment
    SWEEP           all but a day in the future: a lot ends by its date, recorded or not
    VERIFICATION    all of it: the verifier's own; a pass that can't be read raises the function's alarm
    VERIFIED        that it is there: whoever removes it can cut a ledger, as before the first pass
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from prepaid.core.calendar import instant
from prepaid.core.manager_code import MAX_TRIES
from prepaid.store import keys
from prepaid.store.dynamodb import Item
from prepaid.store.items import CHECKSUM, manager_session_request_hash
from prepaid.store.manager_codes import KEEP_SESSIONS
from prepaid.store.purchases import purchase_from_item
from prepaid.store.reconciliation import PAYABLE
from prepaid.use_cases.approving import NONCE_BYTES
from prepaid.use_cases.verifying.lookup import RowLookup

type Types = dict[str, str]

# Clocks differ: what is dated so little ahead of ours is no place in the future.
AHEAD = timedelta(hours=1)


def fits(item: Item, attributes: Types, optional: Types | None = None) -> bool:
    """Whether a row has all these attributes beside its key, some of the optional ones, and no other."""
    found = {name: next(iter(value)) for name, value in item.items() if name not in ("PK", "SK")}
    return attributes.items() <= found.items() <= (attributes | (optional or {})).items()


def wrong_in_profile(item: Item) -> Iterator[str]:
    """What can't be so in an account's profile, beside its sum. Raises ValueError."""
    attributes = {"version": "N", "name": "S", "language": "S", "low_credit_threshold": "N", CHECKSUM: "B"}
    if not fits(item, attributes, {"manager_contact": "S"}):
        yield "attributes"


def wrong_in_customer(item: Item) -> Iterator[str]:
    """What can't be so in an account's customer."""
    if not fits(item, {"customer": "S"}):
        yield "attributes"


def wrong_in_manager(item: Item) -> Iterator[str]:
    """What can't be so in the record of a manager's code. Raises ValueError."""
    numbers = ("version", "revision", "tries", "locks", "tried_at")
    if not fits(item, {"digest": "B", "salt": "B", **dict.fromkeys(numbers, "N")}):
        yield "attributes"
        return
    version, revision, tries, locks, _ = (int(item[name]["N"]) for name in numbers)
    # Each new code is a change of the record too.
    if not 0 <= version <= revision:
        yield "version"
    if not 0 <= tries <= MAX_TRIES:
        yield "tries"
    if locks < 0:
        yield "locks"
    if {bool(bytes(item[name]["B"])) for name in ("digest", "salt")} != {version > 0}:
        yield "digest"


def wrong_in_session_claim(item: Item, account: str, lookup: RowLookup) -> Iterator[str]:
    """What can't be so in the claim of a manager session. Raises KeyError, ValueError."""
    attributes = {"request_hash": "B", "code_version": "N", "expires_at": "N", "nonce": "B"}
    if not fits(item, attributes) or item["SK"]["S"] != "CLAIM":
        yield "attributes"
        return
    if bytes(item["request_hash"]["B"]) != manager_session_request_hash():
        yield "request"
    if len(bytes(item["nonce"]["B"])) != NONCE_BYTES:
        yield "nonce"
    instant(int(item["expires_at"]["N"]))
    if not _had_code(account, int(item["code_version"]["N"]), lookup):
        yield "code_version"


def wrong_in_session(item: Item, lookup: RowLookup) -> Iterator[str]:
    """What can't be so in a manager session. Raises KeyError, ValueError."""
    attributes = {"account": "S", "code_version": "N", "expires_at": "N", "ttl": "N"}
    if not fits(item, attributes, {"purchase": "S"}) or item["SK"]["S"] != "SESSION":
        yield "attributes"
        return
    account, ends = item["account"]["S"], instant(int(item["expires_at"]["N"]))
    if int(item["ttl"]["N"]) != int((ends + KEEP_SESSIONS).timestamp()):
        yield "ttl"
    if not _had_code(account, int(item["code_version"]["N"]), lookup):
        yield "code_version"
    if "purchase" in item and lookup.row(keys.purchase(account, item["purchase"]["S"])) is None:
        yield "purchase"


def wrong_in_pending_check(item: Item, lookup: RowLookup) -> Iterator[str]:
    """What can't be so in a pending check. Raises KeyError, ValueError."""
    if not fits(item, {"account": "S", "purchase": "S"}):
        yield "attributes"
        return
    due, id_ = datetime.fromisoformat(item["SK"]["S"].partition("#")[0]), item["purchase"]["S"]
    row = lookup.row(keys.purchase(item["account"]["S"], id_))
    if item["SK"]["S"] != keys.pending_check_sort(due, id_) or row is None:
        yield "purchase"
        return
    purchase = purchase_from_item(row)
    at_its_grant = purchase.granted and due <= purchase.lots[0].granted_at
    if due != purchase.created_at + PAYABLE and not at_its_grant:
        yield "due"


def wrong_in_quarantine(item: Item) -> Iterator[str]:
    """What can't be so in a row that was put aside. Raises KeyError, ValueError."""
    if not fits(item, {"account": "S", "purchase": "S", "mismatches": "L", "status": "M", "at": "N"}):
        yield "attributes"
        return
    day, reason = instant(int(item["at"]["N"])).date(), item["SK"]["S"].rpartition("#")[0]
    if not _is(item, keys.quarantine(day, f"{reason}#{item['purchase']['S']}")):
        yield "key"


def wrong_in_reconciliation(item: Item, lookup: RowLookup) -> Iterator[str]:
    """What can't be so in the reconciliation's place, or in what it could not look at. Raises KeyError, ValueError."""
    if item["SK"]["S"].startswith(keys.failed_sort("")):
        if not fits(item, {"subject": "M", "first_at": "N", "last_at": "N", "tries": "N"}):
            yield "attributes"
        elif int(item["first_at"]["N"]) > int(item["last_at"]["N"]) or int(item["tries"]["N"]) < 1:
            yield "tries"
        return
    if not fits(item, {"since": "N", "event": "S", "reported": "L"}, {"until": "N"}) or not _is(
        item, keys.RECONCILIATION
    ):
        yield "attributes"
        return
    times = [instant(int(item[name]["N"])) for name in ("since", "until") if name in item]
    if max(times) > lookup.now + AHEAD:
        yield "since"


def wrong_in_sweep(item: Item, lookup: RowLookup) -> Iterator[str]:
    """What can't be so in the sweep's place. Raises KeyError, ValueError."""
    if not fits(item, {"day": "S", "shard": "N", "after": "S"}, {"return_to": "S"}) or not _is(item, keys.CHECKPOINT):
        yield "attributes"
        return
    days = [date.fromisoformat(item[name]["S"]) for name in ("day", "return_to") if name in item]
    if max(days) > (lookup.now + AHEAD).astimezone(UTC).date():
        yield "day"
    if not 0 <= int(item["shard"]["N"]) < keys.DUE_SHARDS:
        yield "shard"


def wrong_in_verification(item: Item) -> Iterator[str]:
    """What can't be so in the verifier's place."""
    if not fits(item, {"pass": "B"}) or not _is(item, keys.VERIFICATION):
        yield "attributes"


def code_version(manager: Item | None) -> int:
    """How many codes the account had; 0 without one. Raises KeyError, ValueError."""
    return int(manager["version"]["N"]) if manager else 0


def _had_code(account: str, version: int, lookup: RowLookup) -> bool:
    return 1 <= version <= code_version(lookup.row(keys.manager(account)))


def _is(item: Item, key: keys.Key) -> bool:
    return {"PK": item["PK"], "SK": item["SK"]} == key
