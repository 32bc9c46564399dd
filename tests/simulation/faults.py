"""What can happen to one call of a function: the fault points of the matrix, for the database and for Stripe.

killed before       the process is killed before the call is sent
killed after        the process is killed after the call took effect
answer lost         the call takes effect and its response is lost; the client's own retry succeeds
answers lost        the call takes effect; its response and all later ones of this invocation are lost
silence             this call and all later ones never arrive
error               500 without an effect; once
errors              500 without an effect, for this call and all later ones
false error         the call takes effect and returns 500 with an unknown code; once
throttled           throttled; once
conflict            another transaction is in the way (at Stripe: another request with the key is running); once
rival               another request changes the same thing just before
twin                the same request runs completely just before, in another process
time-out            the call takes effect, but returns only when the function's time is over
clock ahead         killed after; the retry runs with a clock that is five minutes ahead
clock behind        the same, five minutes behind
clock backwards     this process's clock is five minutes ahead and it is killed after; the retry's clock is right
"""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from tests.simulation import stripe_wire
from tests.simulation.bench import Bench, Killed, Meet
from tests.support import wire

SHIFT = timedelta(minutes=5)
LONG_SECONDS = 60.0
READS = ("BatchGetItem", "GetItem", "Query", "Scan")
SHIFTS = {"clock ahead": SHIFT, "clock behind": -SHIFT, "clock backwards": SHIFT}
FAULTS = (
    "killed before",
    "killed after",
    "answer lost",
    "answers lost",
    "silence",
    "error",
    "errors",
    "false error",
    "throttled",
    "conflict",
    "rival",
    "twin",
    "time-out",
    *SHIFTS,
)  # fmt: skip
# A shift changes only the retries' clock, so in a pair all shifts are alike. A false error is another form of a lost
# answer.
PAIRED = tuple(fault for fault in FAULTS if fault not in SHIFTS and fault != "false error")

LASTING = frozenset({"answers lost", "silence", "errors"})

type Act = Callable[[], object]


def applies(fault: str, call: str) -> bool:
    """Whether a call can meet it: a single read conflicts with no transaction, and Stripe's reads carry no key."""
    return fault != "conflict" or not (call in READS or call.startswith("stripe GET"))


def meeting(fault: str, call: str, bench: Bench, *, rival: Act, twin: Act) -> Meet:
    """The fault as something that a call of the bench can meet."""
    lost, _, failing, slow_down = _wire_of(call)
    once: dict[str, Meet] = {
        "killed before": _killed_before,
        "killed after": _killed_after,
        "answer lost": lost,
        "error": failing,
        "false error": _false_error_of(call),
        "throttled": slow_down,
        "conflict": partial(_conflict, bench, call),
        "rival": partial(_first, bench, rival),
        "twin": partial(_first, bench, twin),
        "time-out": partial(_time_out, bench),
    }
    if fault in LASTING:
        return partial(_from_here, bench, fault, call)
    return once.get(fault, _killed_after)


def _killed_before(_: Callable[[], Any]) -> Any:
    raise Killed


def _killed_after(send: Callable[[], Any]) -> Any:
    send()
    raise Killed


def _from_here(bench: Bench, fault: str, call: str, send: Callable[[], Any]) -> Any:
    """The same for every further call, on either wire."""

    def met(call: str) -> Meet:
        lost, silent, failing, _ = _wire_of(call)
        return {"answers lost": lost, "silence": silent, "errors": failing}[fault]

    bench.from_here = met
    return met(call)(send)


def _wire_of(call: str) -> tuple[Meet, Meet, Meet, Meet]:
    return STRIPE if call.startswith("stripe") else DATABASE


def _false_error_of(call: str) -> Meet:
    refuse = stripe_wire.refuses(500) if call.startswith("stripe") else wire.refuses("SomethingNewException", 500)

    def met(send: Callable[[], Any]) -> Any:
        send()
        return refuse(send)

    return met


def _first(bench: Bench, act: Act, send: Callable[[], Any]) -> Any:
    with bench.unwatched():
        act()
    return send()


def _time_out(bench: Bench, send: Callable[[], Any]) -> Any:
    """The answer comes after the request's deadline; a scheduled one sees that its time is over."""
    bench.monotonic += LONG_SECONDS
    bench.remaining_milliseconds = 0
    return send()


def _conflict(bench: Bench, call: str, send: Callable[[], Any]) -> Any:
    if call.startswith("stripe"):
        error = {"type": "idempotency_error", "code": "idempotency_key_in_use", "message": "injected"}
        return json.dumps({"error": error}), 409, {"Request-Id": "req_injected"}
    bench.database.cancelled_for = "TransactionConflict"
    return send()


# A lost response, no response, a server's error, and "slow down".
DATABASE: tuple[Meet, Meet, Meet, Meet] = (
    wire.answer_lost,
    wire.no_answer,
    wire.refuses("InternalServerError", 500),
    wire.refuses("ProvisionedThroughputExceededException"),
)
STRIPE: tuple[Meet, Meet, Meet, Meet] = (
    stripe_wire.answer_lost,
    stripe_wire.no_answer,
    stripe_wire.refuses(500),
    stripe_wire.refuses(429),
)
