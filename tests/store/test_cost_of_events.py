"""The capacity units of an event on its way out, as bench/costs.py computes them."""

import pytest

from bench.costs import write_units
from bench.growth import event_reads
from bench.item_sizes import size
from prepaid.use_cases.publishing import publish_changes
from tests.support.publishing import Outside, Publisher, row_of_entry
from tests.support.store_driver import DAY, NOW, QUOTA_100, StoreDriver, entry_items, stored
from tests.support.wire import Wire


@pytest.mark.parametrize("lots", [1, 12])
def test_publishing_a_debit_has_the_units_of_the_cost_table(driver: StoreDriver, wire: Wire, lots: int) -> None:
    driver.open(terms=QUOTA_100)
    for number in range(lots):
        driver.grant(100_000, validity=NOW + (number + 1) * DAY)
    publisher = Publisher(driver.table, Outside())
    publish_changes(publisher.context(), [row_of_entry("acme", 1)])
    driver.debit(3, key="5f1c1b52-6a50-4d0e-9df0-0d4f1d5f5a11", reference="order-000123")
    before = stored(driver.table)
    wire.forget()

    published = publish_changes(publisher.context(), [row_of_entry("acme", lots + 2)])

    calls, after = tuple(wire.calls), stored(driver.table)
    written = [item for key, item in after.items() if before.get(key) != item]
    assert (published.events, published.failed, len(written)) == (1, 0, 2)
    assert wire.written == write_units(*map(size, written)) == 4
    # The emulator counts a unit for each page, whatever its size; these are smaller than one.
    assert calls == ("GetItem", "Query", "TransactWriteItems", "GetItem", "Query")
    assert wire.read == event_reads(size(entry_items(after)[-1]))
