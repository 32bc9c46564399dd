"""Rule 10: the manager's code, how often it may be tried, and the sessions that it opens."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prepaid.core.errors import CodeLocked, InvalidRequest
from prepaid.core.manager_code import (
    LOCKS,
    MAX_TRIES,
    NO_CODE,
    ManagerCode,
    ManagerSession,
    check_new_code,
    clear_tries,
    is_usable,
    reserve_try,
)
from tests.support.core_builders import NOW

MINUTE = timedelta(minutes=1)
MILLISECOND = timedelta(milliseconds=1)


def a_code(*, tries: int = 0, locks: int = 0, tried_at: datetime = NOW - timedelta(days=1)) -> ManagerCode:
    return ManagerCode(
        digest=b"d", salt=b"s", pepper=1, version=2, revision=9, tries=tries, locks=locks, tried_at=tried_at
    )


def tried(code: ManagerCode, times: int, at: datetime = NOW) -> ManagerCode:
    for _ in range(times):
        code = reserve_try(code, at)
    return code


def seconds_locked(code: ManagerCode, at: datetime) -> int:
    with pytest.raises(CodeLocked) as locked:
        reserve_try(code, at)
    return locked.value.retry_after_seconds


# New codes

CODES = st.text("0123456789", min_size=6, max_size=6)
PAIRS = st.text("0123456789", min_size=2, max_size=2)
TRIPLES = st.text("0123456789", min_size=3, max_size=3)
STEPS = st.integers(0, 9)


def is_refused(code: str) -> bool:
    assert len(code) == 6
    try:
        check_new_code(code)
    except InvalidRequest as refused:
        return refused.errors == (("code", "is too easy to guess"),)
    return False


@pytest.mark.parametrize(
    "code",
    [
        *(digit * 6 for digit in "0123456789"),
        *(run[start : start + 6] for run in ("01234567890", "09876543210") for start in range(6)),
        *("121212", "070707", "112211", "111222", "122122", "000001", "100000"),
        *("123123", "907907", "123321", "907709"),
        *("112233", "998877", "332211", "101112", "302010", "010203", "135791", "246802", "864208", "890123"),
    ],
)
def test_an_easily_guessed_code_is_refused(code: str) -> None:
    assert is_refused(code)


@pytest.mark.parametrize("code", ["000871", "012346", "135790", "482915", "123312", "765431", "112234", "100200"])
def test_a_code_that_is_hard_to_guess_is_accepted(code: str) -> None:
    assert not is_refused(code)


@given(PAIRS)
def test_a_repeated_pair_is_refused(pair: str) -> None:
    assert is_refused(pair * 3)


@given(TRIPLES)
def test_a_repeated_or_mirrored_triple_is_refused(triple: str) -> None:
    assert is_refused(triple * 2)
    assert is_refused(triple + triple[::-1])


@given(STEPS, STEPS)
def test_a_run_by_any_step_is_refused_single_or_in_pairs_either_way(start: int, step: int) -> None:
    run = [str((start + place * step) % 10) for place in range(6)]

    assert is_refused("".join(run))
    assert is_refused("".join(reversed(run)))
    assert is_refused("".join(digit * 2 for digit in run[:3]))


@given(PAIRS, STEPS, STEPS)
def test_pairs_with_an_equal_step_are_refused(pair: str, first: int, second: int) -> None:
    tens, units = map(int, pair)

    assert is_refused("".join(f"{(tens + n * first) % 10}{(units + n * second) % 10}" for n in range(3)))


@given(CODES)
def test_a_refused_code_is_refused_backwards_too(code: str) -> None:
    assert is_refused(code) == is_refused(code[::-1])


@given(CODES)
def test_a_code_of_three_digits_without_a_pattern_is_accepted(code: str) -> None:
    """The rules in another form: a code that matches none of them is not an obvious guess."""
    tens = [int(code[place]) for place in (0, 2, 4)]
    units = [int(code[place]) for place in (1, 3, 5)]
    even = all((digits[0] + digits[2] - 2 * digits[1]) % 10 == 0 for digits in (tens, units))
    halves = code[:3] == code[3:] or code == code[::-1]
    few = sum(digit in code for digit in "0123456789") < 3

    assert is_refused(code) == (even or halves or few)


def test_the_number_of_accepted_codes_is_known() -> None:
    assert sum(not is_refused(f"{number:06d}") for number in range(1_000_000)) == 986_000


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


def test_a_try_while_locked_does_not_lengthen_the_lock() -> None:
    code = tried(a_code(), MAX_TRIES)

    assert [seconds_locked(code, NOW + timedelta(seconds=passed)) for passed in (0, 20, 59)] == [60, 40, 1]


@pytest.mark.parametrize(("passed", "left"), [(0.0005, 60), (0.9995, 60), (1.0, 59), (58.9995, 2), (59.9999, 1)])
def test_after_the_reported_wait_the_lock_has_ended(passed: float, left: int) -> None:
    code = tried(a_code(), MAX_TRIES)
    at = NOW + timedelta(seconds=passed)

    assert seconds_locked(code, at) == left
    reserve_try(code, at + timedelta(seconds=left))


def test_each_lock_in_a_row_is_longer() -> None:
    """The longest repeats."""
    code, at, locks = a_code(), NOW, []
    for _ in range(len(LOCKS) + 2):
        code = tried(code, MAX_TRIES, at)
        locks.append(seconds_locked(code, at))
        at += timedelta(seconds=locks[-1])

    assert locks == [60, 300, 900, 3600, 14400, 14400, 14400]


def test_a_lock_counts_from_the_last_try() -> None:
    code = tried(tried(a_code(), 4), 1, NOW + MINUTE)

    assert seconds_locked(code, NOW + MINUTE) == 60


def test_at_most_five_tries_are_possible_between_locks() -> None:
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


def test_the_right_code_resets_tries_and_locks() -> None:
    code = tried(replace(tried(a_code(), MAX_TRIES), locks=3), 1, NOW + timedelta(hours=1))
    assert (code.tries, code.locks) == (1, 4)

    after = clear_tries(code)

    assert after == replace(code, tries=0, locks=0, revision=code.revision + 1)
    assert seconds_locked(tried(after, MAX_TRIES), NOW) == 60


def test_an_account_without_a_code_counts_and_locks_like_any_other() -> None:
    code = tried(NO_CODE, MAX_TRIES)

    assert (code.tries, code.locks, code.version, code.revision) == (5, 0, 0, 5)
    assert seconds_locked(code, NOW) == 60
    assert seconds_locked(tried(code, MAX_TRIES, NOW + MINUTE), NOW + MINUTE) == 300


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
def test_a_session_is_valid_for_its_account_minutes_and_code(
    account: str, code_version: int, at: datetime, good: bool
) -> None:
    assert is_usable(a_session(), account, code_version, at) is good
