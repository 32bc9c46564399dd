"""One process of clients: `python -m tests.bank.client FOLDER PROCESS`.

Runs the functions' own handlers, from event to response, on the table that the environment names. It may be killed at
any moment. Its successor continues the histories, beginning with the requests that were never answered.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from prepaid import wiring
from prepaid.settings import from_environment
from prepaid.store.secrets import Versions
from tests.bank.history import BUSY, Recorder, next_index
from tests.bank.requests import Plan, Request, opening, request_at
from tests.support.api import (
    BALANCE,
    BATCH,
    CAPTURE,
    CONSUME,
    ERASE,
    GRANT,
    PLACE_HOLD,
    PUT_ACCOUNT,
    QUOTE,
    RELEASE,
    REVERSE,
    VOID,
)
from tests.support.apps import load_app
from tests.support.gateway_events import ADMIN, Context, Event, caller, compact, http_event
from tests.support.in_process import FUNCTION_OF, Handler

ROUTES = {
    "debit": CONSUME,
    "hold": PLACE_HOLD,
    "capture": CAPTURE,
    "release": RELEASE,
    "reversal": REVERSE,
    "batch": BATCH,
    "grant": GRANT,
    "void": VOID,
    "terms": PUT_ACCOUNT,
    "erasure": ERASE,
    "quote": QUOTE,
    "balance": BALANCE,
}
BY_ADMINISTRATORS = frozenset({"grant", "void", "terms", "erasure"})
MAX_TRIES = 20
LONGEST_PAUSE_SECONDS = 8
REFUSED = 400
NOT_FOUND = 404
PLAN_FILE = "plan.json"


class Sender:
    """The handlers, and where one client records its requests and responses."""

    def __init__(self, handlers: Mapping[str, Handler], recorder: Recorder) -> None:
        self._handlers = handlers
        self._recorder = recorder

    def send(self, index: int, request: Request) -> Any:
        """Send a request, after the one whose response states what it is about. Returns the body of the response to the
        last one that was sent, or None if it was no success."""
        if request.first:
            named = self.send(index, request.first)
            if named is None:
                return None
            request = replace(request, about=named["id"], first=None)
        status, body = self._answered(index, request)
        if status == NOT_FOUND and body["code"] == "account_not_found":
            self._answered(index, opening(request.account))
        return body if status < REFUSED else None

    def _answered(self, index: int, request: Request) -> tuple[int, Any]:
        """Status and body of the response, after retries with the same key while the service is busy."""
        function = FUNCTION_OF[ROUTES[request.kind]]
        status, body = BUSY, None
        for tried in range(MAX_TRIES):
            # An immediate retry would keep a busy database busy.
            time.sleep(random.random() * min(LONGEST_PAUSE_SECONDS, 2**tried) if tried else 0)
            self._recorder.sent(index, request)
            answer = self._handlers[function](event_of(request), Context())
            status, body = answer["statusCode"], json.loads(answer["body"])
            replayed = answer["headers"].get("Idempotent-Replayed") == "true"
            self._recorder.received(status, body, replayed=replayed)
            if status != BUSY:
                break
        return status, body


def event_of(request: Request) -> Event:
    """The request as API Gateway hands it over."""
    headers = {"content-type": "application/json"} if request.body is not None else {}
    if request.key is not None:
        headers["idempotency-key"] = request.key
    claims = ADMIN if request.kind in BY_ADMINISTRATORS else caller()
    body = compact(request.body) if request.body is not None else None
    path = {"account": request.account} | ({"id": request.about} if request.about else {})
    return http_event(ROUTES[request.kind], path=path, headers=headers, claims=claims, body=body)


def serve_client(plan: Plan, client: int, folder: Path, handlers: Mapping[str, Handler]) -> None:
    """Send the rest of one client's requests."""
    file = folder / f"{client}.jsonl"
    first = next_index(file)
    sender = Sender(handlers, Recorder(file))
    for index in range(first, plan.requests_of(client)):
        sender.send(index, request_at(plan, client, index))


def load_handler(function: str) -> Handler:
    """A function's own handler. A bank's database keeps no secrets, so the one of erasures is a text here."""
    app = load_app(function)
    handler: Handler = app.handler
    if function == FUNCTION_OF[ERASE]:
        handler = app.make_handler(
            replace(wiring.build(from_environment()), cursor_secrets=lambda _: Versions({1: "bank"}))
        )
    return handler


def end_with_owner() -> None:
    """The supervisor holds the other end of standard input: when it exits, this process exits too."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: Path, process: int) -> None:
    """Every client of this process, each in a thread of its own."""
    end_with_owner()
    values: dict[str, Any] = json.loads((folder / PLAN_FILE).read_text())
    plan = Plan(**values)
    handlers = {name: load_handler(name) for name in {FUNCTION_OF[route] for route in ROUTES.values()}}
    # As in Lambda, where a function connects while it starts, before its first request: else each thread makes its own.
    clients = range(process * plan.threads, (process + 1) * plan.threads)
    with ThreadPoolExecutor(plan.threads) as pool:
        for done in [pool.submit(serve_client, plan, client, folder, handlers) for client in clients]:
            done.result()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
