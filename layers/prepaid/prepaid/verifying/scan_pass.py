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

from prepaid.core.catalog import Catalog
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Patience, Table, get, persist, query, scan
from prepaid.store.items import instant, milliseconds
from prepaid.store.verification import VerifiedUpTo, save_verified_up_to
from prepaid.verifying import account_audit, index_rows
from prepaid.verifying.account_audit import AccountAudit, close_audit, from_json, open_audit, read, to_json
from prepaid.verifying.findings import Finding
from prepaid.verifying.lookup import RowLookup
from prepaid.verifying.tally import Tally, tally_from_bytes

PAGE_ROWS = 500
SECOND_LOOKS = 2
# Clocks differ and transactions take a moment: what is dated so long before the pass began was all there then.
SETTLED = timedelta(hours=1)
# What comes of a row that nobody who keeps the rules has written.
MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(slots=True, kw_only=True)
class ScanPass:
    """One pass over one of so many segments of the table.

    after: the key of the last row that was read; None at the start and at the end. audit: of the account in hand.
    read, found: rows and findings so far.
    """

    started_at: datetime
    segment: int = 0
    segments: int = 1
    after: dict[str, Any] | None = None
    audit: AccountAudit | None = None
    tally: Tally = field(default_factory=Tally)
    read: int = 0
    found: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyContext:
    """What a pass works with. now: the time when asked. on_finding: told of each finding once."""

    table: Table
    patience: Patience
    now: Callable[[], datetime]
    on_finding: Callable[[Finding], None]
    catalogs: dict[int, Catalog] = field(default_factory=dict)


def advance(context: VerifyContext, one: ScanPass, has_time: Callable[[], bool], page_rows: int = PAGE_ROWS) -> None:
    """Read on, page by page, while there is time, at least one page. Raises Busy; then the pass is of no use any more,
    but what `pack` gave before is."""
    while not one.done:
        _read_page(context, one, page_rows)
        if not has_time():
            return


def finish(context: VerifyContext, passes: Iterable[ScanPass]) -> int:
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
        context.on_finding(Finding(code="claim_missing", account=account, where=where, expected="a claim", found=found))
    if unnamed:
        context.on_finding(Finding(code="claim_missing", account="", where="many entries", expected="a claim each"))
    return len(names) + bool(unnamed)


def pack(one: ScanPass) -> bytes:
    """The pass, to be kept."""
    value = {
        "started_at": milliseconds(one.started_at),
        "segment": [one.segment, one.segments],
        "after": one.after,
        "audit": to_json(one.audit) if one.audit else None,
        "tally": b64encode(one.tally.to_bytes()).decode(),
        "counts": [one.read, one.found],
        "done": one.done,
    }
    return zlib.compress(json.dumps(value).encode())


def unpack(packed: bytes) -> ScanPass:
    """What pack gave."""
    value = json.loads(zlib.decompress(packed))
    return ScanPass(
        started_at=instant(value["started_at"]),
        segment=value["segment"][0],
        segments=value["segment"][1],
        after=value["after"],
        audit=from_json(value["audit"]) if value["audit"] else None,
        tally=tally_from_bytes(b64decode(value["tally"])),
        read=value["counts"][0],
        found=value["counts"][1],
        done=value["done"],
    )


def _read_page(context: VerifyContext, one: ScanPass, page_rows: int) -> None:
    items, after = persist(
        context.patience, scan, context.table, one.after, limit=page_rows, segment=one.segment, segments=one.segments
    )
    lookup = _lookup(context, one, consistent=False)
    lookup.tally = one.tally
    lookup.fetch(key for item in items for key in _needed(item))
    for item in items:
        kind, which = keys.split(item["PK"]["S"])
        if one.audit and (kind != "ACCOUNT" or which != one.audit.account):
            _close(context, one, lookup)
        if kind == "ACCOUNT":
            one.audit = one.audit or open_audit(which, lookup.row(keys.verified(which)))
            _check(read, one.audit, item, lookup)
        else:
            row = AccountAudit(index_rows.account_of(item))
            _check(index_rows.check, row, item, lookup)
            if row.findings:
                _report(context, one, partial(_look_at_row, item))
    one.after, one.done, one.read = after, after is None, one.read + len(items)
    if one.done and one.audit:
        _close(context, one, lookup)


def _close(context: VerifyContext, one: ScanPass, lookup: RowLookup) -> None:
    """The end of an account's rows: what is suspicious is looked at again, what is whole is remembered as such."""
    audit, one.audit = one.audit, None
    assert audit is not None
    close_audit(audit, lookup)
    if audit.findings:
        # Found or not: if it was only read while it was written to, the next pass will remember it.
        _report(context, one, partial(_look_at_account, audit.account))
        return
    assert audit.last is not None
    if audit.mark is None or audit.mark.number < audit.number:
        mark = VerifiedUpTo(account=audit.account, number=audit.number, hash=bytes(audit.last["hash"]["B"]))
        persist(context.patience, save_verified_up_to, context.table, mark)


def _report(context: VerifyContext, one: ScanPass, look: Callable[[RowLookup], list[Finding]]) -> None:
    """Report what all second looks agree on."""
    first, *others = (look(_lookup(context, one, consistent=True)) for _ in range(SECOND_LOOKS))
    agreed = [finding for finding in first if all(finding in other for other in others)]
    for finding in agreed:
        context.on_finding(finding)
    one.found += len(agreed)


def _look_at_account(account: str, lookup: RowLookup) -> list[Finding]:
    audit = open_audit(account, lookup.row_now(keys.verified(account)))
    rows_left, any_left = _account_rows(account, lookup), False
    while page := list(islice(rows_left, PAGE_ROWS)):
        any_left = True
        lookup.fetch(key for item in page for key in _needed(item))
        for item in page:
            _check(read, audit, item, lookup)
    if any_left:
        close_audit(audit, lookup)
    return audit.findings


def _account_rows(account: str, lookup: RowLookup) -> Iterator[Item]:
    partition, after = keys.ledger(account), ""
    while items := persist(
        lookup.patience, query, lookup.table, partition, first=after + "\x00", last="\U0010ffff", limit=PAGE_ROWS
    ):
        yield from items
        after = items[-1]["SK"]["S"]


def _look_at_row(item: Item, lookup: RowLookup) -> list[Finding]:
    key = {"PK": item["PK"], "SK": item["SK"]}
    current = persist(lookup.patience, get, lookup.table, key)
    if current is None:
        return []
    audit = AccountAudit(index_rows.account_of(current))
    lookup.fetch(_needed(current))
    _check(index_rows.check, audit, current, lookup)
    return audit.findings


def _check(
    check: Callable[[AccountAudit, Item, RowLookup], None], audit: AccountAudit, item: Item, lookup: RowLookup
) -> None:
    """Have a row checked that may hold anything."""
    try:
        check(audit, item, lookup)
    except MALFORMED as error:
        where = item["SK"]["S"] if audit.last else keys.split(item["PK"]["S"])[0]
        audit.finding("unreadable", where, found=type(error).__name__)


def _needed(item: Item) -> list[keys.Key]:
    """Which rows to look up; for a row that can't be read it doesn't matter."""
    try:
        kind, _ = keys.split(item["PK"]["S"])
        return list(account_audit.needed(item) if kind == "ACCOUNT" else index_rows.needed(item))
    except MALFORMED:
        return []


def _lookup(context: VerifyContext, one: ScanPass, *, consistent: bool) -> RowLookup:
    return RowLookup(
        table=context.table,
        patience=context.patience,
        now=context.now(),
        consistent=consistent,
        cutoff=one.started_at - SETTLED,
        catalogs=context.catalogs,
    )
