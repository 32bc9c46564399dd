"""A running fake: state, API, webhooks, controls and pages behind one port of the loopback interface."""

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from werkzeug.serving import WSGIRequestHandler, make_server

from fake_stripe import lifecycle
from fake_stripe.api import Api
from fake_stripe.app import create_app
from fake_stripe.fake import Fake
from fake_stripe.state import State
from fake_stripe.webhooks import Settings, Webhooks

HOST = "127.0.0.1"
BACKLOG = 128
TICK_SECONDS = 1.0


class RequestHandler(WSGIRequestHandler):
    timeout = 30

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Log no requests: the dashboard lists them."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ARG002
        """Close the connection, so that the client doesn't wait for a response that a control dropped."""
        self.close_connection = True


class RunningFake:
    """Listens as soon as it exists; a context manager. Raises OSError when the port is in use."""

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Settings | None = None,
        api_keys: dict[str, dict[str, str] | None] | None = None,
        public_url: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        with socket.create_server((HOST, port), backlog=BACKLOG) as listener:
            self.port = int(listener.getsockname()[1])
            self.url = f"http://{HOST}:{self.port}"
            self.state = State(now=now, public_url=public_url.rstrip("/") or self.url)
            self.webhooks = Webhooks(settings or Settings())
            self.state.listeners.append(self.webhooks.announce)
            self.api = Api(self.state, api_keys or {"sk_test_local": None})
            self.api.undelivered = self.webhooks.undelivered
            app = create_app(Fake(self.state, self.api, self.webhooks))
            # Werkzeug exits the process when it binds a port that is in use, so bind it here.
            self._server = make_server(
                HOST, self.port, app, threaded=True, request_handler=RequestHandler, fd=listener.fileno()
            )
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), name="http", daemon=True),
            threading.Thread(target=self._tick, name="clock", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _tick(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            with self.state.lock:
                lifecycle.expire_due(self.state)

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        self.webhooks.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
