"""Each client's requests and the responses it received, with times, in a file of its own that outlives any kill."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bank.requests import Request

BUSY = 503


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer. at: monotonic nanoseconds, the same clock in all processes. wall: Unix time in milliseconds."""

    at: int
    wall: int
    status: int
    replayed: bool
    body: Any


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request sent once, by client `client` as its request number `index`. response: None when none arrived.

    at, wall: when it was sent, as in Response.
    """

    client: int
    index: int
    at: int
    wall: int
    request: Request
    response: Response | None

    @property
    def answered(self) -> bool:
        """Whether the response states the outcome."""
        return self.response is not None and self.response.status < BUSY


class Recorder:
    """Appends to one client's history. Only one thread at a time uses it."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # A client that was killed while it wrote a line left the line incomplete.
        self._write("")

    def sent(self, index: int, request: Request) -> None:
        """Before the request is sent."""
        self._write(_dump({"index": index, **_times(), **asdict(request)}))

    def received(self, status: int, body: Any, *, replayed: bool) -> None:
        """As soon as the answer to the last request is there."""
        self._write(_dump({**_times(), "status": status, "replayed": replayed, "body": body}))

    def _write(self, text: str) -> None:
        # One unbuffered write, so that a kill afterwards can't lose it.
        os.write(self._file, f"{text}\n".encode())


def read_history(file: Path) -> list[Attempt]:
    """One client's attempts, in order. A torn line was never acted on, or is a response that nobody received."""
    attempts: list[Attempt] = []
    client = int(file.stem)
    request: dict[str, Any] | None = None
    for line in _lines(file):
        if "index" in line:
            if request:
                attempts.append(_attempt(client, request, None))
            request = line
        elif request:
            attempts.append(_attempt(client, request, Response(**line)))
            request = None
    if request:
        attempts.append(_attempt(client, request, None))
    return attempts


def next_index(file: Path) -> int:
    """Where a client goes on: with the request that has no answer yet, or the one after the last."""
    attempts = read_history(file) if file.exists() else []
    if not attempts:
        return 0
    return attempts[-1].index + attempts[-1].answered


def _attempt(client: int, request: dict[str, Any], response: Response | None) -> Attempt:
    sent = dict(request)
    index, at, wall = sent.pop("index"), sent.pop("at"), sent.pop("wall")
    return Attempt(client=client, index=index, at=at, wall=wall, request=Request(**sent), response=response)


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _times() -> dict[str, int]:
    return {"at": time.monotonic_ns(), "wall": time.time_ns() // 1_000_000}


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
