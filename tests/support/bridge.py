"""The functions behind HTTP, without a cloud: what API Gateway does, in as few lines as schema tests need.

A token is its claims in base64. Paths are matched and scopes compared as openapi.json says.
"""

import base64
import contextlib
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.contract import routes, scopes_of
from tests.support.gateway_events import ADMIN, Claims, Event, http_event

type Send = Callable[[Event], dict[str, Any]]
PATTERNS = {
    route: re.compile(re.sub(r"\\{([a-z]+)\\}", r"(?P<\1>[^/]+)", re.escape(route.partition(" ")[2])))
    for route in routes()
}
NO_BODY = {"GET", "HEAD", "OPTIONS", "TRACE"}


class Server(ThreadingHTTPServer):
    """A client that gives up, as some do on purpose, is nobody's error."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def token(claims: Claims) -> str:
    """The text that the bridge accepts as a verified token with these claims."""
    return base64.urlsafe_b64encode(json.dumps(dict(claims)).encode()).decode()


@contextlib.contextmanager
def bridge(send: Send, *, locked: bool = True) -> Iterator[str]:
    """The address at which HTTP requests become events for `send`, one at a time. locked: whether tokens matter."""
    alone = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def parse_request(self) -> bool:
            understood = super().parse_request()
            if understood:
                # Whatever the method is.
                setattr(self, f"do_{self.command}", self.answer)
            return understood

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with alone:
                response = _respond(self, body, send, locked=locked)
            text = response.get("body", "").encode()
            self.send_response(response["statusCode"])
            for name, value in {**response["headers"], "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
            """Log nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _respond(request: BaseHTTPRequestHandler, body: bytes, send: Send, *, locked: bool) -> dict[str, Any]:
    parts = urlsplit(request.path)
    for route, pattern in PATTERNS.items():
        found = pattern.fullmatch(parts.path)
        if not found or not route.startswith(f"{request.command} "):
            continue
        wanted, claims = scopes_of(route), _claims(request.headers.get("Authorization", ""))
        if not locked:
            claims = ADMIN
        if wanted and claims is None:
            return _gateway(401, "Unauthorized")
        if wanted and claims and not set(wanted) & set(claims["scope"].split()):
            return _gateway(403, "Forbidden")
        return send(
            http_event(
                route,
                path={name: unquote(value) for name, value in found.groupdict().items()},
                query={
                    name: ",".join(values)
                    for name, values in parse_qs(parts.query, keep_blank_values=True, max_num_fields=100).items()
                },
                headers={name.lower(): ",".join(request.headers.get_all(name, [])) for name in request.headers},
                claims=claims if wanted else None,
                body=body or None,
            )
        )
    return _gateway(404, "Not Found")


def _claims(header: str) -> Claims | None:
    try:
        claims = json.loads(base64.urlsafe_b64decode(header.removeprefix("Bearer ")))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) and claims else None


def _gateway(status: int, message: str) -> dict[str, Any]:
    body = json.dumps({"message": message})
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": body}
