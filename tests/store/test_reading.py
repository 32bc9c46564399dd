"""Reading: bounded pages, and the account as it was."""

import random
from datetime import timedelta

import pytest

from prepaid.core.entry import Entry
from prepaid.store.ledger import find_entry_at, read_entries, read_tail
from tests.support.store_driver import DAY, HOUR, NOW, TICK, StoreDriver
from tests.support.wire import Wire


def history(driver: StoreDriver, newest: int, page: int) -> list[Entry]:
    """The whole ledger, newest first, by pages of so many."""
    found: list[Entry] = []
    last = newest
    while last >= 1:
        entries = read_entries(driver.table, "acme", first=1, last=last, limit=page)
        assert 0 < len(entries) <= page
        found += entries
        last = entries[-1].number - 1
    return found


@pytest.mark.parametrize("page", [1, 3, 7, 11, 12, 13, 200])
def test_pages_hold_every_entry_once_newest_first(driver: StoreDriver, page: int) -> None:
    driver.open(credits=50)
    written = [driver.debit(1, at=NOW + index * HOUR).entries[-1] for index in range(10)]

    found = history(driver, 12, page)

    assert [entry.number for entry in found] == list(range(12, 0, -1))
    assert found[:10] == written[::-1]


def test_a_page_is_one_query_and_never_larger_than_the_most(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=1_000)
    driver.debit_in_bulk(203)
    wire.forget()

    entries = read_entries(driver.table, "acme", first=1, last=10_000, limit=10_000)

    assert wire.calls == ["Query"]
    assert [entry.number for entry in entries] == list(range(203, 3, -1))


def test_only_the_entries_between_first_and_last_are_read(driver: StoreDriver) -> None:
    driver.open(credits=50)
    for _ in range(8):
        driver.debit(1)

    assert [entry.number for entry in read_entries(driver.table, "acme", first=4, last=6, limit=10)] == [6, 5, 4]
    assert [entry.number for entry in read_entries(driver.table, "acme", first=10, last=99, limit=10)] == [10]
    assert read_entries(driver.table, "acme", first=11, last=99, limit=10) == ()
    assert read_entries(driver.table, "other", first=1, last=99, limit=10) == ()


def test_neighbours_in_the_partition_are_no_entries(driver: StoreDriver) -> None:
    driver.open(credits=1)
    driver.debit(1, key="k1")

    assert read_tail(driver.table, "acme").entry.number == 3
    assert len(read_entries(driver.table, "acme", first=0, last=999_999_999_999, limit=200)) == 3


@pytest.mark.parametrize("seed", range(4))
def test_the_entry_of_a_time_matches_a_linear_scan(driver: StoreDriver, seed: int) -> None:
    dice = random.Random(seed)
    driver.open(credits=100, at=NOW)
    at = NOW
    for _ in range(dice.randint(1, 14)):
        # Several entries often share an instant.
        at += dice.choice([timedelta(0), timedelta(0), TICK, HOUR, 3 * DAY])
        driver.debit(1, at=at)
    newest = read_tail(driver.table, "acme").entry
    everything = history(driver, newest.number, 200)
    moments = {entry.at + shift for entry in everything for shift in (-TICK, timedelta(0), TICK)}

    for moment in sorted(moments | {NOW - DAY, at + DAY}):
        linear = next((entry for entry in everything if entry.at <= moment), None)

        assert find_entry_at(driver.table, "acme", newest, moment) == linear


def test_the_entry_of_a_time_is_found_in_few_reads(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=100)
    for index in range(62):
        driver.debit(1, at=NOW + index * HOUR)
    newest = read_tail(driver.table, "acme").entry
    assert newest.number == 64

    for hours in (-1, 0, 1, 13, 30, 31, 32, 47, 59, 60, 61):
        wire.forget()
        find_entry_at(driver.table, "acme", newest, NOW + hours * HOUR)
        assert len(wire.calls) <= 6


def test_the_account_as_it_is_now_costs_no_further_read(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=1)
    newest = read_tail(driver.table, "acme").entry
    wire.forget()

    assert find_entry_at(driver.table, "acme", newest, NOW) == newest
    assert wire.calls == []


def test_before_its_first_entry_there_is_no_account(driver: StoreDriver) -> None:
    driver.open(credits=1)
    newest = read_tail(driver.table, "acme").entry

    assert find_entry_at(driver.table, "acme", newest, NOW - TICK) is None


def test_the_first_entry_is_found_too(driver: StoreDriver) -> None:
    driver.open(at=NOW)
    for hours in range(1, 5):
        driver.grant(1, at=NOW + hours * HOUR)
    newest = read_tail(driver.table, "acme").entry

    found = find_entry_at(driver.table, "acme", newest, NOW + HOUR - TICK)

    assert found
    assert found.number == 1


def test_a_read_below_the_first_entry_is_empty(driver: StoreDriver) -> None:
    driver.open(credits=1)

    assert read_entries(driver.table, "acme", first=1, last=0, limit=10) == ()
