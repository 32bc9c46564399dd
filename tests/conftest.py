"""What all tests share: Hypothesis profiles, and which tests may open sockets.

HYPOTHESIS_PROFILE=dev (the default) tries new examples every time; =ci tries more, the same ones in every run, so that
a red build is about the change in it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import disable_socket, enable_socket

from local.cloud import Cloud
from local.dynamodb_local import dynamodb_local as start_dynamodb_local

TESTS = Path(__file__).parent
# Tests below these directories may not open sockets.
WITHOUT_SOCKETS = ("unit", "property")

# No deadline: this may run on a busy machine, and a slow example is no wrong one.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=300, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="session")
def dynamodb_local(worker_id: str) -> Iterator[Cloud]:
    """AWS's own emulator of the database, empty."""
    with start_dynamodb_local(f"dynamodb-local-{worker_id}") as database:
        yield database


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
