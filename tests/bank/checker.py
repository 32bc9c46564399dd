"""Checks histories against the table: is there an order in which each request took effect at one moment between its
sending and its response, and do the ledgers hold everything that was acknowledged, and nothing else?

The ledger gives the order of an account's entries; c(n) is the unknown moment at which entry n was written. A response
that names entry n bounds it from above, the sending of the request that wrote n from below, and a balance as of entry n
says that c(n) <= its response and its sending <= c(n+1). As the c(n) must grow with n, bounds spread along the ledger;
the account is linearizable in all of these exactly when no lower bound exceeds its upper one. A refusal, and a change
of terms, must be true of a state that can have been the account's between sending and response.

What each entry, refusal and response must be comes from tests/oracle.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from typing import Any

from tests.bank.history import BUSY, Attempt, Response
from tests.bank.requests import Request
from tests.oracle import answers, requests, rules, stored_form
from tests.oracle.account import State
from tests.oracle.calendar import end_of_validity, milliseconds_of
from tests.oracle.catalog import Json, first_catalog
from tests.oracle.expectation import Broken
from tests.oracle.ledger import Ledger
from tests.oracle.rows import EXPIRES_AT, GRANTED, GRANTED_AT, KIND, NUMBER
from tests.support.ledger_audit import Audited, audit
from tests.support.store_driver import Stored

type Line = dict[str, Any]

CREATED, OK = 201, 200
CATALOG = first_catalog()


@dataclass(frozen=True)
class Verdict:
    """faults: as texts, each with its account. totals: of all ledgers. counts: what the histories contain."""

    faults: list[str]
    totals: Counter[str]
    counts: Counter[str]


@dataclass(frozen=True)
class RawLedger:
    """An account's raw entries. lines[n] and states[n] are entry n's; number 0 is before the account was opened.

    number_of: the entry that each key claims. oracle: the same ledger, as far as it follows the rules.
    """

    account: str
    items: list[Json]
    lines: list[Line]
    states: list[State]
    number_of: dict[str, int]
    oracle: Ledger

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

    def newest_between(self, sent: float, answered: float) -> range:
        """The entries that can have been the newest at some moment between."""
        return range(max(0, bisect_left(self.upper, sent) - 1), bisect_right(self.lower, answered))


@dataclass
class AccountCheck:
    """The progress of one account's check."""

    ledger: RawLedger
    bounds: Bounds
    faults: list[str] = field(default_factory=list)

    def demand(self, true: object, otherwise: str, about: Attempt | None = None) -> bool:
        if not true:
            suffix = f" ({about})" if about else ""
            self.faults.append(f"{self.ledger.account}: {otherwise}{suffix}")
        return bool(true)


def check(histories: Iterable[Attempt], items: Stored) -> Verdict:
    """Check a finished run."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in histories:
        attempts[attempt.request.account].append(attempt)
    stored = items_by_account(items)
    faults = [f"{account}: nobody ever asked for it" for account in stored.keys() - attempts.keys()]
    totals: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for account, own_attempts in attempts.items():
        own = stored.get(account, {})
        faults += check_account(account, own_attempts, own)
        try:
            totals.update(_sums(audit(own, account)))
        except (AssertionError, KeyError) as error:
            faults.append(f"{account}: the audit says {error!r}")
        counts.update(_counts(own_attempts, own, account))
    if totals["granted"] != totals["available"] + totals["spent"] + totals["expired"] + totals["voided"]:
        faults.append(f"credits appeared or vanished: {totals}")
    return Verdict(faults, totals, counts)


def items_by_account(items: Stored) -> dict[str, Stored]:
    """Each account's entries, claims, due rows and row in the list. Under its partition's name: what has no account."""
    owned: dict[str, Stored] = defaultdict(dict)
    for (partition, sort), item in items.items():
        kind, _, rest = partition.partition("#")
        owners = {"ACCOUNT": rest, "ACCOUNTS": sort, "CLAIM": rest.partition("#")[0], "DUE": sort.partition("#")[0]}
        owned[owners.get(kind, partition)][partition, sort] = item
    return owned


def check_account(account: str, attempts: list[Attempt], items: Stored) -> list[str]:
    """Returns the faults of one account's history and ledger."""
    ledger = read_ledger(account, items)
    account_check = AccountCheck(ledger, Bounds([-inf] * (ledger.last + 1), [inf] * (ledger.last + 1)))
    _check_rules(account_check)
    _check_claims(account_check)
    _check_due_rows(account_check, items)
    _bound_by_requests(account_check, attempts)
    answered = [
        (attempt, attempt.response) for attempt in attempts if attempt.response and attempt.response.status != BUSY
    ]
    for attempt, response in answered:
        _bound_by_answer(account_check, attempt, response)
    account_check.bounds.spread()
    for number, (low, high) in enumerate(zip(account_check.bounds.lower, account_check.bounds.upper, strict=True)):
        if not account_check.demand(
            low <= high, f"entry {number} was seen {(low - high) / 1e6} ms before it can have been there"
        ):
            break
    for attempt, response in answered:
        _check_flexible(account_check, attempt, response)
    _check_once(account_check, answered)
    return account_check.faults


def read_ledger(account: str, items: Stored) -> RawLedger:
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
    return RawLedger(account, rows, [{}, *lines], [nothing, *states], claims, Ledger(account))


def _check_rules(account_check: AccountCheck) -> None:
    """Every entry is the one that the rules give for the request in it, up to the first that is not."""
    ledger = account_check.ledger
    for item, line, state in zip(ledger.items, ledger.lines[1:], ledger.states[1:], strict=True):
        try:
            ledger.oracle.accept(item, _request_of(line, state), line["at"], {CATALOG.version: CATALOG})
        except Broken as broken:
            account_check.demand(False, str(broken))
            return


def _request_of(line: Line, state: State) -> requests.Request:
    """The request that an entry states to carry out. Another check finds whether a client sent it."""
    actor, key = line["actor"], _written_key(line)
    match line["type"]:
        case "consumption":
            texts: Json = {name: line[name] for name in ("customer", "reference", "description") if name in line}
            return requests.Debit(actor=actor, feature=line["feature"], quantity=line["quantity"], key=key, texts=texts)
        case "grant" | "adjustment":
            row = line["lot"]
            return requests.Grant(
                actor=actor, kind=row[KIND], credits=row[GRANTED], expires_at=row[EXPIRES_AT], description=key, key=key
            )
        case "void":
            [[_, lot, credits, _]] = line["draws"]
            return requests.Void(actor=actor, lot=lot, credits=credits, description=key, key=key)
        case "plan_change":
            return requests.PutTerms(actor=actor, terms=state.terms)
    return requests.Settle()


def _check_claims(account_check: AccountCheck) -> None:
    """A key has one claim, the claim one entry, the entry that key written in it."""
    claimed = {number: key for key, number in account_check.ledger.number_of.items()}
    account_check.demand(len(claimed) == len(account_check.ledger.number_of), "two keys claim one entry")
    for number, line in enumerate(account_check.ledger.lines):
        key = _written_key(line)
        account_check.demand(claimed.pop(number, None) == key, f"entry {number} of key {key} is not claimed by it")
    account_check.demand(not claimed, f"claims of entries that are not there: {claimed}")


def _check_due_rows(account_check: AccountCheck, items: Stored) -> None:
    """Each lot's end is on the sweep's list, as part of its grant's transaction."""
    due = {sort.partition("#")[2] for partition, sort in items if partition.startswith("DUE#")}
    lots = {f"lot_{line['lot'][0]:012d}" for line in account_check.ledger.lines if "lot" in line}
    account_check.demand(due == lots, f"due rows and lots differ in {sorted(due ^ lots)}")


def _bound_by_requests(account_check: AccountCheck, attempts: list[Attempt]) -> None:
    """An entry was not written before a client sent exactly the request that it carries out."""
    by_key: dict[str | None, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.request.kind != "balance":
            by_key[attempt.request.key].append(attempt)
    for number, line in enumerate(account_check.ledger.lines):
        if line.get("type") not in {"consumption", "grant", "adjustment", "void", "plan_change"}:
            continue
        causes = [
            a.at for a in by_key[_written_key(line)] if _asks_for(a.request, line, account_check.ledger.states[number])
        ]
        if account_check.demand(causes, f"nobody asked for entry {number}: {line}"):
            account_check.bounds.not_before(number, min(causes))


def _bound_by_answer(account_check: AccountCheck, attempt: Attempt, response: Response) -> None:
    """What a response that names its entry implies for when entries were written, and whether it is right."""
    request, ledger = attempt.request, account_check.ledger
    if request.kind == "balance" and response.status == OK:
        number = int(response.body["entry"])
        if account_check.demand(1 <= number <= ledger.last, "a balance after an entry that is not there", attempt):
            account_check.bounds.not_after(number, response.at)
            account_check.bounds.not_before(number + 1, attempt.at)
            account_check.demand(_balance_is_true(ledger, number, response.body), "a balance that never was", attempt)
    elif request.key is not None and response.status == CREATED:
        found = ledger.number_of.get(request.key)
        if found is None or not 1 <= found <= ledger.last:
            account_check.demand(False, "acknowledged and not in the ledger", attempt)
            return
        line = ledger.lines[found]
        account_check.bounds.not_after(found, response.at)
        if not response.replayed:
            account_check.bounds.not_before(found, attempt.at)
        if account_check.demand(
            _asks_for(request, line, ledger.states[found]), f"another request's entry {found}", attempt
        ):
            account_check.demand(
                response.body == _answer_of(found, line, ledger.states[found]), f"not what entry {found} says", attempt
            )


def _check_flexible(account_check: AccountCheck, attempt: Attempt, response: Response) -> None:
    """Refusals and changes of terms were right for a state between sending and response. No other response is left."""
    request, ledger = attempt.request, account_check.ledger
    newest = account_check.bounds.newest_between(attempt.at, response.at)
    number = ledger.number_of.get(request.key or "", ledger.last + 1)
    # A key that had its effect gets that effect's answer, whatever else would refuse it.
    unclaimed = range(newest.start, min(newest.stop, number))
    match request.kind, response.status:
        case ("debit" | "grant" | "void", 201) | ("balance", 200):
            return
        case "terms", 201:
            true = 1 in range(newest.start, newest.stop + 1) and _has_terms(ledger.states[1], request)
        case "terms", 200:
            true = any(_has_terms(ledger.states[number], request) for number in newest if number)
        case _, 404 if response.body["code"] == "account_not_found":
            true = 0 in newest
        case "debit" | "grant" | "void", 409 if response.body["code"] == "idempotency_key_reused":
            true = 1 <= number <= ledger.last and number < newest.stop
            true = true and not _asks_for(request, ledger.lines[number], ledger.states[number])
        case "debit" | "grant" | "void", 402 | 404 | 409 | 422:
            true = any(_is_refused(ledger, number, attempt, response) for number in unclaimed if number)
        case _:
            true = False
    account_check.demand(true, "an answer that was not true at any moment between", attempt)


def _check_once(account_check: AccountCheck, answered: list[tuple[Attempt, Response]]) -> None:
    """Of all answers to a key one at most is the first; an account is opened once."""
    firsts = Counter(
        attempt.request.key for attempt, response in answered if response.status == CREATED and not response.replayed
    )
    twice = [key or "the opening" for key, count in firsts.items() if count > 1]
    account_check.demand(not twice, f"answered as new more than once: {twice}")


def _written_key(line: Line) -> str | None:
    """The key that asked for an entry: clients write it into a debit's reference, and into the reason of a
    grant or a void."""
    if line.get("type") == "consumption":
        return str(line["reference"])
    return str(line["description"]) if line.get("type") in {"grant", "adjustment", "void"} else None


def _asks_for(request: Request, line: Line, state: State) -> bool:
    """Whether the entry is what the request asks for."""
    body = request.body or {}
    if request.kind == "terms":
        return line["type"] == "plan_change" and _has_terms(state, request)
    if request.kind == "debit":
        return line["type"] == "consumption" and all(line[name] == value for name, value in body.items())
    if request.kind == "void":
        return line["type"] == "void" and _voids(request, line, state)
    if request.kind != "grant" or line["type"] != rules.GRANTS[body["kind"]]:
        return False
    row = line["lot"]
    if "expires_at" in body:
        ends = milliseconds_of(body["expires_at"])
    else:
        ends = end_of_validity(row[GRANTED_AT], body["valid_months"], state.terms["time_zone"])
    stored = (row[KIND], row[GRANTED], row[EXPIRES_AT], line["description"])
    return stored == (body["kind"], body["credits"], ends, body["reason"])


def _voids(request: Request, line: Line, state: State) -> bool:
    """Whether a void took what the request asks for. state: after it."""
    [[_, lot, credits, _]] = line["draws"]
    left = any(row[NUMBER] == lot for row in state.lots)
    body = request.body or {}
    return lot == request.lot and (credits == body["credits"] if "credits" in body else not left)


def _has_terms(state: State, request: Request) -> bool:
    body = request.body or {}
    return all(state.terms[name] == body[name] for name in ("plan", "ai_enabled", "quota_anchor_day"))


def _balance_is_true(ledger: RawLedger, number: int, body: Any) -> bool:
    as_of = milliseconds_of(body["as_of"])
    state = ledger.states[number].at(max(as_of, ledger.lines[number]["at"]))
    return bool(body == answers.balance(ledger.account, state, CATALOG, number, as_of))


def _is_refused(ledger: RawLedger, number: int, attempt: Attempt, response: Response) -> bool:
    """Whether the rules refuse the request so after entry `number`, at some time that it can have used."""
    request, state = _in_the_oracles_words(attempt.request), ledger.states[number]
    if isinstance(request, requests.Void) and request.lot > number:
        # The oracle's ledger also has lots that were granted later.
        return bool(response.body["code"] == "grant_not_found")
    for now in _instants(state, ledger.lines[number]["at"], attempt, response):
        refusal = rules.refusal(ledger.oracle, state, request, now, CATALOG)
        if refusal and refusal.code == response.body["code"]:
            needed = refusal.code == "insufficient_credits"
            facts = answers.insufficient(refusal.facts) if needed else refusal.facts
            if all(response.body[name] == value for name, value in facts.items()):
                return True
    return False


def _in_the_oracles_words(request: Request) -> requests.Request:
    body = request.body or {}
    if request.kind == "debit":
        return requests.Debit(actor="", feature=body["feature"], quantity=body["quantity"])
    if request.kind == "void":
        return requests.Void(actor="", lot=request.lot, credits=body.get("credits"))
    ends = milliseconds_of(body["expires_at"]) if "expires_at" in body else None
    return requests.Grant(
        actor="", kind=body["kind"], credits=body["credits"], months=body.get("valid_months"), expires_at=ends
    )


def _instants(state: State, at: int, attempt: Attempt, response: Response) -> list[int]:
    """The first and the last time that the request can have used, and those between at which the state changes.

    at: of the entry that left the state.
    """
    first, last = max(attempt.wall, at), max(response.wall, at)
    changes = [*(row[EXPIRES_AT] for row in state.lots), state.renews_at]
    return [first, *(change for change in changes if first < change < last), last]


def _answer_of(number: int, line: Line, state: State) -> Json:
    if line["type"] == "void":
        return answers.void(line, state, number)
    return answers.consumption(line, number) if line["type"] == "consumption" else answers.grant(line, number)


def _sums(audited: Audited) -> dict[str, int]:
    names = ("entries", "available", "granted", "spent", "expired", "voided", "consumptions")
    return {name: getattr(audited, name) for name in names}


def _counts(attempts: list[Attempt], items: Stored, account: str) -> Counter[str]:
    """What one account's history contains. lost: requests never answered. landed: those of them in the ledger."""
    counts: Counter[str] = Counter(operations=len({(attempt.client, attempt.index) for attempt in attempts}))
    answered: set[str | None] = set()
    lost: set[str] = set()
    for attempt in attempts:
        counts["attempts"] += 1
        if attempt.response is None:
            counts["lost"] += 1
            lost |= {attempt.request.key} if attempt.request.key else set()
        else:
            counts[f"status {attempt.response.status}"] += 1
            counts["replayed"] += attempt.response.replayed
            answered.add(None if attempt.response.replayed else attempt.request.key)
    counts["landed"] = sum((f"CLAIM#{account}#{key}", "CLAIM") in items for key in lost - answered)
    return counts
