"""The capacity units of publishing, as the database reports them and docs/costs.md counts them."""

from bench import growth
from bench.costs import rows_of_a_debit, rows_of_an_event, write_units
from prepaid.use_cases.publishing import publish_changes
from tests.support.publishing import Outside, Publisher, row_of_entry
from tests.support.store_driver import StoreDriver
from tests.support.wire import Wire


def test_an_event_alone_reads_and_writes_what_the_costs_say(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=1_000)
    publisher = Publisher(driver.table, Outside()).context()
    publish_changes(publisher, [row_of_entry("acme", 2)])
    driver.debit(3, description="Sticker", customer="cus_8f14e45f", reference="order-000123")
    wire.forget()

    assert publish_changes(publisher, [row_of_entry("acme", 3)]).events == 1

    entry, _ = rows_of_a_debit()
    assert wire.read == growth.event_reads(entry)
    assert wire.written == write_units(*rows_of_an_event())
