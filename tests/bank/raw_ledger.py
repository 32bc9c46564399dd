"""An account's raw entries, and the request that each of them carries out."""

from dataclasses import dataclass
from typing import Any

from tests.bank.history import Attempt
from tests.oracle import requests, rules, stored_form
from tests.oracle.account import State
from tests.oracle.catalog import Json
from tests.oracle.ledger import Ledger
from tests.oracle.rows import EXPIRES_AT, GRANTED, KIND
from tests.support.store_driver import Stored

type Line = dict[str, Any]


@dataclass(frozen=True)
class RawLedger:
    """An account's raw entries. lines[n] and states[n] are entry n's; number 0 is before the account was opened.

    number_of: the entry that each key claims. keys: by what an entry stores of them, as far as anybody used them.
    sent: by key, the texts of the first request with it. oracle: the same ledger, as far as it follows the rules.
    """

    account: str
    items: list[Json]
    lines: list[Line]
    states: list[State]
    number_of: dict[str, int]
    keys: dict[str, str]
    sent: dict[str, Json]
    oracle: Ledger

    @property
    def last(self) -> int:
        return len(self.lines) - 1

    def key_of(self, number: int) -> str | None:
        """The key of the request that an entry carries out; its digest when nobody used such a key."""
        digest = self.lines[number].get("key")
        return None if digest is None else self.keys.get(digest, digest)

    def texts_of(self, number: int) -> Json:
        """The texts of an entry; of an erased one, those that its request had."""
        line = self.lines[number]
        if "erased" not in line:
            return {name: line[name] for name in rules.TEXTS if name in line}
        own = self.sent.get(self.key_of(number) or "", {})
        match line["type"]:
            case "capture":
                return self.texts_of(line["holds"][0])
            case "reversal":
                charge = self.texts_of(line["reverses"])
                return {name: charge[name] for name in ("customer", "reference") if name in charge} | own
        return own


def read_ledger(account: str, attempts: list[Attempt], items: Stored) -> RawLedger:
    """The account's raw entries and claims, with a number 0 before the first."""
    rows = [item for (_, sort), item in sorted(items.items()) if sort.startswith("ENTRY#")]
    lines = [stored_form.line_of(row) for row in rows]
    states = [State.of(stored_form.state_of(row)) for row in rows]
    nothing = State(terms={"plan": "none", "ai_enabled": False}, used={}, renews_at=0)
    claims = {
        partition.partition("#")[2].partition("#")[2]: int(item["number"]["N"])
        for (partition, _), item in items.items()
        if partition.startswith("CLAIM#")
    }
    sent: dict[str, Json] = {}
    for request in (attempt.request for attempt in attempts):
        if request.key is not None and request.body is not None:
            texts = {"description": request.body["reason"]} if "reason" in request.body else {}
            texts |= {name: request.body[name] for name in ("customer", "reference") if name in request.body}
            sent.setdefault(request.key, texts)
    keys = {str(rules.key_digest(key)): key for key in (*sent, *claims, *_keys_without_body(attempts))}
    return RawLedger(account, rows, [{}, *lines], [nothing, *states], claims, keys, sent, Ledger(account))


def _keys_without_body(attempts: list[Attempt]) -> set[str]:
    return {attempt.request.key for attempt in attempts if attempt.request.key is not None}


def request_of(ledger: RawLedger, number: int) -> requests.Request:  # noqa: PLR0911 - one case for each kind
    """The request that an entry states to carry out. Another check finds whether a client sent it."""
    line = ledger.lines[number]
    actor, key, texts = line["actor"], ledger.key_of(number), ledger.texts_of(number)
    match line["type"]:
        case "consumption":
            return requests.Debit(actor=actor, feature=line["feature"], quantity=line["quantity"], key=key, texts=texts)
        case "hold":
            return requests.PlaceHold(
                actor=actor,
                feature=line["feature"],
                quantity=line["quantity"],
                ttl_seconds=(line["lapses_at"] - line["at"]) // 1000,
                key=key,
                texts=texts,
            )
        case "capture":
            [hold] = line["holds"]
            _read_again(ledger, number, hold)
            return requests.Capture(actor=actor, hold=hold, quantity=line["quantity"], key=key)
        case "release" if actor != rules.SERVICE:
            [hold] = line["holds"]
            return requests.Release(actor=actor, hold=hold, key=key)
        case "reversal":
            _read_again(ledger, number, line["reverses"])
            reason = texts.get("description")
            return requests.Reverse(
                actor=actor, entry=line["reverses"], quantity=line["quantity"], description=reason, key=key
            )
        case "grant" | "adjustment":
            row = line["lot"]
            return requests.Grant(
                actor=actor,
                kind=row[KIND],
                credits=row[GRANTED],
                expires_at=row[EXPIRES_AT],
                description=texts.get("description"),
                key=key,
            )
        case "void":
            [[_, lot, credits, _]] = line["draws"]
            return requests.Void(actor=actor, lot=lot, credits=credits, description=texts.get("description"), key=key)
        case "erasure":
            return requests.Erase(actor=actor, entries=line["quantity"], key=key)
        case "plan_change":
            return requests.PutTerms(actor=actor, terms=ledger.states[number].terms)
    return requests.Settle()


def _read_again(ledger: RawLedger, number: int, original: int) -> None:
    """Capture and reversal repeat the texts of the entry that they are about, as they were when it was read: all of
    them, or none after an erasure."""
    if "erased" not in ledger.lines[original] or not 0 < original <= ledger.oracle.number:
        return
    texts = {"customer", "reference"} & ledger.texts_of(number).keys()
    kept = {name: value for name, value in ledger.oracle.lines[original - 1].items() if name not in rules.TEXTS}
    ledger.oracle.lines[original - 1] = kept | (ledger.texts_of(original) if texts else {})
