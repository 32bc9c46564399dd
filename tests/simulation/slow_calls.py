"""Calls that take long by the bench's clock, and functions that note when each call began."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.bench import Bench, Meet
from tests.support import wire
from tests.support.functions import AnyHandler, Functions

SLOW_SECONDS = 0.9
THROTTLED = wire.refuses("ProvisionedThroughputExceededException")
# A function, and seconds from the beginning of its invocation.
type Moment = tuple[str, float]


@dataclass(frozen=True, kw_only=True)
class Delays:
    """How long each call takes, in seconds. outside: to the queue, the bus and the webhook.

    tries: how often a call to the database is sent until it succeeds.
    """

    database: float = SLOW_SECONDS
    tries: int = 3
    secret: float = 0.0
    stripe: float = 0.0
    outside: float = 0.0


@dataclass
class Timed(Functions):
    """The functions. ended: when each invocation did. begun: when each call did."""

    clock: Callable[[], float] = time.monotonic
    invoked: Moment = ("", 0.0)
    begun: list[Moment] = field(default_factory=list)
    ended: list[Moment] = field(default_factory=list)

    def __getitem__(self, name: str) -> AnyHandler:
        handler = super().__getitem__(name)

        def handle(event: Any, context: Any) -> dict[str, Any]:
            self.invoked = (name, self.clock())
            try:
                return handler(event, context)
            finally:
                self.ended.append(self.now())

        return handle

    def now(self) -> Moment:
        name, began = self.invoked
        return name, self.clock() - began


def timed(bench: Bench, delays: Delays) -> Timed:
    """From now on the bench's functions are timed, and their calls take these delays."""
    functions = bench.service.functions
    slow = Timed(functions.apps, functions.deps, functions.limits, clock=lambda: bench.monotonic)

    def take(seconds: float) -> None:
        slow.begun.append(slow.now())
        bench.monotonic += seconds
        bench.remaining_milliseconds -= round(seconds * 1000)

    def meet(number: int, call: str) -> Meet:
        kind = call.partition(" ")[0]
        seconds = {"stripe": delays.stripe, "outside": delays.outside}.get(kind, delays.database)
        throttled = kind not in {"stripe", "outside"} and number % delays.tries

        def met(send: Callable[[], Any]) -> Any:
            take(seconds)
            return THROTTLED(send) if throttled else send()

        return met

    bench.service.functions, bench.meet, bench.watched = slow, meet, True
    bench.secrets.met = lambda: take(delays.secret)
    return slow
