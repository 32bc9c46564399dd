"""The bodies of responses: a second computation of each number that a caller sees, from the stored ledger."""

import json
from collections import Counter
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from tests.oracle.account import State
from tests.oracle.calendar import civil_day, time_text
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.requests import Debit
from tests.oracle.rows import EXPIRES_AT, GRANTED, GRANTED_AT, KIND, NUMBER, REMAINING, Row
from tests.oracle.rules import Effect, Refusal

CSV_COLUMNS = (
    "entry", "at", "type", "credits", "quota", "owed", "feature", "quantity", "description", "customer", "reference",
    "source", "balance_after", "quota_remaining", "lot", "purchase", "actor",
)  # fmt: skip
NOT_COMPLETE = "This file is not complete."
PROFILE = ("name", "language", "manager_contact")


def lot_id(number: int) -> str:
    return f"lot_{number:012d}"


# Spending and granting


def consumption(line: Json, number: int) -> Json:
    """The response to a debit, from its entry."""
    return {
        "id": f"con_{number:012d}",
        "entry": number,
        "feature": line["feature"],
        "quantity": line["quantity"],
        "credits": -line["credits"],
        "quota": -line["quota"],
        "draws": [draw(row, line) for row in line["draws"]],
        "balance": {"available": line["balance_after"], "quota_remaining": line["quota_remaining"]},
        "created_at": time_text(line["at"]),
    }


def insufficient(facts: Json) -> Json:
    """The members of a 402 that the rules give, from a Refusal's facts."""
    renews_at = facts["renews_at"]
    return {**facts, "renews_at": None if renews_at is None else time_text(renews_at)}


def quote(account: str, as_of: int, state: State, request: Debit, would: Effect | Refusal) -> Json:
    """state: the account at `as_of`, before what the debit would do."""
    body = {"account": account, "as_of": time_text(as_of), "feature": request.feature, "quantity": request.quantity}
    if isinstance(would, Refusal):
        facts = insufficient(would.facts)
        return body | {
            "affordable": False,
            "credits": facts["needed"],
            "quota": facts["quota_remaining"],
            "draws": [],
            "missing": facts["needed"] - facts["available"],
            "suggested_pack": facts["suggested_pack"],
            "renews_at": facts["renews_at"],
        }
    return body | {
        "affordable": True,
        "credits": state.available - would.after.available,
        "quota": sum(row[1] for row in would.draws if row[0] == "quota"),
        "draws": [draw(row, would.says) for row in would.draws],
        "missing": 0,
    }


def grant(line: Json, number: int) -> Json:
    """The response to a grant, from its entry."""
    row = line["lot"]
    return {
        "id": f"gra_{number:012d}",
        "entry": number,
        "kind": row[KIND],
        "credits": row[GRANTED],
        "lot": lot_id(row[NUMBER]),
        "reason": line["description"],
        "expires_at": time_text(row[EXPIRES_AT]),
        "balance": {"available": line["balance_after"], "quota_remaining": line["quota_remaining"]},
        "created_at": time_text(line["at"]),
    }


def hold(line: Json, number: int) -> Json:
    """The response to a hold, from its entry."""
    return {
        "id": f"hold_{number:012d}",
        "entry": number,
        **_charge(line),
        "lapses_at": time_text(line["lapses_at"]),
        **_afterwards(line),
    }


def capture(line: Json, number: int) -> Json:
    """The response to a capture, from its entry."""
    return {
        "id": f"cap_{number:012d}",
        "entry": number,
        "hold": f"hold_{line['holds'][0]:012d}",
        **_charge(line),
        "returned": [draw(row, line) for row in line.get("returned", [])],
        "expired": [draw(row, line) for row in line.get("expired", [])],
        **_afterwards(line),
    }


def release(line: Json, number: int) -> Json:
    """The response to a release, from its entry."""
    return {
        "id": f"rel_{number:012d}",
        "entry": number,
        "hold": f"hold_{line['holds'][0]:012d}",
        "feature": line["feature"],
        "quantity": line["quantity"],
        "returned": [draw(row, line) for row in line["draws"]],
        "expired": [draw(row, line) for row in line.get("expired", [])],
        **_afterwards(line),
    }


def reversal(line: Json, number: int) -> Json:
    """The response to a reversal, from its entry."""
    owed = line.get("owed", 0)
    return {
        "id": f"rev_{number:012d}",
        "entry": number,
        "reversed_entry": line["reverses"],
        "feature": line["feature"],
        "quantity": line["quantity"],
        "credits": line["credits"] - owed,
        "quota": -sum(row[1] for row in line["draws"] if row[0] == "quota"),
        "owed": owed,
        "draws": [draw(row, line) for row in line["draws"]],
        "lot": lot_id(line["lot"][NUMBER]) if "lot" in line else None,
        "reason": line.get("description", ""),
        **_afterwards(line),
    }


def erasure(line: Json, number: int) -> Json:
    """What an erasure's entry answers."""
    return {
        "id": f"era_{number:012d}",
        "entry": number,
        "entries": line["quantity"],
        "created_at": time_text(line["at"]),
    }


def _charge(line: Json) -> Json:
    """What a hold reserves or a capture spends."""
    return {
        "feature": line["feature"],
        "quantity": line["quantity"],
        "credits": sum(row[2] for row in line["draws"] if row[0] == "lot"),
        "quota": sum(row[1] for row in line["draws"] if row[0] == "quota"),
        "draws": [draw(row, line) for row in line["draws"]],
    }


def _afterwards(line: Json) -> Json:
    balance = {"available": line["balance_after"], "quota_remaining": line["quota_remaining"]}
    return {"balance": balance, "created_at": time_text(line["at"])}


def void(line: Json, after: State, number: int) -> Json:
    """The response to a void, from its entry. after: the account after it."""
    [[_, lot, credits, _]] = line["draws"]
    return {
        "id": f"voi_{number:012d}",
        "entry": number,
        "grant": f"gra_{lot:012d}",
        "lot": lot_id(lot),
        "credits": credits,
        "remaining": sum(row[REMAINING] for row in after.lots if row[NUMBER] == lot),
        "reason": line["description"],
        "balance": {"available": line["balance_after"], "quota_remaining": line["quota_remaining"]},
        "created_at": time_text(line["at"]),
    }


def draw(row: Row, line: Json) -> Json:
    """line: of the draw's entry. A quota is of the entry's feature unless it names another."""
    if row[0] == "quota":
        return {"source": "quota", "feature": [*row, line.get("feature")][2], "units": row[1]}
    return {"source": "lot", "lot": lot_id(row[1]), "credits": row[2], "expires_at": time_text(row[3])}


# Reading


def balance(account: str, state: State, catalog: CatalogVersion, number: int, as_of: int) -> Json:
    """state: after entry `number`, as it is at `as_of`."""
    limits = state.limits(catalog)
    quotas = [
        {
            "feature": feature,
            "limit": limit,
            "used": state.used.get(feature, 0),
            "remaining": max(0, limit - state.used.get(feature, 0)),
            "renews_at": time_text(state.renews_at),
        }
        for feature, limit in limits.items()
    ]
    return {
        "account": account,
        "status": state.terms["status"],
        "as_of": time_text(as_of),
        "entry": number,
        "credits": {
            "available": state.available,
            "held": state.held,
            "owed": state.owed,
            "next_expiry_at": time_text(state.lots[0][EXPIRES_AT]) if state.lots else None,
            "lots": [
                {
                    "lot": lot_id(row[NUMBER]),
                    "kind": row[KIND],
                    "granted": row[GRANTED],
                    "remaining": row[REMAINING],
                    "granted_at": time_text(row[GRANTED_AT]),
                    "expires_at": time_text(row[EXPIRES_AT]),
                }
                for row in state.lots
            ],
        },
        "quotas": quotas,
        "features": {
            feature: _usable(state, catalog, feature, price)
            for feature, price in catalog.prices.items()
            if catalog.offers("feature", feature) or feature in limits
        },
    }


def _usable(state: State, catalog: CatalogVersion, feature: str, price: int) -> Json:
    if not state.active or not catalog.offers("feature", feature):
        return {"price": price, "can_use": False, "units_left": 0}
    if not price:
        return {"price": 0, "can_use": True, "units_left": None}
    left = state.left_for(feature, catalog) + state.available // price
    return {"price": price, "can_use": left > 0, "units_left": left}


def source(line: Json) -> str | None:
    """What an entry draws on."""
    kinds = {"credits" if row[0] == "lot" else "quota" for row in line["draws"]}
    return "both" if len(kinds) > 1 else next(iter(kinds), None)


def entry(line: Json, number: int) -> Json:
    """An entry in the history."""
    texts = ("feature", "quantity", "description", "customer", "reference", "purchase")
    return {
        "entry": number,
        "at": time_text(line["at"]),
        "type": line["type"],
        "credits": line["credits"],
        "quota": line["quota"],
        "quotas": [{"feature": name, "units": units} for name, units in quotas_moved(line).items()],
        "owed": line.get("owed", 0),
        **{name: line.get(name) for name in texts},
        "source": source(line),
        "balance_after": line["balance_after"],
        "quota_remaining": line["quota_remaining"],
        "draws": [draw(row, line) for row in line["draws"]],
        "holds": [f"hold_{placed:012d}" for placed in ([number] if "lapses_at" in line else line.get("holds", []))],
        "returned": [draw(row, line) for row in line.get("returned", [])],
        "expired": [draw(row, line) for row in line.get("expired", [])],
        "reverses": line.get("reverses"),
        "lot": _lot(line),
        "actor": line["actor"],
        "erased": line.get("erased", False),
    }


def quotas_moved(line: Json) -> dict[str, int]:
    """An entry about a feature moves the quota of that feature only."""
    if "quotas" in line:
        return dict(line["quotas"])
    return {line["feature"]: line["quota"]} if "feature" in line and line["quota"] else {}


def usage(account_id: str, zone: str, by: str, lines: Iterable[Json]) -> Json:
    """What the entries of a span used, by civil days or months of a zone."""
    periods: dict[str, Counter[tuple[str, str, str]]] = {}
    for line in lines:
        sign = {"consumption": 1, "capture": 1, "reversal": -1}.get(line["type"])
        if sign is None:
            continue
        period = civil_day(line["at"], zone).isoformat()[: 10 if by == "day" else 7]
        sums, feature = periods.setdefault(period, Counter()), line["feature"]
        # A reversal of a past period's units subtracts them, though the quota doesn't get them back.
        quota = sum(row[1] for row in line["draws"] if row[0] == "quota") - line.get("past_quota", 0)
        # What a reversal returned to an account that owes pays the debt, and no lot shows it.
        paid = min(0, line.get("owed", 0)) if line["type"] == "reversal" else 0
        sums[feature, "quota", "units"] += quota
        sums[feature, "credits", "units"] += sign * line["quantity"] - quota
        sums[feature, "credits", "credits"] += paid + sum(row[2] for row in line["draws"] if row[0] == "lot")
    totals: Counter[tuple[str, str, str]] = Counter()
    for sums in periods.values():
        totals.update(sums)
    shown = [{"period": period, "uses": _uses(sums)} for period, sums in sorted(periods.items())]
    return {
        "account": account_id,
        "time_zone": zone,
        "by": by,
        "totals": _uses(totals),
        "periods": [period for period in shown if period["uses"]],
        "next_from": None,
    }


def _uses(sums: Counter[tuple[str, str, str]]) -> list[Json]:
    uses = [
        {
            "feature": feature,
            "source": source,
            "units": sums[feature, source, "units"],
            "credits": sums[feature, source, "credits"],
        }
        for feature in sorted({feature for feature, _, _ in sums})
        for source in ("quota", "credits")
    ]
    return [use for use in uses if use["units"] or use["credits"]]


def _lot(line: Json) -> str | None:
    """The lot that an entry granted or voided."""
    if line["type"] == "void":
        return lot_id(line["draws"][0][1])
    return lot_id(line["lot"][NUMBER]) if "lot" in line else None


def csv_text(entries: Iterable[Json], cursor: str | None) -> str:
    """Entries as a CSV file. Of the texts that tests write, a spreadsheet would run only those that begin with "="."""
    lines = [",".join(CSV_COLUMNS)]
    for shown in entries:
        cells = ["" if shown[name] is None else str(shown[name]) for name in CSV_COLUMNS]
        if shown["erased"]:
            cells[CSV_COLUMNS.index("customer")] = "erased"
        lines.append(",".join("'" + cell if cell.startswith("=") else cell for cell in cells))
    if cursor:
        notice = f"{NOT_COMPLETE} The same request with cursor={cursor} continues it."
        lines.append(notice + "," * (len(CSV_COLUMNS) - 1))
    return "\ufeff" + "".join(f"{line}\r\n" for line in lines)


def account(account_id: str, terms: Json, profile: Json) -> Json:
    return {"account": account_id, **terms, **{name: profile.get(name) for name in PROFILE}}


def listed(account_id: str, state: State, profile: Json, last: int) -> Json:
    """An account in the list of all. last: the time of its newest entry."""
    return {
        "account": account_id,
        "name": profile["name"],
        "plan": state.terms["plan"],
        "status": state.terms["status"],
        "available": state.available,
        "held": state.held,
        "owed": state.owed,
        "last_entry_at": time_text(last),
    }


def catalog(version: CatalogVersion) -> Json:
    return {
        "version": version.version,
        "features": [
            {
                "id": feature,
                "price": price,
                "active": version.offers("feature", feature),
                "titles": version.titles[f"feature {feature}"],
            }
            for feature, price in version.prices.items()
        ],
        "plans": [
            {
                "id": plan,
                "quotas": quotas,
                "active": version.offers("plan", plan),
                "titles": version.titles[f"plan {plan}"],
            }
            for plan, quotas in version.quotas.items()
        ],
        "packs": list(version.packs.values()),
    }


def packs(version: CatalogVersion) -> Json:
    """The packs on sale, all of one currency: each one's price per credit, and its saving against the smallest."""
    on_sale = sorted(
        (pack for pack in version.packs.values() if pack["active"]),
        key=lambda pack: (pack["credits"], pack["amount"], pack["id"]),
    )
    prices = [Fraction(pack["amount"], pack["credits"]) for pack in on_sale]
    cheapest = prices.index(min(prices))
    shown = [
        {
            **{name: pack[name] for name in ("id", "credits", "amount", "currency", "valid_months")},
            "price_per_credit": _decimal(price),
            "saving_percent": max(0, int(100 - 100 * price / prices[0])),
            "best_value": place == cheapest and price < prices[0],
        }
        for place, (pack, price) in enumerate(zip(on_sale, prices, strict=True))
    ]
    return {"packs": shown}


def _decimal(price: Fraction) -> str:
    """Half up to nine places, without the zeros at the end."""
    exact = Decimal(price.numerator) / Decimal(price.denominator)
    return f"{exact.quantize(Decimal('1e-9'), ROUND_HALF_UP):f}".rstrip("0").removesuffix(".")


# Buying


def purchase(record: Json, lots: list[Row]) -> Json:
    """lots: rows, as they were granted."""
    return {
        **{name: record[name] for name in ("id", "state", "pack", "credits", "amount", "currency", "valid_months")},
        "checkout_url": record.get("checkout_url"),
        "voucher": voucher(record) if record["state"] == "pending" else None,
        "lot": lot_id(lots[-1][NUMBER]) if lots else None,
        "expires_at": time_text(lots[-1][EXPIRES_AT]) if lots else None,
        "refunded_amount": record["refunded"],
        "disputed_amount": record["disputed"],
        "revoked_credits": record["revoked"],
        "created_at": time_text(record["created_at"]),
    }


def voucher(record: Json) -> Json | None:
    """What a purchase is paid with: stored as a row of method, code, end and PDF."""
    if "voucher" not in record:
        return None
    method, code, end, pdf = json.loads(record["voucher"])
    return {"method": method, "code": code, "expires_at": time_text(end), "pdf": pdf}


def purchases(shown: dict[str, Any]) -> Json:
    """shown: bodies by id, far fewer than a page holds."""
    return {"purchases": [shown[purchase_id] for purchase_id in sorted(shown, reverse=True)], "next_cursor": None}
