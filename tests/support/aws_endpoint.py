"""An AWS of one stack, over HTTP: it names the stack's functions, and invokes what a test puts in their place.

It allows what clients/python/README.md says that the caller needs: of the functions, only their alias `live`.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FOUND = """<DescribeStackResourceResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
<DescribeStackResourceResult><StackResourceDetail><PhysicalResourceId>{name}</PhysicalResourceId>
<LogicalResourceId>{name}</LogicalResourceId><ResourceType>AWS::Lambda::Function</ResourceType>
<LastUpdatedTimestamp>2026-06-16T13:00:00Z</LastUpdatedTimestamp><ResourceStatus>CREATE_COMPLETE</ResourceStatus>
</StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"""
MISSING = """<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
<Code>ValidationError</Code><Message>Stack 'other' does not exist</Message></Error></ErrorResponse>"""

DENIED = '{"Message": "User: x is not authorized to perform: lambda:InvokeFunction on resource: this version"}'


@contextmanager
def aws_endpoint(invoke: Callable[[str], Any], *, stack: str = "prepaid") -> Iterator[str]:
    """The address. invoke: called with a function's name; an exception of it is the function's error."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = urlsplit(self.path)
            if address.path.startswith("/2015-03-31/functions/"):
                name = address.path.split("/")[3]
                if parse_qs(address.query) == {"Qualifier": ["live"]}:
                    self._invoked(name)
                else:
                    self._send(403, DENIED, {"X-Amzn-ErrorType": "AccessDeniedException"})
                return
            form = parse_qs(body.decode())
            known = form["StackName"] == [stack]
            text = FOUND.format(name=form["LogicalResourceId"][0]) if known else MISSING
            self._send(200 if known else 400, text, {})

        def _invoked(self, name: str) -> None:
            try:
                self._send(200, json.dumps(invoke(name)), {})
            except Exception as error:  # noqa: BLE001 - whatever a function raises is its error
                failure = {"errorType": type(error).__name__, "errorMessage": str(error)}
                self._send(200, json.dumps(failure), {"X-Amz-Function-Error": "Unhandled"})

        def _send(self, status: int, text: str, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
