"""A recent pass: verifies the entries since each account's mark. Its cost grows with the new entries, not the table.

    list the accounts -> compare each with its mark -> audit those with newer entries, from their stored audit on

An account whose newest entry is the marked one takes two small reads. Any other account is audited as in a whole pass,
but from its stored audit on: the pass reads only the later entries, and the account's other rows. It trusts the stored
audit only if its newest entry is still in the ledger; otherwise it reads the account from the first entry.
"""

import json
import zlib
from dataclasses import dataclass, field

from prepaid.core.calendar import instant, milliseconds
from prepaid.store import keys
from prepaid.store.dynamodb import Item, query
from prepaid.store.verification import VerifiedUpTo, verified_up_to_from_item
from prepaid.use_cases.verifying.account_audit import AccountAudit, open_audit
from prepaid.use_cases.verifying.checking import (
    MALFORMED,
    Pass,
    VerifyContext,
    close_account,
    lookup_of,
    needed_rows,
    read_ledger_row,
)
from prepaid.use_cases.verifying.lookup import RowLookup
from prepaid.use_cases.verifying.stored_audit import audit_from_json, audit_to_json, unpack_audit

PAGE_ACCOUNTS = 100


@dataclass(slots=True, kw_only=True)
class RecentPass(Pass):
    """after: the last account that was compared with its mark. changed: accounts compared, but not audited yet.

    row: the sort key of the last row that was read of the account in progress.
    """

    after: str = ""
    changed: list[str] = field(default_factory=list)
    row: str = ""


def advance_recent(context: VerifyContext, recent: RecentPass) -> None:
    """Read the next page: of the list of accounts, or of an account. Raises Busy; resume from the last pack then."""
    lookup = lookup_of(context, recent, consistent=False)
    if recent.audit is None and recent.changed:
        recent.audit = _stored_audit(recent.changed[0], lookup)
        recent.row = keys.entry_sort(recent.audit.number) if recent.audit.last else ""
    if recent.audit is not None:
        _read_account_page(context, recent, recent.audit, lookup)
    elif not recent.done:
        _compare_accounts(context, recent, lookup)


def pack_recent(recent: RecentPass) -> bytes:
    """The pass as bytes, to store it."""
    value = {
        "started_at": milliseconds(recent.started_at),
        "after": recent.after,
        "changed": recent.changed,
        "row": recent.row,
        "audit": audit_to_json(recent.audit) if recent.audit else None,
        "counts": [recent.read, recent.found],
        "done": recent.done,
    }
    return zlib.compress(json.dumps(value).encode())


def unpack_recent(packed: bytes) -> RecentPass:
    """The pass from pack_recent's bytes."""
    value = json.loads(zlib.decompress(packed))
    return RecentPass(
        started_at=instant(value["started_at"]),
        after=value["after"],
        changed=value["changed"],
        row=value["row"],
        audit=audit_from_json(value["audit"]) if value["audit"] else None,
        read=value["counts"][0],
        found=value["counts"][1],
        done=value["done"],
    )


def _compare_accounts(context: VerifyContext, recent: RecentPass, lookup: RowLookup) -> None:
    """Compare the next accounts of the list with their marks."""
    rows = query(context.piece(), keys.ACCOUNTS, first=recent.after + "\x00", last=keys.HIGHEST, limit=PAGE_ACCOUNTS)
    accounts = [item["SK"]["S"] for item in rows]
    lookup.fetch(keys.verified(account) for account in accounts)
    marks = {account: _mark_of(lookup.row(keys.verified(account))) for account in accounts}
    recent.changed = [account for account in accounts if not _is_unchanged(context, marks[account])]
    recent.read += len(rows)
    recent.after, recent.done = (accounts[-1], False) if accounts else (recent.after, True)


def _mark_of(item: Item | None) -> VerifiedUpTo | None:
    """The account's mark; None if it has none, or an unreadable one."""
    try:
        return verified_up_to_from_item(item) if item else None
    except MALFORMED:
        return None


def _is_unchanged(context: VerifyContext, mark: VerifiedUpTo | None) -> bool:
    """Whether the marked entry is still there, and the newest one."""
    if mark is None:
        return False
    # A read of the next number alone would miss newer entries after a gap.
    first, last = keys.entry_sort(mark.number), keys.LAST_ENTRY
    entries = query(context.piece(), keys.ledger(mark.account), first=first, last=last, limit=2)
    return [(item["SK"]["S"], item.get("hash")) for item in entries] == [(first, {"B": mark.hash})]


def _stored_audit(account: str, lookup: RowLookup) -> AccountAudit:
    """The stored audit up to the account's last verified entry; a new one if the ledger no longer has that entry."""
    mark, stored = lookup.row_now(keys.verified(account)), lookup.row_now(keys.audit(account))
    new_audit = open_audit(account, mark)
    try:
        audit = unpack_audit(bytes(stored["audit"]["B"])) if stored else new_audit
    except MALFORMED:
        return new_audit
    if audit.account != account or audit.last is None or audit.findings:
        return new_audit
    entry = lookup.row_now(keys.entry(account, audit.number))
    if entry is None or any(entry.get(name) != value for name, value in audit.last.items()):
        return new_audit
    audit.mark = new_audit.mark
    return audit


def _read_account_page(context: VerifyContext, recent: RecentPass, audit: AccountAudit, lookup: RowLookup) -> None:
    items = query(
        context.piece(),
        keys.ledger(audit.account),
        first=recent.row + "\x00",
        last=keys.HIGHEST,
        limit=context.page_rows,
    )
    lookup.fetch(key for item in items for key in needed_rows(item))
    for item in items:
        read_ledger_row(audit, item, lookup)
    recent.read += len(items)
    if items:
        recent.row = items[-1]["SK"]["S"]
        return
    close_account(context, recent, lookup)
    recent.changed = recent.changed[1:]
    recent.row = ""
