"""A webhook endpoint that verifies each event and prints it. Use it as a start for your own.

Run `python receiver.py [PORT]`. It asks for the secret, or reads it from PREPAID_WEBHOOK_SECRET.
"""

import os
import sys
from getpass import getpass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prepaid_client import WebhookRejected, unwrap

PORT = 8000


def handler(secret: str) -> type[BaseHTTPRequestHandler]:
    """Responds with 204 to an event, and with 400 to everything else."""
    received: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                event = unwrap(body, dict(self.headers), secret)
            except WebhookRejected as error:
                self.answer(400, str(error))
                return
            # An event may be delivered more than once. Your own endpoint should store it under its id, respond, and
            # then process it.
            if event.id not in received:
                received.add(event.id)
                print(f"{event.time:%H:%M:%S}  {event.subject}  {event.type}  {dict(event.data)}", flush=True)
            self.answer(204, "")

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
            """Events are printed instead."""

    return Handler


def main() -> None:
    """Receive events until Ctrl-C."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    secret = os.environ.get("PREPAID_WEBHOOK_SECRET") or getpass("secret (whsec_...): ")
    with ThreadingHTTPServer(("127.0.0.1", port), handler(secret)) as server:
        print(f"receiving events at http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
