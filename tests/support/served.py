"""The functions behind HTTP, and the client under test before them: sync or asyncio, whichever a test asks for."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from prepaid_client import AsyncPrepaid, ClientCredentials, Prepaid
from tests.support.api import CLIENTS
from tests.support.bridge import bridge, token
from tests.support.failing_line import FailingLine
from tests.support.gateway_events import Event
from tests.support.in_process import Service

KINDS = ("sync", "async")
DEADLINE = 20.0


@dataclass(frozen=True)
class Served:
    """The service at an address."""

    service: Service
    url: str

    def client(self, by: str = "service", *, line: Any = None, deadline: float = DEADLINE) -> Prepaid:
        """A client with the token of one of the stack's clients."""
        return Prepaid(self.url, token(CLIENTS[by]), deadline=deadline, transport=line or FailingLine())

    def ask(
        self,
        kind: str,
        work: Callable[[Any], Any],
        *,
        by: str | ClientCredentials = "service",
        line: Any = None,
        deadline: float = DEADLINE,
    ) -> Any:
        """What `work` returns for account acme of a client of this kind; awaited if it is awaitable."""
        credentials = token(CLIENTS[by]) if isinstance(by, str) else by
        if kind == "sync":
            with Prepaid(self.url, credentials, deadline=deadline, transport=line or FailingLine()) as client:
                return work(client.account("acme"))

        async def main() -> Any:
            async with AsyncPrepaid(
                self.url, credentials, deadline=deadline, transport=line or FailingLine()
            ) as client:
                return await work(client.account("acme"))

        return asyncio.run(main())


@contextmanager
def serve(service: Service) -> Iterator[Served]:
    """The service behind a port of the loopback interface, one request at a time."""

    answering = threading.Lock()
    open_now = True

    def send(event: Event) -> dict[str, Any]:
        with answering:
            if not open_now:
                return {"statusCode": 503, "headers": {}}
            answer = service.send(event)
        return {"statusCode": answer.status, "headers": dict(answer.headers), "body": answer.text}

    with bridge(send) as url:
        yield Served(service, url)
    # A client may have given up on a request that is still being answered.
    with answering:
        open_now = False
