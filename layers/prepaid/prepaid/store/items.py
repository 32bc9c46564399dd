"""Conversion of entries to items and back, and digests. The hash chain covers the stored bytes: never rewrite them.

An entry's item:

    line    the event, compact JSON. `v` is the version of the form of line and state
    state   the account after the event, compact JSON
    texts   a salt and the texts that can name a person, or a placeholder once they are erased; absent without texts
    hash    of the previous hash, the key, the line and the state

The line holds a digest of `texts`, so the chain covers the texts without containing them: erasing them breaks no hash,
and a changed text doesn't match its digest. The salt prevents guessing the texts from the digest.

Zero and empty values are left out. Times that people read are milliseconds since 1970. A lot or a draw is one text of
several words, with its times in base 36, so that an entry with twelve lots, two quotas and a hold fits in one kilobyte,
the size of a write unit:

    "12 p 1000 mb2k0g00 nxk3a800 998"    lot 12, purchased, 1000 credits granted, granted at, expires at, 998 remain
    "12 p 1000 mb2k0g00 nxk3a800"        the same with all its credits
    "12 p 1000 mb2k0g00 nxk3a800,13 …"   all lots of an account, in the order in which they are spent
    "12 2 nxk3a800"                      2 credits drawn from lot 12, expires at
    5                                    5 units drawn from the quota of the entry's feature
    "5 sticker"                          the same of another feature

A hold is a list of texts: itself, and what each lot pays for it:

    "120 sticker 9 mb2k0g00"             hold 120, of 9 units, lapses at
    "120 sticker 9 mb2k0g00 4 2026-07"   the same; the quota of the period that ends in that month pays for 4 of them
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, date, datetime
from functools import cache
from hashlib import sha256
from typing import Any

from prepaid.core.account import DEFAULT_LOW_CREDIT_THRESHOLD, Account, Charge, Hold, Lot, LotKind, Terms
from prepaid.core.calendar import instant, milliseconds
from prepaid.core.entry import Draw, Entry, EntryType, LotDraw, QuotaDraw
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ids import lot_id, lot_number
from prepaid.core.ledger import Debit, Erase, Grant, Void
from prepaid.core.reversing import Reverse
from prepaid.store import keys
from prepaid.store.dynamodb import Item

FORM_VERSION = 1
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
    Erase: "erasure",
}
# The fields of an operation that don't come from the client's request; for other operations, only the actor.
NOT_IN_REQUEST: dict[type, frozenset[str]] = {
    Capture: frozenset({"actor", "description", "customer", "reference"}),
    Reverse: frozenset({"actor", "charge", "reversed", "customer", "reference"}),
    Erase: frozenset({"actor", "entries"}),
}
# The texts of an entry that can name a person, in the order in which they are stored.
TEXTS = ("description", "customer", "reference")
# Types whose description the service writes. It names no person, so it is stored in the line.
DESCRIBED_BY_SERVICE: tuple[EntryType, ...] = ("purchase", "plan_change")
# The beginning of the placeholder that replaces erased texts. The digest of the erasure's key follows.
ERASED = "erased "
SALT_BYTES = 16
OPTIONAL_FIELDS = ("feature", "quantity", "purchase", "key", "reverses", "past_quota")
LETTER_OF: dict[LotKind, str] = {"purchase": "p", "promotion": "g", "adjustment": "a"}
KIND_OF: dict[str, LotKind] = {letter: kind for kind, letter in LETTER_OF.items()}
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Six characters, so that the line fits in a write unit. A key with another key's digest gives an attacker nothing.
KEY_DIGEST_CHARACTERS = 6
CHECKSUM = "checksum"

# The operations that a client requests with an idempotency key.
Claimable = Debit | PlaceHold | Capture | Release | Reverse | Grant | Void | Erase


def entry_to_item(entry: Entry, previous_hash: bytes, salt: bytes = b"") -> Item:
    """The item of an entry that follows the one with `previous_hash`. salt: SALT_BYTES if the entry has texts."""
    key = keys.entry(entry.after.id, entry.number)
    texts = _texts(entry, salt)
    line, state = line_and_state(entry, texts_digest(texts) if texts else None)
    digest = chain_hash(previous_hash, key["PK"]["S"], key["SK"]["S"], line, state)
    optional = {"texts": {"S": texts}} if texts else {}
    return {**key, "line": {"S": line}, "state": {"S": state}, **optional, "hash": {"B": digest}}


def line_and_state(entry: Entry, digest: str | None) -> tuple[str, str]:
    """The stored line and state of an entry. digest: of its texts."""
    return _dump(_line(entry, digest)), _dump(_state(entry.after))


def entry_from_item(item: Item) -> Entry:
    """The entry stored in an item. Raises ValueError for a form that this version doesn't know."""
    line, state = json.loads(item["line"]["S"]), json.loads(item["state"]["S"])
    if line["v"] != FORM_VERSION:
        raise ValueError(f"unknown form {line['v']}")
    feature = line.get("feature")
    after = Account(
        id=item["PK"]["S"].removeprefix(keys.ledger("")),
        number=int(item["SK"]["S"].removeprefix(keys.ENTRY_PREFIX)),
        at=instant(line["at"]),
        terms=terms_from_row(state["terms"]),
        quotas_used=state.get("used", {}),
        quota_renews_at=instant(state["renews"]),
        lots=lots_from_text(state.get("lots", "")),
        owed=state.get("owed", 0),
        holds=tuple(hold_from_texts(texts) for texts in state.get("holds", ())),
    )
    return Entry(
        type=line["type"],
        credits=line.get("credits", 0),
        quota=line.get("quota", 0),
        owed=line.get("owed", 0),
        quota_remaining=line.get("left", 0),
        quotas=line.get("quotas") or _quotas_of(feature, line.get("quota", 0)),
        draws=_draws_from(line.get("draws", ()), feature),
        actor=line["by"],
        catalog_version=line["catalog"],
        after=after,
        lot=lot_from_text(line["lot"]) if "lot" in line else None,
        lapses_at=instant(line["lapses"]) if "lapses" in line else None,
        holds=tuple(line.get("holds", ())),
        returned=_draws_from(line.get("returned", ()), feature),
        expired=tuple(_lot_draw_from(stored) for stored in line.get("expired", ())),
        erased=_is_erased(item),
        **{name: line[name] for name in OPTIONAL_FIELDS if name in line},
        **(_texts_from(item) | ({"description": line["note"]} if "note" in line else {})),
    )


def texts_digest(texts: str) -> str:
    """The digest of an entry's stored texts, for its line. The texts begin with their salt."""
    return _base64(sha256(texts.encode()).digest()[:16])


def customer_of(item: Item) -> str | None:
    """The customer that an entry's item names."""
    return _texts_from(item).get("customer")


def digest_of_key_in(item: Item) -> str | None:
    """The digest of the key that an entry's item has."""
    digest: str | None = json.loads(item["line"]["S"]).get("key")
    return digest


def erased_by(idempotency_key: str) -> str:
    """The placeholder that an erasure with this key leaves instead of an entry's texts."""
    return f"{ERASED}{key_digest(idempotency_key)}"


def texts_differ(item: Item) -> bool:
    """Whether an entry's item has other texts than its line covers. Erased texts don't count as different."""
    digest, texts = json.loads(item["line"]["S"]).get("texts"), item.get("texts", {}).get("S")
    if _is_erased(item):
        return digest is None or len(texts) != len(erased_by(""))
    expected: str | None = texts_digest(texts) if texts is not None else None
    return bool(digest != expected)


def salt_of(salt: bytes, number: int) -> bytes:
    """The salt of entry `number`, derived from the salt of a write. An entry's salt reveals no other entry's."""
    return sha256(salt + str(number).encode()).digest()[:SALT_BYTES] if salt else b""


def chain_hash(previous_hash: bytes, partition: str, sort: str, line: str, state: str) -> bytes:
    """SHA-256 over the previous hash and the entry's key, line and state. No part can contain the newline separator."""
    return sha256(previous_hash + f"{partition}\n{sort}\n{line}\n{state}".encode()).digest()


def request_hash(operation: Claimable) -> bytes:
    """A hash of the request's content, independent of the actor and the JSON formatting (rule 5).

    It leaves out the texts, which are compared with the entry's own: a hash of them would outlive their erasure. It
    omits absent fields, so that a field added later doesn't turn a retry with an old key into a different request.
    """
    content = {name: value for name, value in _request_fields(operation) if name not in TEXTS and value is not None}
    return sha256(_dump({"operation": OPERATION_NAMES[type(operation)], **content}, sort_keys=True).encode()).digest()


def request_texts(operation: Claimable) -> Iterator[tuple[str, str | None]]:
    """The texts of a request, by name; None for a text that the client could have sent but didn't."""
    return ((name, value) for name, value in _request_fields(operation) if name in TEXTS)


def _request_fields(operation: Claimable) -> Iterator[tuple[str, Any]]:
    kind: type = type(operation)
    return ((name, getattr(operation, name)) for name in _request_field_names(kind))


@cache
def _request_field_names(operation: type) -> tuple[str, ...]:
    left_out = NOT_IN_REQUEST.get(operation, frozenset({"actor"}))
    return tuple(field.name for field in fields(operation) if field.name not in left_out)


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
    """The request hash of a link to the subscription page. None: the request leaves the field to its default."""
    content = {"operation": "portal_link", "language": language, "return_url": return_url}
    return sha256(_dump(content, sort_keys=True).encode()).digest()


def key_digest(idempotency_key: str) -> str:
    """The short digest of a key that an entry or purchase stores. The claim stores the key itself."""
    return _base64(sha256(idempotency_key.encode()).digest())[:KEY_DIGEST_CHARACTERS]


def checksummed(item: Item) -> Item:
    """The item with a checksum over all its attributes, which reveals changes from outside: it has no hash chain."""
    return {**item, CHECKSUM: {"B": checksum(item)}}


def checksum(item: Item) -> bytes:
    """The checksum of all attributes except the checksum itself; none of them is binary."""
    attributes = {name: value for name, value in item.items() if name != CHECKSUM}
    return sha256(_dump(attributes, sort_keys=True).encode()).digest()[:16]


def _line(entry: Entry, digest: str | None) -> dict[str, Any]:
    optional = {name: getattr(entry, name) for name in OPTIONAL_FIELDS if getattr(entry, name) is not None}
    noted = entry.type in DESCRIBED_BY_SERVICE and entry.description is not None
    sums = {"credits": entry.credits, "quota": entry.quota, "owed": entry.owed, "left": entry.quota_remaining}
    return {
        "v": FORM_VERSION,
        "at": milliseconds(entry.at),
        "type": entry.type,
        **optional,
        **{name: value for name, value in sums.items() if value},
        **({"quotas": entry.quotas} if entry.quotas != _quotas_of(entry.feature, entry.quota) else {}),
        **_draws_to(entry),
        **({"lapses": milliseconds(entry.lapses_at)} if entry.lapses_at else {}),
        **({"holds": entry.holds} if entry.holds else {}),
        **({"lot": lot_to_text(entry.lot)} if entry.lot else {}),
        "by": entry.actor,
        "catalog": entry.catalog_version,
        **({"note": entry.description} if noted else {}),
        **({"texts": digest} if digest else {}),
    }


def _draws_to(entry: Entry) -> dict[str, list[str | int]]:
    all_draws = {"draws": entry.draws, "returned": entry.returned, "expired": entry.expired}
    return {name: [_draw_to(draw, entry.feature) for draw in draws] for name, draws in all_draws.items() if draws}


def _state(account: Account) -> dict[str, Any]:
    return {
        "terms": terms_to_row(account.terms),
        **({"used": account.quotas_used} if account.quotas_used else {}),
        "renews": milliseconds(account.quota_renews_at),
        **({"lots": lots_to_text(account.lots)} if account.lots else {}),
        **({"owed": account.owed} if account.owed else {}),
        **({"holds": [hold_to_texts(hold) for hold in account.holds]} if account.holds else {}),
    }


def _texts(entry: Entry, salt: bytes) -> str | None:
    """The texts as they are stored, with their salt; None when the entry has none."""
    own_words = {"description"} if entry.type in DESCRIBED_BY_SERVICE else set()
    texts = [None if name in own_words else getattr(entry, name) for name in TEXTS]
    if not any(text is not None for text in texts):
        return None
    assert len(salt) == SALT_BYTES, "texts need a salt"
    return _dump([_base64(salt), *texts])


def _is_erased(item: Item) -> bool:
    return "texts" in item and item["texts"]["S"].startswith(ERASED)


def _texts_from(item: Item) -> dict[str, str]:
    """The stored texts that are present, by name. Raises ValueError for a malformed row."""
    if "texts" not in item or _is_erased(item):
        return {}
    _, *texts = json.loads(item["texts"]["S"])
    return {name: text for name, text in zip(TEXTS, texts, strict=True) if text is not None}


def terms_to_row(terms: Terms) -> list[str | int | None]:
    """Terms as a short row, to leave room for many lots in a kilobyte. Defaults at its end are left out."""
    row: list[str | int | None] = [
        terms.plan,
        terms.ai_enabled,
        terms.quota_anchor_day,
        terms.time_zone,
        terms.currency,
    ]
    if terms.status != "active":
        return [*row, terms.low_credit_threshold, terms.status]
    return [*row, terms.low_credit_threshold] if terms.low_credit_threshold != DEFAULT_LOW_CREDIT_THRESHOLD else row


def terms_from_row(row: list[Any]) -> Terms:
    """The terms in a row."""
    plan, ai_enabled, quota_anchor_day, time_zone, currency, *rest = row
    return Terms(
        plan=plan,
        ai_enabled=ai_enabled,
        quota_anchor_day=quota_anchor_day,
        time_zone=time_zone,
        currency=currency,
        low_credit_threshold=rest[0] if rest else DEFAULT_LOW_CREDIT_THRESHOLD,
        status=rest[1] if len(rest) > 1 else "active",
    )


def lots_to_text(lots: Iterable[Lot]) -> str:
    """Lots in one text, with commas between them: as a list of texts, 500 lots would take a kilobyte more."""
    return ",".join(lot_to_text(lot) for lot in lots)


def lots_from_text(text: str) -> tuple[Lot, ...]:
    """The lots in a text. Raises KeyError, ValueError."""
    return tuple(lot_from_text(lot) for lot in text.split(",")) if text else ()


def lot_to_text(lot: Lot) -> str:
    """A lot as words."""
    words = [str(lot.number), LETTER_OF[lot.kind], str(lot.granted), _time_to(lot.granted_at), _time_to(lot.expires_at)]
    return " ".join([*words, str(lot.remaining)] if lot.remaining != lot.granted else words)


def lot_from_text(text: str) -> Lot:
    """The lot in words. Raises KeyError, ValueError."""
    number, letter, granted, granted_at, expires_at, *remaining = text.split(" ")
    return Lot(
        number=int(number),
        kind=KIND_OF[letter],
        granted=int(granted),
        remaining=int(remaining[0] if remaining else granted),
        granted_at=_time_from(granted_at),
        expires_at=_time_from(expires_at),
    )


def _quotas_of(feature: str | None, units: int) -> dict[str, int]:
    """The quota changes of an entry with a feature: it changes no other feature's quota."""
    return {feature: units} if feature and units else {}


def hold_to_texts(hold: Hold) -> list[str]:
    """A hold as texts: itself, and what each lot pays for it."""
    charge = hold.charge
    words = f"{hold.number} {charge.feature} {charge.quantity} {_time_to(hold.lapses_at)}"
    quota = f" {charge.quota} {charge.period:%Y-%m}" if charge.period else ""
    return [words + quota, *(lot_to_text(lot) for lot in charge.lots)]


def hold_from_texts(texts: list[str]) -> Hold:
    """The hold in texts. Raises KeyError, ValueError."""
    words, *lots = texts
    number, feature, quantity, lapses_at, *quota = words.split(" ")
    charge = Charge(
        feature=feature,
        quantity=int(quantity),
        quota=int(quota[0]) if quota else 0,
        period=date.fromisoformat(f"{quota[1]}-01") if quota else None,
        lots=tuple(lot_from_text(lot) for lot in lots),
    )
    return Hold(number=int(number), charge=charge, lapses_at=_time_from(lapses_at))


def _draw_to(draw: Draw, feature: str | None) -> str | int:
    if isinstance(draw, QuotaDraw):
        return draw.units if draw.feature == feature else f"{draw.units} {draw.feature}"
    return f"{lot_number(draw.lot)} {draw.credits} {_time_to(draw.expires_at)}"


def _draws_from(stored: Iterable[str | int], feature: str | None) -> tuple[Draw, ...]:
    return tuple(_draw_from(draw, feature) for draw in stored)


def _draw_from(stored: str | int, feature: str | None) -> Draw:
    if isinstance(stored, int):
        assert feature is not None
        return QuotaDraw(feature, stored)
    units, _, other_feature = stored.partition(" ")
    return _lot_draw_from(stored) if " " in other_feature else QuotaDraw(other_feature, int(units))


def _lot_draw_from(stored: str) -> LotDraw:
    number, credits, expires_at = stored.split(" ")
    return LotDraw(lot_id(int(number)), int(credits), _time_from(expires_at))


def _time_to(at: datetime) -> str:
    """Milliseconds since 1970 in base 36."""
    number, digits = milliseconds(at), ""
    while number > 0:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits or "0"


def _time_from(text: str) -> datetime:
    return instant(int(text, 36))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _dump(value: Any, *, sort_keys: bool = False) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort_keys, default=_instant_text)


def _instant_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(type(value))
