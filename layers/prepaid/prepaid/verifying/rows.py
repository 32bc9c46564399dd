"""Rows outside the ledgers: those that point into one or that every ledger needs, and the others (see notes.py)."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from prepaid.core.catalogue import check_successor
from prepaid.core.errors import InvalidRequest
from prepaid.store import keys
from prepaid.store.catalogue import catalogue_from_item, first_catalogue
from prepaid.store.due import due_item
from prepaid.store.dynamodb import Item
from prepaid.store.items import entry_from_item, instant, key_digest, purchase_request_hash
from prepaid.store.purchases import purchase_from_item
from prepaid.verifying import notes
from prepaid.verifying.books import Books, check_sum
from prepaid.verifying.replay import request_hashes
from prepaid.verifying.view import View


def needed(item: Item) -> Iterator[keys.Key]:
    """The keys of rows that `check` compares this row with."""
    kind, which = keys.split(item["PK"]["S"])
    match kind:
        case "CLAIM":
            yield from _claimed(keys.split(which)[0], item)
        case "SESSION":
            yield keys.manager(item["account"]["S"])
            if "purchase" in item:
                yield keys.purchase(item["account"]["S"], item["purchase"]["S"])
        case "DUE":
            account, lot = keys.split(item["SK"]["S"])
            yield keys.entry(account, int(lot.removeprefix("lot_")))
        case "PAYMENT" | "REVIEW":
            yield keys.purchase(item["account"]["S"], item["purchase"]["S"])
        case "VERIFIED":
            yield keys.entry(which, 1)
        case "CATALOG":
            version = int(item["version"]["N"])
            yield keys.CATALOGUE
            yield keys.catalogue_version(version)
            yield keys.catalogue_version(version - 1)
        case _:
            return


def _claimed(account: str, item: Item) -> Iterator[keys.Key]:
    """What a claim stands for, or the record that goes with it."""
    if "purchase" in item:
        yield keys.purchase(account, item["purchase"]["S"])
    elif "number" in item:
        yield keys.entry(account, int(item["number"]["N"]))
    elif "code_version" in item:
        yield keys.manager(account)


def check(books: Books, item: Item, view: View) -> None:
    """One row; `books` takes what is found, and names the account."""
    kind, _ = keys.split(item["PK"]["S"])
    if kind in CHECKS:
        CHECKS[kind](books, item, view)
    elif kind in WRONG:
        for part in WRONG[kind](item, view):
            books.finding("row_differs", f"{kind} {part}")
    else:
        books.finding("unknown_row", kind)


def account_of(item: Item) -> str:
    """The account that a row is about, or ""."""
    kind, which = keys.split(item["PK"]["S"])
    match kind:
        case "CLAIM" | "VERIFIED":
            return keys.split(which)[0]
        case "DUE":
            return keys.split(item["SK"]["S"])[0]
        case "PAYMENT" | "QUARANTINE" | "REVIEW" | "SESSION":
            return str(item.get("account", {}).get("S", ""))
        case _:
            return ""


def _check_claim(books: Books, item: Item, view: View) -> None:
    key = keys.split(keys.split(item["PK"]["S"])[1])[1]
    # The key is the client's own, and may say anything.
    where = f"claim {key_digest(key)}"
    asked = bytes(item["request_hash"]["B"])
    if "purchase" in item:
        _check_purchase_claim(books, item, view, key_digest(key), asked)
        return
    if "code_version" in item:
        for part in notes.wrong_in_session_claim(item, books.account, view):
            books.finding("claim_astray", f"{where} {part}", "a manager session")
        return
    number = int(item["number"]["N"])
    row = view.row(keys.entry(books.account, number))
    entry = entry_from_item(row) if row else None
    if entry is None or item.keys() != {"PK", "SK", "number", "request_hash"} or item["SK"]["S"] != "CLAIM":
        books.finding("claim_astray", where, "an entry", number)
        return
    if entry.key != key_digest(key):
        books.finding("claim_astray", f"{where} key", entry.key, key_digest(key))
    if asked not in request_hashes(entry):
        books.finding("claim_astray", f"{where} request", f"entry {number}", asked.hex())
    if view.tally and entry.at < view.cutoff:
        view.tally.claimed(f"{books.account}#{number}")


def _check_purchase_claim(books: Books, item: Item, view: View, digest: str, asked: bytes) -> None:
    where, id_ = f"claim {digest}", item["purchase"]["S"]
    row = view.row(keys.purchase(books.account, id_))
    if row is None or item.keys() != {"PK", "SK", "purchase", "request_hash"} or item["SK"]["S"] != "CLAIM":
        books.finding("claim_astray", where, "a purchase", id_)
        return
    purchase = purchase_from_item(row)
    if purchase.key != digest:
        books.finding("claim_astray", f"{where} key", purchase.key, digest)
    if asked != purchase_request_hash(purchase.pack):
        books.finding("claim_astray", f"{where} request", purchase.pack, asked.hex())
    if view.tally and purchase.created_at < view.cutoff:
        view.tally.claimed(f"{books.account}#{id_}")


def _check_due(books: Books, item: Item, view: View) -> None:
    lot = keys.split(item["SK"]["S"])[1]
    row = view.row(keys.entry(books.account, int(lot.removeprefix("lot_"))))
    entry = entry_from_item(row) if row else None
    if entry is None or entry.lot is None or due_item(books.account, entry.lot) != item:
        books.finding("due_astray", f"{item['PK']['S']} {lot}")


def _check_payment(books: Books, item: Item, view: View) -> None:
    payment, id_ = keys.split(item["PK"]["S"])[1], item["purchase"]["S"]
    row = view.row(keys.purchase(books.account, id_))
    purchase = purchase_from_item(row) if row else None
    if purchase is None or purchase.payment != payment or item.keys() != {"PK", "SK", "account", "purchase"}:
        books.finding("payment_astray", payment, id_, purchase.payment if purchase else "no purchase")


def _check_mark(books: Books, item: Item, view: View) -> None:
    if not notes.fits(item, {"number": "N", "hash": "B"}) or item["SK"]["S"] != "VERIFIED":
        books.finding("row_differs", "VERIFIED attributes")
    # How the ledger compares with its mark is said where the ledger is read. Here: whether there is one.
    if view.row(keys.entry(books.account, 1)) is None:
        books.finding("ledger_missing", keys.entry_sort(1), item["number"]["N"], 0)


def _check_catalogue(books: Books, item: Item, view: View) -> None:
    where = item["SK"]["S"]
    check_sum(books, item)
    catalogue, version = catalogue_from_item(item), int(item["version"]["N"])
    current, same = view.row(keys.CATALOGUE), view.row(keys.catalogue_version(version))
    before = view.row(keys.catalogue_version(version - 1))
    if catalogue.version != version or where not in {"CURRENT", keys.catalogue_version(version)["SK"]["S"]}:
        books.finding("catalogue_differs", where, version, catalogue.version)
    if same is None or any(same[name] != item[name] for name in ("version", "since", "body")):
        books.finding("catalogue_differs", where, f"as version {version}")
    if current is None or int(current["version"]["N"]) < version:
        books.finding("catalogue_missing", "CURRENT", version)
    if before is None and version - 1 != first_catalogue().version:
        books.finding("catalogue_missing", where, version - 1)
        return
    if before and instant(int(before["since"]["N"])) > instant(int(item["since"]["N"])) + timedelta(hours=1):
        books.finding("catalogue_differs", where, "later than the version before")
    try:
        check_successor(catalogue_from_item(before) if before else first_catalogue(), catalogue)
    except InvalidRequest:
        books.finding("catalogue_differs", where, "all that the version before had")


CHECKS: dict[str, Callable[[Books, Item, View], None]] = {
    "CLAIM": _check_claim,
    "DUE": _check_due,
    "PAYMENT": _check_payment,
    "VERIFIED": _check_mark,
    "CATALOG": _check_catalogue,
}
# What can't be so in rows on which no credit depends.
WRONG: dict[str, Callable[[Item, View], Iterator[str]]] = {
    "QUARANTINE": lambda item, _: notes.wrong_in_quarantine(item),
    "RECONCILIATION": notes.wrong_in_reconciliation,
    "REVIEW": notes.wrong_in_review,
    "SESSION": notes.wrong_in_session,
    "SWEEP": notes.wrong_in_sweep,
    "VERIFICATION": lambda item, _: notes.wrong_in_verification(item),
}
