"""A whole pass: over every row of the table, page by page. Between two pages, any process can store and resume it.

Only the verifier uses Scan, because no key leads to an unknown row that somebody added.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.ids import PURCHASE_PREFIX
from prepaid.store import keys
from prepaid.store.dynamodb import Item, scan
from prepaid.use_cases.verifying import index_rows
from prepaid.use_cases.verifying.account_audit import AccountAudit, open_audit
from prepaid.use_cases.verifying.checking import (
    Pass,
    VerifyContext,
    check_row,
    close_account,
    lookup_of,
    needed_rows,
    read_ledger_row,
    report,
)
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.lookup import RowLookup
from prepaid.use_cases.verifying.stored_audit import audit_from_json, audit_to_json
from prepaid.use_cases.verifying.tally import Tally, tally_from_bytes


@dataclass(slots=True, kw_only=True)
class ScanPass(Pass):
    """A whole pass over one of the table's `segments`. after: the key of the last row read; None at start and end."""

    segment: int = 0
    segments: int = 1
    after: dict[str, Any] | None = None
    tally: Tally = field(default_factory=Tally)


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
        account, id_ = keys.split(name)
        where = id_ if id_.startswith(PURCHASE_PREFIX) else f"entry {id_}"
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
    lookup = lookup_of(context, scan_pass, consistent=False)
    lookup.tally = scan_pass.tally
    lookup.fetch(key for item in items for key in needed_rows(item))
    for item in items:
        kind, id_ = keys.split(item["PK"]["S"])
        if scan_pass.audit and (kind != "ACCOUNT" or id_ != scan_pass.audit.account):
            close_account(context, scan_pass, lookup)
        if kind == "ACCOUNT":
            scan_pass.audit = scan_pass.audit or open_audit(id_, lookup.row(keys.verified(id_)))
            read_ledger_row(scan_pass.audit, item, lookup)
        else:
            audit = AccountAudit(index_rows.account_of(item))
            check_row(index_rows.check, audit, item, lookup)
            if audit.findings:
                report(context, scan_pass, partial(_recheck_row, item))
    scan_pass.after, scan_pass.done, scan_pass.read = after, after is None, scan_pass.read + len(items)
    if scan_pass.done and scan_pass.audit:
        close_account(context, scan_pass, lookup)


def _recheck_row(item: Item, lookup: RowLookup) -> list[Finding]:
    key = {"PK": item["PK"], "SK": item["SK"]}
    current = lookup.row_now(key)
    if current is None:
        return []
    audit = AccountAudit(index_rows.account_of(current))
    lookup.fetch(needed_rows(current))
    check_row(index_rows.check, audit, current, lookup)
    return audit.findings
