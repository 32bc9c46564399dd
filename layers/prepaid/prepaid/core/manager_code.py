"""The manager's code: what it may be, how often it may be tried, how long it stays locked (rule 10)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil

from prepaid.core.errors import CodeLocked, InvalidRequest

MAX_TRIES = 5
SESSION_MINUTES = 10
# After each five wrong tries in a row the next lock is longer; the last one repeats.
LOCKS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=4),
)
LEAST_DIFFERENT_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerCode:
    """The code as it is kept, never itself.

    version: counts codes, 0 while none is set; a session opened by an older one has ended. revision: counts changes of
    this record. tries: comparisons reserved since the last right code or the last lock. locks: how many of these there
    were in a row. tried_at: of the last reserved try.
    """

    digest: bytes
    salt: bytes
    version: int
    revision: int
    tries: int
    locks: int
    tried_at: datetime


# An account without a code: no digest equals this one, and what is tried on it counts and locks as on any other.
NO_CODE = ManagerCode(
    digest=b"", salt=b"", version=0, revision=0, tries=0, locks=0, tried_at=datetime(1970, 1, 1, tzinfo=UTC)
)


def check_new_code(code: str) -> None:
    """Refuse six digits that people try first. Raises InvalidRequest.

    Too easy are: fewer than three different digits (000000, 121212, 112211, 000001); a second half that repeats the
    first or mirrors it (907907, 123321); three pairs of which each is as far from the next, digit by digit and with 0
    after 9 (123456, 987654, 024680, 112233, 101112, 302010). 986,000 of the million codes remain.
    """
    if len(set(code)) < LEAST_DIFFERENT_DIGITS or code[3:] in {code[:3], code[2::-1]} or _steps_evenly(code):
        raise InvalidRequest((("code", "is too easy to guess"),))


def _steps_evenly(code: str) -> bool:
    """Whether the step from the first pair to the second is also the one to the third."""
    digits = [int(digit) for digit in code]
    steps = [(later - earlier) % 10 for earlier, later in zip(digits, digits[2:], strict=False)]
    return steps[:2] == steps[2:]


def reserve_try(code: ManagerCode, now: datetime) -> ManagerCode:
    """The record with one more try taken, before anything is compared: parallel guesses share the same five.

    Raises CodeLocked while a lock lasts, for the right code too.
    """
    if code.tries < MAX_TRIES:
        return replace(code, tries=code.tries + 1, tried_at=now, revision=code.revision + 1)
    locked_until = code.tried_at + LOCKS[min(code.locks, len(LOCKS) - 1)]
    if now < locked_until:
        raise CodeLocked(retry_after_seconds=max(1, ceil((locked_until - now).total_seconds())))
    return replace(code, tries=1, locks=code.locks + 1, tried_at=now, revision=code.revision + 1)


def forgive(code: ManagerCode) -> ManagerCode:
    """The record after the right code: no tries, no locks."""
    return replace(code, tries=0, locks=0, revision=code.revision + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSession:
    """Ten minutes in which one purchase may be made for one account.

    digest: of the session's token, which only its holder has. purchase: the one that it was used for.
    """

    digest: str
    account: str
    code_version: int
    expires_at: datetime
    purchase: str | None = None


def is_good(session: ManagerSession, account: str, code_version: int, now: datetime) -> bool:
    """Whether the session is for this account, not over, and opened by the code that still holds."""
    return session.account == account and now < session.expires_at and session.code_version == code_version
