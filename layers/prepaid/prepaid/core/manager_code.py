"""The manager's code: which codes are allowed, how many tries there are, how long a lock lasts (rule 10)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil

from prepaid.core.errors import CodeLocked, InvalidRequest

MAX_TRIES = 5
SESSION_MINUTES = 10
# Every five wrong tries in a row cause a longer lock; the last one repeats.
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
    """The stored record of a code: a salted digest, never the code itself. pepper: the version of the digest's pepper.

    version: counts codes, 0 while none is set; sessions opened by an older code are no longer valid. revision: counts
    changes of this record. tries: comparisons reserved since the last right code or lock. locks: consecutive locks.
    tried_at: time of the last reserved try.
    """

    digest: bytes
    salt: bytes
    pepper: int
    version: int
    revision: int
    tries: int
    locks: int
    tried_at: datetime


# An account without a code: no digest equals this one, and tries count and lock as on any other account.
NO_CODE = ManagerCode(
    digest=b"", salt=b"", pepper=1, version=0, revision=0, tries=0, locks=0, tried_at=datetime(1970, 1, 1, tzinfo=UTC)
)


def check_new_code(code: str) -> None:
    """Reject six digits that are easy to guess. Raises InvalidRequest.

    Easy to guess are: fewer than three different digits (000000, 121212, 112211, 000001); a second half that repeats
    or mirrors the first (907907, 123321); three pairs with equal steps between them, digit by digit, with 0 after 9
    (123456, 987654, 024680, 112233, 101112, 302010). 986,000 of the million codes remain.
    """
    if len(set(code)) < LEAST_DIFFERENT_DIGITS or code[3:] in {code[:3], code[2::-1]} or _steps_evenly(code):
        raise InvalidRequest((("code", "is too easy to guess"),))


def _steps_evenly(code: str) -> bool:
    """Whether the step from the first pair to the second equals the step from the second to the third."""
    digits = [int(digit) for digit in code]
    steps = [(later - earlier) % 10 for earlier, later in zip(digits, digits[2:], strict=False)]
    return steps[:2] == steps[2:]


def reserve_try(code: ManagerCode, now: datetime) -> ManagerCode:
    """The record with one more try reserved, before any comparison: parallel guesses share the same five tries.

    Raises CodeLocked while a lock lasts, even for the right code.
    """
    if code.tries < MAX_TRIES:
        return replace(code, tries=code.tries + 1, tried_at=now, revision=code.revision + 1)
    locked_until = code.tried_at + LOCKS[min(code.locks, len(LOCKS) - 1)]
    if now < locked_until:
        raise CodeLocked(retry_after_seconds=max(1, ceil((locked_until - now).total_seconds())))
    return replace(code, tries=1, locks=code.locks + 1, tried_at=now, revision=code.revision + 1)


def clear_tries(code: ManagerCode) -> ManagerCode:
    """The record after a right code: no tries, no locks."""
    return replace(code, tries=0, locks=0, revision=code.revision + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSession:
    """Permission for one purchase of one account, valid for ten minutes.

    digest: of the session's token, which is not stored. purchase: the id of the purchase that used the session.
    """

    digest: str
    account: str
    code_version: int
    expires_at: datetime
    purchase: str | None = None


def is_usable(session: ManagerSession, account: str, code_version: int, now: datetime) -> bool:
    """Whether the session belongs to this account, hasn't expired, and was opened by the current code."""
    return session.account == account and now < session.expires_at and session.code_version == code_version
