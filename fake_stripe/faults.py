"""Injected faults: API calls that fail, are slow, or take effect and lose their response."""

import threading
import time
from dataclasses import dataclass

MAX_DELAY = 60.0


@dataclass(frozen=True)
class Fault:
    status: int = 0  # respond with this status and don't run
    delay: float = 0.0  # seconds before running; a request with an Idempotency-Key claims the key first
    drop: bool = False  # run, then close the connection without a response

    def wait(self) -> None:
        if self.delay:
            time.sleep(min(self.delay, MAX_DELAY))


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = 0
        self._fault = Fault()

    def plan(self, count: int, fault: Fault) -> None:
        with self._lock:
            self._left, self._fault = count, fault

    def take(self) -> Fault:
        with self._lock:
            if self._left <= 0:
                return Fault()
            self._left -= 1
            return self._fault
