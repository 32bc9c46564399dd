"""Rows on which no credit depends. Each is checked for its form, its own key and the rows it refers to.

These checks can't detect the following losses and changes. No credit is lost or doubled by them, because:

    MANAGER         digest, salt, most numbers: a forged code lets someone buy, but nothing is granted without payment
    CUSTOMER        everything: Stripe's page shows another buyer; the grant comes from the purchase's record
    SESSION         whether it exists or was used, its end within a second: same as for the code
    session's claim whether it exists, nonce, end: a retry is rejected or opens another session
    PORTAL, PORTAL_LINK  whether it exists, most of it: a forged link still requires the manager's code; a forged
                    session shows, but buys nothing
    link's claim    whether it exists, account, request, nonce, end: a retry is rejected or makes another link
    PENDING_CHECK   whether it exists once it is due: it is deleted after its check, and Stripe's events lead there too
    RECONCILIATION  everything but a place in the future: purchases have pending checks
    QUARANTINE      its content: a note for an operator; Stripe has the payment
    SWEEP           everything but a day in the future: a lot expires by its date, recorded or not
    VERIFICATION    everything: the verifier's own state; an unreadable pass raises the function's alarm
    WAIT            everything: a hint of what to append; each debit is judged anew, and a claim makes it happen once
    a claim's row   everything: whether a response says that it is a replay
    VERIFIED        whether it exists: after deleting it, newest entries can be removed unnoticed, as before any pass
    audit           everything: the verifier's own state. The recent pass continues it; the whole pass never reads it
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from prepaid.core.calendar import instant
from prepaid.core.manager_code import MAX_TRIES
from prepaid.core.portal import LONGEST
from prepaid.core.purchase import PAYABLE
from prepaid.store import keys
from prepaid.store.dynamodb import Item
from prepaid.store.items import CHECKSUM, manager_session_request_hash
from prepaid.store.manager_codes import KEEP_SESSIONS, pepper_of
from prepaid.store.portal import KEEP_LINKS
from prepaid.store.purchases import purchase_from_item
from prepaid.store.secrets import FIRST_VERSION
from prepaid.store.waiting import ROW_FORM, waiting_from_item
from prepaid.use_cases.approving import NONCE_BYTES
from prepaid.use_cases.verifying.lookup import RowLookup

type Types = dict[str, str]

# The optional attribute of rows that depend on a pepper: its version. Rows under the first version don't have it.
PEPPER = {"pepper": "N"}

# Clocks differ: a date at most this far ahead of ours doesn't count as in the future.
AHEAD = timedelta(hours=1)


def fits(item: Item, attributes: Types, optional: Types | None = None) -> bool:
    """Whether a row has, besides its key, all of `attributes`, any of `optional`, and no others."""
    types = {name: next(iter(value)) for name, value in item.items() if name not in ("PK", "SK")}
    return attributes.items() <= types.items() <= (attributes | (optional or {})).items()


def wrong_in_profile(item: Item) -> Iterator[str]:
    """The invalid parts of an account's profile, apart from its checksum. Raises ValueError."""
    attributes = {"version": "N", "name": "S", "language": "S", CHECKSUM: "B"}
    if not fits(item, attributes, {"manager_contact": "S"}):
        yield "attributes"


def wrong_in_customer(item: Item) -> Iterator[str]:
    """The invalid parts of an account's customer."""
    if not fits(item, {"customer": "S"}):
        yield "attributes"


def wrong_in_manager(item: Item) -> Iterator[str]:
    """The invalid parts of a manager's code record. Raises ValueError."""
    numbers = ("version", "revision", "tries", "locks", "tried_at")
    if not fits(item, {"digest": "B", "salt": "B", **dict.fromkeys(numbers, "N")}, PEPPER):
        yield "attributes"
        return
    version, revision, tries, locks, _ = (int(item[name]["N"]) for name in numbers)
    # Each new code also changes the record.
    if not 0 <= version <= revision:
        yield "version"
    if not 0 <= tries <= MAX_TRIES:
        yield "tries"
    if locks < 0:
        yield "locks"
    if {bool(bytes(item[name]["B"])) for name in ("digest", "salt")} != {version > 0}:
        yield "digest"
    yield from _wrong_in_pepper(item)


def _wrong_in_pepper(item: Item) -> Iterator[str]:
    # The first has no name.
    if "pepper" in item and pepper_of(item) <= FIRST_VERSION:
        yield "pepper"


def wrong_in_session_claim(item: Item, account: str, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of a manager session's claim. Raises KeyError, ValueError."""
    attributes = {"request_hash": "B", "code_version": "N", "expires_at": "N", "nonce": "B"}
    if not fits(item, attributes, PEPPER) or item["SK"]["S"] != "CLAIM":
        yield "attributes"
        return
    yield from _wrong_in_pepper(item)
    if bytes(item["request_hash"]["B"]) != manager_session_request_hash():
        yield "request"
    if len(bytes(item["nonce"]["B"])) != NONCE_BYTES:
        yield "nonce"
    instant(int(item["expires_at"]["N"]))
    if not _had_code(account, int(item["code_version"]["N"]), lookup):
        yield "code_version"


def wrong_in_session(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of a manager session. Raises KeyError, ValueError."""
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


def wrong_in_link_claim(item: Item) -> Iterator[str]:
    """The invalid parts of the claim of a link to the page. Raises KeyError, ValueError."""
    attributes = {"request_hash": "B", "expires_at": "N", "nonce": "B"}
    if not fits(item, attributes, PEPPER) or item["SK"]["S"] != "CLAIM":
        yield "attributes"
        return
    yield from _wrong_in_pepper(item)
    if bytes(item["request_hash"]["B"]) == manager_session_request_hash():
        # A manager session's claim that lost its code_version.
        yield "request"
    if len(bytes(item["nonce"]["B"])) != NONCE_BYTES:
        yield "nonce"
    instant(int(item["expires_at"]["N"]))


def wrong_in_portal_link(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of a link to the page. Raises KeyError, ValueError."""
    attributes = {"account": "S", "language": "S", "return_url": "S", "expires_at": "N", "ttl": "N"}
    if not fits(item, attributes, {"opened": "S"}) or item["SK"]["S"] != "PORTAL_LINK":
        yield "attributes"
        return
    if int(item["ttl"]["N"]) != int((instant(int(item["expires_at"]["N"])) + KEEP_LINKS).timestamp()):
        yield "ttl"
    if lookup.row(keys.profile(item["account"]["S"])) is None:
        yield "account"


def wrong_in_portal_session(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of a session on the page. Raises KeyError, ValueError."""
    numbers = dict.fromkeys(("code_version", "started_at", "seen_at", "ttl"), "N")
    if not fits(item, {"account": "S", "language": "S", "return_url": "S", **numbers}) or item["SK"]["S"] != "PORTAL":
        yield "attributes"
        return
    started, seen = (instant(int(item[name]["N"])) for name in ("started_at", "seen_at"))
    if int(item["ttl"]["N"]) != int((started + LONGEST).timestamp()) or not started <= seen < started + LONGEST:
        yield "times"
    if not _had_code(item["account"]["S"], int(item["code_version"]["N"]), lookup):
        yield "code_version"


def wrong_in_pending_check(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of a pending check. Raises KeyError, ValueError."""
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
    """The invalid parts of a quarantine row. Raises KeyError, ValueError."""
    attributes = {"account": "S", "purchase": "S", "mismatches": "L", "status": "M", "reason": "S", "at": "N"}
    if not fits(item, attributes):
        yield "attributes"
        return
    instant(int(item["at"]["N"]))
    subject = item["SK"]["S"].rpartition("#")[0]
    if not _is(item, keys.quarantine(f"{subject}#{'+'.join(name['S'] for name in item['mismatches']['L'])}")):
        yield "key"


def wrong_in_erasure(item: Item, _lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of the saved walk of an erasure. Raises ValueError."""
    if not fits(item, {"subject": "S", "next": "N", "entries": "N", "ttl": "N"}) or item["SK"]["S"] != "ERASURE":
        yield "attributes"
        return
    # The entries before `next` are walked over, and some of them erased.
    if not 0 <= int(item["entries"]["N"]) < int(item["next"]["N"]):
        yield "entries"


def wrong_in_waiting(item: Item) -> Iterator[str]:
    """The invalid parts of the row of a debit that waits, or of the tombstone in its place."""
    row = {"form": "N", "debit": "S", "now": "N", "catalog": "N", "ttl": "N"}
    if not fits(item, {"ttl": "N"}) and not fits(item, row):
        yield "attributes"
    elif "debit" in item and item["form"]["N"] == str(ROW_FORM) and waiting_from_item(item) is None:
        yield "debit"


def wrong_in_reconciliation(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of the reconciliation's checkpoint, or of a failed check. Raises KeyError, ValueError."""
    if item["SK"]["S"].startswith(keys.failed_sort("")):
        if not fits(item, {"subject": "M", "first_at": "N", "last_at": "N", "tries": "N"}):
            yield "attributes"
        elif int(item["first_at"]["N"]) > int(item["last_at"]["N"]) or int(item["tries"]["N"]) < 1:
            yield "tries"
        return
    if not fits(item, {"since": "N", "event": "S"}, {"until": "N"}) or not _is(item, keys.RECONCILIATION):
        yield "attributes"
        return
    times = [instant(int(item[name]["N"])) for name in ("since", "until") if name in item]
    if max(times) > lookup.now + AHEAD:
        yield "since"


def wrong_in_sweep(item: Item, lookup: RowLookup) -> Iterator[str]:
    """The invalid parts of the sweep's checkpoint. Raises KeyError, ValueError."""
    if not fits(item, {"day": "S", "shard": "N", "after": "S"}, {"return_to": "S"}) or not _is(item, keys.CHECKPOINT):
        yield "attributes"
        return
    days = [date.fromisoformat(item[name]["S"]) for name in ("day", "return_to") if name in item]
    if max(days) > (lookup.now + AHEAD).astimezone(UTC).date():
        yield "day"
    if not 0 <= int(item["shard"]["N"]) < keys.DUE_SHARDS:
        yield "shard"


def wrong_in_verification(item: Item) -> Iterator[str]:
    """The invalid parts of the verifier's stored pass."""
    if not fits(item, {"pass": "B"}) or not (_is(item, keys.VERIFICATION) or _is(item, keys.RECENT_VERIFICATION)):
        yield "attributes"


def code_version(manager: Item | None) -> int:
    """How many codes the account has had; 0 without a record. Raises KeyError, ValueError."""
    return int(manager["version"]["N"]) if manager else 0


def _had_code(account: str, version: int, lookup: RowLookup) -> bool:
    return 1 <= version <= code_version(lookup.row(keys.manager(account)))


def _is(item: Item, key: keys.Key) -> bool:
    return {"PK": item["PK"], "SK": item["SK"]} == key
