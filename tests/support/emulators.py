"""The emulators that tests share: each starts when a test first needs it, once for all workers of a run."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from multiprocessing.managers import BaseManager
from secrets import token_bytes
from threading import Lock, Thread
from typing import Any

from local.cloud import Cloud, emulator
from local.dynamodb_local import dynamodb_local
from local.processes import HOST

START: dict[str, Callable[[str], AbstractContextManager[Cloud]]] = {
    "ministack": emulator,
    "dynamodb-local": dynamodb_local,
}


class Emulators:
    """Starts emulators on demand and ends them with the exit stack."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lock = Lock()
        self._running: dict[str, Cloud] = {}

    def url(self, name: str) -> str:
        """The address of the emulator with this name. Raises LocalStackError when it cannot start."""
        with self._lock:
            if name not in self._running:
                self._running[name] = self._stack.enter_context(START[name](f"tests-{name}"))
            return self._running[name].url


class Server(BaseManager):
    """Carries calls from the workers to the process that owns the emulators."""


def serve(emulators: Emulators) -> tuple[tuple[str, int], bytes]:
    """Answer calls from other processes in a thread. Returns what `connect` needs."""
    Server.register("emulators", callable=lambda: emulators)
    key = token_bytes(16)
    server = Server((HOST, 0), key).get_server()
    Thread(target=server.serve_forever, daemon=True).start()
    address: tuple[str, int] = server.address  # type: ignore[assignment]
    return address, key


def connect(address: tuple[str, int], key: bytes) -> Any:
    """The Emulators of the process that serves them."""
    Server.register("emulators")
    server = Server((address[0], address[1]), key)
    server.connect()
    return server.emulators()  # type: ignore[attr-defined]
