"""The benchmark of the sweep runs, and each lot takes the same calls."""

import pytest

from bench import sweep
from local.cloud import environment_at


@pytest.fixture(autouse=True)
def _database(dynamodb_local: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_at(dynamodb_local).items():
        monkeypatch.setenv(name, value)


def test_a_lot_takes_three_calls() -> None:
    few, many = (sweep.measure(lots, at_once=8).calls for lots in (20, 60))

    assert many - few == 3 * 40
