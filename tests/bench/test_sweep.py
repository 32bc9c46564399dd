"""The benchmark of the sweep runs, and what the sweep has recorded doesn't pile up in memory."""

import gc
from collections.abc import Iterator

import pytest

from bench import sweep
from local.cloud import environment_at


@pytest.fixture(autouse=True)
def _database(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_at(dynamodb_local).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def _collected_often() -> Iterator[None]:
    """What is in memory is then in use, and not garbage."""
    before = gc.get_threshold()
    gc.set_threshold(200, 1, 1)
    yield
    gc.set_threshold(*before)


def test_a_lot_takes_three_calls() -> None:
    few, many = (sweep.measure(lots, at_once=8).calls for lots in (20, 60))

    assert many - few == 3 * 40


@pytest.mark.usefixtures("_collected_often")
def test_the_sweeps_memory_is_a_pages_and_not_a_runs() -> None:
    sweep.peak_of(50, page_rows=5)

    # With fewer lots than these, eight threads have not met at their worst yet.
    few, many = (sweep.peak_of(lots, page_rows=5) for lots in (600, 1_200))

    assert many < few + 2**17
