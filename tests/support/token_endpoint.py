"""A token endpoint as Cognito's: it gives the bridge's tokens to clients that know their secrets."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from tests.support.api import CLIENTS
from tests.support.bridge import token

SECRET = "a secret: with + and %"


@dataclass
class TokenEndpoint:
    """given: the clients that got a token, in turn. expires_in: the life of a token, in seconds."""

    url: str = ""
    expires_in: int = 3600
    given: list[str] = field(default_factory=list)

    def answer(self, header: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        pair = base64.b64decode(header.removeprefix("Basic ")).decode()
        client, secret = (unquote_plus(part) for part in pair.split(":"))
        if client not in CLIENTS or secret != SECRET:
            return 400, {"error": "invalid_client"}
        assert form == {"grant_type": ["client_credentials"]}
        self.given.append(client)
        # Each token is another one, as a real one is.
        issued = token({**CLIENTS[client], "jti": str(len(self.given))})
        return 200, {"access_token": issued, "expires_in": self.expires_in, "token_type": "Bearer"}


@contextmanager
def token_endpoint() -> Iterator[TokenEndpoint]:
    endpoint = TokenEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, answer = endpoint.answer(self.headers["Authorization"], form)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/oauth2/token"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
