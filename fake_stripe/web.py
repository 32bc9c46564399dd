"""The HTTP the fake needs: bounded requests in, whole responses out. Nothing here knows Stripe."""

import contextlib
import json
import socket
import socketserver
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MAX_BODY = 1_048_576
MAX_DISCARDED = 8 * MAX_BODY
IDLE_SECONDS = 30
HOST = "127.0.0.1"


@dataclass
class Request:
    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def json_response(status: int, body: object, headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(body, ensure_ascii=False).encode(), headers or {})


def redirect(target: str) -> Response:
    return Response(303, headers={"Location": target}, content_type="text/plain")


type Answer = Callable[[Request], Response]


class Server(ThreadingHTTPServer):
    """Listens on the loopback interface only; `close` also ends connections that clients keep open."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Answer) -> None:
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((HOST, port), Handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the resolver for a name nobody needs.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def close(self) -> None:
        self.shutdown()
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "fake-stripe"
    sys_version = ""
    timeout = IDLE_SECONDS
    wbufsize = 65_536  # headers and body leave together

    def _serve(self) -> None:
        body = self._body()
        if isinstance(body, Response):
            self.close_connection = True
            self._send(body)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            response = self.server.answer(Request(self.command, self.path, headers, body))
        except ConnectionAbortedError:
            self.close_connection = True
            return
        except Exception:  # noqa: BLE001 (a fault of the fake itself: say so instead of hanging up)
            traceback.print_exc()
            response = json_response(500, {"error": {"type": "api_error", "message": "The fake itself failed"}})
        self._send(response)

    do_GET = do_POST = do_HEAD = do_DELETE = do_PUT = do_PATCH = _serve  # noqa: N815

    def _body(self) -> bytes | Response:
        length = self.headers.get("Content-Length") or "0"
        if self.headers.get("Transfer-Encoding") or not (length.isascii() and length.isdigit()):
            return _refusal(411, "Send a Content-Length")
        if len(length) > 12 or int(length) > MAX_BODY:  # noqa: PLR2004
            self._discard(min(int(length[:12]), MAX_DISCARDED))
            return _refusal(413, f"The body may have at most {MAX_BODY} bytes")
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else _refusal(400, "The body ended too soon")

    def _discard(self, left: int) -> None:
        """Read what the client insists on sending, or it would never get to read the answer."""
        while left > 0 and (read := len(self.rfile.read(min(left, 65_536)))):
            left -= read

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value.translate({10: None, 13: None}))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet: the dashboard shows what happened."""


def _refusal(status: int, message: str) -> Response:
    return json_response(status, {"error": {"type": "invalid_request_error", "message": message}})
