"""Holding, working, then charging: the flows that holds as context managers and `charge` share, sync and async.

A flow yields the calls to make and receives their answers. `key` names the work: it is charged at most once.
"""

import itertools
import logging
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from prepaid_client import calls
from prepaid_client.answers import PlacedHold
from prepaid_client.calls import Call, Texts
from prepaid_client.errors import (
    AlreadyCaptured,
    HoldLapsed,
    HoldReleased,
    IdempotencyKeyReused,
    PrepaidError,
)

logger = logging.getLogger("prepaid_client")


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is charged, and the key of the charge."""

    account: str
    feature: str
    quantity: int
    key: str
    ttl_seconds: int
    texts: Texts = field(default_factory=Texts)


def reserve(work: Work) -> Generator[Call[Any], Any, PlacedHold]:
    """Hold the units of a work. Raises as place_hold.

    A work that is delivered or tried again gets the hold of before, while it is held or captured. If that one was
    released or has lapsed, the work gets another one.
    """
    for attempt in itertools.count(1):
        key = f"hold-{attempt}:{work.key}"
        placed: PlacedHold = yield calls.place_hold(
            work.account, work.feature, work.quantity, key=key, ttl_seconds=work.ttl_seconds, **work.texts
        )
        if not placed.replayed:
            return placed
        hold = yield calls.get_hold(work.account, placed.id)
        if hold.state in {"held", "captured"}:
            return placed
    raise AssertionError("the loop has no end")


def settle(work: Work, hold: PlacedHold) -> Generator[Call[Any], Any]:
    """Charge a work that is done. Raises as capture_hold and consume.

    Where the hold has ended meanwhile, its units are charged as a consumption with the same key. Where another delivery
    of the work was faster, it is charged already.
    """
    try:
        yield calls.capture_hold(work.account, hold.id, key=work.key)
    except (HoldLapsed, HoldReleased):
        try:
            yield calls.consume(work.account, work.feature, work.quantity, key=work.key, **work.texts)
        except IdempotencyKeyReused:
            # Its feature is known to be the same: a different one would have been refused when the hold was placed.
            logger.info("%s was charged by another delivery", work.key)
    except AlreadyCaptured:
        logger.info("%s was charged by another delivery", work.key)
    except IdempotencyKeyReused:
        logger.info("%s was charged by another delivery", work.key)
        yield from give_back(work.account, hold, work.key)


def give_back(account: str, hold: PlacedHold, key: str) -> Generator[Call[Any], Any]:
    """Release a hold whose work failed. A failure of the release is logged: the hold lapses by itself."""
    try:
        yield calls.release_hold(account, hold.id, key=f"release:{hold.id}:{key}")
    except (AlreadyCaptured, HoldReleased, HoldLapsed) as error:
        logger.info("%s of %s has ended already: %s", hold.id, key, error)
    except PrepaidError as error:
        logger.warning("%s of %s was not released and lapses at %s: %s", hold.id, key, hold.lapses_at, error)
