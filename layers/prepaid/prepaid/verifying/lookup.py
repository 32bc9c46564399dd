"""What a look at the table sees beside the rows it is given: rows they name, catalog versions, the time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from prepaid.core.catalog import Catalog
from prepaid.core.purchase import Purchase
from prepaid.store import keys
from prepaid.store.catalog import catalog_from_item, first_catalog
from prepaid.store.dynamodb import Item, Patience, Table, get, get_many, persist
from prepaid.verifying.tally import Tally

# More than a stack sees in years; then they are read again.
MAX_CATALOGS = 200


@dataclass(slots=True, kw_only=True)
class RowLookup:
    """One look.

    consistent: whether rows are read as they are at this instant; a first look may see them a moment ago. cutoff: what
    is dated before it was all there when the pass began. catalogs: versions that were read; they never change. tally:
    of what is older than `cutoff`; None for a second look. found: what `fetch` was asked for.
    """

    table: Table
    patience: Patience
    now: datetime
    consistent: bool
    cutoff: datetime
    catalogs: dict[int, Catalog]
    tally: Tally | None = None
    found: dict[tuple[str, str], Item] = field(default_factory=dict)

    def fetch(self, wanted: Iterable[keys.Key]) -> None:
        """Read rows that the next checks ask for, in place of those read before. Raises Busy."""
        asked = list(wanted)
        self.found = persist(self.patience, get_many, self.table, asked, consistent=self.consistent) if asked else {}

    def row(self, key: keys.Key) -> Item | None:
        """One of the rows that were looked up."""
        return self.found.get((key["PK"]["S"], key["SK"]["S"]))

    def row_now(self, key: keys.Key) -> Item | None:
        """A row that is seldom asked for. Raises Busy."""
        return persist(self.patience, get, self.table, key)

    def catalog(self, version: int) -> Catalog | None:
        """A version, if there is one. Versions never change, so each is read once. Raises Busy."""
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
        """Whether some version of the catalog sold what the purchase says. Raises Busy."""
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
