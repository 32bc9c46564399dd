"""One account's rows in the order of their keys: its entries, oldest first, then its profile, then its purchases.

What is held meanwhile is the newest entry, a line for each purchase and one for each lot that a purchase had: it grows
with the account's purchases, not with its debits.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from prepaid.core.account import Account, Lot
from prepaid.core.entry import Entry, LotDraw
from prepaid.core.purchase import Purchase, revoked_credits, state_after
from prepaid.store import keys
from prepaid.store.due import due_item
from prepaid.store.dynamodb import Item
from prepaid.store.items import (
    CHECKSUM,
    GENESIS_HASH,
    chain_hash,
    checksum,
    entry_from_item,
    entry_to_item,
    lot_from_row,
    lot_to_row,
)
from prepaid.store.purchases import purchase_from_item
from prepaid.store.reconciliation import PAYABLE
from prepaid.store.verification import Mark, mark_from_item
from prepaid.verifying import notes
from prepaid.verifying.findings import Code, Finding
from prepaid.verifying.replay import ASKED_WITH_A_KEY, Course, conserved, followed, replay
from prepaid.verifying.view import View

PROFILE, MANAGER, CUSTOMER = (key("")["SK"]["S"] for key in (keys.profile, keys.manager, keys.customer))
ENTRY_ATTRIBUTES = {"PK", "SK", "line", "state", "hash"}
# Texts that a client or a customer gave: that they differ is said, what they say is not.
UNSHOWN = {"actor", "description", "customer", "reference"}
MAX_FINDINGS = 50
MAX_SHOWN = 160
# A row of work may be done at any time once it is due, and a pass takes its time.
SOON = timedelta(days=1)


@dataclass(slots=True)
class Books:
    """How far an account was read, and what was found on the way (the first MAX_FINDINGS).

    last: the newest entry as it is stored; entry: the same, None when it can't be read. mark: what an earlier pass saw.
    courses: by purchase. owners: the purchase of each of their lots. code_version: of the manager's code; 0: none.
    """

    account: str
    mark: Mark | None = None
    last: Item | None = None
    entry: Entry | None = None
    courses: dict[str, Course] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    code_version: int = 0
    has_profile: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Of the newest entry; 0 before the first."""
        return _number(self.last) if self.last else 0

    def finding(self, code: Code, where: str, expected: object = "", found: object = "") -> None:
        """Note something."""
        if len(self.findings) < MAX_FINDINGS:
            shown = (str(expected)[:MAX_SHOWN], str(found)[:MAX_SHOWN])
            one = Finding(code=code, account=self.account, where=where, expected=shown[0], found=shown[1])
            self.findings.append(one)


def open_books(account: str, mark: Item | None) -> Books:
    """Nothing read yet. A mark that can't be read is none; that is said where its row is checked."""
    try:
        return Books(account, mark=mark_from_item(mark) if mark else None)
    except (KeyError, ValueError):
        return Books(account)


def needed(item: Item) -> Iterator[keys.Key]:
    """The keys of rows that `read` compares this row with."""
    account, sort = keys.split(item["PK"]["S"])[1], item["SK"]["S"]
    yield keys.verified(account)
    if sort.startswith(keys.purchase_sort("")):
        yield _first_review(purchase_from_item(item))
        if "payment" in item:
            yield keys.payment(item["payment"]["S"])
    if sort.startswith(keys.ENTRY_PREFIX):
        line = json.loads(item["line"]["S"])
        if "lot" in line:
            yield _key(due_item(account, lot_from_row(line["lot"])))
        if "purchase" in line:
            yield keys.purchase(account, line["purchase"])


def read(books: Books, item: Item, view: View) -> None:
    """The account's next row. Raises Busy."""
    sort = item["SK"]["S"]
    if sort.startswith(keys.ENTRY_PREFIX):
        _read_entry(books, item, view)
    elif sort.startswith(keys.purchase_sort("")):
        _read_purchase(books, item, view)
    elif sort == PROFILE:
        books.has_profile = True
        check_sum(books, item)
        _note(books, sort, notes.wrong_in_profile(item))
    elif sort == MANAGER:
        _note(books, sort, notes.wrong_in_manager(item))
        books.code_version = notes.code_version(item)
    elif sort == CUSTOMER:
        _note(books, sort, notes.wrong_in_customer(item))
    else:
        books.finding("unknown_row", sort)


def close_books(books: Books, view: View) -> None:
    """What only the end of the account's rows tells. Raises Busy."""
    if books.last is None:
        books.finding("ledger_missing", keys.entry_sort(1))
        return
    if not books.has_profile:
        books.finding("profile_missing", keys.profile(books.account)["SK"]["S"])
    if books.mark and books.mark.number > books.number:
        books.finding("history_cut", keys.entry_sort(books.mark.number), books.mark.number, books.number)
    for purchase in books.courses:
        books.finding("purchase_missing", keys.purchase_sort(purchase))
    for lot in books.entry.after.lots if books.entry else ():
        if lot.expires_at <= view.now + SOON:
            # Its end isn't in the ledger, so the sweep has yet to come by.
            _check_due(books, lot, view.row_now(_key(due_item(books.account, lot))))


def check_sum(books: Books, item: Item) -> None:
    """Whether a record that no chain covers is as it was written."""
    said = item.get(CHECKSUM, {}).get("B", b"")
    if bytes(said) != checksum(item):
        books.finding("record_changed", item["SK"]["S"])


def to_json(books: Books) -> dict[str, Any]:
    """How far it was read, for another process to go on. Of findings only that there are some."""
    courses = {
        purchase: [
            course.grants, [lot_to_row(lot) for lot in course.lots], course.net, course.debt, course.expired,
            course.lapsed,
        ]
        for purchase, course in books.courses.items()
    }  # fmt: skip
    return {
        "account": books.account,
        "mark": [books.mark.number, books.mark.hash.hex()] if books.mark else None,
        "last": {**_texts(books.last), "hash": bytes(books.last["hash"]["B"]).hex()} if books.last else None,
        "courses": courses,
        "code_version": books.code_version,
        "has_profile": books.has_profile,
        "suspicious": bool(books.findings),
    }


def from_json(value: dict[str, Any]) -> Books:
    """What to_json gave. Where there were findings stands one for all: whoever goes on looks again anyway."""
    account, mark = value["account"], value["mark"]
    books = Books(account, mark=Mark(account=account, number=mark[0], hash=bytes.fromhex(mark[1])) if mark else None)
    if value["last"]:
        last = value["last"]
        texts = {name: {"S": last[name]} for name in ("PK", "SK", "line", "state")}
        books.last = {**texts, "hash": {"B": bytes.fromhex(last["hash"])}}
        books.entry = _decoded(books.last)
    for purchase, (grants, rows, net, debt, expired, lapsed) in value["courses"].items():
        lots = tuple(lot_from_row(row) for row in rows)
        books.courses[purchase] = Course(
            grants=grants, lots=lots, net=net, debt=debt, expired=expired, lapsed=(lapsed[0], lapsed[1])
        )
        books.owners |= {lot.id: purchase for lot in lots}
    books.code_version, books.has_profile = value["code_version"], value["has_profile"]
    if value["suspicious"]:
        books.finding("unreadable", "before the pause")
    return books


def _note(books: Books, sort: str, wrong: Iterable[str]) -> None:
    for part in wrong:
        books.finding("row_differs", f"{sort} {part}")


def _read_entry(books: Books, item: Item, view: View) -> None:
    sort = item["SK"]["S"]
    before, previous_hash = books.entry, bytes(books.last["hash"]["B"]) if books.last else GENESIS_HASH
    try:
        number, entry = _number(item), _decoded(item)
        said = bytes(item["hash"]["B"])
        texts = [item[name]["S"] for name in ("PK", "SK", "line", "state")]
    except (KeyError, ValueError):
        # Nothing of it can be told, not even what the next one should chain to.
        books.finding("unreadable", sort)
        return
    if number != books.number + 1 or sort != keys.entry_sort(number):
        books.finding("entry_missing", keys.entry_sort(books.number + 1), books.number + 1, number)
    if said != chain_hash(previous_hash, *texts):
        books.finding("chain_broken", sort)
    if books.mark and number == books.mark.number and said != books.mark.hash:
        books.finding("history_changed", sort, books.mark.hash.hex(), said.hex())
    first = books.last is None
    books.last, books.entry = item, entry
    if entry is None:
        books.finding("unreadable", sort)
        return
    if item.keys() != ENTRY_ATTRIBUTES:
        books.finding("rewritten", sort)
    if before and entry.catalogue_version < before.catalogue_version:
        books.finding("not_replayed", f"{sort} catalogue", before.catalogue_version, entry.catalogue_version)
    if before or first:
        _check_change(books, before.after if before else None, entry, view)
    _follow(books, entry, view)


def _check_change(books: Books, before: Account | None, entry: Entry, view: View) -> None:
    """What the entry says against what the rules make of the state before it."""
    sort = keys.entry_sort(entry.number)
    if before and entry.at < before.at:
        books.finding("time_backwards", sort, before.at.isoformat(), entry.at.isoformat())
    if before and not conserved(before, entry):
        books.finding("not_conserved", sort)
    catalogue = view.catalogue(entry.catalogue_version)
    if catalogue is None:
        books.finding("catalogue_missing", sort, entry.catalogue_version)
        return
    purchase = _purchase_of(books, entry, view)
    course = books.courses.get(entry.purchase or "", Course())
    try:
        expected = replay(before, entry, catalogue, purchase, course)
    except Exception as error:  # noqa: BLE001 - what somebody else wrote may make the core fail in any way
        books.finding("not_replayed", sort, found=type(error).__name__)
        return
    if expected is None:
        books.finding("not_replayed", sort, "no entry", entry.type)
    else:
        _compare(books, expected, entry)


def _compare(books: Books, expected: Entry, entry: Entry) -> None:
    """Byte by byte: what reads the same but is written otherwise isn't ours either."""
    assert books.last is not None
    encoded = entry_to_item(expected, GENESIS_HASH)
    if all(books.last[part] == encoded[part] for part in ("line", "state")):
        return
    before = len(books.findings)
    for part in ("line", "state"):
        was, should = books.last[part], encoded[part]
        said, ought = json.loads(was["S"]), json.loads(should["S"])
        for name in sorted({*said, *ought}):
            if said.get(name) != ought.get(name):
                shown = ("", "") if name in UNSHOWN else (ought.get(name, ""), said.get(name, ""))
                books.finding("not_replayed", f"{keys.entry_sort(entry.number)} {part}.{name}", *shown)
    if len(books.findings) == before:
        books.finding("rewritten", keys.entry_sort(entry.number))


def _purchase_of(books: Books, entry: Entry, view: View) -> Purchase | None:
    if entry.purchase is None:
        if entry.type in ("purchase", "refund", "dispute"):
            books.finding("purchase_missing", keys.entry_sort(entry.number))
        return None
    item = view.row(keys.purchase(books.account, entry.purchase))
    try:
        return purchase_from_item(item) if item else None
    except (KeyError, ValueError):
        return None


def _follow(books: Books, entry: Entry, view: View) -> None:
    """Keep what later rows are compared with."""
    if entry.type == "expiry":
        for draw in entry.draws:
            if isinstance(draw, LotDraw) and draw.lot in books.owners:
                purchase = books.owners[draw.lot]
                course = books.courses[purchase]
                books.courses[purchase] = replace(course, expired=course.expired + draw.credits)
    if entry.purchase is not None:
        _follow_purchase(books, entry.purchase, entry)
    if entry.lot and entry.lot.expires_at > view.now + SOON:
        _check_due(books, entry.lot, view.row(_key(due_item(books.account, entry.lot))))
    if entry.key is not None:
        if entry.type not in ASKED_WITH_A_KEY:
            books.finding("not_replayed", f"{keys.entry_sort(entry.number)} line.key", "", entry.key)
        elif view.tally and entry.at < view.cutoff:
            view.tally.asked(f"{books.account}#{entry.number}")


def _follow_purchase(books: Books, purchase: str, entry: Entry) -> None:
    books.courses[purchase] = course = followed(books.courses.get(purchase, Course()), entry)
    if course.lapsed[0] > course.lapsed[1]:
        # It moved nothing, and nothing had expired that could have been counted instead.
        books.finding("not_replayed", keys.entry_sort(entry.number), "no entry", entry.type)
    if entry.lot:
        books.owners[entry.lot.id] = purchase


def _check_due(books: Books, lot: Lot, row: Item | None) -> None:
    if row is None:
        books.finding("due_missing", f"{lot.id} {lot.expires_at.date()}")


def _read_purchase(books: Books, item: Item, view: View) -> None:
    sort = item["SK"]["S"]
    check_sum(books, item)
    course = books.courses.pop(sort.removeprefix(keys.purchase_sort("")), Course())
    try:
        purchase = purchase_from_item(item)
    except (KeyError, ValueError, TypeError):
        books.finding("unreadable", sort)
        return
    for name, expected, found in _purchase_facts(books, purchase, course, sort):
        if expected != found:
            books.finding("purchase_differs", f"{sort} {name}", expected, found)
    if not course.lapsed[0] <= purchase.lapsed <= course.lapsed[1]:
        books.finding("purchase_differs", f"{sort} lapsed", f"{course.lapsed[0]}..{course.lapsed[1]}", purchase.lapsed)
    if not view.was_on_sale(purchase):
        books.finding("purchase_differs", f"{sort} pack", "on sale", purchase.pack)
    if not books.code_version:
        # A manager's session approved it, and there is none without a code.
        books.finding("manager_missing", sort)
    if purchase.created_at + PAYABLE > view.now + SOON and view.row(_first_review(purchase)) is None:
        books.finding("review_missing", sort)
    if purchase.payment is not None:
        _check_payment(books, purchase, view.row(keys.payment(purchase.payment)))
    if view.tally and purchase.key is not None and purchase.created_at < view.cutoff:
        view.tally.asked(f"{books.account}#{purchase.id}")


def _purchase_facts(
    books: Books, purchase: Purchase, course: Course, sort: str
) -> Iterator[tuple[str, object, object]]:
    """What must be equal: a name, what the ledger or the rest of the record says, what the record says."""
    money_back = purchase.refunded + purchase.disputed
    yield "key", sort, keys.purchase_sort(purchase.id)
    yield "account", books.account, purchase.account
    yield "lots", course.lots, purchase.lots
    yield "grants", int(purchase.granted), course.grants
    yield "debt", course.debt, purchase.debt
    yield "taken and owed", course.net, purchase.revoked - purchase.lapsed
    yield "revoked", revoked_credits(purchase, money_back), purchase.revoked
    yield (
        "money back",
        True,
        0 <= min(purchase.refunded, purchase.disputed) <= max(purchase.refunded, purchase.disputed) <= purchase.amount,
    )
    if purchase.granted:
        yield "state", state_after(purchase, purchase.refunded, purchase.disputed), purchase.state
    else:
        yield "payment", None, purchase.payment
        yield "money back", 0, money_back
        yield "state", True, purchase.state in ("created", "open", "pending", "paid", "failed", "expired")


def _check_payment(books: Books, purchase: Purchase, row: Item | None) -> None:
    if row is None:
        books.finding("payment_missing", keys.purchase_sort(purchase.id))
    elif (row["account"]["S"], row["purchase"]["S"]) != (books.account, purchase.id):
        books.finding("payment_astray", keys.purchase_sort(purchase.id), purchase.id, row["purchase"]["S"])


def _first_review(purchase: Purchase) -> keys.Key:
    return keys.review(purchase.created_at + PAYABLE, purchase.id)


def _number(item: Item) -> int:
    return int(item["SK"]["S"].removeprefix(keys.ENTRY_PREFIX))


def _decoded(item: Item) -> Entry | None:
    try:
        return entry_from_item(item)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def _key(item: Item) -> keys.Key:
    return {"PK": item["PK"], "SK": item["SK"]}


def _texts(item: Item) -> dict[str, str]:
    return {name: item[name]["S"] for name in ("PK", "SK", "line", "state")}
