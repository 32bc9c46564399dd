"""The steps of every pass for the rows that it reads: check them, recheck suspicious ones, report, and save marks.

A pass may read rows that are slightly out of date and from different instants, so its findings are only suspicions. A
suspicious row or account is read twice more, consistently and completely. Only a finding that appears every time is
reported, which excludes the effects of concurrent writes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from prepaid.core.catalog import Catalog
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table, query
from prepaid.store.verification import VerifiedUpTo, save_audit, save_verified_up_to
from prepaid.use_cases.verifying import account_audit, index_rows
from prepaid.use_cases.verifying.account_audit import PROFILE, AccountAudit, close_audit, open_audit, read
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.lookup import RowLookup
from prepaid.use_cases.verifying.stored_audit import pack_audit

PAGE_ROWS = 500
# The deadline of one call to the database.
PIECE_SECONDS = 4.0
# An item holds at most 400 kB; a packed pass grows by about 30 bytes per purchase of the current account.
MAX_PLACE_BYTES = 380_000
# A stored audit grows in the same way. The recent pass reads an account without one from its first entry.
MAX_AUDIT_BYTES = 100_000
RECHECKS = 2
# A whole pass recomputes one in this many stored statements, and each pass chooses others.
RECOMPUTE_ONE_IN = 8
# Clocks differ and transactions take a moment: rows dated this long before the pass began all existed when it began.
SETTLED = timedelta(hours=1)
# How often a schedule reads the whole table. Point-in-time recovery keeps the evidence for 35 days.
WHOLE_EVERY = timedelta(days=7)
# Errors that a row causes if the service can't have written it.
MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(slots=True, kw_only=True)
class Pass:
    """The progress of a pass. audit: of the account in progress. read, found: rows and findings so far."""

    started_at: datetime
    audit: AccountAudit | None = None
    read: int = 0
    found: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyContext:
    """The dependencies and limits of a pass. now: returns the time. on_finding: called once with each finding.

    piece: returns the table with a new deadline, for one call; a slow one must not use up the run. settled: how long
    before the pass a row must be dated, so that it existed when the pass began; zero for a table that nobody writes to.
    whole_every: the time between two scheduled whole passes. marks: whether to save marks and audits.
    """

    piece: Callable[[], Table]
    now: Callable[[], datetime]
    on_finding: Callable[[Finding], None]
    catalogs: dict[int, Catalog] = field(default_factory=dict)
    page_rows: int = PAGE_ROWS
    max_place_bytes: int = MAX_PLACE_BYTES
    recompute_one_in: int = RECOMPUTE_ONE_IN
    settled: timedelta = SETTLED
    whole_every: timedelta = WHOLE_EVERY
    marks: bool = True


def lookup_of(context: VerifyContext, running: Pass, *, consistent: bool) -> RowLookup:
    """The lookups of one page or recheck."""
    return RowLookup(
        piece=context.piece,
        now=context.now(),
        consistent=consistent,
        cutoff=running.started_at - context.settled,
        catalogs=context.catalogs,
        recompute_one_in=context.recompute_one_in,
    )


def needed_rows(item: Item) -> list[keys.Key]:
    """The keys of rows to look up for a row; none if the row is unreadable."""
    try:
        kind, _ = keys.split(item["PK"]["S"])
        return list(account_audit.needed(item) if kind == "ACCOUNT" else index_rows.needed(item))
    except MALFORMED:
        return []


def check_row(
    check: Callable[[AccountAudit, Item, RowLookup], None], audit: AccountAudit, item: Item, lookup: RowLookup
) -> None:
    """Check a row that may contain anything; an error becomes a finding."""
    try:
        check(audit, item, lookup)
    except MALFORMED as error:
        where = item["SK"]["S"] if audit.last else keys.split(item["PK"]["S"])[0]
        audit.finding("unreadable", where, found=type(error).__name__)


def read_ledger_row(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    """Check the account's next row.

    At the profile, which is the first row after the entries, pack the audit for the next recent pass: the rows that
    follow remove the purchases and reversals from it.
    """
    if item["SK"]["S"] == PROFILE and audit.last:
        audit.resumable = pack_audit(audit)
    check_row(read, audit, item, lookup)


def close_account(context: VerifyContext, running: Pass, lookup: RowLookup) -> None:
    """Finish an account: recheck it if it is suspicious, else save its mark."""
    audit, running.audit = running.audit, None
    assert audit is not None
    close_audit(audit, lookup)
    if audit.findings:
        # Save no mark, even if the recheck finds nothing: then the next pass saves it.
        report(context, running, partial(_recheck_account, audit.account))
        return
    assert audit.last is not None
    if context.marks and (audit.mark is None or audit.mark.number < audit.number):
        if audit.resumable and len(audit.resumable) <= MAX_AUDIT_BYTES:
            save_audit(context.piece(), audit.account, audit.resumable)
        mark = VerifiedUpTo(account=audit.account, number=audit.number, hash=bytes(audit.last["hash"]["B"]))
        save_verified_up_to(context.piece(), mark)


def report(context: VerifyContext, running: Pass, recheck: Callable[[RowLookup], list[Finding]]) -> None:
    """Report the findings on which all rechecks agree."""
    first, *other_rechecks = (recheck(lookup_of(context, running, consistent=True)) for _ in range(RECHECKS))
    agreed = [finding for finding in first if all(finding in findings for findings in other_rechecks)]
    for finding in agreed:
        context.on_finding(finding)
    running.found += len(agreed)


def _recheck_account(account: str, lookup: RowLookup) -> list[Finding]:
    audit = open_audit(account, lookup.row_now(keys.verified(account)))
    rows, has_rows = _account_rows(account, lookup), False
    while page := list(islice(rows, PAGE_ROWS)):
        has_rows = True
        lookup.fetch(key for item in page for key in needed_rows(item))
        for item in page:
            check_row(read, audit, item, lookup)
    if has_rows:
        close_audit(audit, lookup)
    return audit.findings


def _account_rows(account: str, lookup: RowLookup) -> Iterator[Item]:
    partition, after = keys.ledger(account), ""
    while items := query(lookup.piece(), partition, first=after + "\x00", last=keys.HIGHEST, limit=PAGE_ROWS):
        yield from items
        after = items[-1]["SK"]["S"]
