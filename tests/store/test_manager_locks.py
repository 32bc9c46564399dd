"""Wrong codes lock an account: a try is counted before the code is compared, under any load (rule 10)."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from prepaid.core.errors import Busy, CodeLocked
from prepaid.core.manager_code import MAX_TRIES
from prepaid.use_cases.approving import check_code
from tests.support.manager_codes import CODE, WRONG, Comparisons, comparisons, number, set_code, try_code
from tests.support.store_driver import CODES, NOW, SECOND, TICK, FakeTime, StoreDriver, stored
from tests.support.wire import Wire, answer_lost, first, no_answer, nothing, reset_after_commit
from tests.support.workers import at_once

__all__ = ["comparisons"]


MINUTE = timedelta(minutes=1)


def has_code(driver: StoreDriver, *, is_set: bool) -> None:
    """An account whose manager has a code, or one without that looks the same."""
    if is_set:
        set_code(driver, CODE)


either = pytest.mark.parametrize("is_set", [True, False], ids=["with a code", "without a code"])


# Locked


def test_after_five_wrong_codes_the_right_one_is_locked_out(driver: StoreDriver, comparisons: Comparisons) -> None:
    """It isn't compared until the lock ends."""
    set_code(driver, CODE)
    for _ in range(MAX_TRIES):
        try_code(driver, WRONG)
    before = stored(driver.table)

    for at, seconds in ((NOW, 60), (NOW + 30 * SECOND, 30), (NOW + MINUTE - TICK, 1)):
        with pytest.raises(CodeLocked) as locked:
            check_code(driver.table, "acme", CODE, comparisons.codes, now=at)
        assert locked.value.retry_after_seconds == seconds

    assert comparisons.count == 0
    assert stored(driver.table) == before
    assert try_code(driver, CODE, at=NOW + MINUTE) == "right"


def test_locks_grow_until_a_right_code_starts_over(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    at, waits = NOW, []
    for _ in range(3):
        for _ in range(MAX_TRIES):
            assert try_code(driver, WRONG, at=at) == "wrong"
        with pytest.raises(CodeLocked) as locked:
            check_code(driver.table, "acme", CODE, CODES, now=at)
        waits.append(locked.value.retry_after_seconds)
        at += waits[-1] * SECOND

    assert waits == [60, 300, 900]
    assert try_code(driver, CODE, at=at) == "right"
    assert [try_code(driver, WRONG, at=at) for _ in range(MAX_TRIES + 1)] == ["wrong"] * 5 + ["locked"]
    assert try_code(driver, CODE, at=at + MINUTE) == "right"


@either
def test_five_of_a_thousand_parallel_wrong_codes_are_compared(
    driver: StoreDriver, comparisons: Comparisons, is_set: bool
) -> None:
    """At most."""
    has_code(driver, is_set=is_set)

    answers = at_once(lambda index: try_code(driver, f"{index:06d}", codes=comparisons.codes), range(1_000), threads=32)

    assert 1 <= comparisons.count <= MAX_TRIES
    assert Counter(answers).keys() <= {"wrong", "locked"}
    assert answers.count("wrong") == comparisons.count
    assert (number(driver, "tries"), number(driver, "locks")) == (5, 0)
    assert try_code(driver, CODE, codes=comparisons.codes) == "locked"
    assert comparisons.count <= MAX_TRIES


def test_a_right_code_among_parallel_guesses_takes_a_try_too(driver: StoreDriver, comparisons: Comparisons) -> None:
    set_code(driver, CODE)
    guesses = [f"{index:06d}" for index in range(100)]
    guesses[50] = CODE

    answers = at_once(lambda code: try_code(driver, code, codes=comparisons.codes), guesses, threads=16)

    # Five, and five more if the right code was among them.
    assert comparisons.count <= MAX_TRIES * (1 + answers.count("right"))


def test_a_right_code_resets_no_try_made_meanwhile(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    set_code(driver, CODE)
    wire.plan("PutItem", nothing, first(lambda: try_code(rival, WRONG)))

    assert try_code(driver, CODE) == "right"

    assert number(driver, "tries") == 2


@either
def test_a_try_that_a_rival_counts_first_is_counted_again(
    driver: StoreDriver, rival: StoreDriver, wire: Wire, is_set: bool
) -> None:
    has_code(driver, is_set=is_set)
    wire.plan("PutItem", *[first(lambda: try_code(rival, WRONG))] * 2)

    assert try_code(driver, WRONG) == "wrong"

    assert number(driver, "tries") == 3


@pytest.mark.parametrize("fault", [answer_lost, reset_after_commit])
@pytest.mark.parametrize("times", [1, 2])
@either
def test_a_try_with_a_lost_response_counts_at_least_once(
    driver: StoreDriver, wire: Wire, comparisons: Comparisons, times: int, fault: Any, is_set: bool
) -> None:
    has_code(driver, is_set=is_set)
    wire.plan("PutItem", *[fault] * times)

    assert try_code(driver, WRONG, codes=comparisons.codes) == "wrong"

    assert comparisons.count == 1
    assert number(driver, "tries") == 2


@pytest.mark.parametrize("fault", [answer_lost, reset_after_commit])
def test_a_fifth_try_without_a_response_locks_out_a_right_code(
    driver: StoreDriver, wire: Wire, comparisons: Comparisons, fault: Any
) -> None:
    set_code(driver, CODE)
    assert [try_code(driver, WRONG) for _ in range(4)] == ["wrong"] * 4
    wire.plan("PutItem", fault)

    assert try_code(driver, CODE, codes=comparisons.codes) == "locked"

    assert comparisons.count == 0
    assert number(driver, "tries") == 5


@pytest.mark.parametrize("times", [1, 2])
def test_the_right_code_opens_though_the_reset_is_unanswered(driver: StoreDriver, wire: Wire, times: int) -> None:
    set_code(driver, CODE)
    wire.plan("PutItem", nothing, *[answer_lost] * times)

    assert try_code(driver, CODE) == "right"

    assert wire.undone == 0
    assert number(driver, "tries") == 0


@either
def test_no_code_is_compared_without_the_database(
    driver: StoreDriver, wire: Wire, comparisons: Comparisons, is_set: bool
) -> None:
    has_code(driver, is_set=is_set)
    wire.always("PutItem", no_answer)
    short_of_time = driver.with_deadline(FakeTime().deadline(0.1))

    with pytest.raises(Busy):
        check_code(short_of_time.table, "acme", CODE, comparisons.codes, now=NOW)

    assert comparisons.count == 0
