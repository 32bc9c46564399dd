"""Conversion of entries to items and back, and digests. The hash chain covers the stored bytes: never rewrite them.

An entry's item holds `line` (the event) and `state` (the account after it), both compact JSON, and `hash`, which covers
both, the key and the previous hash. Times are milliseconds since 1970 and lots are short rows, so that an entry with
eight lots still fits in one kilobyte, the size of a write unit.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

from prepaid.core.account import Account, Charge, Hold, Lot, Terms
from prepaid.core.calendar import instant, milliseconds
from prepaid.core.entry import Draw, Entry, LotDraw, QuotaDraw
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ids import lot_id, lot_number
from prepaid.core.ledger import Debit, Grant, Void
from prepaid.core.reversing import Reverse
from prepaid.store import keys
from prepaid.store.dynamodb import Item

GENESIS_HASH = bytes(32)
# The operation's name in a claim's hash. Hashes are permanent, so the names don't depend on the classes' names.
OPERATION_NAMES: dict[type, str] = {
    Debit: "consumption",
    PlaceHold: "hold",
    Capture: "capture",
    Release: "release",
    Reverse: "reversal",
    Grant: "grant",
    Void: "void",
}
# What an operation has besides what a client asked for.
NOT_ASKED: dict[type, frozenset[str]] = {
    Capture: frozenset({"actor", "description", "customer", "reference"}),
    Reverse: frozenset({"actor", "charge", "reversed", "customer", "reference"}),
}
OPTIONAL_FIELDS = ("feature", "quantity", "description", "customer", "reference", "purchase", "key", "reverses")
# Six characters, so that the line fits in a write unit. A key with another key's digest gives an attacker nothing.
KEY_DIGEST_CHARACTERS = 6
CHECKSUM = "checksum"

# What a client asks for with a key.
Claimable = Debit | PlaceHold | Capture | Release | Reverse | Grant | Void


def entry_to_item(entry: Entry, previous_hash: bytes) -> Item:
    """The item of an entry that follows the one with `previous_hash`."""
    key = keys.entry(entry.after.id, entry.number)
    line, state = _dump(_line(entry)), _dump(_state(entry.after))
    digest = chain_hash(previous_hash, key["PK"]["S"], key["SK"]["S"], line, state)
    return {**key, "line": {"S": line}, "state": {"S": state}, "hash": {"B": digest}}


def entry_from_item(item: Item) -> Entry:
    """The entry stored in an item."""
    line, state = json.loads(item["line"]["S"]), json.loads(item["state"]["S"])
    after = Account(
        id=item["PK"]["S"].removeprefix(keys.ledger("")),
        number=int(item["SK"]["S"].removeprefix(keys.ENTRY_PREFIX)),
        at=instant(line["at"]),
        terms=terms_from_row(state["terms"]),
        quotas_used=state["quotas_used"],
        quota_renews_at=instant(state["quota_renews_at"]),
        lots=tuple(lot_from_row(row) for row in state["lots"]),
        owed=state.get("owed", 0),
        holds=tuple(hold_from_row(row) for row in state.get("holds", ())),
    )
    feature = line.get("feature")
    return Entry(
        type=line["type"],
        credits=line["credits"],
        quota=line["quota"],
        owed=line.get("owed", 0),
        quota_remaining=line["quota_remaining"],
        draws=_draws_from_rows(line["draws"], feature),
        actor=line["actor"],
        catalog_version=line["catalog_version"],
        after=after,
        lot=lot_from_row(line["lot"]) if "lot" in line else None,
        quotas=line.get("quotas") or _quotas_of(feature, line["quota"]),
        lapses_at=instant(line["lapses_at"]) if "lapses_at" in line else None,
        holds=tuple(line.get("holds", ())),
        returned=_draws_from_rows(line.get("returned", ()), feature),
        expired=tuple(_lot_draw_from_row(row) for row in line.get("expired", ())),
        **{name: line[name] for name in OPTIONAL_FIELDS if name in line},
    )


def chain_hash(previous_hash: bytes, partition: str, sort: str, line: str, state: str) -> bytes:
    """SHA-256 over the previous hash and the entry's key, line and state. No part can contain the newline separator."""
    return sha256(previous_hash + f"{partition}\n{sort}\n{line}\n{state}".encode()).digest()


def request_hash(operation: Claimable) -> bytes:
    """A hash of the request's content, independent of the actor and the JSON formatting (rule 5).

    It omits absent fields, so that a field added later doesn't turn a retry with an old key into a different request.
    """
    left_out = NOT_ASKED.get(type(operation), frozenset({"actor"}))
    names = [field.name for field in fields(operation) if field.name not in left_out]
    asked = {name: value for name in names if (value := getattr(operation, name)) is not None}
    return sha256(_dump({"operation": OPERATION_NAMES[type(operation)], **asked}, sort_keys=True).encode()).digest()


def purchase_request_hash(pack: str) -> bytes:
    """The request hash of a purchase. It differs from every operation's: a key works for one kind of request only."""
    return sha256(_dump({"operation": "purchase", "pack": pack}, sort_keys=True).encode()).digest()


def cancellation_request_hash(purchase_id: str) -> bytes:
    """The request hash of a cancellation."""
    return sha256(_dump({"operation": "cancellation", "purchase": purchase_id}, sort_keys=True).encode()).digest()


def manager_session_request_hash() -> bytes:
    """The request hash of a manager session: a constant. It excludes the code, which is compared first."""
    return sha256(_dump({"operation": "manager_session"}).encode()).digest()


def portal_link_request_hash(language: str | None, return_url: str | None) -> bytes:
    """The request hash of a link to the subscription page, with what the request says and not its defaults."""
    fields = {"operation": "portal_link", "language": language, "return_url": return_url}
    return sha256(_dump(fields, sort_keys=True).encode()).digest()


def key_digest(idempotency_key: str) -> str:
    """The short digest of a key that an entry or purchase stores. The claim stores the key itself."""
    return urlsafe_b64encode(sha256(idempotency_key.encode()).digest()).decode()[:KEY_DIGEST_CHARACTERS]


def checksummed(item: Item) -> Item:
    """The item with a checksum over all its attributes. It reveals outside changes to records without a hash chain."""
    return {**item, CHECKSUM: {"B": checksum(item)}}


def checksum(item: Item) -> bytes:
    """The checksum of all attributes except the checksum itself; none of them is binary."""
    rest = {name: value for name, value in item.items() if name != CHECKSUM}
    return sha256(_dump(rest, sort_keys=True).encode()).digest()[:16]


def _line(entry: Entry) -> dict[str, Any]:
    optional = {name: getattr(entry, name) for name in OPTIONAL_FIELDS if getattr(entry, name) is not None}
    return {
        "at": milliseconds(entry.at),
        "type": entry.type,
        "credits": entry.credits,
        "quota": entry.quota,
        "balance_after": entry.after.available,
        "quota_remaining": entry.quota_remaining,
        "draws": [_draw_to_row(draw, entry.feature) for draw in entry.draws],
        "actor": entry.actor,
        "catalog_version": entry.catalog_version,
        **({"lot": lot_to_row(entry.lot)} if entry.lot else {}),
        **({"owed": entry.owed} if entry.owed else {}),
        **({"quotas": entry.quotas} if entry.quotas != _quotas_of(entry.feature, entry.quota) else {}),
        **({"lapses_at": milliseconds(entry.lapses_at)} if entry.lapses_at else {}),
        **({"holds": entry.holds} if entry.holds else {}),
        **({"returned": [_draw_to_row(draw, entry.feature) for draw in entry.returned]} if entry.returned else {}),
        **({"expired": [_draw_to_row(draw, entry.feature) for draw in entry.expired]} if entry.expired else {}),
        **optional,
    }


def _state(account: Account) -> dict[str, Any]:
    return {
        "terms": terms_to_row(account.terms),
        "quotas_used": account.quotas_used,
        "quota_renews_at": milliseconds(account.quota_renews_at),
        "lots": [lot_to_row(lot) for lot in account.lots],
        **({"owed": account.owed} if account.owed else {}),
        **({"holds": [hold_to_row(hold) for hold in account.holds]} if account.holds else {}),
    }


def terms_to_row(terms: Terms) -> list[str | int | None]:
    """Terms as a short row, so that many lots fit in a kilobyte with them."""
    return [terms.plan, terms.ai_enabled, terms.quota_anchor_day, terms.time_zone, terms.currency]


def terms_from_row(row: list[Any]) -> Terms:
    """The terms in a row."""
    plan, ai_enabled, quota_anchor_day, time_zone, currency = row
    return Terms(
        plan=plan,
        ai_enabled=ai_enabled,
        quota_anchor_day=quota_anchor_day,
        time_zone=time_zone,
        currency=currency,
    )


def lot_to_row(lot: Lot) -> list[str | int]:
    """A lot as a short row, so that many lots fit in a kilobyte."""
    granted_at, expires_at = milliseconds(lot.granted_at), milliseconds(lot.expires_at)
    return [lot.number, lot.kind, lot.granted, lot.remaining, granted_at, expires_at]


def lot_from_row(row: list[Any]) -> Lot:
    """The lot in a row."""
    number, kind, granted, remaining, granted_at, expires_at = row
    return Lot(
        number=number,
        kind=kind,
        granted=granted,
        remaining=remaining,
        granted_at=instant(granted_at),
        expires_at=instant(expires_at),
    )


def hold_to_row(hold: Hold) -> list[Any]:
    """A hold as a short row. Its quota and their period stand at the end, if it has any."""
    charge = hold.charge
    quota = [charge.quota, charge.period.isoformat()[:7]] if charge.period else []
    lots = [lot_to_row(lot) for lot in charge.lots]
    return [hold.number, charge.feature, charge.quantity, milliseconds(hold.lapses_at), lots, *quota]


def hold_from_row(row: list[Any]) -> Hold:
    """The hold in a row."""
    number, feature, quantity, lapses_at, lots, *quota = row
    charge = Charge(
        feature=feature,
        quantity=quantity,
        quota=quota[0] if quota else 0,
        period=date.fromisoformat(f"{quota[1]}-01") if quota else None,
        lots=tuple(lot_from_row(lot) for lot in lots),
    )
    return Hold(number=number, charge=charge, lapses_at=instant(lapses_at))


def _draw_to_row(draw: Draw, feature: str | None) -> list[str | int]:
    """A draw as a short row. feature: of the entry; a quota of another one is named."""
    if isinstance(draw, QuotaDraw):
        return ["quota", draw.units] if draw.feature == feature else ["quota", draw.units, draw.feature]
    return ["lot", lot_number(draw.lot), draw.credits, milliseconds(draw.expires_at)]


def _quotas_of(feature: str | None, units: int) -> dict[str, int]:
    """The change of each quota by an entry with a feature: it moves that feature's only."""
    return {feature: units} if feature and units else {}


def _draws_from_rows(rows: Iterable[list[Any]], feature: str | None) -> tuple[Draw, ...]:
    return tuple(_draw_from_row(row, feature) for row in rows)


def _draw_from_row(row: list[Any], feature: str | None) -> Draw:
    if row[0] == "quota":
        of = row[2] if len(row) > 2 else feature  # noqa: PLR2004 - a quota of another feature is named
        assert of is not None
        return QuotaDraw(of, row[1])
    return _lot_draw_from_row(row)


def _lot_draw_from_row(row: list[Any]) -> LotDraw:
    return LotDraw(lot_id(row[1]), row[2], instant(row[3]))


def _dump(value: Any, *, sort_keys: bool = False) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort_keys, default=_instant_text)


def _instant_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(type(value))
