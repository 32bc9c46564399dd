"""Performs the steps of sending.py over httpx: one class for threads, one for asyncio."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import httpx

from prepaid_client.binding import Page
from prepaid_client.calls import Call
from prepaid_client.errors import PrepaidError, Unavailable
from prepaid_client.sending import CONNECT_SECONDS, NeedToken, Outcome, Pause, Send, Service, exchange, request_token

# Several calls in sequence, with a result: see holding.py.
type Flow[T] = Generator[Call[Any], Any, T]
type Step = Send | Pause | NeedToken


class SyncTransport:
    """Sends calls and waits for their responses. Safe for threads. transport: httpx's own by default."""

    def __init__(self, service: Service, transport: httpx.BaseTransport | None) -> None:
        self._service = service
        # An internet proxy can't reach a service on this machine.
        self._http = httpx.Client(transport=transport, follow_redirects=False, trust_env=not service.is_local)
        self._renewing = threading.Lock()

    @property
    def url(self) -> str:
        """The service's address."""
        return self._service.url

    def send[T](self, call: Call[T]) -> T:
        """The answer to a call. Raises Refused, Unavailable."""
        return _drive(exchange(call, self._service), self._perform)

    def follow[T](self, flow: Flow[T]) -> T:
        """The result of a flow."""
        return _drive(flow, self.send)

    def pages[L: Page, T](self, call: Call[L], items: Callable[[L], tuple[T, ...]]) -> Iterator[T]:
        """The items of all pages, from that of `call` on."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.send(call.at(cursor) if cursor else call)
            yield from items(page)
            cursor = page.next_cursor

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _perform(self, step: Step) -> Any:
        match step:
            case Send():
                return exchange_once(self._http, step)
            case Pause():
                time.sleep(step.seconds)
                return None
            case NeedToken():
                return self._token(step)

    def _token(self, step: NeedToken) -> str:
        """One thread renews the token, the others wait for it."""
        service = self._service
        if isinstance(service.credentials, str):
            return service.credentials
        if token := service.token_cache.get(service.clock(), step.refused):
            return token
        if not self._renewing.acquire(timeout=max(0.0, step.give_up_at - service.clock())):
            raise Unavailable("no token in time", may_have_happened=False)
        try:
            return service.token_cache.get(service.clock(), step.refused) or _drive(
                request_token(service.credentials, service, step.give_up_at), self._perform
            )
        finally:
            self._renewing.release()


class AsyncTransport:
    """Sends calls in asyncio's loop. transport: httpx's own by default."""

    def __init__(self, service: Service, transport: httpx.AsyncBaseTransport | None) -> None:
        self._service = service
        self._http = httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=not service.is_local)
        self._renewing = asyncio.Lock()

    async def send[T](self, call: Call[T]) -> T:
        """The answer to a call. Raises Refused, Unavailable."""
        return await _drive_async(exchange(call, self._service), self._perform)

    async def follow[T](self, flow: Flow[T]) -> T:
        """The result of a flow."""
        return await _drive_async(flow, self.send)

    async def pages[L: Page, T](self, call: Call[L], items: Callable[[L], tuple[T, ...]]) -> AsyncIterator[T]:
        """The items of all pages, from that of `call` on."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.send(call.at(cursor) if cursor else call)
            for item in items(page):
                yield item
            cursor = page.next_cursor

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _perform(self, step: Step) -> Any:
        match step:
            case Send():
                return await self._exchange(step)
            case Pause():
                await asyncio.sleep(step.seconds)
                return None
            case NeedToken():
                return await self._token(step)

    async def _exchange(self, step: Send) -> Outcome:
        """One attempt."""
        step.request.extensions["timeout"] = _timeout(step.seconds)
        try:
            async with asyncio.timeout(step.seconds):
                return await self._http.send(step.request)
        except TimeoutError:
            return httpx.ReadTimeout("the answer took too long", request=step.request)
        except httpx.RequestError as error:
            return error

    async def _token(self, step: NeedToken) -> str:
        """One task renews the token, the others wait for it."""
        service = self._service
        if isinstance(service.credentials, str):
            return service.credentials
        if token := service.token_cache.get(service.clock(), step.refused):
            return token
        try:
            async with asyncio.timeout(max(0.0, step.give_up_at - service.clock())), self._renewing:
                if token := service.token_cache.get(service.clock(), step.refused):
                    return token
                return await _drive_async(request_token(service.credentials, service, step.give_up_at), self._perform)
        except TimeoutError as error:
            raise Unavailable("no token in time", may_have_happened=False) from error


def exchange_once(http: httpx.Client, step: Send) -> Outcome:
    """One attempt. httpx limits each read; this limits all reads together."""
    late_at = time.monotonic() + step.seconds
    step.request.extensions["timeout"] = _timeout(step.seconds)
    try:
        response = http.send(step.request, stream=True)
        try:
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if time.monotonic() > late_at:
                    return httpx.ReadTimeout("the answer took too long", request=step.request)
        finally:
            response.close()
    except httpx.RequestError as error:
        return error
    return _whole(response, bytes(content))


def _drive[T](steps: Generator[Any, Any, T], perform: Callable[[Any], Any]) -> T:
    """Run a generator: perform each step that it yields, and give it the outcome or the error."""
    resume: Callable[[Any], Any] = steps.send
    outcome: Any = None
    while True:
        try:
            step = resume(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            resume, outcome = steps.send, perform(step)
        except PrepaidError as error:
            resume, outcome = steps.throw, error


async def _drive_async[T](steps: Generator[Any, Any, T], perform: Callable[[Any], Awaitable[Any]]) -> T:
    """As _drive, but await each step."""
    resume: Callable[[Any], Any] = steps.send
    outcome: Any = None
    while True:
        try:
            step = resume(outcome)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            resume, outcome = steps.send, await perform(step)
        except PrepaidError as error:
            resume, outcome = steps.throw, error


def _timeout(seconds: float) -> dict[str, float | None]:
    connect = min(CONNECT_SECONDS, seconds)
    return {"connect": connect, "pool": seconds, "read": seconds, "write": seconds}


def _whole(response: httpx.Response, content: bytes) -> httpx.Response:
    """The response with its decoded content, and without the headers that describe the encoding."""
    encoding = {"content-encoding", "content-length", "transfer-encoding"}
    headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in encoding]
    return httpx.Response(response.status_code, headers=headers, content=content, request=response.request)
