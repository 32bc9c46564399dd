"""Idempotency-Key as at Stripe: one effect per key, the first answer to every repeat, an error for another request.

Other than at Stripe errors aren't kept: a repeat of what was refused is looked at anew.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from fake_stripe.errors import StripeError

KEPT_SECONDS = 24 * 3600
KEPT_KEYS = 10_000
MAX_KEY = 255


@dataclass
class Answer:
    status: int
    body: bytes
    request_id: str


@dataclass
class Kept:
    path: str
    params: str
    at: int
    answer: Answer | None = None  # none while the first request is still running


class Idempotency:
    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._kept: dict[tuple[str, str], Kept] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def run(self, account: str, key: str, path: str, params: str, call: Callable[[], Answer]) -> tuple[Answer, bool]:
        """The answer, and whether it is a repeat of an earlier one."""
        if len(key) > MAX_KEY:
            raise StripeError("Idempotency keys can be at most 255 characters", kind="idempotency_error")
        slot = (account, key)
        earlier = self._claim(slot, Kept(path, params, self._now()))
        if earlier is not None:
            return earlier, True
        answer: Answer | None = None
        try:
            answer = call()
        finally:
            self._settle(slot, answer)
        return answer, False

    def _claim(self, slot: tuple[str, str], asked: Kept) -> Answer | None:
        with self._lock:
            kept = self._kept.get(slot)
            if kept is None or kept.at + KEPT_SECONDS <= asked.at:
                self._kept[slot] = asked
                if len(self._kept) > KEPT_KEYS:
                    del self._kept[next(iter(self._kept))]
                return None
            _same_request(slot[1], kept, asked)
            if kept.answer is None:
                raise StripeError(
                    "There is currently another in-progress request using this Idempotent Key (that probably means "
                    "you submitted twice, and the other request is still going through): "
                    f"{slot[1]}. Please try again later.",
                    status=409,
                    kind="idempotency_error",
                    code="idempotency_key_in_use",
                )
            return kept.answer

    def _settle(self, slot: tuple[str, str], answer: Answer | None) -> None:
        """A request that was refused before anything ran is not remembered: the key can be used again."""
        refused = answer is None or (400 <= answer.status < 500 and answer.status != 402)  # noqa: PLR2004
        with self._lock:
            if refused:
                self._kept.pop(slot, None)
            elif slot in self._kept:
                self._kept[slot].answer = answer


def _same_request(key: str, kept: Kept, asked: Kept) -> None:
    if kept.path != asked.path:
        used = f"for the same endpoint they were first used for ('{kept.path}')"
    elif kept.params != asked.params:
        used = "with the same parameters they were first used with"
    else:
        return
    raise StripeError(
        f"Keys for idempotent requests can only be used {used}. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
        kind="idempotency_error",
    )
