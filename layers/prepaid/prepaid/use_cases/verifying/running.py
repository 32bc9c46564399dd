"""Runs the verifier: reads pages while there is time, and saves each pass so that any later run can continue."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from prepaid.store import keys
from prepaid.store.verification import read_pass, save_pass
from prepaid.use_cases.verifying.checking import MAX_PLACE_BYTES, Pass, VerifyContext
from prepaid.use_cases.verifying.recent_pass import RecentPass, advance_recent, pack_recent, unpack_recent
from prepaid.use_cases.verifying.scan_pass import ScanPass, advance, finish, pack, unpack

# A recent pass begins a day after the last one began; a longer pass continues in every scheduled run until it is done.
RECENT_EVERY = timedelta(days=1)
# Saving the pass takes about 24 write units, a page a few hundred read units: a killed run loses few, cheap pages.
PAGES_PER_PLACE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """read, found: rows and findings of this run. finished: whether no pass is left to continue.

    began_at: when the newest pass began; finished, it read what was stored by then. due_at: when the next one is due.
    behind: the time since the oldest unfinished pass began; zero if none is left.
    """

    read: int
    found: int
    finished: bool
    began_at: datetime
    due_at: datetime
    behind: timedelta


def run_scheduled(context: VerifyContext, *, has_time: Callable[[], bool]) -> VerifyResult:
    """Continue the recent and the whole pass, or begin those that are due. Raises Busy.

    The next run continues after the last page that was read completely, and doesn't report its findings again.
    """
    # The recent one first: it is short, and a whole one may take days.
    results = [result for run in (_run_recent, _run_whole) if (result := run(context, has_time))]
    return VerifyResult(
        read=sum(result.read for result in results),
        found=sum(result.found for result in results),
        finished=all(result.finished for result in results),
        began_at=max(result.began_at for result in results),
        due_at=min(result.due_at for result in results),
        behind=max(result.behind for result in results),
    )


def _run_recent(context: VerifyContext, has_time: Callable[[], bool]) -> VerifyResult | None:
    packed = read_pass(context.piece(), keys.RECENT_VERIFICATION)
    if packed is None or context.whole_every <= RECENT_EVERY:
        # Before the first whole pass has finished there are no marks to begin at.
        return None
    recent = unpack_recent(packed)
    if recent.done and _is_due(recent, RECENT_EVERY, context.now()):
        recent = RecentPass(started_at=context.now())
    return _run(
        context,
        recent,
        RECENT_EVERY,
        partial(advance_recent, context, recent),
        lambda: pack_recent(recent),
        lambda place: save_pass(context.piece(), place, keys.RECENT_VERIFICATION),
        has_time=has_time,
    )


def _run_whole(context: VerifyContext, has_time: Callable[[], bool]) -> VerifyResult:
    now, packed = context.now(), read_pass(context.piece())
    whole = unpack(packed) if packed else ScanPass(started_at=now)
    if whole.done and _is_due(whole, context.whole_every, now):
        whole = ScanPass(started_at=now)

    def read_page() -> None:
        advance(context, whole)
        if whole.done:
            whole.found += finish(context, [whole])
            if read_pass(context.piece(), keys.RECENT_VERIFICATION) is None:
                first = RecentPass(started_at=whole.started_at, done=True)
                save_pass(context.piece(), pack_recent(first), keys.RECENT_VERIFICATION)

    return _run(
        context,
        whole,
        context.whole_every,
        read_page,
        lambda: pack(whole),
        lambda place: save_pass(context.piece(), place),
        has_time=has_time,
    )


def _is_due(last: Pass, every: timedelta, now: datetime) -> bool:
    # A pass dated in the future may be forged to suppress verification; ignore it.
    return not last.started_at <= now < last.started_at + every


def _run(
    context: VerifyContext,
    running: Pass,
    every: timedelta,
    read_page: Callable[[], None],
    packed: Callable[[], bytes],
    keep: Callable[[bytes], None],
    *,
    has_time: Callable[[], bool],
) -> VerifyResult:
    """Continue a pass that isn't done. every: the time from its beginning to the next one's."""
    read, found = running.read, running.found
    if not running.done:
        read_pages(running, read_page, packed, keep, has_time=has_time, max_place_bytes=context.max_place_bytes)
    return VerifyResult(
        read=running.read - read,
        found=running.found - found,
        finished=running.done,
        began_at=running.started_at,
        due_at=running.started_at + every,
        behind=timedelta(0) if running.done else context.now() - running.started_at,
    )


def read_pages(
    running: Pass,
    read_page: Callable[[], None],
    packed: Callable[[], bytes],
    keep: Callable[[bytes], None],
    *,
    has_time: Callable[[], bool],
    pages_per_place: int = PAGES_PER_PLACE,
    max_place_bytes: int = MAX_PLACE_BYTES,
) -> None:
    """Read pages while there is time, at least one. Raises Busy.

    packed: returns the pass as bytes. keep: stores them; called every `pages_per_place` pages, and at the end even if a
    page fails.
    """
    place, pages = packed(), 0
    try:
        while True:
            read_page()
            now_packed, pages = packed(), pages + 1
            # If the pass is too large to store, the earlier one stays. The next run reads the account again and reports
            # its findings again.
            place = now_packed if running.done or len(now_packed) <= max_place_bytes else place
            if running.done or not has_time():
                return
            if pages % pages_per_place == 0:
                # In case the run is killed and can't store the pass at its end.
                keep(place)
    finally:
        keep(place)
