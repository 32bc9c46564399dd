"""Audits one account's rows in key order: its entries, oldest first, then its profile, its purchases, its reversals.

Memory holds the newest entry, and a record per purchase, per lot of a purchase and per charge that was reversed. It
doesn't grow with the number of the account's debits.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from prepaid.core.account import Account, Lot
from prepaid.core.entry import CHARGES, Draw, Entry, LotDraw
from prepaid.core.ids import hold_id, lot_number
from prepaid.core.purchase import PAYABLE, Purchase, revoked_credits, state_after
from prepaid.core.reversing import charge_of
from prepaid.store import keys
from prepaid.store.due import hold_due_item, lot_due_item
from prepaid.store.dynamodb import Item
from prepaid.store.items import (
    CHECKSUM,
    GENESIS_HASH,
    chain_hash,
    checksum,
    entry_from_item,
    line_and_state,
    lot_from_text,
    texts_differ,
)
from prepaid.store.purchases import purchase_from_item
from prepaid.store.reversals import reversed_units_of
from prepaid.store.verification import VerifiedUpTo, verified_up_to_from_item
from prepaid.use_cases.verifying import auxiliary_rows
from prepaid.use_cases.verifying.findings import Code, Finding
from prepaid.use_cases.verifying.lookup import RowLookup
from prepaid.use_cases.verifying.replay import (
    TYPES_WITH_A_KEY,
    PurchaseTrail,
    Reversible,
    conserved,
    replay,
    trail_after,
)

PROFILE, MANAGER, CUSTOMER = (key("")["SK"]["S"] for key in (keys.profile, keys.manager, keys.customer))
ENTRY_ATTRIBUTES = {"PK", "SK", "line", "state", "texts", "hash"}
# Texts from a client: a finding reports that they differ, but not their content.
UNSHOWN = {"by", "note"}
PARTS = ("line", "state")
MAX_FINDINGS = 50
MAX_SHOWN = 160
# Once a check or a lot is due, its row may be deleted at any time, and a pass takes a while.
SOON = timedelta(days=1)


@dataclass(slots=True)
class AccountAudit:
    """The progress of one account's audit, and its findings so far (the first MAX_FINDINGS).

    mark: from an earlier pass. last: the newest entry's item; entry: the same decoded, None when that fails.
    trails: by purchase id. owners: purchase id by lot id. reversed: units by the number of the entry that was reversed.
    code_version: of the manager's code; 0 when none is set. resumable: the audit as it was after the newest entry,
    packed; None before that.
    """

    account: str
    mark: VerifiedUpTo | None = None
    last: Item | None = None
    entry: Entry | None = None
    trails: dict[str, PurchaseTrail] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    reversed: dict[int, int] = field(default_factory=dict)
    code_version: int = 0
    has_profile: bool = False
    findings: list[Finding] = field(default_factory=list)
    resumable: bytes | None = None

    @property
    def number(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return _number(self.last) if self.last else 0

    def finding(self, code: Code, where: str, expected: object = "", found: object = "") -> None:
        """Add a finding."""
        if len(self.findings) < MAX_FINDINGS:
            shown = (str(expected)[:MAX_SHOWN], str(found)[:MAX_SHOWN])
            finding = Finding(code=code, account=self.account, where=where, expected=shown[0], found=shown[1])
            self.findings.append(finding)


def open_audit(account: str, mark: Item | None) -> AccountAudit:
    """A new audit. An unreadable mark counts as none; the check of the mark's own row reports it."""
    try:
        return AccountAudit(account, mark=verified_up_to_from_item(mark) if mark else None)
    except (KeyError, ValueError):
        return AccountAudit(account)


def needed(item: Item) -> Iterator[keys.Key]:
    """The keys of rows that `read` compares this row with."""
    account, sort = keys.split(item["PK"]["S"])[1], item["SK"]["S"]
    yield keys.verified(account)
    if sort.startswith(keys.purchase_sort("")):
        yield _first_pending_check(purchase_from_item(item))
        if "payment" in item:
            yield keys.payment(item["payment"]["S"])
    if sort == keys.entry_sort(1):
        yield keys.listed(account)
    if sort.startswith(keys.ENTRY_PREFIX):
        line = json.loads(item["line"]["S"])
        if "lot" in line:
            yield _key(lot_due_item(account, lot_from_text(line["lot"])))
        if "reverses" in line:
            yield keys.entry(account, line["reverses"])
        if "purchase" in line:
            yield keys.purchase(account, line["purchase"])


def read(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    """Check the account's next row. Raises Busy."""
    sort = item["SK"]["S"]
    if sort.startswith(keys.ENTRY_PREFIX):
        _read_entry(audit, item, lookup)
    elif sort.startswith(keys.purchase_sort("")):
        _read_purchase(audit, item, lookup)
    elif sort.startswith(keys.REVERSED_PREFIX):
        _read_reversed(audit, item)
    elif sort == PROFILE:
        audit.has_profile = True
        check_sum(audit, item)
        _note(audit, sort, auxiliary_rows.wrong_in_profile(item))
    elif sort == MANAGER:
        _note(audit, sort, auxiliary_rows.wrong_in_manager(item))
        audit.code_version = auxiliary_rows.code_version(item)
    elif sort == CUSTOMER:
        _note(audit, sort, auxiliary_rows.wrong_in_customer(item))
    else:
        audit.finding("unknown_row", sort)


def close_audit(audit: AccountAudit, lookup: RowLookup) -> None:
    """Check what is known only after the account's last row. Raises Busy."""
    if audit.last is None:
        audit.finding("ledger_missing", keys.entry_sort(1))
        return
    if not audit.has_profile:
        audit.finding("profile_missing", keys.profile(audit.account)["SK"]["S"])
    if audit.mark and audit.mark.number > audit.number:
        audit.finding("history_cut", keys.entry_sort(audit.mark.number), audit.mark.number, audit.number)
    for purchase in audit.trails:
        audit.finding("purchase_missing", keys.purchase_sort(purchase))
    for number in audit.reversed:
        audit.finding("reversal_missing", keys.reversed_units("", number)["SK"]["S"], audit.reversed[number])
    # The end of these isn't in the ledger, so the sweep hasn't deleted their rows yet.
    for lot in audit.entry.after.lots if audit.entry else ():
        if lot.expires_at <= lookup.now + SOON:
            _check_due(audit, lot, lookup.row_now(_key(lot_due_item(audit.account, lot))))
    for hold in audit.entry.after.holds if audit.entry else ():
        if lookup.row_now(_key(hold_due_item(audit.account, hold.number, hold.lapses_at))) is None:
            audit.finding("due_missing", f"{hold_id(hold.number)} {hold.lapses_at.date()}")


def check_sum(audit: AccountAudit, item: Item) -> None:
    """Check the checksum of a record without a hash chain."""
    stored = item.get(CHECKSUM, {}).get("B", b"")
    if bytes(stored) != checksum(item):
        audit.finding("record_changed", item["SK"]["S"])


def decoded(item: Item) -> Entry | None:
    """The entry in a row; None if the row is unreadable."""
    try:
        return entry_from_item(item)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return None


def _note(audit: AccountAudit, sort: str, parts: Iterable[str]) -> None:
    for part in parts:
        audit.finding("row_differs", f"{sort} {part}")


def _read_entry(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    sort = item["SK"]["S"]
    before, previous_hash = audit.entry, bytes(audit.last["hash"]["B"]) if audit.last else GENESIS_HASH
    try:
        number, entry = _number(item), decoded(item)
        stored_hash = bytes(item["hash"]["B"])
        texts = [item[name]["S"] for name in ("PK", "SK", "line", "state")]
    except (KeyError, ValueError):
        # Nothing in the row is usable, not even the hash for the next entry's chain.
        audit.finding("unreadable", sort)
        return
    if number != audit.number + 1 or sort != keys.entry_sort(number):
        audit.finding("entry_missing", keys.entry_sort(audit.number + 1), audit.number + 1, number)
    if stored_hash != chain_hash(previous_hash, *texts):
        audit.finding("chain_broken", sort)
    if audit.mark and number == audit.mark.number and stored_hash != audit.mark.hash:
        audit.finding("history_changed", sort, audit.mark.hash.hex(), stored_hash.hex())
    first = audit.last is None
    audit.last, audit.entry = item, entry
    if entry is None:
        audit.finding("unreadable", sort)
        return
    if not item.keys() <= ENTRY_ATTRIBUTES:
        audit.finding("rewritten", sort)
    if texts_differ(item):
        audit.finding("texts_changed", sort)
    if before and entry.catalog_version < before.catalog_version:
        audit.finding("not_replayed", f"{sort} catalog", before.catalog_version, entry.catalog_version)
    if before or first:
        _check_change(audit, before.after if before else None, entry, lookup)
    _follow(audit, entry, lookup)


def _check_change(audit: AccountAudit, before: Account | None, entry: Entry, lookup: RowLookup) -> None:
    """Compare the entry with the result of the rules on the state before it."""
    sort = keys.entry_sort(entry.number)
    if before and entry.at < before.at:
        audit.finding("time_backwards", sort, before.at.isoformat(), entry.at.isoformat())
    if before and not conserved(before, entry):
        audit.finding("not_conserved", sort)
    catalog = lookup.catalog(entry.catalog_version)
    if catalog is None:
        audit.finding("catalog_missing", sort, entry.catalog_version)
        return
    purchase = _purchase_of(audit, entry, lookup)
    trail = audit.trails.get(entry.purchase or "", PurchaseTrail())
    try:
        reversible = _reversible(audit, entry, lookup)
        expected = replay(before, entry, catalog, purchase, trail, reversible)
    except Exception as error:  # noqa: BLE001 - a forged entry may make the core fail in any way
        audit.finding("not_replayed", sort, found=type(error).__name__)
        return
    if expected is None:
        audit.finding("not_replayed", sort, "no entry", entry.type)
    else:
        _compare(audit, expected, entry)


def _reversible(audit: AccountAudit, entry: Entry, lookup: RowLookup) -> Reversible | None:
    """What a reversal's original charged, from the entries that the reversal refers to. Raises Busy, ValueError."""
    if entry.reverses is None:
        return None
    item = lookup.row(keys.entry(audit.account, entry.reverses))
    original = entry_from_item(item) if item else None
    if original is None or original.type not in CHARGES or original.number >= entry.number:
        raise ValueError(entry.reverses)
    placed = original
    if original.type == "capture":
        # Its quota was drawn when its hold was placed.
        placed = _entry_now(audit.account, original.holds[0], lookup)
    lots = [
        lot
        for draw in original.draws
        if isinstance(draw, LotDraw) and (lot := _entry_now(audit.account, lot_number(draw.lot), lookup).lot)
    ]
    return Reversible(charge_of(original, placed.after, lots), audit.reversed.get(original.number, 0))


def _entry_now(account: str, number: int, lookup: RowLookup) -> Entry:
    item = lookup.row_now(keys.entry(account, number))
    if item is None:
        raise ValueError(number)
    return entry_from_item(item)


def _read_reversed(audit: AccountAudit, item: Item) -> None:
    sort = item["SK"]["S"]
    expected = audit.reversed.pop(int(sort.removeprefix(keys.REVERSED_PREFIX)), 0)
    if item.keys() != {"PK", "SK", "units"} or reversed_units_of(item) != expected:
        audit.finding("reversal_differs", sort, expected, item.get("units", {}).get("N", ""))


def _compare(audit: AccountAudit, expected: Entry, entry: Entry) -> None:
    """Compare the stored bytes: an entry with the same values but other bytes wasn't written by this service."""
    assert audit.last is not None
    # The digest of texts that are erased can't be computed again. Whether others fit it is checked apart.
    encoded = dict(zip(PARTS, line_and_state(expected, json.loads(audit.last["line"]["S"]).get("texts")), strict=True))
    if all(audit.last[part]["S"] == encoded[part] for part in PARTS):
        return
    before = len(audit.findings)
    for part in PARTS:
        stored, replayed = json.loads(audit.last[part]["S"]), json.loads(encoded[part])
        for name in sorted({*stored, *replayed}):
            if stored.get(name) != replayed.get(name):
                shown = ("", "") if name in UNSHOWN else (replayed.get(name, ""), stored.get(name, ""))
                audit.finding("not_replayed", f"{keys.entry_sort(entry.number)} {part}.{name}", *shown)
    if len(audit.findings) == before:
        audit.finding("rewritten", keys.entry_sort(entry.number))


def _purchase_of(audit: AccountAudit, entry: Entry, lookup: RowLookup) -> Purchase | None:
    if entry.purchase is None:
        if entry.type in ("purchase", "refund", "dispute"):
            audit.finding("purchase_missing", keys.entry_sort(entry.number))
        return None
    item = lookup.row(keys.purchase(audit.account, entry.purchase))
    try:
        return purchase_from_item(item) if item else None
    except (KeyError, ValueError):
        return None


def _follow(audit: AccountAudit, entry: Entry, lookup: RowLookup) -> None:
    """Record what later rows are compared with, and check the rows that lead to this one."""
    if entry.number == 1 and lookup.row(keys.listed(audit.account)) is None:
        audit.finding("listed_missing", keys.ACCOUNTS)
    expired_draws: tuple[Draw, ...] = entry.draws if entry.type == "expiry" else entry.expired
    for draw in expired_draws:
        if isinstance(draw, LotDraw) and draw.lot in audit.owners:
            purchase = audit.owners[draw.lot]
            trail = audit.trails[purchase]
            audit.trails[purchase] = replace(trail, expired=trail.expired + draw.credits)
    if entry.reverses is not None:
        audit.reversed[entry.reverses] = audit.reversed.get(entry.reverses, 0) + (entry.quantity or 0)
    if entry.purchase is not None:
        _follow_purchase(audit, entry.purchase, entry)
    if entry.lot and entry.lot.expires_at > lookup.now + SOON:
        _check_due(audit, entry.lot, lookup.row(_key(lot_due_item(audit.account, entry.lot))))
    if entry.key is not None:
        if entry.type not in TYPES_WITH_A_KEY:
            audit.finding("not_replayed", f"{keys.entry_sort(entry.number)} line.key", "", entry.key)
        elif lookup.tally and entry.at < lookup.cutoff:
            lookup.tally.add_key(f"{audit.account}#{entry.number}")


def _follow_purchase(audit: AccountAudit, purchase: str, entry: Entry) -> None:
    audit.trails[purchase] = trail = trail_after(audit.trails.get(purchase, PurchaseTrail()), entry)
    if trail.expired_unspent[0] > trail.expired_unspent[1]:
        # The entry moved no credits, and no expired credits could have been counted instead.
        audit.finding("not_replayed", keys.entry_sort(entry.number), "no entry", entry.type)
    if entry.lot:
        audit.owners[entry.lot.id] = purchase


def _check_due(audit: AccountAudit, lot: Lot, row: Item | None) -> None:
    if row is None:
        audit.finding("due_missing", f"{lot.id} {lot.expires_at.date()}")


def _read_purchase(audit: AccountAudit, item: Item, lookup: RowLookup) -> None:
    sort = item["SK"]["S"]
    check_sum(audit, item)
    trail = audit.trails.pop(sort.removeprefix(keys.purchase_sort("")), PurchaseTrail())
    try:
        purchase = purchase_from_item(item)
    except (KeyError, ValueError, TypeError):
        audit.finding("unreadable", sort)
        return
    for name, expected, found in _purchase_facts(audit, purchase, trail, sort, item.get("listed_as", {}).get("S", "")):
        if expected != found:
            audit.finding("purchase_differs", f"{sort} {name}", expected, found)
    if not trail.expired_unspent[0] <= purchase.expired_unspent <= trail.expired_unspent[1]:
        audit.finding(
            "purchase_differs",
            f"{sort} expired_unspent",
            f"{trail.expired_unspent[0]}..{trail.expired_unspent[1]}",
            purchase.expired_unspent,
        )
    if not lookup.was_on_sale(purchase):
        audit.finding("purchase_differs", f"{sort} pack", "on sale", purchase.pack)
    if not audit.code_version:
        # Every purchase needs a manager session, and every session needs a code.
        audit.finding("manager_missing", sort)
    if purchase.created_at + PAYABLE > lookup.now + SOON and lookup.row(_first_pending_check(purchase)) is None:
        audit.finding("pending_check_missing", sort)
    if purchase.payment is not None:
        _check_payment(audit, purchase, lookup.row(keys.payment(purchase.payment)))
    _count_keys(audit, purchase, lookup)


def _count_keys(audit: AccountAudit, purchase: Purchase, lookup: RowLookup) -> None:
    if lookup.tally and purchase.key is not None and purchase.created_at < lookup.cutoff:
        lookup.tally.add_key(f"{audit.account}#{purchase.id}")
    if lookup.tally and purchase.cancelled_at and purchase.cancelled_at < lookup.cutoff:
        lookup.tally.add_key(f"{audit.account}#{purchase.id} cancelled")


def _purchase_facts(
    audit: AccountAudit, purchase: Purchase, trail: PurchaseTrail, sort: str, listed_as: str
) -> Iterator[tuple[str, object, object]]:
    """The values that must be equal: (name, expected from the ledger or the record's other fields, stored)."""
    money_back = purchase.refunded + purchase.disputed
    yield "key", sort, keys.purchase_sort(purchase.id)
    yield "account", audit.account, purchase.account
    yield "lots", trail.lots, purchase.lots
    yield "grants", int(purchase.granted), trail.grants
    yield "debt", trail.debt, purchase.debt
    yield "taken and owed", trail.net, purchase.revoked - purchase.expired_unspent
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
        states = ("created", "open", "pending", "paid", "failed", "expired", "cancelled")
        yield "state", True, purchase.state in states
    yield "listed_as", keys.purchases_in(purchase.state), listed_as
    yield "cancellation", purchase.cancel_key is None, purchase.cancelled_at is None


def _check_payment(audit: AccountAudit, purchase: Purchase, row: Item | None) -> None:
    if row is None:
        audit.finding("payment_missing", keys.purchase_sort(purchase.id))
    elif (row["account"]["S"], row["purchase"]["S"]) != (audit.account, purchase.id):
        audit.finding("payment_dangling", keys.purchase_sort(purchase.id), purchase.id, row["purchase"]["S"])


def _first_pending_check(purchase: Purchase) -> keys.Key:
    return keys.pending_check(purchase.created_at + PAYABLE, purchase.id)


def _number(item: Item) -> int:
    return int(item["SK"]["S"].removeprefix(keys.ENTRY_PREFIX))


def _key(item: Item) -> keys.Key:
    return {"PK": item["PK"], "SK": item["SK"]}
