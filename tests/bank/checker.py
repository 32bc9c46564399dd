"""Holds histories against the table: is there an order in which each request took effect at one moment between being
sent and being answered, and is everything that was answered, and nothing else, in the ledgers?

The ledger gives the order of an account's entries; c(n) is the unknown moment at which entry n was written. An answer
that names entry n bounds it from above, the sending of what wrote n from below, and a balance as of entry n says that
c(n) <= its answer and its sending <= c(n+1). As the c(n) must grow with n, bounds spread along the ledger; the account
is linearizable in all of these exactly when no lower bound exceeds its upper one. A refusal, and a change of terms,
must be true of a state that can have been the account's between sending and answer.

Knows the written format, the contract's answers and the rules; shares no code with the service.
"""

import json
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from math import inf
from typing import Any

from tests.bank.history import BUSY, Attempt, Heard
from tests.bank.model import BACKED, PRICE, Line, State, faults_of, state_of
from tests.bank.wishes import Wish
from tests.support.ledger_audit import Audited, audit
from tests.support.store_driver import Stored

CREATED, OK, INSUFFICIENT, NOT_FOUND, CONFLICT, INVALID = 201, 200, 402, 404, 409, 422
MAX_LOTS = 500
DAY_MILLISECONDS = 86_400_000
GRANT_TYPES = {"promotion": "grant", "adjustment": "adjustment"}


@dataclass(frozen=True)
class Verdict:
    """faults: in words, each with its account. totals: of all ledgers. counts: what the histories were made of."""

    faults: list[str]
    totals: Counter[str]
    counts: Counter[str]


@dataclass(frozen=True)
class Ledger:
    """An account's raw entries. lines[n] and states[n] are entry n's; number 0 is before the account was opened."""

    account: str
    lines: list[Line]
    states: list[State]
    number_of: dict[str, int]

    @property
    def last(self) -> int:
        return len(self.lines) - 1


@dataclass
class Bounds:
    """When each entry was written, in monotonic nanoseconds: not before lower[n], not after upper[n]."""

    lower: list[float]
    upper: list[float]

    def not_before(self, number: int, at: float) -> None:
        if number < len(self.lower):
            self.lower[number] = max(self.lower[number], at)

    def not_after(self, number: int, at: float) -> None:
        self.upper[number] = min(self.upper[number], at)

    def spread(self) -> None:
        self.lower = list(accumulate(self.lower, max))
        self.upper = list(accumulate(reversed(self.upper), min))[::-1]

    def held(self, sent: float, answered: float) -> range:
        """The entries that can have been the newest at some moment between."""
        return range(max(0, bisect_left(self.upper, sent) - 1), bisect_right(self.lower, answered))


@dataclass
class AccountCheck:
    """One account's check as it goes."""

    ledger: Ledger
    bounds: Bounds
    faults: list[str] = field(default_factory=list)

    def demand(self, true: object, otherwise: str, about: Attempt | None = None) -> bool:
        if not true:
            asked = f" ({about})" if about else ""
            self.faults.append(f"{self.ledger.account}: {otherwise}{asked}")
        return bool(true)


def check(histories: Iterable[Attempt], items: Stored) -> Verdict:
    """Everything that is wrong with a finished run, nothing when it is right."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in histories:
        attempts[attempt.wish.account].append(attempt)
    stored = items_by_account(items)
    faults = [f"{account}: nobody ever asked for it" for account in stored.keys() - attempts.keys()]
    totals: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for account, asked in attempts.items():
        own = stored.get(account, {})
        faults += check_account(account, asked, own)
        try:
            totals.update(_sums(audit(own, account)))
        except (AssertionError, KeyError) as error:
            faults.append(f"{account}: the audit says {error!r}")
        counts.update(_counts(asked, own, account))
    if totals["granted"] != totals["available"] + totals["spent"] + totals["expired"]:
        faults.append(f"credits appeared or vanished: {totals}")
    return Verdict(faults, totals, counts)


def items_by_account(items: Stored) -> dict[str, Stored]:
    """Each account's entries, claims and due rows; what belongs to none stands under its partition."""
    owned: dict[str, Stored] = defaultdict(dict)
    for (partition, sort), item in items.items():
        kind, _, rest = partition.partition("#")
        owner = {"ACCOUNT": rest, "CLAIM": rest.partition("#")[0], "DUE": sort.partition("#")[0]}.get(kind, partition)
        owned[owner][partition, sort] = item
    return owned


def check_account(account: str, attempts: list[Attempt], items: Stored) -> list[str]:
    """What is wrong with one account's history or ledger."""
    ledger = read_ledger(account, items)
    one = AccountCheck(ledger, Bounds([-inf] * (ledger.last + 1), [inf] * (ledger.last + 1)))
    _check_rules(one)
    _check_claims(one)
    _check_due_rows(one, items)
    _bound_by_requests(one, attempts)
    told = [(attempt, attempt.heard) for attempt in attempts if attempt.heard and attempt.heard.status != BUSY]
    for attempt, heard in told:
        _bound_by_answer(one, attempt, heard)
    one.bounds.spread()
    for number, (low, high) in enumerate(zip(one.bounds.lower, one.bounds.upper, strict=True)):
        if not one.demand(
            low <= high, f"entry {number} was seen {(low - high) / 1e6} ms before it can have been there"
        ):
            break
    for attempt, heard in told:
        _check_flexible(one, attempt, heard)
    _check_once(one, told)
    return one.faults


def read_ledger(account: str, items: Stored) -> Ledger:
    """The account's raw entries and claims, with a number 0 before the first."""
    rows = [item for (_, sort), item in sorted(items.items()) if sort.startswith("ENTRY#")]
    lines = [json.loads(row["line"]["S"]) for row in rows]
    states = [state_of(line, json.loads(row["state"]["S"])) for line, row in zip(lines, rows, strict=True)]
    nothing = State(terms={"plan": "none", "ai_enabled": False}, quota_used=0, quota_renews_at=0, lots=(), at=0)
    claims = {
        partition.partition("#")[2].partition("#")[2]: int(item["number"]["N"])
        for (partition, _), item in items.items()
        if partition.startswith("CLAIM#")
    }
    return Ledger(account, [{}, *lines], [nothing, *states], claims)


def _check_rules(one: AccountCheck) -> None:
    """Every entry follows from the one before it."""
    ledger = one.ledger
    for number in range(1, ledger.last + 1):
        line, before, after = ledger.lines[number], ledger.states[number - 1], ledger.states[number]
        for fault in faults_of(before, number, line, after):
            one.demand(False, f"entry {number}: {fault}")
        one.demand(line["balance_after"] >= 0, f"entry {number} leaves less than nothing")


def _check_claims(one: AccountCheck) -> None:
    """A key has one claim, the claim one entry, the entry that key written in it."""
    claimed = {number: key for key, number in one.ledger.number_of.items()}
    one.demand(len(claimed) == len(one.ledger.number_of), "two keys claim one entry")
    for number, line in enumerate(one.ledger.lines):
        key = _written_key(line)
        one.demand(claimed.pop(number, None) == key, f"entry {number} of key {key} is not claimed by it")
    one.demand(not claimed, f"claims of entries that are not there: {claimed}")


def _check_due_rows(one: AccountCheck, items: Stored) -> None:
    """Each lot's end is on the sweep's list, as part of its grant's transaction."""
    due = {sort.partition("#")[2] for partition, sort in items if partition.startswith("DUE#")}
    lots = {f"lot_{line['lot'][0]:012d}" for line in one.ledger.lines if "lot" in line}
    one.demand(due == lots, f"due rows and lots differ in {sorted(due ^ lots)}")


def _bound_by_requests(one: AccountCheck, attempts: list[Attempt]) -> None:
    """An entry was not written before somebody asked for exactly it."""
    asked: dict[str | None, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.wish.ask != "balance":
            asked[attempt.wish.key].append(attempt)
    for number, line in enumerate(one.ledger.lines):
        if line.get("type") not in {"consumption", "grant", "adjustment", "plan_change"}:
            continue
        causes = [a.at for a in asked[_written_key(line)] if _asks_for(a.wish, line, one.ledger.states[number])]
        if one.demand(causes, f"nobody asked for entry {number}: {line}"):
            one.bounds.not_before(number, min(causes))


def _bound_by_answer(one: AccountCheck, attempt: Attempt, heard: Heard) -> None:
    """What an answer that names its entry says about when entries were written, and whether it says it truly."""
    wish, ledger = attempt.wish, one.ledger
    if wish.ask == "balance" and heard.status == OK:
        number = int(heard.body["entry"])
        if one.demand(1 <= number <= ledger.last, "a balance after an entry that is not there", attempt):
            one.bounds.not_after(number, heard.at)
            one.bounds.not_before(number + 1, attempt.at)
            one.demand(_balance_is_true(ledger, number, heard.body), "a balance that never was", attempt)
    elif wish.key is not None and heard.status == CREATED:
        found = ledger.number_of.get(wish.key)
        if found is None or not 1 <= found <= ledger.last:
            one.demand(False, "acknowledged and not in the ledger", attempt)
            return
        line = ledger.lines[found]
        one.bounds.not_after(found, heard.at)
        if not heard.replayed:
            one.bounds.not_before(found, attempt.at)
        if one.demand(_asks_for(wish, line, ledger.states[found]), f"another request's entry {found}", attempt):
            one.demand(_told(heard.body) == _answer_of(found, line), f"not what entry {found} says", attempt)


def _check_flexible(one: AccountCheck, attempt: Attempt, heard: Heard) -> None:
    """Refusals and changes of terms were true of a state between sending and answer; nothing else was answered."""
    wish, ledger = attempt.wish, one.ledger
    held = one.bounds.held(attempt.at, heard.at)
    number = ledger.number_of.get(wish.key or "", ledger.last + 1)
    # A key that had its effect hears of it, whatever else would refuse it.
    unclaimed = range(held.start, min(held.stop, number))
    match wish.ask, heard.status:
        case ("debit" | "grant", 201) | ("balance", 200):
            return
        case "terms", 201:
            true = 1 in range(held.start, held.stop + 1) and _has_terms(ledger.states[1], wish)
        case "terms", 200:
            true = any(_has_terms(ledger.states[number], wish) for number in held if number)
        case _, 404:
            true = 0 in held
        case "debit", 402:
            true = any(_is_insufficient(ledger.states[number], attempt, heard) for number in unclaimed if number)
        case "grant", 422:
            true = any(_has_ended(ledger.states[number], wish, heard) for number in unclaimed if number)
        case "debit" | "grant", 409 if heard.body["code"] == "idempotency_key_reused":
            true = 1 <= number <= ledger.last and number < held.stop
            true = true and not _asks_for(wish, ledger.lines[number], ledger.states[number])
        case "grant", 409 if heard.body["code"] == "too_many_lots":
            true = any(len(ledger.states[number].lots) >= MAX_LOTS for number in unclaimed)
        case _:
            true = False
    one.demand(true, "an answer that was not true at any moment between", attempt)


def _check_once(one: AccountCheck, told: list[tuple[Attempt, Heard]]) -> None:
    """Of all answers to a key one at most is the first; an account is opened once."""
    firsts = Counter(attempt.wish.key for attempt, heard in told if heard.status == CREATED and not heard.replayed)
    twice = [key or "the opening" for key, count in firsts.items() if count > 1]
    one.demand(not twice, f"answered as new more than once: {twice}")


def _written_key(line: Line) -> str | None:
    """The key that asked for an entry: clients write it into a debit's reference and a gift's reason."""
    if line.get("type") == "consumption":
        return str(line["reference"])
    return str(line["description"]) if line.get("type") in GRANT_TYPES.values() else None


def _asks_for(wish: Wish, line: Line, state: State) -> bool:
    """Whether the entry is what the request asks for."""
    body = wish.body or {}
    if wish.ask == "terms":
        return line["type"] == "plan_change" and _has_terms(state, wish)
    if wish.ask == "debit":
        return line["type"] == "consumption" and all(line[name] == value for name, value in body.items())
    if wish.ask != "grant" or line["type"] != GRANT_TYPES[body["kind"]]:
        return False
    _, kind, granted, _, granted_at, ends = line["lot"]
    if "expires_at" in body:
        right_end = ends == _milliseconds(body["expires_at"])
    else:
        days = (ends - granted_at) / DAY_MILLISECONDS
        right_end = 28 * body["valid_months"] <= days <= 31 * body["valid_months"] + 1
    return right_end and (kind, granted, line["description"]) == (body["kind"], body["credits"], body["reason"])


def _has_terms(state: State, wish: Wish) -> bool:
    asked = wish.body or {}
    return all(state.terms[name] == asked[name] for name in ("plan", "ai_enabled", "quota_anchor_day"))


def _balance_is_true(ledger: Ledger, number: int, body: Any) -> bool:
    state = ledger.states[number].settled(_milliseconds(body["as_of"]))
    lots = [[int(lot["lot"][4:]), lot["granted"], lot["remaining"]] for lot in body["credits"]["lots"]]
    quota = body["quota"] or {"limit": 0, "remaining": 0, "used": state.quota_used}
    return (
        body["credits"]["available"] == state.available
        and lots == [[row[0], row[2], row[3]] for row in state.lots]
        and (quota["limit"], quota["used"], quota["remaining"])
        == (state.quota_limit, state.quota_used, state.quota_remaining)
    )


def _is_insufficient(state: State, attempt: Attempt, heard: Heard) -> bool:
    body = attempt.wish.body or {}
    for now in _instants(state, attempt, heard):
        then = state.settled(now)
        left = then.quota_remaining if body["feature"] == BACKED else 0
        needed = (body["quantity"] - min(body["quantity"], left)) * PRICE
        said = (heard.body["needed"], heard.body["available"], heard.body["quota_remaining"])
        if said == (needed, then.available, left) and needed > then.available:
            return True
    return False


def _instants(state: State, attempt: Attempt, heard: Heard) -> list[int]:
    """The times, of those that the request can have counted with, at which the state looks different."""
    first, last = max(attempt.wall, state.at), max(heard.wall, state.at)
    ends = [row[5] for row in state.lots if first < row[5] <= last]
    return [first, *ends, *([state.quota_renews_at] if first < state.quota_renews_at <= last else [])]


def _has_ended(state: State, wish: Wish, heard: Heard) -> bool:
    ends = (wish.body or {}).get("expires_at")
    return ends is not None and _milliseconds(ends) <= max(heard.wall, state.at)


def _told(body: Any) -> Any:
    return {**body, "created_at": _milliseconds(body["created_at"])}


def _answer_of(number: int, line: Line) -> Any:
    """The body that the contract answers with, from the raw entry. Times as milliseconds."""
    balance = {"available": line["balance_after"], "quota_remaining": line["quota_remaining"]}
    if line["type"] == "consumption":
        return {
            "id": f"con_{number:012d}",
            "entry": number,
            "feature": line["feature"],
            "quantity": line["quantity"],
            "credits": -line["credits"],
            "quota": -line["quota"],
            "draws": [_draw(row) for row in line["draws"]],
            "balance": balance,
            "created_at": line["at"],
        }
    lot, kind, granted, _, _, ends = line["lot"]
    return {
        "id": f"gra_{number:012d}",
        "entry": number,
        "kind": kind,
        "credits": granted,
        "lot": f"lot_{lot:012d}",
        "reason": line["description"],
        "expires_at": _rfc3339(ends),
        "balance": balance,
        "created_at": line["at"],
    }


def _draw(row: list[Any]) -> dict[str, Any]:
    if row[0] == "quota":
        return {"source": "quota", "units": row[1]}
    return {"source": "lot", "lot": f"lot_{row[1]:012d}", "credits": row[2], "expires_at": _rfc3339(row[3])}


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _rfc3339(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def _sums(audited: Audited) -> dict[str, int]:
    names = ("entries", "available", "granted", "spent", "expired", "consumptions")
    return {name: getattr(audited, name) for name in names}


def _counts(attempts: list[Attempt], items: Stored, account: str) -> Counter[str]:
    """What one account's history was made of: `lost` were never answered, `landed` are those of them in the ledger."""
    counts: Counter[str] = Counter(operations=len({(attempt.client, attempt.index) for attempt in attempts}))
    told: set[str | None] = set()
    lost: set[str] = set()
    for attempt in attempts:
        counts["attempts"] += 1
        if attempt.heard is None:
            counts["lost"] += 1
            lost |= {attempt.wish.key} if attempt.wish.key else set()
        else:
            counts[f"status {attempt.heard.status}"] += 1
            counts["replayed"] += attempt.heard.replayed
            told.add(None if attempt.heard.replayed else attempt.wish.key)
    counts["landed"] = sum((f"CLAIM#{account}#{key}", "CLAIM") in items for key in lost - told)
    return counts
