"""How a debit grows, as docs/costs.md prints it. tests/store/test_cost.py holds the same against the database."""

import json

import pytest

from bench.growth import SHAPES, Shape, catalog_of, debit_of, growth_of
from bench.item_sizes import KILOBYTE
from prepaid.core.calendar import milliseconds
from prepaid.core.ledger import apply


@pytest.mark.parametrize("lots", [1, 12, 60])
def test_a_debit_does_not_grow_with_history(lots: int) -> None:
    short, long, longest = (growth_of(Shape(lots=lots, history=entries)) for entries in (1_000, 100_000, 1_000_000_000))

    assert (short.read, short.written) == (long.read, long.written) == (longest.read, longest.written)
    # Only the digits of the entries' numbers.
    assert longest.entry - short.entry <= 6 * (lots + 4)


def test_twelve_lots_two_quotas_and_a_hold_fit_one_kilobyte() -> None:
    assert growth_of(Shape(lots=12, holds=1, quotas=2)).entry <= KILOBYTE


def test_a_lot_adds_the_same_few_bytes_however_many_there_are() -> None:
    few, sixty, most = (growth_of(Shape(lots=lots)).entry for lots in (1, 60, 500))

    assert (sixty - few) / 59 <= 34
    assert (most - few) / 499 <= 34


def test_five_hundred_lots_take_little_more_than_half_of_rows() -> None:
    """Of JSON rows. DESIGN.md says why not half."""
    account, _ = debit_of(Shape(lots=500))
    rows = [
        [lot.number, lot.kind, lot.granted, lot.remaining, milliseconds(lot.granted_at), milliseconds(lot.expires_at)]
        for lot in account.lots
    ]

    entry = growth_of(Shape(lots=500)).entry

    assert entry <= 0.56 * len(json.dumps(rows, separators=(",", ":")))
    assert entry < 16_000


def test_a_lost_race_is_one_page_of_reads_at_most() -> None:
    few, sixty, most = (growth_of(Shape(lots=lots)).read_after_a_race for lots in (1, 60, 500))

    assert (few, sixty) == (12, 55)
    # A megabyte, the most that a Query returns.
    assert most == 256


@pytest.mark.parametrize("shape", SHAPES)
def test_a_debit_of_each_shape_writes_one_entry(shape: Shape) -> None:
    account, debit = debit_of(shape)

    [entry] = apply(account, debit, catalog=catalog_of(shape.quotas), now=account.at)

    assert entry.credits == -10
    assert (len(entry.after.lots), len(entry.after.holds)) == (shape.lots, shape.holds)
    assert len(entry.after.quotas_used) == shape.quotas
