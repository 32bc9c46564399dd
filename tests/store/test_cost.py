"""What it costs: calls, and capacity units as the database reports them, checked against AWS's published rules.

A write unit is one kilobyte of an item, rounded up, twice in a transaction; a strongly consistent read is four
kilobytes a unit. An item's size is the bytes of its names and values.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from math import ceil
from typing import Any

import pytest

from bench.item_sizes import KILOBYTE, size
from prepaid.core.account import Account, Charge, Hold, Lot
from prepaid.core.entry import LotDraw, QuotaDraw
from prepaid.core.errors import InsufficientCredits
from prepaid.core.ledger import Debit, apply
from prepaid.store.catalog import first_catalog
from prepaid.store.items import GENESIS_HASH, SALT_BYTES, entry_to_item
from prepaid.store.ledger import read_tail
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import DAY, NOW, QUOTA_100, StoreDriver, a_purchase, stored
from tests.support.wire import Wire

DEBIT = ["Query", "TransactWriteItems"]


def units_of_transaction(items: list[Mapping[str, Any]]) -> int:
    return sum(2 * ceil(size(item) / KILOBYTE) for item in items)


@pytest.mark.parametrize("lots", [1, 4, 8, 12])
def test_a_debit_is_one_query_and_one_transaction_of_four_write_units(
    driver: StoreDriver, wire: Wire, lots: int
) -> None:
    driver.open(terms=QUOTA_100)
    for index in range(lots):
        driver.grant(100_000, validity=NOW + (index + 1) * DAY)
    before = stored(driver.table)
    wire.forget()

    driver.debit(
        3,
        key="5f1c1b52-6a50-4d0e-9df0-0d4f1d5f5a11",
        description="Sticker for Rex",
        customer="+55 11 98765-4321",
        reference="order-000123",
    )

    assert wire.calls == DEBIT
    # One unit to read the newest entry, four to write the next one with its claim.
    assert wire.units == 1 + 4
    after = stored(driver.table)
    assert units_of_transaction([after[key] for key in after.keys() - before.keys()]) == 4


def test_each_lot_adds_some_thirty_bytes_to_every_entry(driver: StoreDriver) -> None:
    driver.open()
    sizes = []
    for lots in range(1, 19):
        driver.grant(100_000, validity=NOW + lots * DAY)
        sizes.append(size(stored(driver.table)["ACCOUNT#acme", f"ENTRY#{lots + 1:012d}"]))

    grown = [after - before for before, after in itertools.pairwise(sizes)]

    assert all(25 < bytes_ < 40 for bytes_ in grown)
    # Eighteen lots and no texts: still one write unit, doubled by the transaction.
    assert sizes[17] <= KILOBYTE


def test_an_entry_with_twelve_lots_two_quotas_and_a_hold_fits() -> None:
    """In one kilobyte, with every field that a debit can have, and texts of usual length."""
    lots = tuple(
        Lot(
            number=180 + number,
            kind="promotion" if number % 3 else "purchase",
            granted=1_000,
            remaining=1_000 if number else 437,
            granted_at=NOW + number * DAY,
            expires_at=NOW + (number + 365) * DAY,
        )
        for number in range(12)
    )
    held = Charge(
        feature="ai_service",
        quantity=25,
        quota=20,
        period=date(2026, 7, 1),
        lots=(replace(lots[0], granted=1_000, remaining=5),),
    )
    account = Account(
        id="petshop-4711",
        number=12_345,
        at=NOW,
        terms=QUOTA_100,
        quotas_used={"ai_service": 98, "sticker": 250},
        quota_renews_at=NOW + DAY,
        lots=lots,
        holds=(Hold(number=12_340, charge=held, lapses_at=NOW + DAY),),
    )
    debit = Debit(
        actor="4k2m9qv7h1c8r3t5w6x0y2z4b6",
        feature="ai_service",
        quantity=10,
        description="Sticker for Rex",
        customer="+55 11 98765-4321",
        reference="order-000123",
    )
    [entry] = apply(account, debit, catalog=first_catalog(), now=NOW)

    item = entry_to_item(replace(entry, key="dEf-45"), GENESIS_HASH, bytes(range(SALT_BYTES)))

    assert [type(draw) for draw in entry.draws] == [QuotaDraw, LotDraw]
    assert size(item) <= KILOBYTE


def test_five_hundred_small_lots_take_at_most_fourteen_kilobytes(driver: StoreDriver) -> None:
    """Of one credit each: half of what they took as JSON rows. tests/bench/test_growth.py has the usual lots."""
    driver.open_with_lots(500)

    driver.debit(key="k1")

    assert size(stored(driver.table)["ACCOUNT#acme", "ENTRY#000000000002"]) <= 14 * KILOBYTE


def test_a_debit_costs_the_same_after_a_long_history(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=1_000_000)
    measured = []
    for entries in (10, 2_000):
        driver.debit_in_bulk(entries)
        wire.forget()
        done = driver.debit(1, key=f"k{entries}")
        assert done.entries[-1].number == entries + 1
        measured.append((wire.calls[:], wire.units))

    assert measured == [(DEBIT, 5.0)] * 2
    assert audit(stored(driver.table)).entries == 2_001


def test_a_balance_is_one_query_of_one_unit(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=100)
    for _ in range(30):
        driver.debit(1, key=None)
    wire.forget()

    read_tail(driver.table, "acme")

    assert wire.calls == ["Query"]
    assert wire.units == 1


def test_a_debit_that_settles_first_is_still_one_transaction(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=100)
    driver.grant(5, validity=NOW + DAY)
    wire.forget()

    driver.debit(1, key="k1", at=NOW + DAY)

    assert wire.calls == DEBIT
    assert wire.units == 1 + 6


def test_a_refusal_without_a_claim_is_two_reads_and_no_write(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    wire.forget()

    with pytest.raises(InsufficientCredits):
        driver.debit(1, key="k1")

    assert wire.calls == ["Query", "GetItem"]
    assert wire.units == 2


def test_a_refusal_without_a_key_is_one_read(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    wire.forget()

    with pytest.raises(InsufficientCredits):
        driver.debit(1)

    assert wire.calls == ["Query"]


def test_a_replay_is_the_debits_calls_and_two_reads(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    driver.debit(1, key="k1")
    wire.forget()

    driver.debit(1, key="k1")

    assert wire.calls == [*DEBIT, "GetItem", "GetItem"]


def test_a_payment_is_two_reads_and_one_transaction(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    driver.record(a_purchase())
    wire.forget()

    driver.receive(a_payment_status("paid", a_purchase()))

    assert wire.calls == ["GetItem", *DEBIT]
    # Entry, due row, purchase, payment, review; the purchase leaves one partition of the index and enters another.
    assert wire.units == 2 + 5 * 2 + 2


def test_reported_units_follow_the_published_rules(driver: StoreDriver, wire: Wire) -> None:
    """Beyond a kilobyte too."""
    driver.open()
    for index in range(40):
        driver.grant(1_000, validity=NOW + (index + 1) * DAY)
    before = stored(driver.table)
    wire.forget()

    driver.debit(1, key="k1")

    reported = wire.units
    after = stored(driver.table)
    written = units_of_transaction([after[key] for key in after.keys() - before.keys()])
    assert written > 4
    assert reported == written + 1
