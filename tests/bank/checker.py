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
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import inf

from tests.bank.history import BUSY, Attempt, Response
from tests.bank.raw_ledger import RawLedger, read_ledger, request_of
from tests.bank.requests import Request
from tests.bank.responses import (
    CATALOG,
    answers_of,
    asks_for,
    balance_is_true,
    has_terms,
    is_malformed,
    is_quoted,
    is_refused,
)
from tests.oracle import effects, stored_form
from tests.oracle.expectation import Broken
from tests.support.ledger_audit import Audited, audit
from tests.support.store_driver import Stored

CREATED, OK = 201, 200
SERVED = (OK, CREATED)


@dataclass(frozen=True)
class Verdict:
    """faults: as texts, each with its account. totals: of all ledgers. counts: what the histories contain."""

    faults: list[str]
    totals: Counter[str]
    counts: Counter[str]


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
    disordered: list[str] = []
    for attempt in histories:
        attempts[attempt.request.account] += each_of(attempt)
        disordered += _disordered(attempt)
    stored = items_by_account(items)
    faults = disordered + [f"{account}: nobody ever asked for it" for account in stored.keys() - attempts.keys()]
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
    gone = totals["held"] + totals["spent"] + totals["expired"] + totals["voided"]
    if totals["granted"] != totals["available"] + gone:
        faults.append(f"credits appeared or vanished: {totals}")
    return Verdict(faults, totals, counts)


def each_of(attempt: Attempt) -> list[Attempt]:
    """A batch as the debits in it, each with its own result; anything else as it is."""
    request, response = attempt.request, attempt.response
    if request.kind != "batch":
        return [attempt]
    debits: list[Attempt] = []
    for place, item in enumerate((request.body or {})["items"]):
        body = {name: value for name, value in item.items() if name != "idempotency_key"}
        debit = Request(kind="debit", account=request.account, key=item["idempotency_key"], body=body)
        of_item = response
        if response and response.status == OK:
            result = dict(response.body["results"][place])
            status, replayed = result["status"], result.get("replayed", False)
            if status == CREATED:
                del result["status"], result["replayed"]
            of_item = replace(response, status=status, replayed=replayed, body=result)
        debits.append(replace(attempt, request=debit, response=of_item))
    return debits


def _disordered(attempt: Attempt) -> list[str]:
    """A batch carries its items out in turn, and has a result for each."""
    if attempt.request.kind != "batch" or not attempt.response or attempt.response.status != OK:
        return []
    results = attempt.response.body["results"]
    new = [result["entry"] for result in results if result["status"] == CREATED and not result["replayed"]]
    if new == sorted(new) and len(results) == len((attempt.request.body or {})["items"]):
        return []
    return [f"{attempt.request.account}: a batch out of order ({attempt})"]


def items_by_account(items: Stored) -> dict[str, Stored]:
    """Each account's entries, claims, waiting and due rows and row in the list. Under its partition: what has none."""
    owned: dict[str, Stored] = defaultdict(dict)
    for (partition, sort), item in items.items():
        kind, _, rest = partition.partition("#")
        of_a_key = dict.fromkeys(("CLAIM", "ERASURE"), rest.partition("#")[0])
        owners = {"ACCOUNT": rest, "WAIT": rest, "ACCOUNTS": sort, "DUE": sort.partition("#")[0], **of_a_key}
        owned[owners.get(kind, partition)][partition, sort] = item
    return owned


def check_account(account: str, attempts: list[Attempt], items: Stored) -> list[str]:
    """Returns the faults of one account's history and ledger."""
    ledger = read_ledger(account, attempts, items)
    account_check = AccountCheck(ledger, Bounds([-inf] * (ledger.last + 1), [inf] * (ledger.last + 1)))
    _check_rules(account_check)
    _check_claims(account_check)
    _check_due_rows(account_check, items)
    _check_reversed_units(account_check, items)
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
        _check_flexible(account_check, attempts, attempt, response)
    _check_once(account_check, answered)
    _check_erasures(account_check, attempts)
    return account_check.faults


def _check_rules(account_check: AccountCheck) -> None:
    """Every entry is the one that the rules give for the request in it, up to the first that is not."""
    ledger = account_check.ledger
    for number, item in enumerate(ledger.items, start=1):
        try:
            request = request_of(ledger, number)
            ledger.oracle.accept(item, request, ledger.lines[number]["at"], {CATALOG.version: CATALOG})
        except Broken as broken:
            account_check.demand(False, str(broken))
            return


def _check_claims(account_check: AccountCheck) -> None:
    """A key has one claim, the claim one entry, the entry that key written in it."""
    ledger = account_check.ledger
    claimed = {number: key for key, number in ledger.number_of.items()}
    account_check.demand(len(claimed) == len(ledger.number_of), "two keys claim one entry")
    for number in range(len(ledger.lines)):
        key = ledger.key_of(number)
        account_check.demand(claimed.pop(number, None) == key, f"entry {number} of key {key} is not claimed by it")
    account_check.demand(not claimed, f"claims of entries that are not there: {claimed}")


def _check_due_rows(account_check: AccountCheck, items: Stored) -> None:
    """The end of each lot and hold is on the sweep's list, as part of its entry's transaction."""
    due = {sort.partition("#")[2] for partition, sort in items if partition.startswith("DUE#")}
    lines = account_check.ledger.lines
    ends = {f"lot_{line['lot'][0]:012d}" for line in lines if "lot" in line}
    ends |= {f"hold_{number:012d}" for number, line in enumerate(lines) if "lapses_at" in line}
    account_check.demand(due == ends, f"due rows, lots and holds differ in {sorted(due ^ ends)}")


def _check_reversed_units(account_check: AccountCheck, items: Stored) -> None:
    """The count of each charge's reversed units is what its reversals returned, and no more than it charged."""
    lines = account_check.ledger.lines
    reversed_units: Counter[int] = Counter()
    for line in lines:
        if "reverses" in line:
            reversed_units[line["reverses"]] += line["quantity"]
    rows = {sort.removeprefix("REVERSED#"): item for (_, sort), item in items.items() if sort.startswith("REVERSED#")}
    counted = {int(number): int(item["units"]["N"]) for number, item in rows.items()}
    account_check.demand(counted == reversed_units, f"reversed units {counted} instead of {reversed_units}")
    for number, units in reversed_units.items():
        account_check.demand(units <= lines[number].get("quantity", 0), f"entry {number} was reversed more than once")


def _check_erasures(account_check: AccountCheck, attempts: list[Attempt]) -> None:
    """Every erased entry named an erased customer, and no entry before an erasure names its customer any more."""
    ledger, attempts_of = account_check.ledger, defaultdict[str, list[Attempt]](list)
    for attempt in attempts:
        if attempt.request.kind == "erasure":
            attempts_of[attempt.request.key or ""].append(attempt)
    marked: Counter[str] = Counter()
    for number, item in enumerate(ledger.items, start=1):
        if "erased" in ledger.lines[number]:
            key = ledger.keys.get(item["texts"]["S"].removeprefix(stored_form.ERASED), "")
            marked[key] += 1
            customers = {(attempt.request.body or {})["customer"] for attempt in attempts_of[key]}
            named = ledger.texts_of(number).get("customer")
            account_check.demand(named in customers, f"entry {number} is erased, and it named {named}")
    for number, line in enumerate(ledger.lines):
        key = ledger.key_of(number) or ""
        if line.get("type") != "erasure" or not attempts_of[key]:
            continue
        successful = [
            attempt for attempt in attempts_of[key] if attempt.response and attempt.response.status == CREATED
        ]
        customers = {(attempt.request.body or {})["customer"] for attempt in successful}
        account_check.demand(len(customers) <= 1, f"one key erased {customers}")
        # A second attempt may walk on after the first one has counted.
        several = len(attempts_of[key]) > 1
        counted = line["quantity"] == marked[key] or (several and line["quantity"] < marked[key])
        account_check.demand(counted, f"erasure {number} counts {line['quantity']} entries instead of {marked[key]}")
        for earlier in range(1, number):
            named = ledger.texts_of(earlier).get("customer") if "erased" not in ledger.lines[earlier] else None
            kept = named is not None and named in customers
            account_check.demand(not kept, f"erasure {number} left the customer in entry {earlier}")


def _bound_by_requests(account_check: AccountCheck, attempts: list[Attempt]) -> None:
    """An entry was not written before a client sent exactly the request that it carries out."""
    by_key: dict[str | None, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.request.kind not in {"balance", "quote"}:
            by_key[attempt.request.key].append(attempt)
    ledger = account_check.ledger
    for number, line in enumerate(ledger.lines):
        if not number or line["type"] in {"expiry", "quota_renewal"}:
            continue
        if line["type"] == "release" and line["actor"] == effects.SERVICE:
            continue
        causes = [a.at for a in by_key[ledger.key_of(number)] if asks_for(ledger, a.request, number)]
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
            account_check.demand(balance_is_true(ledger, number, response.body), "a balance that never was", attempt)
    elif request.key is not None and response.status in SERVED:
        found = ledger.number_of.get(request.key)
        if found is None or not 1 <= found <= ledger.last:
            account_check.demand(False, "acknowledged and not in the ledger", attempt)
            return
        account_check.bounds.not_after(found, response.at)
        if not response.replayed:
            account_check.bounds.not_before(found, attempt.at)
        if account_check.demand(asks_for(ledger, request, found), f"another request's entry {found}", attempt):
            account_check.demand(response.body in answers_of(ledger, found), f"not what entry {found} says", attempt)


def _check_flexible(account_check: AccountCheck, attempts: list[Attempt], attempt: Attempt, response: Response) -> None:
    """Refusals, quotes and changes of terms were right for a state between sending and response. No other response is
    left."""
    request, ledger = attempt.request, account_check.ledger
    newest = account_check.bounds.newest_between(attempt.at, response.at)
    number = ledger.number_of.get(request.key or "", ledger.last + 1)
    # A key that had its effect gets that effect's answer, whatever else would refuse it.
    unclaimed = range(newest.start, min(newest.stop, number))
    code = response.body.get("code") if response.status not in SERVED else None
    match request.kind, response.status:
        case ("capture" | "release" | "balance", 200):
            return
        case ("debit" | "hold" | "reversal" | "grant" | "void" | "erasure", 201):
            return
        case "terms", 201:
            true = 1 in range(newest.start, newest.stop + 1) and has_terms(ledger.states[1], request)
        case "terms", 200:
            true = any(has_terms(ledger.states[number], request) for number in newest if number)
        case "quote", 200:
            true = any(is_quoted(ledger, number, request, response.body) for number in newest if number)
        case _, 404 if code == "account_not_found":
            true = 0 in newest
        case _, 409 if code == "idempotency_key_reused":
            true = _was_reused(ledger, number, newest, attempts, attempt)
        case _, 402 | 404 | 409 | 422 if request.key is not None:
            true = is_malformed(request) and code == "invalid_request"
            true = true or any(is_refused(ledger, number, attempt, response) for number in unclaimed if number)
        case _:
            true = False
    account_check.demand(true, "an answer that was not true at any moment between", attempt)


def _was_reused(ledger: RawLedger, number: int, newest: range, attempts: list[Attempt], attempt: Attempt) -> bool:
    """Whether the key had its effect for another request, in entry `number`."""
    request, response = attempt.request, attempt.response
    assert response
    if request.kind == "erasure":
        # A walk that has only begun has the key already.
        others = (other for other in attempts if other.request.key == request.key and other.at < response.at)
        return any(other.request.body != request.body for other in others)
    return 1 <= number <= ledger.last and number < newest.stop and not asks_for(ledger, request, number)


def _check_once(account_check: AccountCheck, answered: list[tuple[Attempt, Response]]) -> None:
    """Of all answers to a key one at most is the first; an account is opened once."""
    firsts = Counter(
        attempt.request.key
        for attempt, response in answered
        if not response.replayed
        and (response.status == CREATED or (response.status == OK and attempt.request.key is not None))
    )
    twice = [key or "the opening" for key, count in firsts.items() if count > 1]
    account_check.demand(not twice, f"answered as new more than once: {twice}")


def _sums(audited: Audited) -> dict[str, int]:
    names = ("entries", "available", "held", "granted", "spent", "expired", "voided", "consumptions")
    return {name: getattr(audited, name) for name in names}


def _counts(attempts: list[Attempt], items: Stored, account: str) -> Counter[str]:
    """What one account's history contains. lost: requests never answered. landed: those of them in the ledger.

    waited: debits that left a row. tombstones: those left as one. carried: those that another request appended."""
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
    lines = read_ledger(account, attempts, items).lines[1:]
    counts.update(f"entry {line['type']}" for line in lines)
    counts["lapses"] = sum(line["type"] == "release" and line["actor"] == effects.SERVICE for line in lines)
    counts["erased"] = sum("erased" in line for line in lines)
    counts.update(attempt.request.kind for attempt in attempts)
    counts["landed"] = sum((f"CLAIM#{account}#{key}", "CLAIM") in items for key in lost - answered)
    waits = [item for (partition, _), item in items.items() if partition.startswith("WAIT#")]
    counts["waited"], counts["tombstones"] = len(waits), sum("debit" not in item for item in waits)
    counts["carried"] = sum("row" in item for item in items.values())
    return counts
