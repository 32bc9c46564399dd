"""What a look at the table sees beside the rows it is given: rows they name, catalogue versions, the time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from prepaid.core.catalogue import Catalogue
from prepaid.core.purchase import Purchase
from prepaid.store import keys
from prepaid.store.catalogue import catalogue_from_item, first_catalogue
from prepaid.store.dynamodb import Item, Patience, Table, get, get_many, persist
from prepaid.verifying.tally import Tally

# More than a stack sees in years; then they are read again.
MAX_CATALOGUES = 200


@dataclass(slots=True, kw_only=True)
class View:
    """One look.

    consistent: whether rows are read as they are at this instant; a first look may see them a moment ago. cutoff: what
    is dated before it was all there when the pass began. catalogues: versions that were read; they never change. tally:
    of what is older than `cutoff`; None for a second look. found: what `look_up` was asked for.
    """

    table: Table
    patience: Patience
    now: datetime
    consistent: bool
    cutoff: datetime
    catalogues: dict[int, Catalogue]
    tally: Tally | None = None
    found: dict[tuple[str, str], Item] = field(default_factory=dict)

    def look_up(self, wanted: Iterable[keys.Key]) -> None:
        """Read rows that the next checks ask for, in place of those read before. Raises Busy."""
        asked = list(wanted)
        self.found = persist(self.patience, get_many, self.table, asked, consistent=self.consistent) if asked else {}

    def row(self, key: keys.Key) -> Item | None:
        """One of the rows that were looked up."""
        return self.found.get((key["PK"]["S"], key["SK"]["S"]))

    def row_now(self, key: keys.Key) -> Item | None:
        """A row that is seldom asked for. Raises Busy."""
        return persist(self.patience, get, self.table, key)

    def catalogue(self, version: int) -> Catalogue | None:
        """A version, if there is one. Versions never change, so each is read once. Raises Busy."""
        if version == first_catalogue().version:
            return first_catalogue()
        if version not in self.catalogues:
            if len(self.catalogues) >= MAX_CATALOGUES:
                self.catalogues.clear()
            item = self.row_now(keys.catalogue_version(version))
            if item is None:
                return None
            self.catalogues[version] = catalogue_from_item(item)
        return self.catalogues[version]

    def was_on_sale(self, purchase: Purchase) -> bool:
        """Whether some version of the catalogue sold what the purchase says. Raises Busy."""
        sold = (purchase.pack, purchase.credits, purchase.amount, purchase.currency, purchase.valid_months)
        current = self.row_now(keys.CATALOGUE)
        newest = int(current["version"]["N"]) if current else first_catalogue().version
        versions = (self.catalogue(version) for version in range(newest, 0, -1))
        return any(
            sold == (pack.id, pack.credits, pack.amount, pack.currency, pack.valid_months)
            for version in versions
            if version
            for pack in version.packs
        )
