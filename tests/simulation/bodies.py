"""What the bodies of answers say about what is stored, made from the auditor's copies alone."""

import csv
import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.simulation.books import EXPIRES_AT, NUMBER, Goods, Json, Row
from tests.simulation.stage import instant

if TYPE_CHECKING:
    from tests.simulation.world import Answer

COLUMNS = (
    "entry", "at", "type", "credits", "quota", "owed", "feature", "quantity", "description", "customer", "reference",
    "source", "balance_after", "quota_remaining", "lot", "purchase", "actor",
)  # fmt: skip
OK = 200
PROFILE = ("name", "language", "low_credit_threshold", "manager_contact")


def time_text(milliseconds: int) -> str:
    return instant(milliseconds).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def account_body(account: str, terms: Json, profile: Json) -> Json:
    return {"account": account, **terms, **{name: profile.get(name) for name in PROFILE}}


def catalog_body(goods: Goods) -> Json:
    return {
        "version": goods.version,
        "features": [
            {"id": feature, "price": price, "quota_backed": feature == goods.backed}
            for feature, price in goods.prices.items()
        ],
        "plans": [{"id": plan, "quota": quota} for plan, quota in goods.quotas.items()],
        "packs": list(goods.packs.values()),
    }


def packs_body(goods: Goods) -> Json:
    """The shop window. All packs of the simulation are of one currency."""
    on_sale = sorted(
        (pack for pack in goods.packs.values() if pack["active"]),
        key=lambda pack: (pack["credits"], pack["amount"], pack["id"]),
    )
    prices = [Fraction(pack["amount"], pack["credits"]) for pack in on_sale]
    cheapest = prices.index(min(prices))
    packs = [
        {
            **{name: pack[name] for name in ("id", "credits", "amount", "currency", "valid_months")},
            "price_per_credit": round(pack["amount"] / pack["credits"], 4),
            "saving_percent": max(0, int(100 - 100 * price / prices[0])),
            "best_value": place == cheapest and price < prices[0],
        }
        for place, (pack, price) in enumerate(zip(on_sale, prices, strict=True))
    ]
    return {"packs": packs}


def purchase_body(record: Json, lots: list[Row]) -> Json:
    """lots: rows, as they were granted."""
    return {
        **{name: record[name] for name in ("id", "state", "pack", "credits", "amount", "currency", "valid_months")},
        "checkout_url": record.get("checkout_url"),
        "lot": f"lot_{lots[-1][NUMBER]:012d}" if lots else None,
        "expires_at": time_text(lots[-1][EXPIRES_AT]) if lots else None,
        "refunded_amount": record["refunded"],
        "disputed_amount": record["disputed"],
        "revoked_credits": record["revoked"],
        "created_at": time_text(record["created_at"]),
    }


def purchases_body(shown: dict[str, Any]) -> Json:
    """shown: bodies by id. Far fewer than a page holds."""
    return {"purchases": [shown[one] for one in sorted(shown, reverse=True)], "next_cursor": None}


def csv_text(entries: list[Json]) -> str:
    """Entries as a spreadsheet reads them. Of what the simulation's clients say only a leading "=" would be run."""
    lines = [",".join(COLUMNS)]
    for entry in entries:
        cells = ["" if entry[name] is None else str(entry[name]) for name in COLUMNS]
        lines.append(",".join("'" + cell if cell.startswith("=") else cell for cell in cells))
    return "".join(f"{line}\r\n" for line in lines)


def entries_shown(answer: "Answer | None") -> list[int]:
    """The numbers of a history's lines, JSON or CSV."""
    if answer is None or answer.status != OK:
        return []
    if isinstance(answer.body, str):
        return [int(line["entry"]) for line in csv.DictReader(io.StringIO(answer.body))]
    return [entry["entry"] for entry in answer.body["entries"]]


def next_cursor(answer: "Answer | None") -> str | None:
    """Where a history goes on, if it does."""
    if answer is None or answer.status != OK:
        return None
    found = answer.headers.get("next-cursor") if isinstance(answer.body, str) else answer.body["next_cursor"]
    return found or None
