"""A pass over the whole table, page by page. Between two pages, any process can store and resume it.

Only the verifier uses Scan, because no key leads to an unknown row that somebody added. A Scan returns rows that may be
slightly out of date and from different instants, so its findings are only suspicions. A suspicious row or account is
read twice more, consistently and completely. A concurrent write doesn't produce the same finding every time.
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

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.catalog import Catalog
from prepaid.core.ids import PURCHASE_PREFIX
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, query, scan
from prepaid.store.verification import VerifiedUpTo, save_verified_up_to
from prepaid.use_cases.verifying import account_audit, index_rows
from prepaid.use_cases.verifying.account_audit import AccountAudit, close_audit, open_audit, read
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.lookup import RowLookup
from prepaid.use_cases.verifying.stored_audit import audit_from_json, audit_to_json
from prepaid.use_cases.verifying.tally import Tally, tally_from_bytes

PAGE_ROWS = 500
# The deadline of one call to the database.
PIECE_SECONDS = 4.0
# An item holds at most 400 kB; a packed pass grows by about 30 bytes per purchase of the current account.
MAX_PLACE_BYTES = 380_000
RECHECKS = 2
# A pass recomputes one in this many stored statements, and each pass chooses others.
RECOMPUTE_ONE_IN = 8
# Clocks differ and transactions take a moment: rows dated this long before the pass began all existed when it began.
SETTLED = timedelta(hours=1)
# Errors that a row causes if the service can't have written it.
MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(slots=True, kw_only=True)
class ScanPass:
    """One pass over one of the table's `segments`.

    after: the key of the last row read; None at the start and at the end. audit: of the current account.
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
    """The dependencies and limits of a pass. now: returns the time. on_finding: called once with each finding.

    piece: returns the table with a new deadline, for one call; a slow one must not use up the run.
    """

    piece: Callable[[], Table]
    now: Callable[[], datetime]
    on_finding: Callable[[Finding], None]
    catalogs: dict[int, Catalog] = field(default_factory=dict)
    page_rows: int = PAGE_ROWS
    max_place_bytes: int = MAX_PLACE_BYTES
    recompute_one_in: int = RECOMPUTE_ONE_IN


def advance(context: VerifyContext, scan_pass: ScanPass) -> None:
    """Read and check the next page. Raises Busy; discard the pass then, and resume from the last `pack()`."""
    if not scan_pass.done:
        _read_page(context, scan_pass)


def finish(context: VerifyContext, passes: Iterable[ScanPass]) -> int:
    """Check that each key has its claim, once all segments are done. Returns the number of findings."""
    tally = Tally()
    for scan_pass in passes:
        assert scan_pass.done
        tally.merge(scan_pass.tally)
    names, unnamed = tally.left()
    for name, surplus in names:
        account, which = keys.split(name)
        where = which if which.startswith(PURCHASE_PREFIX) else f"entry {which}"
        found = "no claim" if surplus > 0 else "two claims"
        context.on_finding(Finding(code="claim_missing", account=account, where=where, expected="a claim", found=found))
    if unnamed:
        context.on_finding(Finding(code="claim_missing", account="", where="many entries", expected="a claim each"))
    return len(names) + bool(unnamed)


def pack(scan_pass: ScanPass) -> bytes:
    """The pass as bytes, to store it."""
    value = {
        "started_at": milliseconds(scan_pass.started_at),
        "segment": [scan_pass.segment, scan_pass.segments],
        "after": scan_pass.after,
        "audit": audit_to_json(scan_pass.audit) if scan_pass.audit else None,
        "tally": b64encode(scan_pass.tally.to_bytes()).decode(),
        "counts": [scan_pass.read, scan_pass.found],
        "done": scan_pass.done,
    }
    return zlib.compress(json.dumps(value).encode())


def unpack(packed: bytes) -> ScanPass:
    """The pass from pack's bytes."""
    value = json.loads(zlib.decompress(packed))
    return ScanPass(
        started_at=instant(value["started_at"]),
        segment=value["segment"][0],
        segments=value["segment"][1],
        after=value["after"],
        audit=audit_from_json(value["audit"]) if value["audit"] else None,
        tally=tally_from_bytes(b64decode(value["tally"])),
        read=value["counts"][0],
        found=value["counts"][1],
        done=value["done"],
    )


def _read_page(context: VerifyContext, scan_pass: ScanPass) -> None:
    items, after = scan(
        context.piece(),
        scan_pass.after,
        limit=context.page_rows,
        segment=scan_pass.segment,
        segments=scan_pass.segments,
    )
    lookup = _lookup(context, scan_pass, consistent=False)
    lookup.tally = scan_pass.tally
    lookup.fetch(key for item in items for key in _needed(item))
    for item in items:
        kind, which = keys.split(item["PK"]["S"])
        if scan_pass.audit and (kind != "ACCOUNT" or which != scan_pass.audit.account):
            _close(context, scan_pass, lookup)
        if kind == "ACCOUNT":
            scan_pass.audit = scan_pass.audit or open_audit(which, lookup.row(keys.verified(which)))
            _check(read, scan_pass.audit, item, lookup)
        else:
            row = AccountAudit(index_rows.account_of(item))
            _check(index_rows.check, row, item, lookup)
            if row.findings:
                _report(context, scan_pass, partial(_recheck_row, item))
    scan_pass.after, scan_pass.done, scan_pass.read = after, after is None, scan_pass.read + len(items)
    if scan_pass.done and scan_pass.audit:
        _close(context, scan_pass, lookup)


def _close(context: VerifyContext, scan_pass: ScanPass, lookup: RowLookup) -> None:
    """Finish an account: recheck it if it is suspicious, else save its mark."""
    audit, scan_pass.audit = scan_pass.audit, None
    assert audit is not None
    close_audit(audit, lookup)
    if audit.findings:
        # Save no mark, even if the recheck finds nothing: then the next pass saves it.
        _report(context, scan_pass, partial(_recheck_account, audit.account))
        return
    assert audit.last is not None
    if audit.mark is None or audit.mark.number < audit.number:
        mark = VerifiedUpTo(account=audit.account, number=audit.number, hash=bytes(audit.last["hash"]["B"]))
        save_verified_up_to(context.piece(), mark)


def _report(context: VerifyContext, scan_pass: ScanPass, recheck: Callable[[RowLookup], list[Finding]]) -> None:
    """Report the findings on which all rechecks agree."""
    first, *others = (recheck(_lookup(context, scan_pass, consistent=True)) for _ in range(RECHECKS))
    agreed = [finding for finding in first if all(finding in other for other in others)]
    for finding in agreed:
        context.on_finding(finding)
    scan_pass.found += len(agreed)


def _recheck_account(account: str, lookup: RowLookup) -> list[Finding]:
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
    while items := query(lookup.piece(), partition, first=after + "\x00", last="\U0010ffff", limit=PAGE_ROWS):
        yield from items
        after = items[-1]["SK"]["S"]


def _recheck_row(item: Item, lookup: RowLookup) -> list[Finding]:
    key = {"PK": item["PK"], "SK": item["SK"]}
    current = lookup.row_now(key)
    if current is None:
        return []
    audit = AccountAudit(index_rows.account_of(current))
    lookup.fetch(_needed(current))
    _check(index_rows.check, audit, current, lookup)
    return audit.findings


def _check(
    check: Callable[[AccountAudit, Item, RowLookup], None], audit: AccountAudit, item: Item, lookup: RowLookup
) -> None:
    """Check a row that may contain anything; an error becomes a finding."""
    try:
        check(audit, item, lookup)
    except MALFORMED as error:
        where = item["SK"]["S"] if audit.last else keys.split(item["PK"]["S"])[0]
        audit.finding("unreadable", where, found=type(error).__name__)


def _needed(item: Item) -> list[keys.Key]:
    """The keys of rows to look up for a row; none if the row is unreadable."""
    try:
        kind, _ = keys.split(item["PK"]["S"])
        return list(account_audit.needed(item) if kind == "ACCOUNT" else index_rows.needed(item))
    except MALFORMED:
        return []


def _lookup(context: VerifyContext, scan_pass: ScanPass, *, consistent: bool) -> RowLookup:
    return RowLookup(
        piece=context.piece,
        now=context.now(),
        consistent=consistent,
        cutoff=scan_pass.started_at - SETTLED,
        catalogs=context.catalogs,
        recompute_one_in=context.recompute_one_in,
    )
