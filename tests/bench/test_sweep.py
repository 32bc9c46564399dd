"""The benchmark of the sweep runs, and what the sweep has recorded doesn't pile up in memory."""

import gc

import pytest

from bench import sweep
from local.cloud import environment_at


@pytest.fixture(autouse=True)
def _database(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_at(dynamodb_local).items():
        monkeypatch.setenv(name, value)


def collected() -> bool:
    """Whether there is time: always. What is in memory is then in use, and not garbage."""
    gc.collect()
    return True


def test_a_lot_takes_three_calls() -> None:
    few, many = (sweep.measure(lots, at_once=8).calls for lots in (20, 60))

    assert many - few == 3 * 40


def test_the_sweeps_memory_is_a_pages_and_not_a_runs() -> None:
    sweep.peak_of(20, at_once=1, page_rows=5)

    few, many = (sweep.peak_of(lots, 1, page_rows=5, has_time=collected) for lots in (40, 140))

    assert many < few + 2**15
