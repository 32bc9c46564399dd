"""Where the provider's truth meets the purchases we keep: one event, or all of them since the last look."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta

import stripe

from prepaid.core.catalog import Catalog
from prepaid.core.errors import AccountNotFound
from prepaid.core.purchase import PaymentStatus
from prepaid.payments.errors import PaymentsRefused, SessionUnknown
from prepaid.payments.sessions import (
    MONEY_EVENTS,
    SESSION_EVENTS,
    events_page,
    fetch_payment_status,
    session_of_payment,
)
from prepaid.payments.webhook import METADATA_ACCOUNT, METADATA_PURCHASE, Event
from prepaid.payments.webhook import pointer as metadata_value
from prepaid.store.dynamodb import Patience, Table, persist
from prepaid.store.purchases import (
    Outcome,
    PurchaseRef,
    find_payment,
    quarantine,
    read_purchase,
    sync_purchase,
)
from prepaid.store.reconciliation import (
    Checkpoint,
    delete_failed_check,
    delete_pending_check,
    read_checkpoint,
    read_failed_checks,
    read_pending_checks,
    save_checkpoint,
    save_failed_check,
)

FAILED_EVENT = "checkout.session.async_payment_failed"
# Stripe keeps events for 30 days; the first run of a stack looks at all of them.
INITIAL_LOOKBACK = timedelta(days=29)
# Stripe's clock and ours differ, and an event may be listed a little after it happened.
OVERLAP = timedelta(hours=1)
PAGE_PENDING_CHECKS = 50
# Of what failed before: how much one run looks at again, and how much it takes turns among.
MAX_RETRIES, MAX_WAITING = 100, 1000
# Events of the overlap that are remembered as reported; each page of events writes them down.
MAX_TOLD = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """What one run did.

    healed: purchases that were behind the provider. quarantined: that don't fit what it says. failed: that could not be
    looked at in this run. waiting: how many of those there are from all runs (at most MAX_WAITING are counted), the
    oldest of them for oldest_failure. finished: whether it came to the end; if not, the next run goes on. behind: how
    long ago that began what this run hasn't finished either.
    """

    healed: int
    quarantined: int
    failed: int
    waiting: int
    oldest_failure: timedelta
    finished: bool
    behind: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileContext:
    """What both ways of reconciling work with.

    on_quarantine: told at once of an event or purchase that was put aside, for a run may not live to count them.
    on_failure: told of one that could not be looked at.
    """

    table: Table
    client: stripe.StripeClient
    catalog: Catalog
    now: datetime
    patience: Patience
    has_time: Callable[[], bool]
    on_quarantine: Callable[[str], None]
    on_failure: Callable[[str, Exception], None]


def follow_event(
    table: Table,
    client: stripe.StripeClient,
    event: Event,
    *,
    catalog: Callable[[], Catalog],
    now: datetime,
    patience: Patience,
) -> Outcome:
    """Bring the purchase that an event concerns up to date. Raises Busy, PaymentsUnavailable."""
    found = _find(table, client, event, patience)
    if found is None:
        return "ignored"
    pointer, session = found
    try:
        return sync_purchase(
            table,
            pointer,
            lambda: _seen(table, client, pointer, session, patience, failed=event.type == FAILED_EVENT),
            catalog=catalog(),
            now=now,
            reason=event.id,
            patience=patience,
        )
    except AccountNotFound:
        # Money for a ledger that isn't there: no repeat of the event would help, a person may.
        persist(patience, quarantine, table, pointer, ("unknown_account",), None, event.id, now)
        return "quarantined"


def reconcile(context: ReconcileContext) -> ReconcileResult:
    """Follow every event since the last run again, then compare what was granted, or is over, from our side.

    Whatever a webhook lost is healed by it; what was done already is done by nobody twice. What can't be looked at
    holds up nothing: it is kept, and tried again at the end of each run. Raises Busy, PaymentsUnavailable.
    """
    place, run = _start(context), _Run(context)
    until = place.until or context.now
    place, finished = _follow_events(run, place, until)
    finished = finished and _compare_ours(run)
    if finished:
        persist(context.patience, save_checkpoint, context.table, Checkpoint(since=until, told=place.told))
        _try_again(run)
    waiting = persist(context.patience, read_failed_checks, context.table, MAX_WAITING)
    return ReconcileResult(
        healed=run.outcomes["changed"],
        quarantined=run.outcomes["quarantined"],
        failed=run.outcomes["failed"],
        waiting=len(waiting),
        oldest_failure=max((context.now - one.first_at for one in waiting), default=timedelta()),
        finished=finished,
        behind=timedelta() if finished else context.now - until,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What has come of the run so far. looked: sessions and payments, and whether as ones that had failed."""

    context: ReconcileContext
    outcomes: Counter[str] = field(default_factory=Counter)
    looked: set[tuple[str | None, bool]] = field(default_factory=set)


def _start(context: ReconcileContext) -> Checkpoint:
    """The run to be continued, or a new one from where the last one ended."""
    stored = persist(context.patience, read_checkpoint, context.table)
    place = stored or Checkpoint(since=context.now - INITIAL_LOOKBACK)
    return place if place.until else replace(place, until=context.now)


def _follow_events(run: _Run, place: Checkpoint, until: datetime) -> tuple[Checkpoint, bool]:
    """The provider's events, newest first, as far as time allows: the place reached, and whether it is the end."""
    context = run.context
    has_time = True
    while has_time:
        events = events_page(context.client, since=place.since - OVERLAP, until=until, after=place.event)
        if not events:
            break
        for event in events:
            has_time = context.has_time()
            if not has_time:
                break
            told = _follow(run, event, place.told) == "quarantined"
            place = replace(place, event=event.id, told=(event.id, *place.told)[:MAX_TOLD] if told else place.told)
        # After each page: a run that is cut short loses no more than one.
        persist(context.patience, save_checkpoint, context.table, place)
    return place, has_time


def _follow(run: _Run, event: Event, told: tuple[str, ...]) -> Outcome | None:
    # All events of a session or payment lead to the same look, which is newer than any of them. But that a voucher ran
    # out is said by its event alone.
    subject = event.payment if event.type in MONEY_EVENTS else event.session
    look = (subject, event.type == FAILED_EVENT)
    done = event.id in told or look in run.looked
    # Even if it fails: one of the events is enough to try again.
    run.looked.add(look)
    if done:
        return None
    about = {name: value for name, value in asdict(event).items() if value is not None}
    return _attempt(run, event.id, about)


def _compare_ours(run: _Run) -> bool:
    """Our purchases that are due, as far as time allows; whether that is the end."""
    context = run.context
    while reviews := persist(context.patience, read_pending_checks, context.table, context.now, PAGE_PENDING_CHECKS):
        for review in reviews:
            if not context.has_time():
                return False
            _attempt(run, review.purchase, {"account": review.account, "purchase": review.purchase})
            persist(context.patience, delete_pending_check, context.table, review)
    return True


def _try_again(run: _Run) -> None:
    """What failed in earlier runs, as far as time allows. Those that waited longest first: all have their turn."""
    context = run.context
    waiting = persist(context.patience, read_failed_checks, context.table, MAX_WAITING)
    earlier = sorted((one for one in waiting if one.last_at < context.now), key=lambda one: one.last_at)
    for one in earlier[:MAX_RETRIES]:
        if not context.has_time():
            return
        if _attempt(run, one.what, one.about):
            persist(context.patience, delete_failed_check, context.table, one)


def _attempt(run: _Run, what: str, about: Mapping[str, str]) -> Outcome | None:
    """Look at an event or a purchase of ours; None when that failed, and is kept for another run. Raises Busy."""
    context = run.context
    try:
        outcome = _look(run, about)
    except Exception as error:  # noqa: BLE001 - one purchase that can't be looked at must not hold up the others
        context.on_failure(what, error)
        persist(context.patience, save_failed_check, context.table, what, about, context.now)
        run.outcomes["failed"] += 1
        return None
    if outcome == "quarantined":
        context.on_quarantine(what)
    run.outcomes[outcome] += 1
    return outcome


def _look(run: _Run, about: Mapping[str, str]) -> Outcome:
    """`about`: the fields of an event, or the pointer of a purchase."""
    context = run.context
    if "type" not in about:
        return _look_at_ours(run, PurchaseRef(account=about["account"], purchase=about["purchase"]))
    names = (one.name for one in fields(Event))
    event = Event(**{name: about.get(name) for name in names})  # type: ignore[arg-type]
    return follow_event(
        context.table,
        context.client,
        event,
        catalog=lambda: context.catalog,
        now=context.now,
        patience=context.patience,
    )


def _look_at_ours(run: _Run, pointer: PurchaseRef) -> Outcome:
    """A purchase from our side. One without a page has nothing at the provider to compare with."""
    context = run.context
    purchase = persist(context.patience, read_purchase, context.table, pointer.account, pointer.purchase)
    if purchase is None or purchase.session is None:
        return "ignored"
    session = purchase.session
    if (session, False) in run.looked:
        return "unchanged"
    return sync_purchase(
        context.table,
        pointer,
        lambda: _seen(
            context.table, context.client, pointer, session, context.patience, failed=purchase.state == "failed"
        ),
        catalog=context.catalog,
        now=context.now,
        reason="reconciliation",
        patience=context.patience,
    )


def _seen(
    table: Table, client: stripe.StripeClient, pointer: PurchaseRef, session: str, patience: Patience, *, failed: bool
) -> PaymentStatus | None:
    """What the provider says of a session now. Raises PaymentsRefused, PaymentsUnavailable, Busy."""
    try:
        return fetch_payment_status(client, session, failed=failed)
    except SessionUnknown as error:
        purchase = persist(patience, read_purchase, table, pointer.account, pointer.purchase)
        if purchase and purchase.session == session and not purchase.granted:
            # We had it made, and sessions are never removed: the key is another Stripe account's. To say that nothing
            # concerns us would let a payment pass unseen.
            raise PaymentsRefused from error
        return None


def _find(
    table: Table, client: stripe.StripeClient, event: Event, patience: Patience
) -> tuple[PurchaseRef, str] | None:
    """The purchase that an event concerns and its session; None when it concerns none of ours."""
    if event.type in SESSION_EVENTS and event.account and event.purchase and event.session:
        return PurchaseRef(account=event.account, purchase=event.purchase), event.session
    if event.type not in MONEY_EVENTS or event.payment is None:
        return None
    pointer = persist(patience, find_payment, table, event.payment)
    if pointer:
        purchase = persist(patience, read_purchase, table, pointer.account, pointer.purchase)
        return (pointer, purchase.session) if purchase and purchase.session else None
    # Money can go back before we heard that it came: only the provider knows then what it was for.
    session = session_of_payment(client, event.payment)
    metadata = session.metadata.to_dict() if session and session.metadata else {}
    account, purchase_id = metadata_value(metadata, METADATA_ACCOUNT), metadata_value(metadata, METADATA_PURCHASE)
    if session is None or account is None or purchase_id is None:
        return None
    return PurchaseRef(account=account, purchase=purchase_id), session.id
