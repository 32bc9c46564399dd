"""The verifier holds little of a long history: its memory stays flat, and a tally has one size."""

import tracemalloc
from collections.abc import Iterator
from itertools import islice
from typing import Any

from prepaid.core.ledger import Debit, apply
from prepaid.store.catalog import first_catalog
from prepaid.store.dynamodb import Item, Table
from prepaid.store.items import entry_to_item
from prepaid.store.ledger import read_tail
from prepaid.use_cases.verifying.tally import Tally, tally_from_bytes
from tests.simulation.line import off_the_wire
from tests.support.store_driver import NO_DEADLINE, NOW, StoreDriver
from tests.support.whole_table import NAME, WholeTable, verified


class Endless:
    """A table of one account that computes its entries when they are read and keeps none, so the memory is the
    reader's.

    peaks: bytes, the most that was held at any time since the peak before, by how many entries were read.
    """

    def __init__(self, entries: int, measured_at: tuple[int, ...]) -> None:
        self.peaks: dict[int, int] = {}
        self._measured_at = measured_at
        self._rows = self._computed(entries)

    def _computed(self, entries: int) -> Iterator[Item]:
        whole, catalog = WholeTable(), first_catalog()
        driver = StoreDriver(whole.table)
        driver.open(credits=1_000_000)
        tail = read_tail(driver.table, "acme")
        entry, last_hash = tail.entry, tail.hash
        # The first entries with their claims and due rows, and the lot's own entry, which is read again.
        self._kept = {key: off_the_wire(item) for key, item in whole.snapshot().items()}
        yield from (self._kept[key] for key in sorted(self._kept) if key[1].startswith("ENTRY#"))
        while entry.number < entries:
            [entry] = apply(entry.after, Debit(actor="app", feature="sticker", quantity=1), catalog=catalog, now=NOW)
            item = entry_to_item(entry, last_hash)
            last_hash = item["hash"]["B"]
            yield item
            if entry.number in self._measured_at:
                self.peaks[entry.number] = tracemalloc.get_traced_memory()[1]
                tracemalloc.reset_peak()
        yield from (self._kept[key] for key in sorted(self._kept) if not key[1].startswith("ENTRY#"))

    def scan(self, **params: Any) -> dict[str, Any]:
        page = list(islice(self._rows, params["Limit"]))
        more = (
            {"LastEvaluatedKey": {"PK": page[-1]["PK"], "SK": page[-1]["SK"]}} if len(page) == params["Limit"] else {}
        )
        return {"Items": page, **more}

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        [(name, table_request)] = request["RequestItems"].items()
        found = (self._kept.get((key["PK"]["S"], key["SK"]["S"])) for key in table_request["Keys"])
        return {"Responses": {name: [item for item in found if item]}}

    def put_item(self, **_: Any) -> None:
        """The mark that the pass leaves."""


def test_memory_doesnt_grow_with_the_history() -> None:
    few, many = 1_000, 8_000
    endless = Endless(many, (few, many))
    client: Any = endless
    tracemalloc.start()

    findings = verified(Table(client=client, name=NAME, deadline=NO_DEADLINE), now=NOW, page_rows=100).findings

    tracemalloc.stop()
    assert findings == []
    assert endless.peaks[many] < endless.peaks[few] + 2**16


def test_a_tally_names_the_rest_after_many_cancellations() -> None:
    tally, other = Tally(), Tally()
    for number in range(1_000):
        tally.add_key(f"acme#{number}")
        if number not in (7, 70, 700):
            other.add_claim(f"acme#{number}")
    other.add_claim("zoo#1")

    merged = tally_from_bytes(tally.to_bytes())
    merged.merge(tally_from_bytes(other.to_bytes()))

    assert merged.left() == ([("acme#7", 1), ("acme#70", 1), ("acme#700", 1), ("zoo#1", -1)], 0)


def test_a_tally_with_too_many_differences_reports_it() -> None:
    tally = Tally()
    for number in range(1_000):
        tally.add_key(f"acme#{number}")

    names, unnamed = tally.left()

    assert len(names) < 1_000
    assert unnamed
