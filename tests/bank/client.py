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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.bank.history import BUSY, Recorder, next_index
from tests.bank.requests import Plan, Request, opening, request_at
from tests.support.api import BALANCE, CONSUME, GRANT, PUT_ACCOUNT, VOID
from tests.support.apps import load_app
from tests.support.gateway_events import ADMIN, Context, Event, caller, compact, http_event
from tests.support.in_process import FUNCTION_OF

ROUTES = {"debit": CONSUME, "grant": GRANT, "void": VOID, "terms": PUT_ACCOUNT, "balance": BALANCE}
MAX_TRIES = 20
LONGEST_PAUSE_SECONDS = 8
NOT_FOUND = 404
PLAN_FILE = "plan.json"


class Sender:
    """The handlers, and where one client records its requests and responses."""

    def __init__(self, apps: dict[str, ModuleType], recorder: Recorder) -> None:
        self._apps = apps
        self._recorder = recorder

    def send(self, index: int, request: Request) -> int:
        """Send a request, and retry it with its key while the service is busy. Returns its status."""
        function = FUNCTION_OF[ROUTES[request.kind]]
        status = BUSY
        for tried in range(MAX_TRIES):
            # An immediate retry would keep a busy database busy.
            time.sleep(random.random() * min(LONGEST_PAUSE_SECONDS, 2**tried) if tried else 0)
            self._recorder.sent(index, request)
            answer = self._apps[function].handler(event_of(request), Context())
            status = answer["statusCode"]
            replayed = answer["headers"].get("Idempotent-Replayed") == "true"
            self._recorder.received(status, json.loads(answer["body"]), replayed=replayed)
            if status != BUSY:
                break
        return status


def event_of(request: Request) -> Event:
    """The request as API Gateway hands it over."""
    headers = {"content-type": "application/json"} if request.body is not None else {}
    if request.key is not None:
        headers["idempotency-key"] = request.key
    claims = caller() if request.kind == "debit" else ADMIN
    body = compact(request.body) if request.body is not None else None
    path = {"account": request.account} | ({"id": f"gra_{request.lot:012d}"} if request.lot else {})
    return http_event(ROUTES[request.kind], path=path, headers=headers, claims=claims, body=body)


def serve_client(plan: Plan, client: int, folder: Path, apps: dict[str, ModuleType]) -> None:
    """Send the rest of one client's requests."""
    file = folder / f"{client}.jsonl"
    first = next_index(file)
    sender = Sender(apps, Recorder(file))
    for index in range(first, plan.requests_of(client)):
        request = request_at(plan, client, index)
        if sender.send(index, request) == NOT_FOUND and request.kind != "void":
            sender.send(index, opening(request.account))


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
    apps = {name: load_app(name) for name in {FUNCTION_OF[route] for route in ROUTES.values()}}
    # As in Lambda, where a function connects while it starts, before its first request: else each thread makes its own.
    clients = range(process * plan.threads, (process + 1) * plan.threads)
    with ThreadPoolExecutor(plan.threads) as pool:
        for done in [pool.submit(serve_client, plan, client, folder, apps) for client in clients]:
            done.result()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
