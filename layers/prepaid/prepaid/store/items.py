"""Conversion of entries to items and back, and digests. The hash chain covers the stored bytes: never rewrite them.

An entry's item holds `line` (the event) and `state` (the account after it), both compact JSON, and `hash`, which covers
both, the key and the previous hash. Times are milliseconds since 1970 and lots are short rows, so that an entry with
eight lots still fits in one kilobyte, the size of a write unit.
"""

import json
from base64 import urlsafe_b64encode
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from prepaid.core.account import Account, Lot, Terms
from prepaid.core.calendar import instant, milliseconds
from prepaid.core.entry import Draw, Entry, LotDraw, QuotaDraw
from prepaid.core.ids import lot_id, lot_number
from prepaid.core.ledger import Debit, Grant, Void
from prepaid.store import keys
from prepaid.store.dynamodb import Item

GENESIS_HASH = bytes(32)
# The operation's name in a claim's hash. Hashes are permanent, so the names don't depend on the classes' names.
OPERATION_NAMES = {Debit: "consumption", Grant: "grant", Void: "void"}
OPTIONAL_FIELDS = ("feature", "quantity", "description", "customer", "reference", "purchase", "key")
# Six characters, so that the line fits in a write unit. A key with another key's digest gives an attacker nothing.
KEY_DIGEST_CHARACTERS = 6
CHECKSUM = "checksum"


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
    )
    return Entry(
        type=line["type"],
        credits=line["credits"],
        quota=line["quota"],
        owed=line.get("owed", 0),
        quota_remaining=line["quota_remaining"],
        draws=tuple(_draw_from_row(row, line.get("feature")) for row in line["draws"]),
        actor=line["actor"],
        catalog_version=line["catalog_version"],
        after=after,
        lot=lot_from_row(line["lot"]) if "lot" in line else None,
        quotas=line.get("quotas") or _quotas_of(line.get("feature"), line["quota"]),
        **{name: line[name] for name in OPTIONAL_FIELDS if name in line},
    )


def chain_hash(previous_hash: bytes, partition: str, sort: str, line: str, state: str) -> bytes:
    """SHA-256 over the previous hash and the entry's key, line and state. No part can contain the newline separator."""
    return sha256(previous_hash + f"{partition}\n{sort}\n{line}\n{state}".encode()).digest()


def request_hash(operation: Debit | Grant | Void) -> bytes:
    """A hash of the request's content, independent of the actor and the JSON formatting (rule 5).

    It omits absent fields, so that a field added later doesn't turn a retry with an old key into a different request.
    """
    fields = {name: value for name, value in asdict(operation).items() if value is not None and name != "actor"}
    return sha256(_dump({"operation": OPERATION_NAMES[type(operation)], **fields}, sort_keys=True).encode()).digest()


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
        "draws": [_draw_to_row(draw) for draw in entry.draws],
        "actor": entry.actor,
        "catalog_version": entry.catalog_version,
        **({"lot": lot_to_row(entry.lot)} if entry.lot else {}),
        **({"owed": entry.owed} if entry.owed else {}),
        **({"quotas": entry.quotas} if entry.quotas != _quotas_of(entry.feature, entry.quota) else {}),
        **optional,
    }


def _state(account: Account) -> dict[str, Any]:
    return {
        "terms": terms_to_row(account.terms),
        "quotas_used": account.quotas_used,
        "quota_renews_at": milliseconds(account.quota_renews_at),
        "lots": [lot_to_row(lot) for lot in account.lots],
        **({"owed": account.owed} if account.owed else {}),
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


def _draw_to_row(draw: Draw) -> list[str | int]:
    if isinstance(draw, QuotaDraw):
        return ["quota", draw.units]
    return ["lot", lot_number(draw.lot), draw.credits, milliseconds(draw.expires_at)]


def _quotas_of(feature: str | None, units: int) -> dict[str, int]:
    """The change of each quota by an entry with a feature: it moves that feature's only."""
    return {feature: units} if feature and units else {}


def _draw_from_row(row: list[Any], feature: str | None) -> Draw:
    if row[0] == "quota":
        assert feature is not None
        return QuotaDraw(feature, row[1])
    return LotDraw(lot_id(row[1]), row[2], instant(row[3]))


def _dump(value: Any, *, sort_keys: bool = False) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort_keys, default=_instant_text)


def _instant_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(type(value))
