"""The fake Stripe in this process: the official SDK reaches it without a socket, and any call can meet a fault.

A fault is a function of `send`, which lets the fake do what was asked. It may call it or not, return a response of its
own, or raise a network error. The SDK's own retries pass here too.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import stripe

from fake_stripe.api import Api
from fake_stripe.state import PREFIXES, State
from prepaid.payments import sessions
from tests.support.stripe_line import ask_fake, no_pauses_of_the_sdk

type Sent = tuple[str, int, Mapping[str, str]]
type Send = Callable[[], Sent]
type Fault = Callable[[Send], Sent]

ADDRESS = "http://stripe.in-process"


class StripeWire(stripe.HTTPClient):
    """Between the SDK and the fake. meet: asked before each request, as "POST /v1/refunds"; None lets it pass."""

    name = "in-process"

    def __init__(self, api: Api, meet: Callable[[str], Fault | None] = lambda _: None) -> None:
        super().__init__()
        self.api = api
        self.meet = meet

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> Sent:
        parts = urlsplit(url)
        fault = self.meet(f"{method.upper()} {parts.path}")

        def send() -> Sent:
            return ask_fake(self.api, method, url, headers, post_data)

        return fault(send) if fault else send()

    def close(self) -> None:
        """There is no connection."""


@contextmanager
def reached(wire: StripeWire) -> Iterator[None]:
    """Within the with block every client that the service opens uses this wire, and the SDK's pauses take no time."""
    sessions.connection.cache_clear()
    with mock.patch.object(stripe, "RequestsClient", return_value=wire), no_pauses_of_the_sdk():
        yield
    sessions.connection.cache_clear()


def fake_stripe(now: Callable[[], float], api_key: str) -> Api:
    """An empty fake whose ids are numbers: the same history makes the same ones."""
    numbers: Counter[str] = Counter()

    def new_id(kind: str) -> str:
        numbers[kind] += 1
        return f"{PREFIXES[kind]}_{numbers[kind]:024d}"

    return Api(State(now=now, new_id=new_id, public_url=ADDRESS), {api_key: None})


def answer_lost(send: Send) -> Sent:
    """The request takes effect at Stripe, and its response is lost."""
    send()
    raise _broken("the connection broke")


def no_answer(_: Send) -> Sent:
    """The request never arrives, which the client knows only after its time-out."""
    raise _broken("no answer in time")


def refuses(status: int) -> Fault:
    """Stripe returns an error of its own (500, 503) or 429, and does nothing."""
    kind = "rate_limit_error" if status == 429 else "api_error"
    body = f'{{"error": {{"type": "{kind}", "message": "injected"}}}}'
    return lambda _: (body, status, {"Request-Id": "req_injected"})


def _broken(message: str) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(message, should_retry=True)  # type: ignore[no-untyped-call]
