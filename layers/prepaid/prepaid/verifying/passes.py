"""A pass over the whole table, page by page; between two pages it can be put away and gone on with by anybody.

A Scan is right here and nowhere else: no key leads to a row that somebody added. It sees each row as it was a moment
ago, and never all at one instant, so it only raises suspicion. What is suspicious is read again twice, consistently and
as a whole; what is being written meanwhile never looks wrong in the same way each time.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from prepaid.core.catalogue import Catalogue
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Patience, Table, get, persist, query, scan
from prepaid.store.items import instant, milliseconds
from prepaid.store.verification import Mark, save_mark
from prepaid.verifying import books as account_books
from prepaid.verifying import rows
from prepaid.verifying.books import Books, close_books, from_json, open_books, read, to_json
from prepaid.verifying.findings import Finding
from prepaid.verifying.tally import Tally, tally_from_bytes
from prepaid.verifying.view import View

PAGE_ROWS = 500
SECOND_LOOKS = 2
# Clocks differ and transactions take a moment: what is dated so long before the pass began was all there then.
SETTLED = timedelta(hours=1)
# What comes of a row that nobody who keeps the rules has written.
MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(slots=True, kw_only=True)
class Pass:
    """One pass over one of so many segments of the table.

    after: the key of the last row that was read; None at the start and at the end. books: of the account in hand.
    read, found: rows and findings so far.
    """

    started_at: datetime
    segment: int = 0
    segments: int = 1
    after: dict[str, Any] | None = None
    books: Books | None = None
    tally: Tally = field(default_factory=Tally)
    read: int = 0
    found: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a pass works with. now: the time when asked. on_finding: told of each finding once."""

    table: Table
    patience: Patience
    now: Callable[[], datetime]
    on_finding: Callable[[Finding], None]
    catalogues: dict[int, Catalogue] = field(default_factory=dict)


def go_on(desk: Desk, one: Pass, has_time: Callable[[], bool], page_rows: int = PAGE_ROWS) -> None:
    """Read on, page by page, while there is time, at least one page. Raises Busy; then the pass is of no use any more,
    but what `pack` gave before is."""
    while not one.done:
        _read_page(desk, one, page_rows)
        if not has_time():
            return


def finish(desk: Desk, passes: Iterable[Pass]) -> int:
    """What only all segments together tell, once all are done: whether each key has its claim. How many it found."""
    tally = Tally()
    for one in passes:
        assert one.done
        tally.merge(one.tally)
    names, unnamed = tally.left()
    for name, surplus in names:
        account, which = keys.split(name)
        where = which if which.startswith("pur_") else f"entry {which}"
        found = "no claim" if surplus > 0 else "two claims"
        desk.on_finding(Finding(code="claim_missing", account=account, where=where, expected="a claim", found=found))
    if unnamed:
        desk.on_finding(Finding(code="claim_missing", account="", where="many entries", expected="a claim each"))
    return len(names) + bool(unnamed)


def pack(one: Pass) -> bytes:
    """The pass, to be kept."""
    value = {
        "started_at": milliseconds(one.started_at),
        "segment": [one.segment, one.segments],
        "after": one.after,
        "books": to_json(one.books) if one.books else None,
        "tally": b64encode(one.tally.to_bytes()).decode(),
        "counts": [one.read, one.found],
        "done": one.done,
    }
    return zlib.compress(json.dumps(value).encode())


def unpack(packed: bytes) -> Pass:
    """What pack gave."""
    value = json.loads(zlib.decompress(packed))
    return Pass(
        started_at=instant(value["started_at"]),
        segment=value["segment"][0],
        segments=value["segment"][1],
        after=value["after"],
        books=from_json(value["books"]) if value["books"] else None,
        tally=tally_from_bytes(b64decode(value["tally"])),
        read=value["counts"][0],
        found=value["counts"][1],
        done=value["done"],
    )


def _read_page(desk: Desk, one: Pass, page_rows: int) -> None:
    items, after = persist(
        desk.patience, scan, desk.table, one.after, limit=page_rows, segment=one.segment, segments=one.segments
    )
    view = _view(desk, one, consistent=False)
    view.tally = one.tally
    view.look_up(key for item in items for key in _needed(item))
    for item in items:
        kind, which = keys.split(item["PK"]["S"])
        if one.books and (kind != "ACCOUNT" or which != one.books.account):
            _close(desk, one, view)
        if kind == "ACCOUNT":
            one.books = one.books or open_books(which, view.row(keys.verified(which)))
            _check(read, one.books, item, view)
        else:
            row = Books(rows.account_of(item))
            _check(rows.check, row, item, view)
            if row.findings:
                _tell(desk, one, partial(_look_at_row, item))
    one.after, one.done, one.read = after, after is None, one.read + len(items)
    if one.done and one.books:
        _close(desk, one, view)


def _close(desk: Desk, one: Pass, view: View) -> None:
    """The end of an account's rows: what is suspicious is looked at again, what is whole is remembered as such."""
    books, one.books = one.books, None
    assert books is not None
    close_books(books, view)
    if books.findings:
        # Found or not: if it was only read while it was written to, the next pass will remember it.
        _tell(desk, one, partial(_look_at_account, books.account))
        return
    assert books.last is not None
    if books.mark is None or books.mark.number < books.number:
        mark = Mark(account=books.account, number=books.number, hash=bytes(books.last["hash"]["B"]))
        persist(desk.patience, save_mark, desk.table, mark)


def _tell(desk: Desk, one: Pass, look: Callable[[View], list[Finding]]) -> None:
    """Report what all second looks agree on."""
    first, *others = (look(_view(desk, one, consistent=True)) for _ in range(SECOND_LOOKS))
    agreed = [finding for finding in first if all(finding in other for other in others)]
    for finding in agreed:
        desk.on_finding(finding)
    one.found += len(agreed)


def _look_at_account(account: str, view: View) -> list[Finding]:
    books = open_books(account, view.row_now(keys.verified(account)))
    rows_left, any_left = _account_rows(account, view), False
    while page := list(islice(rows_left, PAGE_ROWS)):
        any_left = True
        view.look_up(key for item in page for key in _needed(item))
        for item in page:
            _check(read, books, item, view)
    if any_left:
        close_books(books, view)
    return books.findings


def _account_rows(account: str, view: View) -> Iterator[Item]:
    partition, after = keys.ledger(account), ""
    while items := persist(
        view.patience, query, view.table, partition, first=after + "\x00", last="\U0010ffff", limit=PAGE_ROWS
    ):
        yield from items
        after = items[-1]["SK"]["S"]


def _look_at_row(item: Item, view: View) -> list[Finding]:
    key = {"PK": item["PK"], "SK": item["SK"]}
    current = persist(view.patience, get, view.table, key)
    if current is None:
        return []
    books = Books(rows.account_of(current))
    view.look_up(_needed(current))
    _check(rows.check, books, current, view)
    return books.findings


def _check(check: Callable[[Books, Item, View], None], books: Books, item: Item, view: View) -> None:
    """Have a row checked that may hold anything."""
    try:
        check(books, item, view)
    except MALFORMED as error:
        where = item["SK"]["S"] if books.last else keys.split(item["PK"]["S"])[0]
        books.finding("unreadable", where, found=type(error).__name__)


def _needed(item: Item) -> list[keys.Key]:
    """Which rows to look up; for a row that can't be read it doesn't matter."""
    try:
        kind, _ = keys.split(item["PK"]["S"])
        return list(account_books.needed(item) if kind == "ACCOUNT" else rows.needed(item))
    except MALFORMED:
        return []


def _view(desk: Desk, one: Pass, *, consistent: bool) -> View:
    return View(
        table=desk.table,
        patience=desk.patience,
        now=desk.now(),
        consistent=consistent,
        cutoff=one.started_at - SETTLED,
        catalogues=desk.catalogues,
    )
