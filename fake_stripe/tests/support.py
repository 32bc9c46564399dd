"""The programs around the fake in its tests: the SDK as a client uses it, a webhook endpoint, the controls' client."""

import http.client
import json
import threading
from typing import Any
from urllib.parse import urlsplit

import stripe
import werkzeug
from werkzeug.serving import make_server

from fake_stripe.api import Request
from fake_stripe.server import RequestHandler

SECRET = "whsec_test_secret"
KEY = "sk_test_everything"


class Receiver:
    """A webhook endpoint: keeps the requests that arrive and responds with the statuses that a test sets."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.statuses: list[int] = []
        self.gate: threading.Event | None = None
        app = werkzeug.Request.application(self.respond)
        self.server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=RequestHandler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def respond(self, request: werkzeug.Request) -> werkzeug.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append(Request(request.method, request.path, headers, request.get_data()))
        if self.gate is not None:
            self.gate.wait(5)
        return werkzeug.Response("{}", self.statuses.pop(0) if self.statuses else 200)

    def reset(self) -> None:
        if self.gate is not None:
            self.gate.set()
        self.got, self.statuses, self.gate = [], [], None

    def events(self) -> list[Any]:
        return [json.loads(request.body) for request in self.got]

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(5)


class Controls:
    """Plain HTTP to the running fake, as curl sends it."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def post(self, path: str, expect: int = 200, **body: Any) -> Any:
        got, _, answer = self.request("POST", f"/_control/{path}", json.dumps(body).encode())
        assert got == expect, answer
        return json.loads(answer)

    def get(self, path: str) -> Any:
        status, _, answer = self.request("GET", f"/_control/{path}")
        assert status == 200, answer
        return json.loads(answer)

    def drain(self) -> None:
        assert self.post("drain", timeout_seconds=5)["drained"]


class Sdk:
    """The official SDK's client, and the session that most tests use."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self.client = client

    def session(self, **params: Any) -> stripe.checkout.Session:
        wanted: dict[str, Any] = {
            "mode": "payment",
            "line_items": [
                {
                    "price_data": {"currency": "brl", "unit_amount": 12_990, "product_data": {"name": "100 créditos"}},
                    "quantity": 1,
                }
            ],
            "success_url": "https://shop.example/ok?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.example/cancel",
            "client_reference_id": "pur_1",
        }
        return self.client.v1.checkout.sessions.create(params=wanted | params)  # type: ignore[arg-type]

    def fetched(self, session: stripe.checkout.Session, *expand: str) -> stripe.checkout.Session:
        return self.client.v1.checkout.sessions.retrieve(session.id, params={"expand": list(expand)})

    def events(self, *types: str) -> list[stripe.Event]:
        """The events, oldest first."""
        params: Any = {"limit": 100} | ({"types": list(types)} if types else {})
        return list(reversed(list(self.client.v1.events.list(params=params).auto_paging_iter())))


class Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at
