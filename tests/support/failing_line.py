"""A transport of httpx that fails as told: between the client under test and the service, sync and async."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Lost:
    """The request arrives, its answer doesn't."""

    error: type[httpx.TransportError] = httpx.ReadTimeout


@dataclass(frozen=True)
class NotSent:
    """The request doesn't arrive."""

    error: type[httpx.TransportError] = httpx.ConnectError


@dataclass(frozen=True)
class Answered:
    """Something before the service answers in its place."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b'{"message": "Service Unavailable"}'


type Fault = Lost | NotSent | Answered | None


class FailingLine(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Meets the faults in turn, one a request, and works after the last. `forever`: the last one stays.

    requests: all that the client sent.
    """

    def __init__(self, faults: Iterable[Fault] = (), *, forever: bool = False) -> None:
        self.faults = deque(faults)
        self.forever = forever
        self.requests: list[httpx.Request] = []
        # Loading certificates takes longer than most tests.
        self._line, self._async_line = httpx.HTTPTransport(verify=False), httpx.AsyncHTTPTransport(verify=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fault = self._next(request)
        if answer := _before(fault, request):
            return answer
        response = self._line.handle_request(request)
        if isinstance(fault, Lost):
            response.read()
            raise fault.error("lost", request=request)
        return response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        fault = self._next(request)
        if answer := _before(fault, request):
            return answer
        response = await self._async_line.handle_async_request(request)
        if isinstance(fault, Lost):
            await response.aread()
            raise fault.error("lost", request=request)
        return response

    def close(self) -> None:
        self._line.close()

    async def aclose(self) -> None:
        await self._async_line.aclose()

    def _next(self, request: httpx.Request) -> Fault:
        self.requests.append(request)
        if not self.faults:
            return None
        return self.faults[0] if self.forever and len(self.faults) == 1 else self.faults.popleft()


def _before(fault: Fault, request: httpx.Request) -> httpx.Response | None:
    """What happens before the service is reached."""
    match fault:
        case NotSent():
            raise fault.error("not sent", request=request)
        case Answered():
            return httpx.Response(fault.status, headers=list(fault.headers), content=fault.content)
        case _:
            return None
