"""Retries: growing pauses with jitter, one deadline for a whole request, and an end."""

import pytest

from prepaid.core.errors import Busy
from prepaid.store.dynamodb import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MAX_ATTEMPTS,
    Deadline,
    attempts,
    get,
    within,
)
from prepaid.store.ledger import find_entry_at
from tests.support.store_driver import HOUR, NOW, FakeTime, StoreDriver
from tests.support.wire import Wire, no_answer, refuses

KEY = {"PK": {"S": "ACCOUNT#acme"}, "SK": {"S": "PROFILE"}}


def exhaust(deadline: Deadline) -> int:
    """How many attempts are made when none succeeds."""
    return len(list(attempts(deadline)))


def test_the_first_attempt_is_made_at_once() -> None:
    time = FakeTime()

    assert next(attempts(time.deadline())) == 0
    assert time.slept == []


def test_attempts_are_counted_from_zero() -> None:
    counted = attempts(FakeTime(dice=0.0).deadline())

    assert [next(counted) for _ in range(5)] == [0, 1, 2, 3, 4]


def test_pauses_double_up_to_the_longest() -> None:
    time = FakeTime(dice=1.0)

    exhaust(time.deadline(seconds=2.0))

    assert time.slept[:6] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.25]
    assert set(time.slept[5:]) == {LONGEST_PAUSE_SECONDS}


@pytest.mark.parametrize("dice", [0.0, 0.1, 0.5, 0.99])
def test_the_jitter_scales_every_pause(dice: float) -> None:
    time = FakeTime(dice=dice)
    steady = FakeTime(dice=1.0)
    counted, counted_steadily = attempts(time.deadline(1000)), attempts(steady.deadline(1000))

    for _ in range(12):
        next(counted)
        next(counted_steadily)

    assert time.slept == pytest.approx([dice * pause for pause in steady.slept])
    assert steady.slept[0] == FIRST_PAUSE_SECONDS


@pytest.mark.parametrize("seconds", [0.005, 0.1, 1.0, 4.0])
def test_no_pause_goes_past_the_deadline(seconds: float) -> None:
    time = FakeTime(dice=1.0)

    attempts = exhaust(time.deadline(seconds))

    assert attempts == len(time.slept) + 1
    assert sum(time.slept) <= seconds
    # The time is used up: one more pause would have passed the deadline.
    assert sum(time.slept) + LONGEST_PAUSE_SECONDS >= seconds


def test_after_the_deadline_there_is_no_attempt() -> None:
    assert exhaust(FakeTime().deadline(0.0)) == 0


def test_retries_end_even_if_the_clock_stands_still() -> None:
    assert exhaust(FakeTime(dice=0.0).deadline(4.0)) == MAX_ATTEMPTS


def test_a_call_is_retried_until_the_database_answers(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    time = FakeTime()
    wire.forget()
    wire.plan("GetItem", *[refuses("ThrottlingException")] * 6)

    found = get(driver.with_deadline(time.deadline()).table, KEY)

    assert found
    assert len(time.slept) >= 2


def test_a_call_without_an_answer_ends_as_busy(driver: StoreDriver, wire: Wire) -> None:
    time = FakeTime()
    wire.always("GetItem", no_answer)

    with pytest.raises(Busy):
        get(driver.with_deadline(time.deadline(4.0)).table, KEY)

    assert 3.7 < time.now - 1000.0 <= 4.0


def test_a_late_request_is_busy_before_its_next_call(driver: StoreDriver, wire: Wire) -> None:
    time = FakeTime()
    table = within(driver.with_deadline(time.deadline()).table, 3.0)
    get(table, KEY)
    wire.forget()

    time.now += 3.0
    with pytest.raises(Busy):
        get(table, KEY)

    assert wire.calls == []


def test_slow_reads_share_the_deadline_of_their_request(driver: StoreDriver, wire: Wire) -> None:
    """A binary search makes about ten reads; each takes 0.9 s here, and the whole request has 3 s."""
    driver.open(credits=1000)
    for hour in range(64):
        driver.debit(1, at=NOW + hour * HOUR)
    newest = driver.debit(1, at=NOW + 64 * HOUR).entries[-1]
    time = FakeTime()
    table = within(driver.with_deadline(time.deadline()).table, 3.0)

    def slow(_: object) -> None:
        time.now += 0.9

    wire.always("GetItem", slow)
    with pytest.raises(Busy):
        find_entry_at(table, "acme", newest, NOW + HOUR)

    assert time.now - 1000.0 <= 3.0 + 0.9
