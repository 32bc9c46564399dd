"""An unreachable database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from local.processes import free_port
from prepaid.aws import open_dynamodb
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table
from tests.support.in_process import Service
from tests.support.store_driver import FakeTime

# Without an answer, a connection takes a second of the request's time.
CONNECTING_SECONDS = 1.0


@contextmanager
def no_database(service: Service) -> Iterator[None]:
    """Within the with block no server answers at the address of the functions' table."""
    deps, time_passes = dict(service.functions.deps), FakeTime()

    def connecting(**_: Any) -> None:
        time_passes.sleep(CONNECTING_SECONDS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        gone = Table(client=open_dynamodb(), name="gone", deadline=time_passes.deadline())
    gone.client.meta.events.register("before-send.dynamodb", connecting)
    service.functions.change(table=gone, catalog=CatalogCache(time.monotonic))
    yield
    service.functions.deps.update(deps)
