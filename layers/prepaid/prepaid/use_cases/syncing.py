"""Syncs a purchase with its payment at Stripe (rules 11-13): read the record, fetch the status, decide, write.

Every event, however often and in whatever order events arrive, leads to the same fetch from Stripe. So a purchase
always reaches the state of its payment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from prepaid.core.account import Lot, remaining_in
from prepaid.core.catalog import Catalog
from prepaid.core.errors import AccountNotFound, Busy
from prepaid.core.ledger import Grant, Revoke
from prepaid.core.purchase import (
    PaymentStatus,
    Purchase,
    Step,
    as_paid_unmatched,
    mismatches,
    needs_revocation,
    next_step,
    with_result,
)
from prepaid.payments.errors import PaymentsRefused, SessionUnknown
from prepaid.payments.events import FAILED_EVENT, MONEY_EVENTS, SESSION_EVENTS, Event
from prepaid.payments.sessions import Stripe, fetch_payment_status, find_session_of_payment
from prepaid.store.dynamodb import ConditionFailed, Item, Table, attempts
from prepaid.store.ledger import Draft, Puts, Tail, commit, drafts, find_entry_at, read_tail
from prepaid.store.purchases import (
    PAYMENT,
    PENDING_CHECK,
    PURCHASE,
    PurchaseRef,
    find_payment,
    payment_put,
    purchase_put,
    quarantine,
    read_purchase,
    save_purchase,
)
from prepaid.store.reconciliation import pending_check_put

# Pay, refund, dispute: a record is at most a few steps behind its payment.
MAX_STEPS = 4
# Entries are dated in whole milliseconds.
INSTANT = timedelta(milliseconds=1)

Outcome = Literal["changed", "unchanged", "ignored", "quarantined"]
# Why a sync starts again from the record:
#   record_changed  another event changed the purchase after it was read
#   ledger_moved    the account may have spent from an expired lot after its remainder was read
#   confirm         credits were revoked or restored: if the refund or dispute changed again before that write, its
#                   event found nothing to do and won't be resent, so fetch the status once more after the write
Again = Literal["record_changed", "ledger_moved", "confirm"]
# How carrying out one payment status ends. payment_used: the payment belongs to another purchase already.
Ending = Literal["done", "payment_used"] | Again


def follow_event(
    table: Table, client: Stripe, event: Event, *, catalog: Callable[[], Catalog], now: datetime
) -> Outcome:
    """Bring the purchase that an event concerns up to date. Raises Busy, PaymentsRefused, PaymentsUnavailable."""
    found = _find_purchase(table, client, event)
    if found is None:
        return "ignored"
    ref, session = found
    try:
        return sync_with_session(
            table,
            client,
            ref,
            session,
            failed=event.type == FAILED_EVENT,
            catalog=catalog(),
            now=now,
            reason=event.id,
        )
    except AccountNotFound:
        # Payment for an account that doesn't exist: a retry of the event won't help, an operator may.
        quarantine(table, ref, ("unknown_account",), None, event.id, now)
        return "quarantined"


def sync_with_session(
    table: Table,
    client: Stripe,
    ref: PurchaseRef,
    session: str,
    *,
    failed: bool,
    catalog: Catalog,
    now: datetime,
    reason: str,
) -> Outcome:
    """Sync the purchase with its checkout session at Stripe.

    failed: whether an event reported that the voucher expired. Raises the same as sync_purchase, PaymentsRefused,
    PaymentsUnavailable.
    """
    return sync_purchase(
        table,
        ref,
        lambda: _fetch_status(table, client, ref, session, failed=failed),
        catalog=catalog,
        now=now,
        reason=reason,
    )


def sync_purchase(
    table: Table,
    ref: PurchaseRef,
    fetch: Callable[[], PaymentStatus | None],
    *,
    catalog: Catalog,
    now: datetime,
    reason: str,
) -> Outcome:
    """Update the purchase to its payment's status, or quarantine a status that contradicts the record (rule 12).

    fetch: returns the current status from Stripe; None when Stripe knows nothing about the purchase.
    reason: the event or run that caused the sync, for the quarantine. Raises AccountNotFound, Busy, and the errors of
    `fetch`.
    """
    changed = False
    for _ in attempts(table.deadline):
        # In this order: if the record changes in between, the write fails. So a stale reply from Stripe can never
        # overwrite a newer one.
        purchase = read_purchase(table, ref.account, ref.purchase)
        status = fetch()
        if status is None and not (purchase and purchase.granted):
            return "ignored"
        wrong = mismatches(purchase, status)
        # Without a purchase or a status something is wrong; only the type checker needs to be told.
        if purchase is None or status is None or wrong:
            if _quarantine_purchase(table, ref, purchase, wrong, status, reason, now):
                return "quarantined"
            # The record changed: start again.
            continue
        wrote, ending = _carry_out(table, purchase, status, catalog, now)
        changed = changed or wrote
        match ending:
            case "done":
                return "changed" if changed else "unchanged"
            case "payment_used":
                quarantine(table, ref, ("payment",), status, reason, now)
                return "quarantined"
            case "record_changed" | "ledger_moved" | "confirm":
                continue
    raise Busy


def _fetch_status(
    table: Table, client: Stripe, ref: PurchaseRef, session: str, *, failed: bool
) -> PaymentStatus | None:
    """The current status of a checkout session; None when Stripe has no such session of this service.

    Raises PaymentsRefused, PaymentsUnavailable, Busy.
    """
    try:
        return fetch_payment_status(client, session, failed=failed)
    except SessionUnknown as error:
        purchase = read_purchase(table, ref.account, ref.purchase)
        if purchase and purchase.session == session and not purchase.granted:
            # This service created the session, and Stripe never deletes sessions, so the key belongs to another Stripe
            # account. Ignoring the event could lose a payment.
            raise PaymentsRefused from error
        return None


def _find_purchase(table: Table, client: Stripe, event: Event) -> tuple[PurchaseRef, str] | None:
    """The purchase that an event concerns and its session; None when it concerns no purchase of this service."""
    if event.type in SESSION_EVENTS and event.account and event.purchase and event.session:
        return PurchaseRef(account=event.account, purchase=event.purchase), event.session
    if event.type not in MONEY_EVENTS or event.payment is None:
        return None
    ref = find_payment(table, event.payment)
    if ref:
        purchase = read_purchase(table, ref.account, ref.purchase)
        return (ref, purchase.session) if purchase and purchase.session else None
    # A payment can be refunded before it was recorded: then only Stripe knows its purchase.
    found = find_session_of_payment(client, event.payment)
    return (PurchaseRef(account=found.account, purchase=found.purchase), found.session) if found else None


def _carry_out(
    table: Table, purchase: Purchase, status: PaymentStatus, catalog: Catalog, now: datetime
) -> tuple[bool, Ending]:
    """Write step after step towards one payment status. Returns whether anything was written, and the ending."""
    wrote = False
    for _ in range(MAX_STEPS):
        expired_unspent = (
            _find_expired_unspent(table, purchase, now) if needs_revocation(purchase, status) else NOTHING_EXPIRED
        )
        step = next_step(purchase, status, now, expired_unspent=expired_unspent.credits)
        if step is None:
            return wrote, "done"
        was_granted = purchase.granted
        try:
            written = _write_step(table, purchase, step, expired_unspent, catalog, now)
        except ConditionFailed as failed:
            payment_used = PAYMENT in failed.existing and PURCHASE not in failed.existing
            return wrote, "payment_used" if payment_used else "record_changed"
        if written is None:
            return wrote, "ledger_moved"
        purchase, wrote = written, True
        if was_granted:
            return wrote, "confirm"
    # More steps than a payment can be ahead: fetch its status again rather than trust this one further.
    return wrote, "confirm"


def _write_step(
    table: Table, before: Purchase, step: Step, expired_unspent: "_ExpiredUnspent", catalog: Catalog, now: datetime
) -> Purchase | None:
    """Write one step: the purchase's new state and its entry, all or none. None when the ledger moved on.

    Raises ConditionFailed naming PURCHASE or PAYMENT, AccountNotFound, Busy.
    """
    if step.operation is None:
        save_purchase(table, step.purchase)
        return step.purchase
    for draft in drafts(table, before.account, step.operation, catalog=catalog, now=now, tail=expired_unspent.tail):
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


def _find_expired_unspent(table: Table, purchase: Purchase, now: datetime) -> _ExpiredUnspent:
    """One read, plus a search for each expired lot. Raises AccountNotFound, Busy."""
    tail = read_tail(table, purchase.account)
    credits = 0
    for lot in purchase.lots:
        if _has_ended(lot, max(now, tail.entry.at)):
            # The last entry before the lot's expiry still holds its unspent credits.
            before = find_entry_at(table, purchase.account, tail.entry, lot.expires_at - INSTANT)
            credits += remaining_in(before.after, lot) if before else 0
    return _ExpiredUnspent(credits, tail)


def _is_outdated(expired_unspent: _ExpiredUnspent, draft: Draft, before: Purchase) -> bool:
    """Whether an entry appended after `expired_unspent` was read may have spent from an expired lot.

    Closes the race with a debit whose clock is behind: it can spend from a lot after the lot's remainder was read.
    """
    moved = expired_unspent.tail is not None and draft.tail.entry.number != expired_unspent.tail.entry.number
    return moved and any(_has_ended(lot, draft.entries[-1].at) for lot in before.lots)


def _has_ended(lot: Lot, at: datetime) -> bool:
    return lot.expires_at <= at


def _quarantine_purchase(
    table: Table,
    ref: PurchaseRef,
    purchase: Purchase | None,
    wrong: tuple[str, ...],
    status: PaymentStatus | None,
    reason: str,
    now: datetime,
) -> bool:
    """Quarantine, and mark the purchase as paid if it is. False when the purchase was changed meanwhile."""
    # The quarantine row first: if the process dies in between, a retry finds the purchase still unmarked.
    quarantine(table, ref, wrong, status, reason, now)
    paid = as_paid_unmatched(purchase, status, now) if purchase and status else None
    if paid:
        try:
            save_purchase(table, paid)
        except ConditionFailed:
            return False
    return True
