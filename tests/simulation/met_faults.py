"""The faults that a call of a history can meet, by name. The fault matrix has its own, in faults.py."""

from collections.abc import Callable
from typing import Any

from tests.simulation import stripe_wire
from tests.simulation.frames import Killed
from tests.support import wire

SILENCE_MILLISECONDS = 2_000
SLOW_MILLISECONDS = 15_000


def _killed_before(send: Callable[[], Any]) -> Any:
    raise Killed


def _killed_after(send: Callable[[], Any]) -> Any:
    send()
    raise Killed


DELAYS = {
    "lost": SILENCE_MILLISECONDS,
    "silent": SILENCE_MILLISECONDS,
    "slow": SLOW_MILLISECONDS,
}
# None: the call goes through as if nothing had happened, only late.
DATABASE_FAULTS: dict[str, wire.Fault | None] = {
    "lost": wire.answer_lost,
    "silent": wire.no_answer,
    "slow": None,
    "error": wire.refuses("InternalServerError", 500),
    "gateway": wire.answers(502, b"<html>Bad Gateway</html>"),
    "throttled": wire.refuses("ProvisionedThroughputExceededException"),
    "conflict": wire.refuses("ProvisionedThroughputExceededException"),
    "killed_before": _killed_before,
    "killed_after": _killed_after,
}
STRIPE_FAULTS: dict[str, stripe_wire.Fault | None] = {
    "lost": stripe_wire.answer_lost,
    "silent": stripe_wire.no_answer,
    "slow": None,
    "error": stripe_wire.refuses(500),
    "gateway": stripe_wire.refuses(502),
    "throttled": stripe_wire.refuses(429),
    "conflict": stripe_wire.refuses(503),
    "killed_before": _killed_before,
    "killed_after": _killed_after,
}
