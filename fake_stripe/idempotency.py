"""Idempotency-Key as at Stripe: a retry gets the original response, a different request with the key gets an error.

Unlike Stripe, the fake doesn't keep errors: a retry of a rejected request runs again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from fake_stripe.errors import StripeError

KEPT_SECONDS = 24 * 3600
KEPT_KEYS = 10_000
MAX_KEY = 255


@dataclass
class SavedResponse:
    status: int
    body: bytes
    request_id: str


@dataclass
class KeyUse:
    path: str
    params: str
    at: int
    response: SavedResponse | None = None  # None while the first request runs


class Idempotency:
    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._kept: dict[tuple[str, str], KeyUse] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def saved(self) -> dict[tuple[str, str], KeyUse]:
        """Every key's use, to be restored later."""
        with self._lock:
            return dict(self._kept)

    def restore(self, saved: dict[tuple[str, str], KeyUse]) -> None:
        """Continue from what `saved` returned."""
        with self._lock:
            self._kept = dict(saved)

    def run(
        self, account: str, key: str, path: str, params: str, call: Callable[[], SavedResponse]
    ) -> tuple[SavedResponse, bool]:
        """Return the response, and whether it is a replay of an earlier one."""
        if len(key) > MAX_KEY:
            raise StripeError("Idempotency keys can be at most 255 characters", kind="idempotency_error")
        slot = (account, key)
        earlier = self._claim(slot, KeyUse(path, params, self._now()))
        if earlier is not None:
            return earlier, True
        response: SavedResponse | None = None
        try:
            response = call()
        finally:
            self._settle(slot, response)
        return response, False

    def _claim(self, slot: tuple[str, str], request: KeyUse) -> SavedResponse | None:
        with self._lock:
            use = self._kept.get(slot)
            if use is None or use.at + KEPT_SECONDS <= request.at:
                self._kept[slot] = request
                if len(self._kept) > KEPT_KEYS:
                    del self._kept[next(iter(self._kept))]
                return None
            _same_request(slot[1], use, request)
            if use.response is None:
                raise StripeError(
                    "There is currently another in-progress request using this Idempotent Key (that probably means "
                    "you submitted twice, and the other request is still going through): "
                    f"{slot[1]}. Please try again later.",
                    status=409,
                    kind="idempotency_error",
                    code="idempotency_key_in_use",
                )
            return use.response

    def _settle(self, slot: tuple[str, str], response: SavedResponse | None) -> None:
        """Keep the response; after a rejection, release the key instead."""
        rejected = response is None or (400 <= response.status < 500 and response.status != 402)  # noqa: PLR2004
        with self._lock:
            if rejected:
                self._kept.pop(slot, None)
            elif slot in self._kept:
                self._kept[slot].response = response


def _same_request(key: str, first: KeyUse, request: KeyUse) -> None:
    if first.path != request.path:
        rule = f"for the same endpoint they were first used for ('{first.path}')"
    elif first.params != request.params:
        rule = "with the same parameters they were first used with"
    else:
        return
    raise StripeError(
        f"Keys for idempotent requests can only be used {rule}. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
        kind="idempotency_error",
    )
