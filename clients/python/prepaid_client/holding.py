"""The flows of holding, working and then charging, which `hold` and `charge` share, sync and async.

A flow yields the calls to make and receives their responses. `key` identifies the work, which is charged at most once.
"""

import itertools
import logging
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from prepaid_client import calls
from prepaid_client.calls import Call, Texts
from prepaid_client.errors import (
    AlreadyCaptured,
    HoldLapsed,
    HoldReleased,
    IdempotencyKeyReused,
    PrepaidError,
    Refused,
)
from prepaid_client.responses import PlacedHold

logger = logging.getLogger("prepaid_client")


@dataclass(frozen=True, kw_only=True)
class Work:
    """A piece of work to charge. key: of its charge."""

    account: str
    feature: str
    quantity: int
    key: str
    ttl_seconds: int
    texts: Texts = field(default_factory=Texts)


def reserve(work: Work) -> Generator[Call[Any], Any, PlacedHold]:
    """Hold the units for a piece of work. Raises as place_hold.

    A repeated job reuses its earlier hold. If that hold was released or has lapsed, the job gets a new one.
    """
    for attempt in itertools.count(1):
        placed: PlacedHold = yield _place(work, attempt)
        if not placed.replayed:
            return placed
        hold = yield calls.get_hold(work.account, placed.id)
        if hold.state in {"held", "captured"}:
            return placed
    raise AssertionError("the loop has no end")


def _place(work: Work, attempt: int) -> Call[PlacedHold]:
    """The call that places the work's hold number `attempt`. Every delivery of the work uses the same key for it."""
    key = f"hold-{attempt}:{work.key}"
    return calls.place_hold(
        work.account, work.feature, work.quantity, key=key, ttl_seconds=work.ttl_seconds, **work.texts
    )


def settle(work: Work, hold: PlacedHold) -> Generator[Call[Any], Any]:
    """Charge finished work. Raises as capture_hold and consume.

    If its hold has ended, the work is charged as a consumption with the same key. If another delivery has charged it,
    this one charges nothing. A key that charged something else raises IdempotencyKeyReused, and a hold that was
    captured with another key raises AlreadyCaptured: in both cases this work isn't known to be paid.
    """
    try:
        yield calls.capture_hold(work.account, hold.id, key=work.key)
        return
    except (HoldLapsed, HoldReleased) as error:
        logger.info("%s of %s has ended: %s", hold.id, work.key, error)
    except IdempotencyKeyReused:
        # A used key never charges again, so this hold isn't needed.
        yield from give_back(work.account, hold, work.key)
    try:
        # With a used key, the service returns the consumption if it is the same, and refuses the request otherwise.
        yield calls.consume(work.account, work.feature, work.quantity, key=work.key, **work.texts)
    except IdempotencyKeyReused:
        if not (yield from _is_captured(work)):
            raise
        logger.info("%s was charged by another delivery", work.key)


def _is_captured(work: Work) -> Generator[Call[Any], Any, bool]:
    """Whether the work's key, which has been used, captured one of the work's holds in full."""
    for attempt in itertools.count(1):
        try:
            placed: PlacedHold = yield _place(work, attempt)
        except Refused:
            # There is no such hold, nor a later one.
            return False
        if not placed.replayed:
            yield from give_back(work.account, placed, work.key)
            return False
        try:
            # A retry of the capture gets the original answer. The key is used up, so it captures nothing more.
            yield calls.capture_hold(work.account, placed.id, key=work.key)
            return True
        except IdempotencyKeyReused:
            continue
    raise AssertionError("the loop has no end")


def give_back(account: str, hold: PlacedHold, key: str) -> Generator[Call[Any], Any]:
    """Release a hold whose work failed. A failure of the release is logged: the hold lapses by itself."""
    try:
        yield calls.release_hold(account, hold.id, key=f"release:{hold.id}:{key}")
    except (AlreadyCaptured, HoldReleased, HoldLapsed) as error:
        logger.info("%s of %s has ended already: %s", hold.id, key, error)
    except PrepaidError as error:
        logger.warning("%s of %s was not released and lapses at %s: %s", hold.id, key, hold.lapses_at, error)
