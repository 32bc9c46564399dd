"""Syncs a purchase with its payment at Stripe (rules 11-13): read the record, fetch the status, decide, write.

Every event, however often and in whatever order events arrive, leads to the same fetch from Stripe. So a purchase
always reaches the state of its payment.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from prepaid.core.account import Lot, remaining_in
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import AccountNotFound, Busy
from prepaid.core.ledger import Grant, Revoke
from prepaid.core.purchase import (
    PaymentStatus,
    Purchase,
    Step,
    as_paid_unmatched,
    has_moved_money,
    is_page_of,
    mismatches,
    needs_revocation,
    next_step,
    with_result,
)
from prepaid.payments.errors import PaymentsRefused, SessionUnknown
from prepaid.payments.events import FAILED_EVENT, MONEY_EVENTS, SESSION_EVENTS, Event
from prepaid.payments.sessions import (
    SessionRef,
    Stripe,
    fetch_payment_status,
    find_names_of_payment,
    find_session_of_payment,
)
from prepaid.store.dynamodb import MAX_ATTEMPTS, ConditionFailed, Item, Table, attempts
from prepaid.store.ledger import (
    Draft,
    Puts,
    Tail,
    commit,
    drafts,
    find_end_of_hold,
    find_entry_at,
    has_hold,
    read_tail,
)
from prepaid.store.purchases import (
    PAYMENT,
    PENDING_CHECK,
    PURCHASE,
    Misfit,
    PurchaseRef,
    find_payment,
    is_quarantined,
    payment_put,
    purchase_put,
    quarantine,
    read_purchase,
    save_purchase,
)
from prepaid.store.reconciliation import pending_check_put
from prepaid.use_cases.reading import account_now

# Pay, refund, dispute: a record is at most a few steps behind its payment. After more, its status is fetched again.
MAX_STEPS = 4
# Entries are dated in whole milliseconds.
INSTANT = timedelta(milliseconds=1)

# The reason of a sync that no event caused.
RECONCILIATION = "reconciliation"
# quarantined: for the first time. A payment that is already in quarantine is unchanged.
Outcome = Literal["changed", "unchanged", "ignored", "quarantined"]
# Why a sync starts again from the record:
#   other_purchase  the session names another purchase: sync that one
#   overtaken       our write lost to a newer record or a newer ledger entry
#   confirm         the money may have moved again before our write; that event then found nothing to do and won't be
#                   resent, so fetch the status once more after the write
Again = Literal["other_purchase", "overtaken", "confirm"]
# Why a status can't be carried out; it is quarantined under this name. payment: it already paid for another purchase.
# unknown_account: the purchase's account was never opened.
Obstacle = Literal["payment", "unknown_account"]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """How one attempt at a sync ended.

    changed: whether it wrote a step of the purchase; marking it as paid is none. reported: whether it quarantined
    something for the first time.
    """

    ending: Literal["done", "ignored", "quarantined"] | Again
    changed: bool = False
    reported: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """The dependencies of a sync. catalog: called only when a purchase may change.

    stack: the name of this stack in the metadata of its sessions. on_quarantine: called with an event or purchase
    before its misfit is stored for the first time. A process that dies in between reports it twice rather than never.
    """

    table: Table
    client: Stripe
    catalog: Callable[[], Catalog]
    stack: str
    now: datetime
    on_quarantine: Callable[[str], None]


def follow_event(sync: Sync, event: Event) -> Outcome:
    """Bring the purchase that an event concerns up to date. Raises Busy, PaymentsRefused, PaymentsUnavailable."""
    session_ref = _find_session(sync, event)
    if session_ref is None:
        return "ignored"
    ref = PurchaseRef(account=session_ref.account, purchase=session_ref.purchase)
    if session_ref.stack not in (None, sync.stack) and _read(sync.table, ref) is None:
        # Another stack's sale, by its own metadata and by our records: not worth a call to Stripe.
        return "ignored"
    return sync_with_session(sync, ref, session_ref.session, failed=event.type == FAILED_EVENT, reason=event.id)


def sync_with_session(sync: Sync, ref: PurchaseRef, session: str, *, failed: bool, reason: str) -> Outcome:
    """Sync the purchase with a checkout session at Stripe.

    failed: whether an event reported that the voucher expired. Raises the same as sync_purchase, PaymentsRefused,
    PaymentsUnavailable.
    """
    return sync_purchase(sync, ref, lambda ref: _fetch_status(sync, ref, session, failed=failed), reason=reason)


def sync_purchase(
    sync: Sync, ref: PurchaseRef, fetch: Callable[[PurchaseRef], PaymentStatus | None], *, reason: str
) -> Outcome:
    """Update the purchase to its payment's status, or quarantine a status that contradicts the record (rule 12).

    ref: the purchase that the caller expects. If the session now names another purchase, that purchase is synced.
    fetch: returns the current status from Stripe; None when there is no session, or it is open and unpaid.
    reason: the event or run that caused the sync, for the quarantine. Raises Busy, and the errors of `fetch`.
    """
    changed = reported = False
    tries = attempts(sync.table.deadline)
    for _ in range(MAX_ATTEMPTS):
        if next(tries, None) is None:
            break
        # In this order: if the record changes in between, the write fails. So a stale reply from Stripe can never
        # overwrite a newer one.
        purchase = _read(sync.table, ref)
        status = fetch(ref)
        owner = _find_owner(sync, ref, purchase, status)
        if owner is None:
            return "ignored"
        attempt = _apply(sync, ref, purchase, status, reason) if owner == ref else _Attempt("other_purchase")
        changed, reported = changed or attempt.changed, reported or attempt.reported
        match attempt.ending:
            case "done":
                return "changed" if changed else "unchanged"
            case "quarantined":
                return "quarantined" if reported else "unchanged"
            case "ignored":
                return "ignored"
            case "overtaken":
                # With a pause, because somebody else is writing.
                continue
            case "other_purchase" | "confirm":
                # Without a pause.
                ref, tries = owner, attempts(sync.table.deadline)
    raise Busy


def _apply(
    sync: Sync, ref: PurchaseRef, purchase: Purchase | None, status: PaymentStatus | None, reason: str
) -> _Attempt:
    """Write what the status means for the purchase, or quarantine it. Raises Busy."""
    differences = mismatches(purchase, status)
    # Without a purchase or a status, `differences` is never empty. The first two conditions are for the type checker.
    if purchase is None or status is None or differences:
        if not has_moved_money(purchase, status):
            return _Attempt("ignored")
        # The quarantine row first: if the process dies in between, a retry finds the purchase still unmarked.
        reported = _quarantine(sync, Misfit(ref=ref, mismatches=differences, status=status), reason)
        return _Attempt("quarantined" if _mark_paid(sync, purchase, status) else "overtaken", reported=reported)
    return _carry_out(sync, ref, purchase, status, reason)


def _fetch_status(sync: Sync, ref: PurchaseRef, session: str, *, failed: bool) -> PaymentStatus | None:
    """The current status of a checkout session; None when Stripe has no such session, or it is open and unpaid.

    Raises PaymentsRefused, PaymentsUnavailable, Busy.
    """
    try:
        return fetch_payment_status(sync.client, session, stack=sync.stack, failed=failed)
    except SessionUnknown as error:
        purchase = _read(sync.table, ref)
        if purchase and purchase.session == session and not purchase.granted:
            # This service created the session, and Stripe never deletes sessions, so the key belongs to another Stripe
            # account. Ignoring the event could lose a payment.
            raise PaymentsRefused from error
        return None


def _find_session(sync: Sync, event: Event) -> SessionRef | None:
    """The session that an event concerns; None when no stack of this service can have made it."""
    if event.connected_account:
        return None
    if event.type in SESSION_EVENTS and event.session and (event.account or event.purchase):
        return SessionRef(event.session, event.account or "", event.purchase or "", event.stack)
    if event.type not in MONEY_EVENTS or event.payment is None:
        return None
    ref = find_payment(sync.table, event.payment)
    if ref is None:
        # A payment can be refunded before it was recorded: then only Stripe knows its purchase.
        return find_session_of_payment(sync.client, event.payment)
    purchase = read_purchase(sync.table, ref.account, ref.purchase)
    return SessionRef(purchase.session, ref.account, ref.purchase, None) if purchase and purchase.session else None


def _find_owner(
    sync: Sync, ref: PurchaseRef, purchase: Purchase | None, status: PaymentStatus | None
) -> PurchaseRef | None:
    """The purchase to compare the status with, `ref` unless the session belongs to another; None when there is none.

    purchase: the record of `ref`. status: None when Stripe has no such session, or it is open and unpaid.
    """
    if status is None:
        return ref if purchase and purchase.granted else None
    if is_page_of(purchase, status):
        return ref
    named = PurchaseRef(account=status.account, purchase=status.purchase)
    if named != ref and is_page_of(_read(sync.table, named), status):
        return named
    if status.other_stack:
        return None
    by_payment = _named_by_payment(sync, status)
    if by_payment not in (None, ref, named) and is_page_of(_read(sync.table, by_payment), status):
        return by_payment
    # A session that names no purchase is another product's. A purchase without a record may be one that a restored
    # table has lost.
    return named if status.account and status.purchase else None


def _named_by_payment(sync: Sync, status: PaymentStatus) -> PurchaseRef | None:
    if status.progress != "paid" or status.payment is None:
        return None
    names = find_names_of_payment(sync.client, status.payment)
    return PurchaseRef(account=names[0], purchase=names[1]) if names else None


def _read(table: Table, ref: PurchaseRef | None) -> Purchase | None:
    return read_purchase(table, ref.account, ref.purchase) if ref and ref.account and ref.purchase else None


def _carry_out(sync: Sync, ref: PurchaseRef, purchase: Purchase, status: PaymentStatus, reason: str) -> _Attempt:
    """Write step after step towards one payment status. Raises Busy, and AccountNotFound if a granted purchase has no
    account."""
    changed = False
    for _ in range(MAX_STEPS):
        expired_unspent = _find_expired_unspent(sync, purchase, status)
        step = next_step(purchase, status, sync.now, expired_unspent=expired_unspent.credits)
        if step is None:
            return _Attempt("done", changed)
        was_granted = purchase.granted
        written = _write_step(sync, purchase, step, expired_unspent)
        if written == "overtaken":
            return _Attempt("overtaken", changed)
        if not isinstance(written, Purchase):
            # A retry doesn't help: an operator must decide.
            reported = _quarantine(sync, Misfit(ref=ref, mismatches=(written,), status=status), reason)
            return _Attempt("quarantined", changed, reported)
        purchase, changed = written, True
        # Before the grant, another event's sync would have changed the record, and this write would have lost.
        if was_granted:
            return _Attempt("confirm", changed)
    return _Attempt("confirm", changed)


def _write_step(
    sync: Sync, before: Purchase, step: Step, expired_unspent: "_ExpiredUnspent"
) -> Purchase | Literal["overtaken"] | Obstacle:
    """Write one step. Returns the purchase as written, or why it wasn't. Raises Busy."""
    try:
        return _commit_step(sync, before, step, expired_unspent) or "overtaken"
    except AccountNotFound:
        return "unknown_account"
    except ConditionFailed as failed:
        return "payment" if PAYMENT in failed.existing and PURCHASE not in failed.existing else "overtaken"


def _commit_step(sync: Sync, before: Purchase, step: Step, expired_unspent: "_ExpiredUnspent") -> Purchase | None:
    """Write one step: the purchase's new state and its entry, all or none. None when the ledger moved on.

    Raises ConditionFailed naming PURCHASE or PAYMENT, AccountNotFound, Busy.
    """
    table, now = sync.table, sync.now
    if step.operation is None:
        save_purchase(table, step.purchase)
        return step.purchase
    tail = expired_unspent.tail
    for draft in drafts(table, before.account, step.operation, catalog=sync.catalog(), now=now, tail=tail):
        if isinstance(step.operation, Revoke) and _is_outdated(expired_unspent, draft, before):
            return None
        after = with_result(step, draft.entries[-1])
        if commit(table, draft, _purchase_writes(before, after, step, now)):
            return after
    raise Busy


def _purchase_writes(before: Purchase, after: Purchase, step: Step, now: datetime) -> Puts:
    """The writes that accompany the entries of a step."""
    writes: dict[str, Item] = {PURCHASE: purchase_put(after)}
    if after.payment and after.payment != before.payment:
        writes[PAYMENT] = payment_put(after.payment, after)
    if isinstance(step.operation, Grant):
        # The reconciliation compares each grant with its payment, however old its purchase is.
        writes[PENDING_CHECK] = pending_check_put(after.account, after.id, now)
    return writes


@dataclass(frozen=True, slots=True)
class _ExpiredUnspent:
    """credits: that expired unspent in a purchase's lots, according to the ledger up to `tail`."""

    credits: int
    tail: Tail | None


NOTHING_EXPIRED = _ExpiredUnspent(credits=0, tail=None)


def _find_expired_unspent(sync: Sync, purchase: Purchase, status: PaymentStatus) -> _ExpiredUnspent:
    """What a revocation can't take back: one read, plus a search for each expired lot and each hold of it.

    Raises AccountNotFound, Busy.
    """
    if not needs_revocation(purchase, status):
        return NOTHING_EXPIRED
    table, now = sync.table, sync.now
    tail = read_tail(table, purchase.account)
    # Lapses that no entry records yet. The revocation records them first.
    settling = account_now(table, tail.entry, catalog=sync.catalog(), now=now).unwritten
    credits = 0
    for lot in purchase.lots:
        if not _has_ended(lot, max(now, tail.entry.at)):
            continue
        # The last entry before the lot's expiry still holds its unspent credits.
        before = find_entry_at(table, purchase.account, tail.entry, lot.expires_at - INSTANT)
        if before is None:
            continue
        ends = {entry.number: entry for entry in _ends_of_holds(table, before, lot, tail.entry, settling)}
        expired_draws = [draw.credits for entry in ends.values() for draw in entry.expired if draw.lot == lot.id]
        credits += remaining_in(before.after, lot) + sum(expired_draws)
    return _ExpiredUnspent(credits, tail)


def _ends_of_holds(
    table: Table, before: Entry, lot: Lot, newest: Entry, settling: tuple[Entry, ...]
) -> Iterator[Entry]:
    """The entries that ended the holds that had credits of the lot when it expired. Raises Busy."""
    for hold in before.after.holds:
        if all(held.number != lot.number for held in hold.charge.lots):
            continue
        if not has_hold(newest, hold.number):
            yield find_end_of_hold(table, newest.after.id, hold.number, newest)
        else:
            # A hold that hasn't ended may still be captured: its credits don't count as expired.
            yield from (entry for entry in settling if hold.number in entry.holds)


def _is_outdated(expired_unspent: _ExpiredUnspent, draft: Draft, before: Purchase) -> bool:
    """Whether an entry appended after `expired_unspent` was read may have spent from an expired lot.

    Closes the race with a debit whose clock is behind: it can spend from a lot after the lot's remainder was read.
    """
    moved = expired_unspent.tail is not None and draft.tail.entry.number != expired_unspent.tail.entry.number
    return moved and any(_has_ended(lot, draft.entries[-1].at) for lot in before.lots)


def _has_ended(lot: Lot, at: datetime) -> bool:
    return lot.expires_at <= at


def _mark_paid(sync: Sync, purchase: Purchase | None, status: PaymentStatus | None) -> bool:
    """Mark a purchase as paid whose payment doesn't match it. False when the purchase was changed meanwhile."""
    marked = as_paid_unmatched(purchase, status, sync.now) if purchase and status else None
    if marked is None:
        return True
    try:
        save_purchase(sync.table, marked)
    except ConditionFailed:
        return False
    return True


def _quarantine(sync: Sync, misfit: Misfit, reason: str) -> bool:
    """Report a misfit and store it for an operator, unless that was done before. Returns whether it is new."""
    if is_quarantined(sync.table, misfit):
        return False
    sync.on_quarantine(misfit.ref.purchase if reason == RECONCILIATION else reason)
    quarantine(sync.table, misfit, reason, sync.now)
    return True
