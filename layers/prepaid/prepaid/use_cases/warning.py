"""Warning: publish one alert for each lot with credits that expires in 30, 7 or 1 days."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from prepaid.core.events import EXPIRY_WARNING_DAYS, event_of_expiring_lot, expiring_in
from prepaid.store.due import DuePlace, DueRow, next_shard, read_due, sort_key
from prepaid.store.ledger import read_tail
from prepaid.store.warning import WarningPass, read_warning_pass, save_warning_pass
from prepaid.use_cases.publishing import PublishContext, Published, attempt, publish_alert
from prepaid.use_cases.reading import account_now

DAY = timedelta(days=1)
# A lot that was granted a moment before a run may be stored a moment after it.
OVERLAP = timedelta(minutes=5)
PAGE_ROWS = 100
# The most urgent warnings first.
STEPS = tuple(sorted(EXPIRY_WARNING_DAYS))


def publish_warnings(context: PublishContext) -> Published:
    """Publish each warning that has become due since the last pass, while there is time. No balance depends on it.

    Many lots end at the same midnight, so a pass may take several runs; each continues at the row where the one before
    it stopped. A run can stop at any point, and two can run at once, because published warnings are marked and skipped.
    Raises Busy.
    """
    now, published = context.clock(), Published()
    current = read_warning_pass(context.piece())
    while not _is_done(current, published, now) and context.has_time():
        if current is None or current.place is None:
            current = _next_pass(current, now)
        else:
            current = _publish_page(context, published, current, current.place, now)
    published.finished = _is_done(current, published, now)
    if current is not None:
        save_warning_pass(context.piece(), current)
    return published


def _is_done(current: WarningPass | None, published: Published, now: datetime) -> bool:
    """Whether nothing is left for this run. A run retries what an earlier run failed to publish, but not its own
    failures."""
    if current is None or current.place is not None or current.until < now:
        return False
    return current.failed_since is None or published.failed > 0


def _next_pass(last: WarningPass | None, now: datetime) -> WarningPass:
    """A pass over what has become due since the last one began, and over what the last one couldn't publish."""
    since = (last.failed_since or last.until) if last else now - DAY
    return _at_step(WarningPass(since=since, until=now, days=STEPS[0], place=None), STEPS[0])


def _at_step(current: WarningPass, days: int) -> WarningPass:
    """The pass before the first lot that ends in `days`."""
    first, _ = _ends(replace(current, days=days))
    return replace(current, days=days, place=DuePlace(day=first.astimezone(UTC).date()))


def _ends(current: WarningPass) -> tuple[datetime, datetime]:
    """The earliest and the latest expiry of the lots that the pass warns about in its current step."""
    ahead = timedelta(days=current.days)
    # Earlier lots had expired when the pass began.
    return max(current.since - OVERLAP + ahead, current.until), current.until + ahead


def _publish_page(
    context: PublishContext, published: Published, current: WarningPass, place: DuePlace, now: datetime
) -> WarningPass:
    """Publish the warnings of the next page of rows. Returns the pass, with its place after the last row handled."""
    rows = read_due(context.piece(), place, PAGE_ROWS)
    if not rows:
        return _next_place(current, place)
    first, last = _ends(current)
    for row in rows:
        current = replace(current, place=replace(place, after=sort_key(row)))
        if not first <= row.ends_at <= last:
            continue
        if not attempt(
            context, published, row.account, partial(_publish_warning, context, published, row, current.days, now)
        ):
            due_since = row.ends_at - timedelta(days=current.days)
            current = replace(current, failed_since=min(current.failed_since or due_since, due_since))
        # After the row, so that every run gets further.
        if not context.has_time():
            break
    return current


def _next_place(current: WarningPass, place: DuePlace) -> WarningPass:
    """After the last row of a shard: the next shard or day, then the next step. After all of them, the pass is done."""
    _, last = _ends(current)
    following = next_shard(place)
    if following.day <= last.astimezone(UTC).date():
        return replace(current, place=following)
    later = STEPS[STEPS.index(current.days) + 1 :]
    return _at_step(current, later[0]) if later else replace(current, place=None)


def _publish_warning(context: PublishContext, published: Published, row: DueRow, days: int, now: datetime) -> None:
    table = context.piece()
    entry = read_tail(table, row.account).entry
    account = account_now(table, entry, catalog=context.catalog, now=now).account
    lot = next((lot for lot in account.lots if lot.id == row.what), None)
    if lot is None or expiring_in(lot, now) != days:
        return
    publish_alert(context, published, event_of_expiring_lot(account, lot, days))
