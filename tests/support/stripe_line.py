"""Requests of Stripe's SDK: passed to the fake in this process, recorded, dropped, or answered falsely.

A fault is a function of `send`, which makes the real request. It may call it or not, return an answer, or raise what
the network would have raised. The SDK's own retries pass here too.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import stripe

from fake_stripe.api import Api, Request

type Answer = tuple[str | bytes, int, Mapping[str, str]]
type Send = Callable[[], Answer]
type Fault = Callable[[Send], Answer]


@dataclass(frozen=True)
class Call:
    """One request. params: of its query or its form. key: its Idempotency-Key, or ""."""

    method: str
    path: str
    params: Mapping[str, str]
    key: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def session(self) -> str | None:
        """The checkout session whose status it fetches."""
        folder, _, session = self.path.rpartition("/")
        return session if (self.method, folder) == ("GET", "/v1/checkout/sessions") else None


def ask_fake(
    api: Api, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
) -> tuple[str, int, Mapping[str, str]]:
    """The fake's answer, without a socket. Raises what the SDK raises when the fake drops the response."""
    target = urlsplit(url)._replace(scheme="", netloc="").geturl()
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    body = post_data.encode() if isinstance(post_data, str) else post_data or b""
    try:
        response = api.handle(Request(method.upper(), target, sent, body))
    except ConnectionAbortedError as error:
        raise stripe.APIConnectionError(str(error), should_retry=True) from error  # type: ignore[no-untyped-call]
    return response.body.decode(), response.status, response.headers


@contextmanager
def no_pauses_of_the_sdk() -> Iterator[None]:
    """Within the with block the SDK retries at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
        patch.setattr(stripe.HTTPClient, "MAX_DELAY", 0)
        yield


@contextmanager
def stripe_in_process(api: Api) -> Iterator[None]:
    """Within the with block the SDK's requests to this fake's address reach it without a socket."""
    over_http = stripe.RequestsClient.request

    def request(client: stripe.RequestsClient, method: str, url: str, *more: Any) -> Any:
        if not url.startswith(api.state.public_url):
            return over_http(client, method, url, *more)
        return ask_fake(api, method, url, *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.RequestsClient, "request", request)
        yield


def no_fault(_: Call) -> None:
    """Every request passes."""


@contextmanager
def stripe_tapped(meet: Callable[[Call], Fault | None] = no_fault) -> Iterator[list[Call]]:
    """Intercept requests within the with block. Blocks may be nested. Yields the requests so far.

    meet: called before each request is sent, returns the fault that it meets. It may also raise.
    """
    calls: list[Call] = []
    real = stripe.RequestsClient.request

    def request(
        client: stripe.RequestsClient,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
    ) -> Any:
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        parts = urlsplit(url)
        params = dict(parse_qsl(post_data or parts.query))
        call = Call(method.upper(), parts.path, params, sent.get("idempotency-key", ""))
        calls.append(call)
        fault = meet(call)

        def send() -> Any:
            return real(client, method, url, headers, post_data)

        return fault(send) if fault else send()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.RequestsClient, "request", request)
        yield calls


def cut(_: Send) -> Answer:
    """A connection failure that the SDK doesn't retry."""
    raise stripe.APIConnectionError("injected", should_retry=False)  # type: ignore[no-untyped-call]


def then(act: Callable[[], object]) -> Fault:
    """Act after Stripe's answer."""

    def fault(send: Send) -> Answer:
        answer = send()
        act()
        return answer

    return fault


def refuses(status: int, message: str, **error: str) -> Fault:
    """Stripe rejects the request with an error and does nothing."""
    return lambda _: refusal(status, message, **error)


def refusal(status: int, message: str, **error: str) -> Answer:
    """The error as Stripe sends it."""
    body = json.dumps({"error": {"type": "invalid_request_error", "message": message, **error}})
    return body, status, {"Request-Id": "req_injected"}
