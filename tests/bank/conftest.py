"""A small bank run on each database, on one worker: the rest of the tests has the other ones to itself meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud import environment_at
from tests.bank.__main__ import database, plan_of
from tests.bank.run import BankRun, run

HERE = Path(__file__).parent
OPERATIONS, PROCESSES, THREADS, DISTURBANCES = 1500, 4, 64, 6


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One run of each is enough: these tests share a worker."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("bank"))


@pytest.fixture(scope="session")
def own_ministack() -> Iterator[str]:
    """The address of an emulated AWS for the bank alone: this load would slow down the tests of the other workers."""
    with database("ministack") as running:
        yield running.url


@pytest.fixture(scope="session", params=["own_ministack", "dynamodb_local"])
def bank_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BankRun:
    """A bank run on this database."""
    url = request.getfixturevalue(request.param)
    plan = plan_of(OPERATIONS, PROCESSES, THREADS, seed=11)
    folder = tmp_path_factory.mktemp(request.param)
    finished = run(plan, folder, environment_at(url), disturbances=DISTURBANCES, report=lambda _: None)
    return BankRun(plan, DISTURBANCES, finished)
