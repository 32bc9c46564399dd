"""The fake put together: state, API, webhooks, controls and pages behind one port."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from fake_stripe import controls, lifecycle, site
from fake_stripe.api import Api
from fake_stripe.state import State
from fake_stripe.web import HOST, Request, Response, Server, json_response
from fake_stripe.webhooks import Settings, Webhooks

TICK_SECONDS = 1.0


class RunningFake:
    """Starts listening at once; a context manager in tests."""

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Settings | None = None,
        api_keys: dict[str, dict[str, str] | None] | None = None,
        public_url: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        self._server = Server(port, self.answer)
        self.url = f"http://{HOST}:{self._server.server_port}"
        self.state = State(now=now, public_url=public_url.rstrip("/") or self.url)
        self.webhooks = Webhooks(settings or Settings())
        self.state.listeners.append(self.webhooks.announce)
        self.api = Api(self.state, api_keys or {"sk_test_local": None})
        self.api.undelivered = self.webhooks.undelivered
        self.fake = controls.Fake(self.state, self.api, self.webhooks)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), name="http", daemon=True),
            threading.Thread(target=self._tick, name="clock", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def answer(self, request: Request) -> Response:
        path = urlsplit(request.target).path
        if path == "/healthz":
            return json_response(200, {"status": "ok"})
        if path.startswith("/v1/"):
            return self.api.handle(request)
        if request.method == "POST" and self._foreign(request):
            return json_response(403, {"error": {"type": "invalid_request_error", "message": "Foreign origin"}})
        if path.startswith("/_control/"):
            return controls.handle(self.fake, request)
        return site.handle(self.fake, request)

    def _foreign(self, request: Request) -> bool:
        """A page of another site must not press buttons here."""
        origin = request.headers.get("origin")
        here = request.headers.get("host", "")
        return origin is not None and urlsplit(origin).netloc != here

    def _tick(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            with self.state.lock:
                lifecycle.expire_due(self.state)

    def close(self) -> None:
        self._stop.set()
        self._server.close()
        self.webhooks.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
