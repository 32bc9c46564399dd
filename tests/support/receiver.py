"""A platform's webhook on this machine: it remembers what it gets, and answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """headers: with names in lower case. at: seconds on the monotonic clock."""

    path: str
    headers: dict[str, str]
    body: str
    at: float


@dataclass(frozen=True)
class Answer:
    """headers: of the answer. wait_seconds: before it."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    wait_seconds: float = 0.0


@dataclass
class Receiver:
    """answer: decides each answer; None closes the connection without one."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], Answer | None] = lambda _: Answer()

    def bodies(self, account: str) -> list[Received]:
        """What it got of one account, in order."""
        return [delivery for delivery in list(self.received) if f'"subject":"{account}"' in delivery.body]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """A receiver for the length of a with block; at any port by default."""
    receiving = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Received(self.path, headers, body, time.monotonic())
            receiving.received.append(got)
            answer = receiving.answer(got)
            if answer is None:
                self.close_connection = True
                return
            time.sleep(answer.wait_seconds)
            self.send_response(answer.status)
            for name, value in {"content-length": "0", **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the name that the base class calls

        def log_message(self, *_: Any) -> None:
            """Tests look at what was received."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that gave up waiting is no error here."""

    with Server(("127.0.0.1", port), Handler) as server:
        receiving.url = f"http://127.0.0.1:{server.server_address[1]}/hooks"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield receiving
        server.shutdown()
