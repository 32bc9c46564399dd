"""Runs the verifier: reads pages while there is time, and saves the pass so that any later run can continue."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from prepaid.store.verification import read_pass, save_pass
from prepaid.use_cases.verifying.scan_pass import (
    MAX_PLACE_BYTES,
    ScanPass,
    VerifyContext,
    advance,
    finish,
    pack,
    unpack,
)

# A pass begins a day after the last one began; a longer pass continues in every scheduled run until it is done.
EVERY = timedelta(days=1)
# Saving the pass takes about 24 write units, a page a few hundred read units: a killed run loses few, cheap pages.
PAGES_PER_PLACE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """read, found: rows and findings of this run. finished: whether the pass is done."""

    read: int
    found: int
    finished: bool


def run_scheduled(context: VerifyContext, *, has_time: Callable[[], bool]) -> VerifyResult:
    """Continue the current pass, or begin one if the last one began a day ago or earlier. Raises Busy.

    The next run continues after the last page that was read completely, and doesn't report its findings again.
    """
    now, packed = context.now(), read_pass(context.piece())
    scan_pass = unpack(packed) if packed else ScanPass(started_at=now)
    # A pass dated in the future may be forged to suppress verification; ignore it.
    if scan_pass.done and scan_pass.started_at <= now < scan_pass.started_at + EVERY:
        return VerifyResult(read=0, found=0, finished=True)
    if scan_pass.done:
        scan_pass = ScanPass(started_at=now)
    read, found = scan_pass.read, scan_pass.found

    def keep(place: bytes) -> None:
        save_pass(context.piece(), place)

    def read_page() -> None:
        advance(context, scan_pass)
        if scan_pass.done:
            scan_pass.found += finish(context, [scan_pass])

    read_pages(scan_pass, read_page, keep, has_time=has_time, max_place_bytes=context.max_place_bytes)
    return VerifyResult(read=scan_pass.read - read, found=scan_pass.found - found, finished=scan_pass.done)


def read_pages(
    scan_pass: ScanPass,
    read_page: Callable[[], None],
    keep: Callable[[bytes], None],
    *,
    has_time: Callable[[], bool],
    pages_per_place: int = PAGES_PER_PLACE,
    max_place_bytes: int = MAX_PLACE_BYTES,
) -> None:
    """Read pages while there is time, at least one. Raises Busy.

    keep: stores the pass; called every `pages_per_place` pages, and at the end even if a page fails.
    """
    place, pages = pack(scan_pass), 0
    try:
        while True:
            read_page()
            packed, pages = pack(scan_pass), pages + 1
            # If the pass is too large to store, the earlier one stays. The next run reads the account again and reports
            # its findings again.
            place = packed if scan_pass.done or len(packed) <= max_place_bytes else place
            if scan_pass.done or not has_time():
                return
            if pages % pages_per_place == 0:
                # In case the run is killed and can't store the pass at its end.
                keep(place)
    finally:
        keep(place)
