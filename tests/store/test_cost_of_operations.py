"""The capacity units that each operation reads and writes, as the documents state them, and their growth with holds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from bench import growth_of_operations
from bench.growth import Shape
from bench.item_sizes import KILOBYTE, size
from prepaid.core.account import Terms
from prepaid.core.holding import MAX_HOLDS
from prepaid.store.ledger import find_by_key, find_entry, read_tail
from prepaid.use_cases.holding import find_hold
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import (
    DAY,
    HOUR,
    NOW,
    QUOTA_100,
    SECOND,
    StoreDriver,
    a_purchase,
    entry_items,
    stored,
    types,
)
from tests.support.wire import Wire

COSTS = Path(__file__).parents[2] / "docs/costs.md"
TEXTS: Any = {"customer": "+55 11 98765-4321", "reference": "order-000123", "description": "Sticker for Rex"}
TWO_QUOTAS = Terms(plan="trio", ai_enabled=True, quota_anchor_day=1, time_zone="America/Sao_Paulo", currency="brl")
# On the account of `busy`.
CONSUMPTION, HOLD, CAPTURE = 3, 5, 7


@dataclass(frozen=True)
class Cost:
    """What an operation does on the account of `busy`, the units that it reads and writes, and its trips."""

    act: Callable[[StoreDriver], object]
    read: int
    written: int
    trips: int


OPERATIONS = {
    "opening of an account": Cost(lambda driver: driver.open("zoo", QUOTA_100), 1, 6, 2),
    "grant": Cost(lambda driver: driver.grant(5, key="k", description="Welcome"), 1, 6, 2),
    "void": Cost(lambda driver: driver.void(2, 5, key="k"), 1, 4, 2),
    "consumption": Cost(lambda driver: driver.debit(3, key="k", **TEXTS), 1, 4, 2),
    "batch of 10 consumptions": Cost(lambda driver: driver.batch([(f"k{n}", 1) for n in range(10)]), 1, 40, 2),
    "quote, balance": Cost(lambda driver: read_tail(driver.table, "acme"), 1, 0, 1),
    "look-up of a consumption by its id": Cost(lambda driver: find_entry(driver.table, "acme", CONSUMPTION), 1, 0, 1),
    "look-up of a consumption by its key": Cost(
        lambda driver: find_by_key(driver.table, "acme", "consumption"), 2, 0, 2
    ),
    "hold": Cost(lambda driver: driver.hold(3, key="k", **TEXTS), 1, 6, 2),
    "look-up of a hold": Cost(lambda driver: find_hold(driver.table, "acme", HOLD, NOW), 2, 0, 2),
    "capture": Cost(lambda driver: driver.capture(HOLD, 1, key="k"), 2, 4, 3),
    "release": Cost(lambda driver: driver.release(HOLD, key="k"), 2, 4, 3),
    "lapse of holds, recorded alone": Cost(lambda driver: driver.settle(at=NOW + HOUR), 1, 2, 2),
    "end of lots and lapse of holds, recorded together": Cost(lambda driver: driver.settle(at=NOW + 2 * HOUR), 1, 4, 2),
    "reversal of a consumption": Cost(lambda driver: driver.reverse(CONSUMPTION, 1, key="k"), 4, 6, 4),
    "reversal of a capture": Cost(lambda driver: driver.reverse(CAPTURE, 1, key="k"), 5, 6, 4),
    "erasure of one entry": Cost(lambda driver: driver.erase(TEXTS["customer"], key="k"), 3, 7, 7),
    "purchase": Cost(lambda driver: driver.record(a_purchase("pur_2")), 0, 11, 2),
    "payment": Cost(lambda driver: driver.receive(a_payment_status("paid", a_purchase())), 2, 12, 3),
}


@pytest.fixture
def busy(driver: StoreDriver) -> StoreDriver:
    """An account with two lots, a consumption, two holds of which one is captured, and an unpaid purchase."""
    driver.open(terms=TWO_QUOTAS, credits=1_000)
    driver.debit(400, key="consumption", **TEXTS)
    driver.grant(50, validity=NOW + 2 * HOUR)
    driver.hold(3, key="hold 1")
    driver.hold(3, key="hold 2")
    driver.capture(HOLD + 1, key="capture")
    driver.record(a_purchase())
    driver.has_manager()
    return driver


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_takes_so_many_units_and_trips(busy: StoreDriver, wire: Wire, name: str) -> None:
    expected = OPERATIONS[name]
    wire.forget()

    expected.act(busy)

    assert (wire.read, wire.written, len(wire.calls)) == (expected.read, expected.written, expected.trips)


@pytest.mark.parametrize("name", growth_of_operations.OPERATIONS)
def test_the_growth_on_paper_begins_at_these_units(name: str) -> None:
    operation = growth_of_operations.OPERATIONS[name]

    few = growth_of_operations.cost(operation, Shape(lots=3))

    measured = OPERATIONS[name]
    assert (few.read, few.written, operation.trips) == (measured.read, measured.written, measured.trips)


def test_a_consumption_without_a_rival_makes_two_calls(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    wire.forget()

    driver.debit(3, key="k")

    assert wire.calls == ["Query", "TransactWriteItems"]


# By the number of holds: bytes of a consumption's entry, and the units that it reads and writes.
GROWTH = {0: (479, 1, 4), 10: (1_052, 1, 6), 100: (6_185, 2, 16)}


@pytest.mark.parametrize("holds", GROWTH)
def test_every_entry_carries_the_holds(driver: StoreDriver, wire: Wire, holds: int) -> None:
    driver.open(terms=TWO_QUOTAS, credits=1_000)
    for _ in range(holds):
        driver.hold(1)
    before = entry_items(stored(driver.table))[-1]
    wire.forget()

    driver.debit(3, key="k", **TEXTS)

    entry_bytes, read, written = GROWTH[holds]
    # Numbers and times are a few bytes longer or shorter.
    assert abs(size(entry_items(stored(driver.table))[-1]) - entry_bytes) <= 8
    assert wire.written == written
    # MiniStack counts one unit for a Query, however long the item is.
    assert ceil(size(before) / (4 * KILOBYTE)) == read


def test_all_that_time_has_done_is_three_writes(driver: StoreDriver, wire: Wire) -> None:
    """However often the ends of lots and the lapses of holds alternate."""
    driver.open(terms=TWO_QUOTAS)
    driver.debit(1, feature="ai_service")
    for number in range(MAX_HOLDS):
        driver.grant(2, validity=NOW + (2 * number + 301) * SECOND)
    for number in range(MAX_HOLDS):
        driver.hold(1, ttl_seconds=2 * number + 300)
    account = driver.account()
    ends = [(lot.expires_at, "lot") for lot in account.lots] + [(hold.lapses_at, "hold") for hold in account.holds]
    # From the first lot that a hold left something of: each end of a lot is between two lapses.
    alternating = [kind for _, kind in sorted(ends)][MAX_HOLDS // 2 :]
    assert alternating == ["hold", "lot"] * (len(alternating) // 2)
    wire.forget()

    driver.settle(at=NOW + 30 * DAY)

    assert wire.calls == ["Query", "TransactWriteItems"]
    assert types(stored(driver.table))[-3:] == ["expiry", "release", "quota_renewal"]
    assert audit(stored(driver.table)).entries == 2 * MAX_HOLDS + 5


def documented(heading: str) -> list[list[str]]:
    """The rows of the table that follows the words."""
    _, _, rest = COSTS.read_text("utf-8").partition(heading)
    table = rest[rest.index("\n|") :].strip().split("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]


def test_the_documents_state_these_units() -> None:
    operations = [[name, f"{cost.read}", f"{cost.written}", f"{cost.trips}"] for name, cost in OPERATIONS.items()]
    growth = [[f"{holds}", f"{size:,}", f"{read}", f"{written}"] for holds, (size, read, written) in GROWTH.items()]

    assert documented("**Units of each operation.**") == operations
    assert documented("**Growth with holds.**") == growth
