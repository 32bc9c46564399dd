"""What all tests share: fixtures, Hypothesis profiles, emulators, and which tests may open sockets.

HYPOTHESIS_PROFILE=dev (the default) tries a few new examples every time; =ci more, those of the run's SEED, so that it
can be repeated; =proof a thousand.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket

from local.cloud import environment_at
from prepaid.aws import open_dynamodb
from prepaid.store.dynamodb import Table
from tests.support.emulators import Emulators, connect, serve
from tests.support.store_driver import NO_DEADLINE, create_table

# Fixtures that tests of several folders use.
pytest_plugins = ("tests.support.handler_fixtures", "tests.support.reconciliation")

TESTS = Path(__file__).parent
# Tests below these directories may not open sockets.
WITHOUT_SOCKETS = ("unit", "property")

# No deadline: this may run on a busy machine, and a slow example is no wrong one.
settings.register_profile("dev", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=100, database=None, print_blob=True)
settings.register_profile("proof", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


EMULATORS = pytest.StashKey[Emulators]()


def pytest_configure(config: pytest.Config) -> None:
    """Own the emulators, unless this process is a worker."""
    if not hasattr(config, "workerinput"):
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[EMULATORS] = Emulators(stack)


def pytest_collection_finish() -> None:
    """Leave modules and tests out of garbage collections, which take an eighth of the time otherwise."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where it reaches the emulators."""
    node.workerinput["emulators"] = serve(node.config.stash[EMULATORS])


@pytest.fixture(scope="session")
def run_emulators(pytestconfig: pytest.Config) -> Emulators:
    """The emulators of this run."""
    if hasattr(pytestconfig, "workerinput"):
        served: Emulators = connect(*pytestconfig.workerinput["emulators"])
        return served
    return pytestconfig.stash[EMULATORS]


@pytest.fixture(scope="session")
def dynamodb_local(run_emulators: Emulators) -> str:
    """The address of AWS's own emulator of the database. Other suites have tables there too."""
    return run_emulators.url("dynamodb-local")


@pytest.fixture(scope="session")
def ministack(run_emulators: Emulators) -> str:
    """The address of an emulated AWS. Other suites have tables and secrets there too."""
    return run_emulators.url("ministack")


@pytest.fixture(scope="session")
def cloud(ministack: str) -> Iterator[None]:
    """Every AWS client of this process, and of the processes it starts, finds the emulated AWS and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_at(ministack).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def theirs(cloud: None) -> Table:
    """A client for other processes: nothing is injected there."""
    return Table(client=open_dynamodb(), name="none", deadline=NO_DEADLINE)


@pytest.fixture
def table_name(theirs: Table) -> str:
    """A fresh table, with the schema that the template deploys."""
    return create_table(replace(theirs, name=f"test-{uuid4().hex}")).name


@pytest.fixture(autouse=True)
def _sockets(request: pytest.FixtureRequest) -> Iterator[None]:
    """A unit test that reaches for the network fails at once instead of hanging or, worse, passing."""
    folder = request.path.parent.relative_to(TESTS)
    if not folder.parts or folder.parts[0] not in WITHOUT_SOCKETS:
        yield
        return
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
