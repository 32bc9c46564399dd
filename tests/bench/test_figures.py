"""What a race makes of its turns: medians, ratios of the same round, noise, and who was wrong."""

from dataclasses import asdict
from typing import Any

import pytest

from bench.race.contenders import ABSENT
from bench.race.figures import Turn, noise, rows
from bench.race.report import DOCUMENT, inexact, renewed, text


def turn(contender: str, number: int, debits: int, **changed: Any) -> Turn:
    """A turn of one second."""
    figures: dict[str, Any] = {
        "contender": contender,
        "round": number,
        "callers": 8,
        "accounts": 1,
        "debits": debits,
        "seconds": 1.0,
        "p50": 0.002,
        "p99": 0.010,
        "fewest": 1.0,
        "cpu": 0.1,
        "engine_cpu": 0.3,
        "units": 4 * debits,
        "errors": [],
        "spent": debits,
        "calibrations": (0.1, 0.1),
    }
    return Turn(**{**figures, **changed})


def result_of(*turns: Turn, keys: dict[str, dict[str, int]] | None = None) -> dict[str, Any]:
    """As a race stores it."""
    effort = {"rounds": 1, "seconds": 1.0}
    shared = {"at": "2026-11-27 12:00 UTC", "machine": "2 cores", "effort": effort, "absent": ABSENT}
    return {**shared, "turns": [asdict(turn) for turn in turns], "keys": keys or {}}


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    ours = [turn("Prepaid", number, debits) for number, debits in enumerate((100, 50, 10))]
    theirs = [turn("other", number, debits) for number, debits in enumerate((200, 200, 10))]

    first, second = rows([*ours, *theirs], "Prepaid")

    assert (first.contender, first.rate, first.ratio) == ("other", 200, 2.0)
    assert (second.contender, second.rate, second.ratio) == ("Prepaid", 50, 1.0)
    assert (second.slowest_rate, second.fastest_rate) == (10, 100)


def test_processor_time_is_of_callers_and_database() -> None:
    [row] = rows([turn("Prepaid", 0, 100)], "Prepaid")

    assert row.cpu_ms == pytest.approx(4.0)
    assert row.units == 4.0


def test_noise_compares_each_calibration_with_the_fastest() -> None:
    turns = [turn("Prepaid", 0, 1, calibrations=(0.1, 0.2)), turn("Prepaid", 1, 1, calibrations=(0.15, 0.3))]

    usual, slow = noise(turns)

    assert usual == pytest.approx(1.75)
    assert slow == pytest.approx(3.0)


@pytest.mark.parametrize("spent", [9, 11])
def test_a_contender_that_takes_another_sum_is_named(spent: int) -> None:
    assert inexact(result_of(turn("other", 0, 10, spent=spent))) == ["other"]


def test_a_debit_that_gave_up_may_have_happened() -> None:
    unsure = {"errors": ["Busy"]}

    assert inexact(result_of(turn("other", 0, 10, spent=11, **unsure))) == []
    assert inexact(result_of(turn("other", 0, 10, spent=12, **unsure))) == ["other"]


def test_a_contender_without_a_debit_is_named() -> None:
    assert inexact(result_of(turn("other", 0, 0, errors=["ImportError"]))) == ["other"]


def test_a_contender_that_repeats_a_key_is_named() -> None:
    twice = {"other": {"keys": 20, "spent": 21}}

    assert inexact(result_of(turn("other", 0, 10), keys=twice)) == ["other"]


def test_the_document_has_room_for_the_tables() -> None:
    tables = text(result_of(turn("Prepaid", 0, 10)))

    changed = renewed(DOCUMENT.read_text("utf-8"), tables)

    assert tables in changed
    assert renewed(changed, tables) == changed
