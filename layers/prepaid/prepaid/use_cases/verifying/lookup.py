"""Lookups for the checks of rows: the rows that they refer to, catalog versions, the time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from prepaid.core.catalog import Catalog
from prepaid.core.purchase import Purchase
from prepaid.store import keys
from prepaid.store.catalog import catalog_from_item, first_catalog
from prepaid.store.dynamodb import Item, Table, get, get_many
from prepaid.use_cases.verifying.tally import Tally

# More versions than a stack gets in years. Beyond that, the cache is cleared.
MAX_CATALOGS = 200


@dataclass(slots=True, kw_only=True)
class RowLookup:
    """The lookups of one page or recheck.

    piece: as in VerifyContext. consistent: whether `fetch` reads strongly consistently; the first check of a row
    doesn't. cutoff: rows dated before it all existed when the pass began. catalogs: cached versions, which never
    change. recompute_one_in: one in this many statements is recomputed. tally: of rows older than `cutoff`; None in a
    recheck. rows: the rows that `fetch` read.
    """

    piece: Callable[[], Table]
    now: datetime
    consistent: bool
    cutoff: datetime
    catalogs: dict[int, Catalog]
    recompute_one_in: int
    tally: Tally | None = None
    rows: dict[tuple[str, str], Item] = field(default_factory=dict)

    def fetch(self, needed: Iterable[keys.Key]) -> None:
        """Read the rows that the next checks need, and drop those read before. Raises Busy."""
        row_keys = list(needed)
        self.rows = get_many(self.piece(), row_keys, consistent=self.consistent) if row_keys else {}

    def row(self, key: keys.Key) -> Item | None:
        """One of the rows that `fetch` read, or None."""
        return self.rows.get((key["PK"]["S"], key["SK"]["S"]))

    def row_now(self, key: keys.Key) -> Item | None:
        """A row that few checks need, read now (strongly consistent), or None. Raises Busy."""
        return get(self.piece(), key)

    def catalog(self, version: int) -> Catalog | None:
        """A catalog version, or None. Versions never change, so each is read once. Raises Busy."""
        if version == first_catalog().version:
            return first_catalog()
        if version not in self.catalogs:
            if len(self.catalogs) >= MAX_CATALOGS:
                self.catalogs.clear()
            item = self.row_now(keys.catalog_version(version))
            if item is None:
                return None
            self.catalogs[version] = catalog_from_item(item)
        return self.catalogs[version]

    def was_on_sale(self, purchase: Purchase) -> bool:
        """Whether any version of the catalog sold a pack with the purchase's terms. Raises Busy."""
        sold = (purchase.pack, purchase.credits, purchase.amount, purchase.currency, purchase.valid_months)
        current = self.row_now(keys.CATALOG)
        newest = int(current["version"]["N"]) if current else first_catalog().version
        versions = (self.catalog(version) for version in range(newest, 0, -1))
        return any(
            sold == (pack.id, pack.credits, pack.amount, pack.currency, pack.valid_months)
            for version in versions
            if version
            for pack in version.packs
        )
