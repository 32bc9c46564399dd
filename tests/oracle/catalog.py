"""What the rules need to know of a catalog."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

type Json = dict[str, Any]

FIRST_CATALOG = Path(__file__).parents[2] / "layers/prepaid/prepaid/core/first_catalog.json"


@dataclass(frozen=True)
class CatalogVersion:
    """One version of the catalog. quotas: units by feature, by plan. since: when it came into force.

    retired: features and plans that the version keeps for what refers to them. titles: of features and plans.
    """

    version: int
    prices: dict[str, int]
    quotas: dict[str, dict[str, int]]
    packs: dict[str, Json]
    since: int
    retired: frozenset[str]
    titles: dict[str, Json]

    @classmethod
    def of(cls, body: Json, since: int = 0) -> "CatalogVersion":
        """From the catalog's JSON."""
        named = {
            f"{kind} {item['id']}": item
            for kind, items in (("feature", body["features"]), ("plan", body["plans"]))
            for item in items
        }
        return cls(
            version=body["version"],
            prices={feature["id"]: feature["price"] for feature in body["features"]},
            quotas={plan["id"]: dict(plan.get("quotas", {})) for plan in body["plans"]},
            packs={pack["id"]: pack for pack in body["packs"]},
            since=since,
            retired=frozenset(name for name, item in named.items() if not item.get("active", True)),
            titles={name: item.get("titles", {}) for name, item in named.items()},
        )

    def offers(self, kind: str, name: str) -> bool:
        """Whether a feature or plan of this version is active."""
        return f"{kind} {name}" not in self.retired

    def followed_by(self, body: Json, since: int) -> "CatalogVersion":
        """The next version: what the request lists, and the rest of this version as retired."""
        new = CatalogVersion.of({"version": self.version + 1, **body}, since)
        prices = {feature: price for feature, price in self.prices.items() if feature not in new.prices}
        quotas = {plan: quota for plan, quota in self.quotas.items() if plan not in new.quotas}
        packs = {pack: {**terms, "active": False} for pack, terms in self.packs.items() if pack not in new.packs}
        gone = {f"feature {feature}" for feature in prices} | {f"plan {plan}" for plan in quotas}
        return replace(
            new,
            prices=new.prices | prices,
            quotas=new.quotas | quotas,
            packs=new.packs | packs,
            retired=new.retired | gone,
            titles=self.titles | new.titles,
        )

    def smallest_pack_covering(self, credits: int, currency: str | None) -> str | None:
        """The smallest pack on sale in a currency with at least so many credits (rule 4)."""
        on_sale = [pack for pack in self.packs.values() if pack["active"]]
        wanted = currency or (on_sale[0]["currency"] if on_sale else None)
        covering = [pack for pack in on_sale if pack["currency"] == wanted and pack["credits"] >= credits]
        smallest = min(covering, key=lambda pack: (pack["credits"], pack["amount"], pack["id"]), default=None)
        return str(smallest["id"]) if smallest else None


def first_catalog() -> CatalogVersion:
    """The version that every stack starts with, from its data file."""
    return CatalogVersion.of(json.loads(FIRST_CATALOG.read_text("utf-8")))
