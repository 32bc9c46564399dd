"""Where the provider's truth meets the purchases we keep: one event, or all of them since the last look."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import stripe

from prepaid.core.catalogue import Catalogue
from prepaid.core.errors import AccountNotFound
from prepaid.payments.sessions import (
    MONEY_EVENTS,
    SESSION_EVENTS,
    events_page,
    look_at_session,
    session_of_payment,
)
from prepaid.payments.webhook import ACCOUNT_POINTER, PURCHASE_POINTER, Event
from prepaid.payments.webhook import pointer as pointer_in
from prepaid.store.dynamodb import Patience, Table, persist
from prepaid.store.purchases import (
    Outcome,
    Pointer,
    bring_up_to_date,
    find_payment,
    quarantine,
    read_bought,
    read_purchase,
)
from prepaid.store.reconciliation import Checkpoint, read_checkpoint, save_checkpoint, save_done

FAILED_EVENT = "checkout.session.async_payment_failed"
# Stripe keeps events for 30 days; the first run of a stack looks at all of them.
FIRST_LOOK_BACK = timedelta(days=29)
# Stripe's clock and ours differ, and an event may be listed a little after it happened.
OVERLAP = timedelta(hours=1)
# Purchases of the last days are looked at from our side too: what was granted must be paid.
DAYS_LOOKED_AT = 3
PAGE_PURCHASES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What one run did.

    healed: purchases that were behind the provider. quarantined: that don't fit what it says. failed: that could not be
    looked at, left for the next run. finished: whether it came to the end; if not, the next run goes on.
    """

    healed: int = 0
    quarantined: int = 0
    failed: int = 0
    finished: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What both ways of reconciling work with. on_failure: told of a purchase that could not be looked at."""

    table: Table
    client: stripe.StripeClient
    catalogue: Catalogue
    now: datetime
    patience: Patience
    has_time: Callable[[], bool]
    on_failure: Callable[[str, Exception], None]


def follow_event(
    table: Table,
    client: stripe.StripeClient,
    event: Event,
    *,
    catalogue: Callable[[], Catalogue],
    now: datetime,
    patience: Patience,
) -> Outcome:
    """Bring the purchase that an event concerns up to date. Raises Busy, PaymentsUnavailable."""
    found = _find(table, client, event, patience)
    if found is None:
        return "ignored"
    pointer, session = found
    try:
        return bring_up_to_date(
            table,
            pointer,
            lambda: look_at_session(client, session, failed=event.type == FAILED_EVENT),
            catalogue=catalogue(),
            now=now,
            reason=event.id,
            patience=patience,
        )
    except AccountNotFound:
        # Money for a ledger that isn't there: no repeat of the event would help, a person may.
        persist(patience, quarantine, table, pointer, ("unknown_account",), None, event.id, now)
        return "quarantined"


def reconcile(desk: Desk) -> Reconciled:
    """Follow every event since the last run again, then look at our newest purchases from our side.

    Whatever a webhook lost is healed by it; what was done already is done by nobody twice. Raises Busy,
    PaymentsUnavailable.
    """
    place, done = _start(desk), Reconciled()
    today = desk.now.astimezone(UTC).date()
    while place.day <= today and desk.has_time():
        place, done = _look_at_bought(desk, place, done) if place.events_done else _follow_events(desk, place, done)
        # After each page: a run that is cut short loses no more than one.
        persist(desk.patience, save_checkpoint, desk.table, place)
    if place.day <= today:
        return done
    # What could not be looked at is looked at again: then the next run starts where this one started.
    persist(desk.patience, save_done, desk.table, place.since if place.failed else place.until)
    return replace(done, finished=True)


def _follow_events(desk: Desk, place: Checkpoint, done: Reconciled) -> tuple[Checkpoint, Reconciled]:
    """One page of the provider's events, as far as time allows."""
    events = events_page(desk.client, since=place.since - OVERLAP, until=place.until, after=place.event)
    for event in events:
        if not desk.has_time():
            return place, done
        done = _counted(desk, done, event.id, partial(_follow, desk, event))
        place = replace(place, event=event.id, failed=place.failed or done.failed > 0)
    return (place if events else replace(place, events_done=True)), done


def _look_at_bought(desk: Desk, place: Checkpoint, done: Reconciled) -> tuple[Checkpoint, Reconciled]:
    """One page of the purchases that were begun on a day, as far as time allows."""
    bought = persist(desk.patience, read_bought, desk.table, place.day, after=place.purchase, limit=PAGE_PURCHASES)
    for pointer in bought:
        if not desk.has_time():
            return place, done
        done = _counted(desk, done, pointer.purchase, partial(_look, desk, pointer))
        place = replace(place, purchase=pointer.purchase, failed=place.failed or done.failed > 0)
    return (place if bought else replace(place, day=place.day + timedelta(days=1), purchase="")), done


def _start(desk: Desk) -> Checkpoint:
    """The run to be continued, or a new one from where the last one ended."""
    stored = persist(desk.patience, read_checkpoint, desk.table)
    if isinstance(stored, Checkpoint):
        return stored
    first_day = desk.now.astimezone(UTC).date() - timedelta(days=DAYS_LOOKED_AT)
    return Checkpoint(since=stored or desk.now - FIRST_LOOK_BACK, until=desk.now, day=first_day)


def _counted(desk: Desk, done: Reconciled, what: str, look: Callable[[], Outcome]) -> Reconciled:
    try:
        outcome = look()
    except Exception as error:  # noqa: BLE001 - one purchase that can't be looked at must not hold up the others
        desk.on_failure(what, error)
        return replace(done, failed=done.failed + 1)
    if outcome == "changed":
        return replace(done, healed=done.healed + 1)
    if outcome == "quarantined":
        return replace(done, quarantined=done.quarantined + 1)
    return done


def _follow(desk: Desk, event: Event) -> Outcome:
    return follow_event(
        desk.table,
        desk.client,
        event,
        catalogue=lambda: desk.catalogue,
        now=desk.now,
        patience=desk.patience,
    )


def _look(desk: Desk, pointer: Pointer) -> Outcome:
    """One of our purchases, from our side. One without a page has nothing at the provider to compare with."""
    purchase = persist(desk.patience, read_purchase, desk.table, pointer.account, pointer.purchase)
    if purchase is None or purchase.session is None:
        return "ignored"
    session = purchase.session
    return bring_up_to_date(
        desk.table,
        pointer,
        lambda: look_at_session(desk.client, session, failed=purchase.state == "failed"),
        catalogue=desk.catalogue,
        now=desk.now,
        reason="reconciliation",
        patience=desk.patience,
    )


def _find(table: Table, client: stripe.StripeClient, event: Event, patience: Patience) -> tuple[Pointer, str] | None:
    """The purchase that an event concerns and its session; None when it concerns none of ours."""
    if event.type in SESSION_EVENTS and event.account and event.purchase and event.session:
        return Pointer(account=event.account, purchase=event.purchase), event.session
    if event.type not in MONEY_EVENTS or event.payment is None:
        return None
    pointer = persist(patience, find_payment, table, event.payment)
    if pointer:
        purchase = persist(patience, read_purchase, table, pointer.account, pointer.purchase)
        return (pointer, purchase.session) if purchase and purchase.session else None
    # Money can go back before we heard that it came: only the provider knows then what it was for.
    session = session_of_payment(client, event.payment)
    metadata = session.metadata.to_dict() if session and session.metadata else {}
    account, purchase_id = pointer_in(metadata, ACCOUNT_POINTER), pointer_in(metadata, PURCHASE_POINTER)
    if session is None or account is None or purchase_id is None:
        return None
    return Pointer(account=account, purchase=purchase_id), session.id
