"""The scheduled comparison with Stripe, in both directions (rule 14). It makes up for lost webhooks.

A run handles every event since the last run, then checks every purchase that is due, then retries the checks that
failed in earlier runs.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from prepaid.core.catalog import Catalog
from prepaid.payments.events import FAILED_EVENT, MONEY_EVENTS, Event
from prepaid.payments.sessions import EVENTS_PAGE, Stripe, events_page
from prepaid.store.dynamodb import Deadline, Table
from prepaid.store.purchases import PurchaseRef, read_purchase
from prepaid.store.reconciliation import (
    ReconciliationCheckpoint,
    delete_failed_check,
    delete_pending_check,
    has_pending_check,
    read_checkpoint,
    read_failed_checks,
    read_pending_checks,
    save_checkpoint,
    save_failed_check,
)
from prepaid.use_cases.syncing import RECONCILIATION, Outcome, Sync, follow_event, sync_with_session

# Stripe keeps events for 30 days; the first run of a stack reads all of them.
INITIAL_LOOKBACK = timedelta(days=29)
# Stripe's clock and ours may differ, and Stripe may list an event a little after it happened.
OVERLAP = timedelta(hours=1)
PAGE_PENDING_CHECKS = 50
# How many failed checks a run retries, and how many it reads to choose them from.
MAX_RETRIES, MAX_WAITING = 100, 1000
# The deadline of one event, purchase or page. Stripe alone may take 18 seconds.
PIECE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """The result of one run.

    healed: purchases that were behind Stripe and were updated. quarantined: purchases that contradict Stripe. failed:
    checks that failed in this run. waiting: failed checks of all runs (at most MAX_WAITING are counted);
    oldest_failure: how long the oldest of them has waited. finished: whether the run is complete; if not, the next run
    continues. behind: the time since the unfinished run began; zero when finished. until: the end of the run's span of
    events; once finished, the run has handled everything that happened at Stripe until then.
    """

    healed: int
    quarantined: int
    failed: int
    waiting: int
    oldest_failure: timedelta
    finished: bool
    behind: timedelta
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileContext:
    """The dependencies and limits of a run.

    piece: returns the table with a new deadline, for one event, purchase or page; a slow one must not use up the run.
    client: returns Stripe's client with a piece's deadline.
    stack, on_quarantine: as in Sync. on_failure: called immediately with the event or purchase, because a run may be
    killed before its end. Tests lower the limits.
    """

    piece: Callable[[], Table]
    client: Callable[[Deadline], Stripe]
    catalog: Catalog
    stack: str
    now: datetime
    has_time: Callable[[], bool]
    on_quarantine: Callable[[str], None]
    on_failure: Callable[[str, Exception], None]
    page_events: int = EVENTS_PAGE
    page_checks: int = PAGE_PENDING_CHECKS
    max_retries: int = MAX_RETRIES

    def sync(self) -> Sync:
        """The dependencies with which one piece of the run syncs purchases."""
        table = self.piece()
        return Sync(
            table=table,
            client=self.client(table.deadline),
            catalog=lambda: self.catalog,
            stack=self.stack,
            now=self.now,
            on_quarantine=self.on_quarantine,
        )


def reconcile(context: ReconcileContext) -> ReconcileResult:
    """Handle every event since the last run again, then check the purchases that are due.

    This makes up for lost webhooks; handling an event again has no effect. A failed check doesn't block others: the run
    stores it, and each run retries stored checks at its end. Raises Busy, PaymentsRefused, PaymentsUnavailable.
    """
    checkpoint, run = _start(context), _Run(context)
    until = checkpoint.until or context.now
    checkpoint, finished = _follow_events(run, checkpoint, until)
    finished = finished and _check_purchases(run)
    if finished:
        save_checkpoint(context.piece(), ReconciliationCheckpoint(since=until))
        _retry_failed(run)
    waiting = read_failed_checks(context.piece(), MAX_WAITING)
    return ReconcileResult(
        healed=run.outcomes["changed"],
        quarantined=run.outcomes["quarantined"],
        failed=run.outcomes["failed"],
        waiting=len(waiting),
        oldest_failure=max((context.now - check.first_at for check in waiting), default=timedelta()),
        finished=finished,
        behind=timedelta() if finished else context.now - until,
        until=until,
    )


def needs_a_key(table: Table) -> bool:
    """Whether a stack without Stripe's key must get one: a purchase was begun lately, or a reconciliation ran before.

    A new stack sells nothing. But if only `checkout` has a key, customers pay and get no credits. Raises Busy.
    """
    return has_pending_check(table) or read_checkpoint(table) is not None


@dataclass(frozen=True, slots=True)
class _Run:
    """The run so far. checked: (session or payment, whether the event reported an expired voucher)."""

    context: ReconcileContext
    outcomes: Counter[str] = field(default_factory=Counter)
    checked: set[tuple[str | None, bool]] = field(default_factory=set)


def _start(context: ReconcileContext) -> ReconciliationCheckpoint:
    """The run to continue, or a new one from where the last one ended."""
    stored = read_checkpoint(context.piece())
    checkpoint = stored or ReconciliationCheckpoint(since=context.now - INITIAL_LOOKBACK)
    return checkpoint if checkpoint.until else replace(checkpoint, until=context.now)


def _follow_events(
    run: _Run, checkpoint: ReconciliationCheckpoint, until: datetime
) -> tuple[ReconciliationCheckpoint, bool]:
    """Handle Stripe's events, newest first, while there is time. Returns the place, and whether all are done."""
    context = run.context
    has_time = True
    while has_time:
        since = checkpoint.since - OVERLAP
        client = context.client(context.piece().deadline)
        events = events_page(client, since=since, until=until, after=checkpoint.event, limit=context.page_events)
        if not events:
            break
        for event in events:
            has_time = context.has_time()
            if not has_time:
                break
            _follow(run, event)
            checkpoint = replace(checkpoint, event=event.id)
        # After each page, so that a killed run loses at most one page.
        save_checkpoint(context.piece(), checkpoint)
    return checkpoint, has_time


def _follow(run: _Run, event: Event) -> None:
    # All events of a session or payment lead to the same fetch, which is newer than any of them. Only the expiry of a
    # voucher is known from its event alone.
    subject = event.payment if event.type in MONEY_EVENTS else event.session
    key = (subject, event.type == FAILED_EVENT)
    if key in run.checked:
        return
    # Also if the check fails: a retry of one of the events is enough.
    run.checked.add(key)
    _check(run, event)


def _check_purchases(run: _Run) -> bool:
    """Check the purchases that are due, while there is time. Returns whether all are done."""
    context = run.context
    while pending := read_pending_checks(context.piece(), context.now, context.page_checks):
        for check in pending:
            if not context.has_time():
                return False
            _check(run, PurchaseRef(account=check.account, purchase=check.purchase))
            delete_pending_check(context.piece(), check)
    return True


def _retry_failed(run: _Run) -> None:
    """Retry checks that failed in earlier runs, while there is time. Those tried longest ago come first, so that each
    gets a turn."""
    context = run.context
    waiting = read_failed_checks(context.piece(), MAX_WAITING)
    earlier = sorted((check for check in waiting if check.last_at < context.now), key=lambda check: check.last_at)
    for check in earlier[: context.max_retries]:
        if not context.has_time():
            return
        if _check(run, _subject_from(check.subject)):
            delete_failed_check(context.piece(), check)


def _check(run: _Run, subject: Event | PurchaseRef) -> Outcome | None:
    """Check an event or a purchase. Returns None when the check failed and is stored for a later run. Raises Busy."""
    context = run.context
    name = subject.id if isinstance(subject, Event) else subject.purchase
    try:
        outcome = _outcome(run, subject)
    except Exception as error:  # noqa: BLE001 - one failed check must not block the others
        context.on_failure(name, error)
        values = {field: value for field, value in asdict(subject).items() if value is not None}
        save_failed_check(context.piece(), name, values, context.now)
        run.outcomes["failed"] += 1
        return None
    run.outcomes[outcome] += 1
    return outcome


def _outcome(run: _Run, subject: Event | PurchaseRef) -> Outcome:
    match subject:
        case Event():
            return follow_event(run.context.sync(), subject)
        case PurchaseRef():
            return _check_purchase(run, subject)
        case _:
            assert_never(subject)


def _subject_from(values: Mapping[str, str]) -> Event | PurchaseRef:
    """The event or purchase of a failed check. An event has a type, a purchase has none."""
    if "type" not in values:
        return PurchaseRef(account=values["account"], purchase=values["purchase"])
    return Event(
        id=values["id"],
        type=values["type"],
        session=values.get("session"),
        account=values.get("account"),
        purchase=values.get("purchase"),
        payment=values.get("payment"),
        stack=values.get("stack"),
    )


def _check_purchase(run: _Run, ref: PurchaseRef) -> Outcome:
    """Compare a purchase with its payment. A purchase without a session has nothing at Stripe to compare with."""
    sync = run.context.sync()
    purchase = read_purchase(sync.table, ref.account, ref.purchase)
    if purchase is None or purchase.session is None:
        return "ignored"
    session = purchase.session
    if (session, False) in run.checked:
        return "unchanged"
    return sync_with_session(sync, ref, session, failed=purchase.state == "failed", reason=RECONCILIATION)
