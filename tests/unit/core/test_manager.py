"""Semantics 10: the manager's code, how often it may be tried, and the sessions that it opens."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from prepaid.core.errors import CodeLocked, InvalidRequest
from prepaid.core.manager_code import (
    LOCKS,
    MAX_TRIES,
    ManagerCode,
    ManagerSession,
    check_new_code,
    forgive,
    is_good,
    reserve_try,
)
from tests.builders import NOW

MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)


def a_code(*, tries: int = 0, locks: int = 0, tried_at: datetime = NOW - timedelta(days=1)) -> ManagerCode:
    return ManagerCode(digest=b"d", salt=b"s", version=2, revision=9, tries=tries, locks=locks, tried_at=tried_at)


def tried(code: ManagerCode, times: int, at: datetime = NOW) -> ManagerCode:
    for _ in range(times):
        code = reserve_try(code, at)
    return code


def seconds_locked(code: ManagerCode, at: datetime) -> int:
    with pytest.raises(CodeLocked) as locked:
        reserve_try(code, at)
    return locked.value.retry_after_seconds


# New codes

RUNS = [run[start : start + 6] for run in ("01234567890", "09876543210") for start in range(6)]


@pytest.mark.parametrize("code", [*(digit * 6 for digit in "0123456789"), *RUNS, "123123", "907907"])
def test_a_code_that_anybody_would_try_first_is_refused(code: str) -> None:
    assert len(code) == 6
    with pytest.raises(InvalidRequest) as refused:
        check_new_code(code)

    assert refused.value.errors == (("code", "is too easy to guess"),)


@pytest.mark.parametrize("code", ["000001", "012346", "135790", "482915", "123321", "765431", "100000"])
def test_a_code_that_is_not_trivial_is_taken_leading_zeros_too(code: str) -> None:
    check_new_code(code)


# Tries


def test_a_try_is_counted_before_anything_is_compared() -> None:
    code = a_code(tries=2)

    assert reserve_try(code, NOW) == replace(code, tries=3, tried_at=NOW, revision=10)


def test_five_tries_are_free_and_the_sixth_is_locked() -> None:
    code = tried(a_code(), MAX_TRIES)

    assert code.tries == 5
    assert seconds_locked(code, NOW) == 60


def test_a_lock_ends_at_its_last_instant_and_not_before() -> None:
    code = tried(a_code(), MAX_TRIES)

    assert seconds_locked(code, NOW + MINUTE - MILLISECOND) == 1
    after = reserve_try(code, NOW + MINUTE)
    assert (after.tries, after.locks, after.tried_at) == (1, 1, NOW + MINUTE)


def test_asking_while_locked_neither_counts_nor_makes_the_lock_longer() -> None:
    code = tried(a_code(), MAX_TRIES)

    assert [seconds_locked(code, NOW + timedelta(seconds=passed)) for passed in (0, 20, 59)] == [60, 40, 1]


@pytest.mark.parametrize(("passed", "left"), [(0.0005, 60), (0.9995, 60), (1.0, 59), (58.9995, 2), (59.9999, 1)])
def test_whoever_waits_as_long_as_told_is_not_locked_any_more(passed: float, left: int) -> None:
    code = tried(a_code(), MAX_TRIES)
    at = NOW + timedelta(seconds=passed)

    assert seconds_locked(code, at) == left
    reserve_try(code, at + timedelta(seconds=left))


def test_each_lock_in_a_row_is_longer_than_the_one_before_and_the_longest_repeats() -> None:
    code, at, locks = a_code(), NOW, []
    for _ in range(len(LOCKS) + 2):
        code = tried(code, MAX_TRIES, at)
        locks.append(seconds_locked(code, at))
        at += timedelta(seconds=locks[-1])

    assert locks == [60, 300, 900, 3600, 14400, 14400, 14400]


def test_a_lock_counts_from_the_last_try() -> None:
    code = tried(tried(a_code(), 4), 1, NOW + MINUTE)

    assert seconds_locked(code, NOW + MINUTE) == 60


def test_no_more_than_five_tries_in_any_lock_however_they_are_spread() -> None:
    """A day of a guess every second: the locks, not the guesser, say how many there are."""
    code, guesses = a_code(), 0
    for second in range(24 * 3600):
        try:
            code = reserve_try(code, NOW + timedelta(seconds=second))
            guesses += 1
        except CodeLocked:
            continue

    # 1 min, 5 min, 15 min, 1 h, then every 4 h.
    assert guesses <= 5 * (4 + 24 // 4 + 1)


def test_a_clock_that_goes_back_unlocks_nothing() -> None:
    code = tried(a_code(), MAX_TRIES)

    assert seconds_locked(code, NOW - 10 * MINUTE) == 11 * 60


def test_the_right_code_forgives_tries_and_locks() -> None:
    code = tried(replace(tried(a_code(), MAX_TRIES), locks=3), 1, NOW + timedelta(hours=1))
    assert (code.tries, code.locks) == (1, 4)

    after = forgive(code)

    assert after == replace(code, tries=0, locks=0, revision=code.revision + 1)
    assert seconds_locked(tried(after, MAX_TRIES), NOW) == 60


# Sessions


def a_session(**changes: object) -> ManagerSession:
    session = ManagerSession(digest="d", account="petshop-1", code_version=2, expires_at=NOW + 10 * MINUTE)
    return replace(session, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("account", "code_version", "at", "good"),
    [
        ("petshop-1", 2, NOW, True),
        ("petshop-1", 2, NOW + 10 * MINUTE - MILLISECOND, True),
        ("petshop-1", 2, NOW + 10 * MINUTE, False),
        ("petshop-1", 3, NOW, False),
        ("petshop-1", 1, NOW, False),
        ("petshop-2", 2, NOW, False),
    ],
)
def test_a_session_is_good_for_its_account_its_minutes_and_its_code(
    account: str, code_version: int, at: datetime, good: bool
) -> None:
    assert is_good(a_session(), account, code_version, at) is good
