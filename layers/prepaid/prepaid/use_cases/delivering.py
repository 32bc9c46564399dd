"""Delivering: one event of the queue to the platform's webhook (rule 20).

For each account, the queue delivers one message at a time and holds back the later ones until it is deleted. So an
account's events arrive in order, and a failing event delays only its own account.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from prepaid.core.webhook_signature import signed_headers, signing_keys
from prepaid.messaging.webhook import Reply
from prepaid.store.dynamodb import Deadline, Table, within_at_most
from prepaid.store.webhook import is_stopped, stop

# Seconds to wait after the first failure, the second …; the last one repeats. SQS hides a message for at most twelve
# hours after it was received.
PAUSES = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 11 * 3600)
GIVE_UP_AFTER = timedelta(days=3)
# The deadline of the reads before the event is sent. The receiver, and the writes after its response, get the rest.
READ_SECONDS = 3.0
GONE = 410
# Their Retry-After is honoured.
ASKS_TO_WAIT = frozenset({429, 503})
SUCCESSES = range(200, 300)

type Outcome = Literal["delivered", "failed", "given up", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """A message as received. text: the event as JSON. tries: how often it was received, this time included."""

    text: str
    tries: int
    queued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverContext:
    """The dependencies of a delivery. secret: the text of the webhook's secret. post: sends text and headers, once."""

    table: Table
    target: str
    secret: Callable[[Deadline], str]
    post: Callable[[str, str, Mapping[str, str]], Reply]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The outcome of one try. status: of the receiver's response. wait_seconds: until the next try after a failure."""

    outcome: Outcome
    status: int = 0
    wait_seconds: int = 0


def deliver(context: DeliverContext, queued: QueuedEvent) -> Delivered:
    """Deliver one event. "given up" and "stopped" belong in the dead letters: there is no further try.

    A receiver that returns 410 gets no more events until the stack has a new address or an operator deletes the row.
    Raises ValueError for an unusable secret, Busy.
    """
    reading = within_at_most(context.table, READ_SECONDS)
    if is_stopped(reading, context.target):
        return Delivered("stopped")
    now = context.now()
    event_id = json.loads(queued.text)["id"]
    headers = signed_headers(
        event_id, int(now.timestamp()), queued.text, signing_keys(context.secret(reading.deadline))
    )
    reply = context.post(context.target, queued.text, headers)
    if reply.status in SUCCESSES:
        return Delivered("delivered", reply.status)
    if reply.status == GONE:
        stop(context.table, context.target, now)
        return Delivered("stopped", reply.status)
    if is_too_old(queued, now):
        return Delivered("given up", reply.status)
    return Delivered("failed", reply.status, _pause(queued.tries, reply, now))


def is_too_old(queued: QueuedEvent, now: datetime) -> bool:
    """Whether an event that fails now gets no further try.

    Events that waited behind a failing one may be too old at their first try, and then get only that one.
    """
    return now - queued.queued_at >= GIVE_UP_AFTER


def _pause(tries: int, reply: Reply, now: datetime) -> int:
    pause = PAUSES[min(tries, len(PAUSES)) - 1]
    requested = _seconds(reply.retry_after, now) if reply.status in ASKS_TO_WAIT else 0
    return min(max(pause, requested), PAUSES[-1])


def _seconds(retry_after: str, now: datetime) -> int:
    """The seconds to wait according to a Retry-After header: a number or a date. 0 for any other text."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(int(retry_after[:9]), PAUSES[-1])
    try:
        at = parsedate_to_datetime(retry_after)
        return max(0, int((at - now).total_seconds()))
    except (TypeError, ValueError, OverflowError):
        return 0
