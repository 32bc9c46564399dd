"""How long to keep trying: growing pauses with jitter, a deadline, and an end."""

import pytest

from prepaid.core.errors import Busy
from prepaid.store.dynamodb import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MAX_ATTEMPTS,
    Patience,
    Transient,
    attempts,
    persist,
)
from tests.support.store_driver import FakeTime


def exhaust(patience: Patience) -> int:
    """How many attempts are made when none succeeds."""
    made: list[int] = []
    with pytest.raises(Busy):
        made.extend(attempts(patience))
    return len(made)


def test_the_first_attempt_is_made_at_once() -> None:
    time = FakeTime()

    assert next(attempts(time.patience())) == 0
    assert time.slept == []


def test_attempts_are_counted_from_zero() -> None:
    counted = attempts(FakeTime(dice=0.0).patience())

    assert [next(counted) for _ in range(5)] == [0, 1, 2, 3, 4]


def test_pauses_double_up_to_the_longest() -> None:
    time = FakeTime(dice=1.0)

    exhaust(time.patience(seconds=2.0))

    assert time.slept[:6] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.25]
    assert set(time.slept[5:]) == {LONGEST_PAUSE_SECONDS}


@pytest.mark.parametrize("dice", [0.0, 0.1, 0.5, 0.99])
def test_the_dice_scale_every_pause(dice: float) -> None:
    time = FakeTime(dice=dice)
    steady = FakeTime(dice=1.0)
    counted, counted_steadily = attempts(time.patience(1000)), attempts(steady.patience(1000))

    for _ in range(12):
        next(counted)
        next(counted_steadily)

    assert time.slept == pytest.approx([dice * pause for pause in steady.slept])
    assert steady.slept[0] == FIRST_PAUSE_SECONDS


@pytest.mark.parametrize("seconds", [0.005, 0.1, 1.0, 4.0])
def test_no_pause_goes_past_the_deadline(seconds: float) -> None:
    time = FakeTime(dice=1.0)

    made = exhaust(time.patience(seconds))

    assert made == len(time.slept) + 1
    assert sum(time.slept) <= seconds
    # And patience is used up: one more pause would have been too long.
    assert sum(time.slept) + LONGEST_PAUSE_SECONDS > seconds


def test_a_slow_attempt_counts_against_the_deadline() -> None:
    time = FakeTime()

    def slow() -> None:
        time.now += 3.0
        raise Transient

    with pytest.raises(Busy):
        persist(time.patience(4.0), slow)

    assert time.now - 1000.0 == pytest.approx(6.01)


def test_without_patience_there_is_one_attempt() -> None:
    assert exhaust(FakeTime().patience(0.0)) == 1


def test_there_is_an_end_even_when_no_time_passes() -> None:
    assert exhaust(FakeTime(dice=0.0).patience(4.0)) == MAX_ATTEMPTS


def test_the_clock_that_stands_still_ends_too() -> None:
    patience = Patience(seconds=4.0, clock=lambda: 0.0, sleep=lambda _: None, dice=lambda: 1.0)

    assert exhaust(patience) == MAX_ATTEMPTS


def test_persist_returns_the_result_after_retries() -> None:
    time = FakeTime()
    asked: list[str] = []

    def answer(word: str, *, mark: str) -> str:
        asked.append(word)
        if len(asked) < 4:
            raise Transient
        return word + mark

    assert persist(time.patience(), answer, "yes", mark="!") == "yes!"
    assert asked == ["yes"] * 4
    assert len(time.slept) == 3


def test_persisting_ends_as_busy() -> None:
    def never() -> None:
        raise Transient

    with pytest.raises(Busy):
        persist(FakeTime().patience(), never)


def test_persisting_repeats_nothing_but_the_transient() -> None:
    asked: list[int] = []

    def broken() -> None:
        asked.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        persist(FakeTime().patience(), broken)
    assert asked == [1]
