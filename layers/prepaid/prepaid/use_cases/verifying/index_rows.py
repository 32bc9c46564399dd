"""Checks of rows outside the ledgers: rows that refer to one, catalog versions, and the rest (auxiliary_rows.py)."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from prepaid.core.calendar import instant
from prepaid.core.catalog import is_successor
from prepaid.core.entry import Entry
from prepaid.core.ids import hold_number, lot_number
from prepaid.store import keys
from prepaid.store.catalog import catalog_from_item, first_catalog
from prepaid.store.due import hold_due_item, lot_due_item
from prepaid.store.dynamodb import Item
from prepaid.store.items import cancellation_request_hash, entry_from_item, key_digest, purchase_request_hash
from prepaid.store.purchases import purchase_from_item
from prepaid.use_cases.verifying import auxiliary_rows, published_rows, statement_rows
from prepaid.use_cases.verifying.account_audit import AccountAudit, check_sum
from prepaid.use_cases.verifying.lookup import RowLookup
from prepaid.use_cases.verifying.replay import request_hashes


def needed(item: Item) -> Iterator[keys.Key]:
    """The keys of rows that `check` compares this row with."""
    kind, id_ = keys.split(item["PK"]["S"])
    match kind:
        case "CLAIM":
            yield from _claimed(keys.split(id_)[0], item)
        case "SESSION" | "PORTAL":
            yield keys.manager(item["account"]["S"])
            if "purchase" in item:
                yield keys.purchase(item["account"]["S"], item["purchase"]["S"])
        case "PORTAL_LINK":
            yield keys.profile(item["account"]["S"])
        case "DUE":
            account, what = keys.split(item["SK"]["S"])
            yield keys.entry(account, _number_of(what))
        case "PAYMENT" | "PENDING_CHECK":
            yield keys.purchase(item["account"]["S"], item["purchase"]["S"])
        case "VERIFIED" | keys.ACCOUNTS:
            yield keys.entry(id_ or item["SK"]["S"], 1)
        case "PUBLISHED" | "STATEMENT":
            rows = published_rows if kind == "PUBLISHED" else statement_rows
            yield from rows.needed(id_, item)
        case "CATALOG":
            version = int(item["version"]["N"])
            yield keys.CATALOG
            yield keys.catalog_version(version)
            yield keys.catalog_version(version - 1)
        case _:
            return


def _claimed(account: str, item: Item) -> Iterator[keys.Key]:
    """The key of the entry or purchase that a claim names, or of the manager's code for a session's claim."""
    if "purchase" in item:
        yield keys.purchase(account, item["purchase"]["S"])
    elif "number" in item:
        yield keys.entry(account, int(item["number"]["N"]))
    elif "code_version" in item:
        yield keys.manager(account)


def check(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    """Check one row; findings go to `audit`, which names the account."""
    kind, _ = keys.split(item["PK"]["S"])
    if kind in CHECKS:
        CHECKS[kind](audit, item, lookup)
    elif kind in WRONG:
        for part in WRONG[kind](item, lookup):
            audit.finding("row_differs", f"{kind} {part}")
    else:
        audit.finding("unknown_row", kind)


def account_of(item: Item) -> str:
    """The account that a row concerns, or ""."""
    kind, id_ = keys.split(item["PK"]["S"])
    match kind:
        case "CLAIM" | "ERASURE" | "PUBLISHED" | "STATEMENT" | "VERIFIED" | "WAIT":
            return keys.split(id_)[0]
        case "DUE":
            return keys.split(item["SK"]["S"])[0]
        case "PAYMENT" | "QUARANTINE" | "PENDING_CHECK" | "PORTAL" | "PORTAL_LINK" | "SESSION":
            return str(item.get("account", {}).get("S", ""))
        case keys.ACCOUNTS:
            return str(item["SK"]["S"])
        case _:
            return ""


def _check_claim(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    key = keys.split(keys.split(item["PK"]["S"])[1])[1]
    # Findings show a digest, because the key is the client's and may contain anything.
    where = f"claim {key_digest(key)}"
    stored_hash = bytes(item["request_hash"]["B"])
    if "purchase" in item:
        _check_purchase_claim(audit, item, lookup, key_digest(key), stored_hash)
        return
    if "code_version" in item:
        for part in auxiliary_rows.wrong_in_session_claim(item, audit.account, lookup):
            audit.finding("claim_dangling", f"{where} {part}", "a manager session")
        return
    if "nonce" in item:
        for part in auxiliary_rows.wrong_in_link_claim(item):
            audit.finding("claim_dangling", f"{where} {part}", "a link to the page")
        return
    number = int(item["number"]["N"])
    row = lookup.row(keys.entry(audit.account, number))
    entry = entry_from_item(row) if row else None
    if entry is None or item.keys() - {"row"} != {"PK", "SK", "number", "request_hash"} or item["SK"]["S"] != "CLAIM":
        audit.finding("claim_dangling", where, "an entry", number)
        return
    if entry.key != key_digest(key):
        audit.finding("claim_dangling", f"{where} key", entry.key, key_digest(key))
    # Only the client knows which customer an erasure was about.
    if entry.type != "erasure" and stored_hash not in request_hashes(entry):
        audit.finding("claim_dangling", f"{where} request", f"entry {number}", stored_hash.hex())
    if lookup.tally and entry.at < lookup.cutoff:
        lookup.tally.add_claim(f"{audit.account}#{number}")


def _check_purchase_claim(audit: AccountAudit, item: Item, lookup: RowLookup, digest: str, stored_hash: bytes) -> None:
    where, id_ = f"claim {digest}", item["purchase"]["S"]
    row = lookup.row(keys.purchase(audit.account, id_))
    if row is None or item.keys() != {"PK", "SK", "purchase", "request_hash"} or item["SK"]["S"] != "CLAIM":
        audit.finding("claim_dangling", where, "a purchase", id_)
        return
    purchase = purchase_from_item(row)
    if stored_hash == cancellation_request_hash(id_):
        if purchase.cancel_key != digest:
            audit.finding("claim_dangling", f"{where} key", purchase.cancel_key, digest)
        if lookup.tally and purchase.cancelled_at and purchase.cancelled_at < lookup.cutoff:
            lookup.tally.add_claim(f"{audit.account}#{id_} cancelled")
        return
    if purchase.key != digest:
        audit.finding("claim_dangling", f"{where} key", purchase.key, digest)
    if stored_hash != purchase_request_hash(purchase.pack):
        audit.finding("claim_dangling", f"{where} request", purchase.pack, stored_hash.hex())
    if lookup.tally and purchase.created_at < lookup.cutoff:
        lookup.tally.add_claim(f"{audit.account}#{id_}")


def _check_due(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    what = keys.split(item["SK"]["S"])[1]
    row = lookup.row(keys.entry(audit.account, _number_of(what)))
    entry = entry_from_item(row) if row else None
    if item not in (_due_of(entry) if entry else ()):
        audit.finding("due_dangling", f"{item['PK']['S']} {what}")


def _due_of(entry: Entry) -> Iterator[Item]:
    """The due rows that were written with an entry."""
    if entry.lot:
        yield lot_due_item(entry.after.id, entry.lot)
    if entry.lapses_at:
        yield hold_due_item(entry.after.id, entry.number, entry.lapses_at)


def _number_of(what: str) -> int:
    """The number of the entry that wrote a due row. Raises ValueError."""
    return hold_number(what) or lot_number(what)


def _check_payment(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    payment, id_ = keys.split(item["PK"]["S"])[1], item["purchase"]["S"]
    row = lookup.row(keys.purchase(audit.account, id_))
    purchase = purchase_from_item(row) if row else None
    if purchase is None or purchase.payment != payment or item.keys() != {"PK", "SK", "account", "purchase"}:
        audit.finding("payment_dangling", payment, id_, purchase.payment if purchase else "no purchase")


def _check_mark(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    if item["SK"]["S"] == keys.audit("")["SK"]["S"]:
        if not auxiliary_rows.fits(item, {"audit": "B"}):
            audit.finding("row_differs", "VERIFIED audit")
        return
    if not auxiliary_rows.fits(item, {"number": "N", "hash": "B"}) or item["SK"]["S"] != "VERIFIED":
        audit.finding("row_differs", "VERIFIED attributes")
    # The audit of the ledger compares it with its mark. This only checks that a ledger exists.
    if lookup.row(keys.entry(audit.account, 1)) is None:
        audit.finding("ledger_missing", keys.entry_sort(1), item["number"]["N"], 0)


def _check_listed(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    if lookup.row(keys.entry(audit.account, 1)) is None or item != keys.listed(audit.account):
        audit.finding("listed_dangling", keys.ACCOUNTS)


def _check_catalog(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    where = item["SK"]["S"]
    check_sum(audit, item)
    catalog, version = catalog_from_item(item), int(item["version"]["N"])
    current, copy = lookup.row(keys.CATALOG), lookup.row(keys.catalog_version(version))
    previous = lookup.row(keys.catalog_version(version - 1))
    if catalog.version != version or where not in {"CURRENT", keys.catalog_version(version)["SK"]["S"]}:
        audit.finding("catalog_differs", where, version, catalog.version)
    if copy is None or any(copy[name] != item[name] for name in ("version", "since", "body")):
        audit.finding("catalog_differs", where, f"as version {version}")
    if current is None or int(current["version"]["N"]) < version:
        audit.finding("catalog_missing", "CURRENT", version)
    if previous is None and version - 1 != first_catalog().version:
        audit.finding("catalog_missing", where, version - 1)
        return
    if previous and instant(int(previous["since"]["N"])) > instant(int(item["since"]["N"])) + timedelta(hours=1):
        audit.finding("catalog_differs", where, "later than the version before")
    if not is_successor(catalog, catalog_from_item(previous) if previous else first_catalog()):
        audit.finding("catalog_differs", where, "all that the version before had")


CHECKS: dict[str, Callable[[AccountAudit, Item, RowLookup], None]] = {
    "CLAIM": _check_claim,
    "DUE": _check_due,
    "PAYMENT": _check_payment,
    "VERIFIED": _check_mark,
    keys.ACCOUNTS: _check_listed,
    "CATALOG": _check_catalog,
    "STATEMENT": statement_rows.check,
}
# The invalid parts of rows on which no credit depends.
WRONG: dict[str, Callable[[Item, RowLookup], Iterator[str]]] = {
    "FEED": lambda item, _: published_rows.wrong_in_feed(item),
    "PUBLISHED": published_rows.wrong_in_published,
    "PUBLISHING": published_rows.wrong_in_publishing,
    "WEBHOOK": lambda item, _: published_rows.wrong_in_webhook(item),
    "ERASURE": auxiliary_rows.wrong_in_erasure,
    "QUARANTINE": lambda item, _: auxiliary_rows.wrong_in_quarantine(item),
    "RECONCILIATION": auxiliary_rows.wrong_in_reconciliation,
    "PENDING_CHECK": auxiliary_rows.wrong_in_pending_check,
    "PORTAL": auxiliary_rows.wrong_in_portal_session,
    "PORTAL_LINK": auxiliary_rows.wrong_in_portal_link,
    "SESSION": auxiliary_rows.wrong_in_session,
    "SWEEP": auxiliary_rows.wrong_in_sweep,
    "WAIT": lambda item, _: auxiliary_rows.wrong_in_waiting(item),
    "VERIFICATION": lambda item, _: auxiliary_rows.wrong_in_verification(item),
}
