"""Entries as the table holds them: read into the full form that the rules use, and written back.

A line and a state in full have every member by its whole name, rows for lots and draws, and zeros. What the table
holds is short: see the top of the service's `store/items.py`. Shares no code with it.
"""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from tests.oracle.catalog import Json
from tests.oracle.expectation import must, same

type Row = list[Any]

VERSION = 1
ERASED = "erased "
TEXTS = ("description", "customer", "reference")
KINDS = {"p": "purchase", "g": "promotion", "a": "adjustment"}
LETTERS = {kind: letter for letter, kind in KINDS.items()}
# The service writes the descriptions of these itself, and they name no person.
NOTED = ("purchase", "plan_change")
SALT_LETTERS = 22
PLAIN = ("feature", "quantity", "purchase", "key", "quotas", "reverses", "past_quota", "holds")


def read(item: Json) -> tuple[Json, Json]:
    """Line and state in full. Raises Broken, KeyError, ValueError for what the service doesn't write."""
    line, state = _nothing_empty(json.loads(item["line"]["S"])), _nothing_empty(json.loads(item["state"]["S"]))
    same(line.pop("v"), VERSION, "the version of the form")
    lots = lot_rows(state.pop("lots")) if "lots" in state else []
    full: Json = {
        "at": line.pop("at"),
        "type": line.pop("type"),
        "credits": line.pop("credits", 0),
        "quota": line.pop("quota", 0),
        "balance_after": sum(row[3] for row in lots),
        "quota_remaining": line.pop("left", 0),
        "draws": [_draw_row(draw) for draw in line.pop("draws", [])],
        "actor": line.pop("by"),
        "catalog_version": line.pop("catalog"),
        **{name: [_draw_row(draw) for draw in line.pop(name)] for name in ("returned", "expired") if name in line},
        **({"lapses_at": line.pop("lapses")} if "lapses" in line else {}),
        **({"lot": lot_row(line.pop("lot"))} if "lot" in line else {}),
        **{name: line.pop(name) for name in (*PLAIN, "owed") if name in line},
        **_texts(item, line.pop("texts", None)),
        **({"description": line.pop("note")} if "note" in line else {}),
    }
    must(full["type"] in NOTED or "note" not in json.loads(item["line"]["S"]), "a note of the service's own")
    must(not line, f"unknown members of a line: {sorted(line)}")
    after: Json = {
        "terms": state.pop("terms"),
        "quotas_used": state.pop("used", {}),
        "quota_renews_at": state.pop("renews"),
        "lots": lots,
        **({"owed": state.pop("owed")} if "owed" in state else {}),
        **({"holds": [hold_row(texts) for texts in state.pop("holds")]} if "holds" in state else {}),
    }
    must(not state, f"unknown members of a state: {sorted(state)}")
    return full, after


def line_of(item: Json) -> Json:
    return read(item)[0]


def state_of(item: Json) -> Json:
    return read(item)[1]


def written(line: Json, state: Json, salt: str = "") -> dict[str, str]:
    """The attributes line, state and texts, of line and state in full. salt: as it is stored, if there are texts."""
    texts = None
    noted = line["type"] in NOTED
    if any(name in line for name in TEXTS[noted:]):
        texts = _dumped([salt, *(None if noted and name == "description" else line.get(name) for name in TEXTS)])
    short: Json = {
        "v": VERSION,
        "at": line["at"],
        "type": line["type"],
        **{name: line[name] for name in (*PLAIN,) if name in line},
        **{name: line[name] for name in ("credits", "quota", "owed") if line.get(name)},
        **({"left": line["quota_remaining"]} if line["quota_remaining"] else {}),
        **{
            name: [_draw_text(row) for row in line[name]] for name in ("draws", "returned", "expired") if line.get(name)
        },
        **({"lapses": line["lapses_at"]} if "lapses_at" in line else {}),
        **({"lot": lot_text(line["lot"])} if "lot" in line else {}),
        "by": line["actor"],
        "catalog": line["catalog_version"],
        **({"note": line["description"]} if noted and "description" in line else {}),
        **({"texts": digest(texts)} if texts else {}),
    }
    after: Json = {
        "terms": state["terms"],
        **({"used": state["quotas_used"]} if state["quotas_used"] else {}),
        "renews": state["quota_renews_at"],
        **({"lots": ",".join(lot_text(row) for row in state["lots"])} if state["lots"] else {}),
        **({"owed": state["owed"]} if state.get("owed") else {}),
        **({"holds": [hold_texts(row) for row in state["holds"]]} if state.get("holds") else {}),
    }
    return {"line": _dumped(short), "state": _dumped(after), **({"texts": texts} if texts else {})}


def digest(texts: str) -> str:
    """The line's digest of the stored texts."""
    return urlsafe_b64encode(sha256(texts.encode()).digest()[:16]).decode().rstrip("=")


def lot_rows(text: str) -> list[Row]:
    """All lots in one text."""
    return [lot_row(lot) for lot in text.split(",")]


def lot_row(text: str) -> Row:
    """[number, kind, granted, remaining, granted at, expires at]."""
    number, letter, granted, granted_at, expires_at, *remaining = text.split(" ")
    left = int(remaining[0]) if remaining else int(granted)
    row = [int(number), KINDS[letter], int(granted), left, int(granted_at, 36), int(expires_at, 36)]
    same(lot_text(row), text, "a lot, as it is written")
    return row


def lot_text(row: Row) -> str:
    number, kind, granted, remaining, granted_at, expires_at = row
    words = [number, LETTERS[kind], granted, _base_36(granted_at), _base_36(expires_at)]
    return " ".join(map(str, words if remaining == granted else [*words, remaining]))


def hold_row(texts: list[str]) -> Row:
    """[number, feature, quantity, lapses at, lots], and units of quota and their period, if there are any."""
    number, feature, quantity, lapses_at, *quota = texts[0].split(" ")
    units = [int(quota[0]), quota[1]] if quota else []
    return [int(number), feature, int(quantity), int(lapses_at, 36), [lot_row(text) for text in texts[1:]], *units]


def hold_texts(row: Row) -> list[str]:
    number, feature, quantity, lapses_at, lots, *quota = row
    words = [number, feature, quantity, _base_36(lapses_at), *quota]
    return [" ".join(map(str, words)), *(lot_text(lot) for lot in lots)]


def _draw_row(draw: Any) -> Row:
    if isinstance(draw, int):
        return ["quota", draw]
    words = draw.split(" ")
    if len(words) == 2:
        return ["quota", int(words[0]), words[1]]
    return ["lot", int(words[0]), int(words[1]), int(words[2], 36)]


def _draw_text(row: Row) -> Any:
    if row[0] == "lot":
        return f"{row[1]} {row[2]} {_base_36(row[3])}"
    return row[1] if len(row) == 2 else f"{row[1]} {row[2]}"


def _texts(item: Json, expected: str | None) -> Json:
    """The texts by name; nothing of them once they are erased. They are those that the line covers."""
    stored = item["texts"]["S"] if "texts" in item else None
    if stored is not None and stored.startswith(ERASED):
        must(expected is not None, "texts are erased only where there were some")
        return {"erased": True}
    same(digest(stored) if stored is not None else None, expected, "the digest of the texts")
    if stored is None:
        return {}
    salt, *texts = json.loads(stored)
    same(len(salt), SALT_LETTERS, "the length of a salt")
    return {name: text for name, text in zip(TEXTS, texts, strict=True) if text is not None}


def _nothing_empty(members: Json) -> Json:
    """What is empty is left out."""
    # A capture of nothing says so, and so does an erasure that found no entry.
    kept = {"quantity"}
    left_out = [name for name, value in members.items() if name not in kept and not value and value is not False]
    must(not left_out, f"empty members: {left_out}")
    return members


def _base_36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
