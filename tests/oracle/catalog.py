"""What the rules need to know of a catalog."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

type Json = dict[str, Any]

FIRST_CATALOG = Path(__file__).parents[2] / "layers/prepaid/prepaid/core/first_catalog.json"


@dataclass(frozen=True)
class CatalogVersion:
    """One version of the catalog. backed: the feature that the quota pays for. since: when it came into force."""

    version: int
    prices: dict[str, int]
    backed: str | None
    quotas: dict[str, int]
    packs: dict[str, Json]
    since: int

    @classmethod
    def of(cls, body: Json, since: int = 0) -> "CatalogVersion":
        """From the catalog's JSON."""
        return cls(
            version=body["version"],
            prices={feature["id"]: feature["price"] for feature in body["features"]},
            backed=next((feature["id"] for feature in body["features"] if feature["quota_backed"]), None),
            quotas={plan["id"]: plan["quota"] for plan in body["plans"]},
            packs={pack["id"]: pack for pack in body["packs"]},
            since=since,
        )

    def smallest_pack_covering(self, credits: int) -> str | None:
        """The smallest pack on sale with at least so many credits (rule 4)."""
        covering = [pack for pack in self.packs.values() if pack["active"] and pack["credits"] >= credits]
        smallest = min(covering, key=lambda pack: (pack["credits"], pack["amount"], pack["id"]), default=None)
        return str(smallest["id"]) if smallest else None


def first_catalog() -> CatalogVersion:
    """The version that every stack starts with, from its data file."""
    return CatalogVersion.of(json.loads(FIRST_CATALOG.read_text("utf-8")))
