"""On a schedule: every row of the table held against the rules. It writes what it has seen, nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.api.metrics import count
from prepaid.store.dynamodb import Patience, persist
from prepaid.store.verification import read_pass, save_pass
from prepaid.verifying.findings import Finding
from prepaid.verifying.scan_pass import ScanPass, VerifyContext, advance, finish, pack, unpack

# Enough for the page in hand, a second look at an account, and to keep the place.
MARGIN_MILLISECONDS = 120_000
# A pass begins a day after the last one began; one that takes longer goes on at every schedule until it is done.
EVERY = timedelta(days=1)
# A place costs some 24 write units, a page a few hundred read units: so what a killed run loses is little, and cheap.
PAGES_A_PLACE = 5
# A row holds 400 kB; a place grows with the purchases of the account in hand, by some 30 bytes each.
MAX_PLACE_BYTES = 380_000

logger = Logger()


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One run; the answer says what it did. An unfinished pass goes on at the next schedule. Raises Busy, and what AWS
    says no to; the next run goes on at the last page that was whole, of which nothing is told again."""
    table, patience, now = wiring.table(), Patience(seconds=4.0), wiring.now()
    packed = persist(patience, read_pass, table)
    one = unpack(packed) if packed else ScanPass(started_at=now)
    # One that says it began later than now says so to hold up the next.
    if one.done and one.started_at <= now < one.started_at + EVERY:
        return {"read": 0, "found": 0, "finished": True}
    if one.done:
        one = ScanPass(started_at=now)
    read, found = one.read, one.found
    desk = VerifyContext(table=table, patience=patience, now=wiring.now, on_finding=on_finding)
    _read(desk, one, lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS)
    answer = {"read": one.read - read, "found": one.found - found, "finished": one.done}
    logger.info("verified", extra={"request_id": context.aws_request_id, **answer})
    count("RowsVerified", one.read - read)
    return answer


def _read(desk: VerifyContext, one: ScanPass, has_time: Callable[[], bool]) -> None:
    """Read on while there is time, at least one page, and keep the place whatever happens. Raises as `handler` does."""
    place, pages = pack(one), 0
    try:
        while True:
            advance(desk, one, lambda: False)
            if one.done:
                one.found += finish(desk, [one])
            packed, pages = pack(one), pages + 1
            # Else the one before stays: the next run reads that account again, and tells again what it finds in it.
            place = packed if one.done or len(packed) <= MAX_PLACE_BYTES else place
            if one.done or not has_time():
                return
            if pages % PAGES_A_PLACE == 0:
                # For a run that is killed, which keeps nothing at its end.
                persist(desk.patience, save_pass, desk.table, place)
    finally:
        persist(desk.patience, save_pass, desk.table, place)


def on_finding(finding: Finding) -> None:
    """One finding, counted at once: a run may not live to count them. docs/operating.md says what to do."""
    about = {"code": finding.code, "account": finding.account, "where": finding.where}
    logger.error("finding", extra={**about, "expected": finding.expected, "found": finding.found})
    count("VerificationFindings", 1)
