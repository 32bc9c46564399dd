"""Recomputes an entry: rebuilds its operation from its line and carries it out again with the core."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from prepaid.core.account import Account, Charge, Lot, LotKind
from prepaid.core.calendar import end_of_validity
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry, EntryType, LotDraw
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ids import lot_number
from prepaid.core.ledger import (
    ENTRY_TYPE_OF,
    ChangeTerms,
    Debit,
    Erase,
    Grant,
    Operation,
    Restore,
    Revoke,
    Void,
    apply,
    open_account,
    settle,
)
from prepaid.core.purchase import ACTOR, Purchase, grant_of
from prepaid.core.reversing import Reverse
from prepaid.store.items import request_hash

LOT_KIND_OF: dict[EntryType, LotKind] = {type_: kind for kind, type_ in ENTRY_TYPE_OF.items()}
USES: tuple[EntryType, ...] = ("consumption", "hold", "capture", "release", "reversal")
# The key of a purchase is in its record, not in its entry.
TYPES_WITH_A_KEY = (*USES, "void", "erasure", *(LOT_KIND_OF.keys() - {"purchase"}))
MAX_MONTHS = 1200
# A reversal's claim doesn't depend on what was charged.
UNKNOWN = Charge(feature="", quantity=0, quota=0, period=None, lots=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseTrail:
    """One purchase according to the account's entries so far.

    lots: as they were granted. net: credits revoked or made owed, less those restored. debt: the part of net that is
    owed or was paid by a later grant. expired: credits that expired in its lots. expired_unspent: the minimum and the
    maximum of those that revocations can have counted; minimum > maximum means that an entry is invalid.
    """

    grants: int = 0
    lots: tuple[Lot, ...] = ()
    net: int = 0
    debt: int = 0
    expired: int = 0
    expired_unspent: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Reversible:
    """charge: of the entry that a reversal names. reversed: units of it that earlier reversals returned."""

    charge: Charge
    reversed: int


def replay(
    before: Account | None,
    entry: Entry,
    catalog: Catalog,
    purchase: Purchase | None,
    trail: PurchaseTrail,
    reversible: Reversible | None,
) -> Entry | None:
    """The entry that the rules produce after `before` for the operation of `entry`; None when they produce none.

    Raises any error of the core if the operation is impossible.
    """
    if before is None:
        after = entry.after
        return open_account(after.id, after.terms, actor=entry.actor, catalog=catalog, now=entry.at)
    # Expiries, lapses and a renewal come first, as entries of their own, so the next entry is always the first one.
    _, entries = settle(before, catalog=catalog, now=entry.at)
    if not entries and entry.type not in ("expiry", "quota_renewal"):
        operation = _operation(entry, purchase, trail, reversible)
        entries = apply(before, operation, catalog=catalog, now=entry.at)
    if not entries:
        return None
    return replace(entries[0], key=entry.key) if entry.type in TYPES_WITH_A_KEY else entries[0]


def trail_after(trail: PurchaseTrail, entry: Entry) -> PurchaseTrail:
    """The trail of the purchase that `entry` names, after that entry."""
    lots = (*trail.lots, entry.lot) if entry.lot else trail.lots
    if entry.type == "purchase":
        return replace(trail, grants=trail.grants + 1, lots=lots)
    low, high = trail.expired_unspent
    unexpired = {lot.number for lot in entry.after.lots}
    # A revocation draws from the lots first; only when they are empty does it count expired credits.
    emptied = not any(lot.number in unexpired for lot in trail.lots)
    if not _gives_back(entry):
        taken = _drawn(entry) + entry.owed
        if not taken:
            # The entry counted expired credits or, if any had been counted before, possibly undid that.
            low = 0 if high else 1
        if emptied:
            high = trail.expired
        if entry.owed:
            # Credits are owed only when all that expired has been counted.
            low = high
        return replace(trail, net=trail.net + taken, debt=trail.debt + entry.owed, expired_unspent=(low, high))
    returned = -_drawn(entry) - entry.owed
    debt = min(trail.debt, returned)
    if returned > debt:
        low = high = 0
    elif debt == trail.debt:
        low = 0
    return replace(trail, lots=lots, net=trail.net - returned, debt=trail.debt - debt, expired_unspent=(low, high))


def conserved(before: Account, entry: Entry) -> bool:
    """Whether no credit appeared or vanished, lot by lot. Independent of the core's rules."""
    credits_by_lot = {lot.number: lot.remaining for lot in before.lots}
    granted = entry.lot if entry.type in LOT_KIND_OF else None
    if granted:
        credits_by_lot[granted.number] = credits_by_lot.get(granted.number, 0) + granted.remaining
    # What a capture spends had left the account before.
    for draw in entry.returned if entry.type == "capture" else entry.draws:
        if isinstance(draw, LotDraw):
            number = lot_number(draw.lot)
            credits_by_lot[number] = credits_by_lot.get(number, 0) - draw.credits
    after = entry.after
    return (
        _holds_conserved(before, entry)
        and {number: credits for number, credits in credits_by_lot.items() if credits}
        == {lot.number: lot.remaining for lot in after.lots}
        and all(0 < lot.remaining <= lot.granted for lot in after.lots)
        and entry.credits == after.available - before.available
        and entry.owed == after.owed - before.owed
        and after.owed >= 0
        and (granted is None or granted.granted == granted.remaining - entry.owed)
    )


def _holds_conserved(before: Account, entry: Entry) -> bool:
    """Whether all that holds set aside is still held, spent, returned, lost, or paid a debt."""
    after, placed = entry.after, entry.number if entry.type == "hold" else None
    remaining = [hold for hold in before.holds if hold.number not in entry.holds]
    if [hold for hold in after.holds if hold.number != placed] != remaining:
        return False
    if not entry.holds:
        return True
    freed = _credits_held(before)
    freed.subtract(_credits_held(after))
    draws = (*entry.returned, *entry.draws) if entry.type == "release" else entry.returned
    for draw in (*draws, *entry.expired, *(entry.draws if entry.type == "capture" else ())):
        if isinstance(draw, LotDraw):
            freed[lot_number(draw.lot)] -= abs(draw.credits)
    return all(credits >= 0 for credits in freed.values()) and freed.total() == -entry.owed


def _credits_held(account: Account) -> Counter[int]:
    held: Counter[int] = Counter()
    for hold in account.holds:
        for lot in hold.charge.lots:
            held[lot.number] += lot.remaining
    return held


def request_hashes(entry: Entry) -> Iterator[bytes]:
    """The possible request hashes in the claim of an entry: a grant's validity may be an instant or civil months, and
    a void, capture or reversal of all that remained may have stated how much or not."""
    if entry.type in USES:
        uses = _uses(entry)
        yield from (request_hash(use) for use in uses)
    elif entry.type == "void":
        void = _void(entry)
        yield request_hash(void)
        if all(lot.number != void.lot for lot in entry.after.lots):
            yield request_hash(replace(void, credits=None))
    elif entry.lot and entry.type in LOT_KIND_OF and entry.type != "purchase":
        grant, lot, zone = _grant(entry), entry.lot, entry.after.terms.time_zone
        yield request_hash(grant)
        months = (lot.expires_at.year - entry.at.year) * 12 + lot.expires_at.month - entry.at.month
        for validity in range(max(1, months - 1), min(MAX_MONTHS, months + 1) + 1):
            if end_of_validity(entry.at, validity, zone) == lot.expires_at:
                yield request_hash(replace(grant, validity=validity))


def _uses(entry: Entry) -> tuple[Debit | PlaceHold | Capture | Release | Reverse, ...]:
    """The possible requests of an entry that spends, holds or returns."""
    match entry.type:
        case "hold":
            return (_place(entry),)
        case "capture":
            return (_capture(entry), replace(_capture(entry), quantity=None))
        case "release":
            return (_release(entry),)
        case "reversal":
            reverse = _reverse(entry, Reversible(UNKNOWN, 0))
            return (reverse, replace(reverse, quantity=None))
        case _:
            return (_debit(entry),)


def _operation(
    entry: Entry, purchase: Purchase | None, trail: PurchaseTrail, reversible: Reversible | None
) -> Operation:
    match entry.type:
        case "consumption" | "hold" | "capture" | "release":
            return _uses(entry)[0]
        case "reversal" | "refund" | "dispute":
            return _returning(entry, purchase, trail, reversible)
        case "void":
            return _void(entry)
        case "purchase":
            # From the record, which is written before the payment. A missing record is a finding of its own.
            return grant_of(purchase) if purchase else _grant(entry)
        case "plan_change" | "erasure":
            return _administration(entry)
        case _:
            return _grant(entry)


def _returning(
    entry: Entry, purchase: Purchase | None, trail: PurchaseTrail, reversible: Reversible | None
) -> Reverse | Restore | Revoke:
    if entry.type == "reversal":
        assert reversible is not None
        return _reverse(entry, reversible)
    return _restore(entry, purchase, trail) if _gives_back(entry) else _revoke(entry, trail)


def _administration(entry: Entry) -> ChangeTerms | Erase:
    if entry.type == "erasure":
        return Erase(actor=entry.actor, subject="", entries=entry.quantity or 0)
    return ChangeTerms(actor=entry.actor, terms=entry.after.terms)


def _debit(entry: Entry) -> Debit:
    assert entry.feature is not None
    assert entry.quantity is not None
    return Debit(
        actor=entry.actor,
        feature=entry.feature,
        quantity=entry.quantity,
        description=entry.description,
        customer=entry.customer,
        reference=entry.reference,
    )


def _place(entry: Entry) -> PlaceHold:
    assert entry.feature is not None
    assert entry.quantity is not None
    assert entry.lapses_at is not None
    return PlaceHold(
        actor=entry.actor,
        feature=entry.feature,
        quantity=entry.quantity,
        ttl_seconds=(entry.lapses_at - entry.at) // timedelta(seconds=1),
        description=entry.description,
        customer=entry.customer,
        reference=entry.reference,
    )


def _capture(entry: Entry) -> Capture:
    [hold] = entry.holds
    return Capture(
        actor=entry.actor,
        hold=hold,
        quantity=entry.quantity,
        description=entry.description,
        customer=entry.customer,
        reference=entry.reference,
    )


def _release(entry: Entry) -> Release:
    [hold] = entry.holds
    return Release(actor=entry.actor, hold=hold)


def _reverse(entry: Entry, reversible: Reversible) -> Reverse:
    assert entry.reverses is not None
    return Reverse(
        actor=entry.actor,
        entry=entry.reverses,
        charge=reversible.charge,
        reversed=reversible.reversed,
        quantity=entry.quantity,
        description=entry.description,
        customer=entry.customer,
        reference=entry.reference,
    )


def _void(entry: Entry) -> Void:
    [draw] = entry.draws
    assert isinstance(draw, LotDraw)
    return Void(actor=entry.actor, lot=lot_number(draw.lot), credits=draw.credits, description=entry.description)


def _grant(entry: Entry) -> Grant:
    assert entry.lot is not None
    return Grant(
        actor=entry.actor,
        kind=LOT_KIND_OF[entry.type],
        credits=entry.lot.granted,
        validity=entry.lot.expires_at,
        description=entry.description,
        purchase=entry.purchase,
    )


def _revoke(entry: Entry, trail: PurchaseTrail) -> Revoke:
    assert entry.type in ("refund", "dispute")
    return Revoke(
        actor=ACTOR,
        cause="refund" if entry.type == "refund" else "dispute",
        lots=trail.lots,
        # Only the purchase stores the expired credits; they don't change the entry.
        credits=_drawn(entry) + entry.owed,
        expired_unspent=0,
        purchase=entry.purchase or "",
    )


def _restore(entry: Entry, purchase: Purchase | None, trail: PurchaseTrail) -> Restore:
    assert purchase is not None
    assert entry.type in ("refund", "dispute")
    returned = -_drawn(entry) - entry.owed
    return Restore(
        actor=ACTOR,
        cause="refund" if entry.type == "refund" else "dispute",
        lots=trail.lots,
        credits=returned,
        # The credits taken last return first, and those are the ones that became owed.
        debt=min(returned, trail.debt),
        expired_unspent=0,
        valid_months=purchase.valid_months,
        purchase=purchase.id,
    )


def _gives_back(entry: Entry) -> bool:
    return entry.owed < 0 or _drawn(entry) < 0


def _drawn(entry: Entry) -> int:
    return sum(draw.credits for draw in entry.draws if isinstance(draw, LotDraw))
