"""Whether an entry, a refusal, a quote or a balance is what the rules of tests/oracle give for a request."""

from typing import Any

from tests.bank.history import Attempt, Response
from tests.bank.raw_ledger import Line, RawLedger
from tests.bank.requests import Request
from tests.oracle import answers, effects, requests, rules
from tests.oracle.account import State
from tests.oracle.calendar import end_of_validity, milliseconds_of, time_text
from tests.oracle.catalog import Json, first_catalog
from tests.oracle.rows import EXPIRES_AT, GRANTED, GRANTED_AT, KIND, LAPSES_AT, NUMBER

CATALOG = first_catalog()


def asks_for(ledger: RawLedger, request: Request, number: int) -> bool:  # noqa: PLR0911 - one case for each kind
    """Whether the entry is what the request asks for. Which customer an erasure was about is checked apart."""
    body, line, state = request.body or {}, ledger.lines[number], ledger.states[number]
    texts, about = ledger.texts_of(number), int(request.about[-12:] or 0)
    match request.kind, line["type"]:
        case "terms", "plan_change":
            return has_terms(state, request)
        case ("debit", "consumption") | ("hold", "hold"):
            written = {**line, **texts}
            if "ttl_seconds" in body:
                written["ttl_seconds"] = (line["lapses_at"] - line["at"]) / 1000
            return all(written.get(name) == value for name, value in body.items())
        case "capture", "capture":
            quantity = body.get("quantity", ledger.lines[about].get("quantity"))
            return bool((line["holds"], line["quantity"]) == ([about], quantity))
        case "release", "release":
            return bool(line["holds"] == [about] and line["actor"] != effects.SERVICE)
        case "reversal", "reversal":
            charged = ledger.lines[about].get("quantity", 0) - sum(
                other["quantity"] for other in ledger.lines[1:number] if other.get("reverses") == about
            )
            requested = (about, body.get("quantity", charged), body["reason"])
            return bool((line["reverses"], line["quantity"], texts.get("description")) == requested)
        case "void", "void":
            return _voids(request, line, state) and texts.get("description") == body["reason"]
        case "erasure", "erasure":
            return True
        case "grant", granted if granted == rules.GRANTS[body["kind"]]:
            return _grants(body, line, state) and texts.get("description") == body["reason"]
    return False


def _grants(body: Json, line: Line, state: State) -> bool:
    row = line["lot"]
    if "expires_at" in body:
        ends = milliseconds_of(body["expires_at"])
    else:
        ends = end_of_validity(row[GRANTED_AT], body["valid_months"], state.terms["time_zone"])
    return bool((row[KIND], row[GRANTED], row[EXPIRES_AT]) == (body["kind"], body["credits"], ends))


def _voids(request: Request, line: Line, state: State) -> bool:
    """Whether a void took what the request asks for. state: after it."""
    [[_, lot, credits, _]] = line["draws"]
    left = any(row[NUMBER] == lot for row in state.lots)
    body = request.body or {}
    requested = int(request.about[-12:])
    return bool(lot == requested and (credits == body["credits"] if "credits" in body else not left))


def has_terms(state: State, request: Request) -> bool:
    """Whether the account has the terms that the request asks for."""
    body = request.body or {}
    return all(state.terms[name] == body[name] for name in ("plan", "ai_enabled", "quota_anchor_day"))


def balance_is_true(ledger: RawLedger, number: int, body: Any) -> bool:
    """Whether a balance is the account's after entry `number`, at the time that it names."""
    as_of = milliseconds_of(body["as_of"])
    state = ledger.states[number].at(max(as_of, ledger.lines[number]["at"]))
    return bool(body == answers.balance(ledger.account, state, CATALOG, number, as_of))


def is_quoted(ledger: RawLedger, number: int, request: Request, body: Any) -> bool:
    """Whether a quote is what the rules give after entry `number`, at the time that it names."""
    as_of, state = milliseconds_of(body["as_of"]), ledger.states[number]
    debit = _in_the_oracles_words(request)
    assert isinstance(debit, requests.Debit)
    at = max(as_of, ledger.lines[number]["at"])
    would = rules.quote(ledger.oracle, state, debit, at, CATALOG)
    return bool(body == answers.quote(ledger.account, as_of, state.at(at), debit, would))


def is_malformed(request: Request) -> bool:
    """Whether no state of the account would serve the request: an item of a batch with a quantity of 0."""
    return request.kind == "debit" and (request.body or {})["quantity"] < 1


def is_refused(ledger: RawLedger, number: int, attempt: Attempt, response: Response) -> bool:
    """Whether the rules refuse the request so after entry `number`, at some time that it can have used."""
    request, state = _in_the_oracles_words(attempt.request), ledger.states[number]
    if isinstance(request, requests.Void) and request.lot > number:
        # The oracle's ledger also has lots that were granted later.
        return bool(response.body["code"] == "grant_not_found")
    if number > len(ledger.oracle.lines):
        # The ledger breaks a rule before this entry, which is a fault already: nothing says what it refuses.
        return True
    # Without the holds and reversals of later entries.
    then = ledger.oracle.lines_until(number)
    for now in _instants(state, ledger.lines[number]["at"], attempt, response):
        refusal = rules.refusal(then, state, request, now, CATALOG)
        if refusal and refusal.code == response.body["code"]:
            facts = _facts(refusal)
            if all(response.body[name] == value for name, value in facts.items()):
                return True
    return False


def _facts(refusal: effects.Refusal) -> Json:
    """The members of the response that the rules give."""
    facts = refusal.facts
    if refusal.code == "insufficient_credits":
        return answers.insufficient(facts)
    if "lapsed_at" in facts:
        return {"lapsed_at": time_text(facts["lapsed_at"])}
    return {"capture": f"cap_{facts['capture']:012d}"} if "capture" in facts else facts


def _in_the_oracles_words(request: Request) -> requests.Request:  # noqa: PLR0911 - one case for each kind
    body = request.body or {}
    match request.kind:
        case "debit" | "quote":
            return requests.Debit(actor="", feature=body["feature"], quantity=body["quantity"])
        case "hold":
            return requests.PlaceHold(
                actor="", feature=body["feature"], quantity=body["quantity"], ttl_seconds=body["ttl_seconds"]
            )
        case "capture":
            return requests.Capture(actor="", hold=_if_of(request, "hold"), quantity=body.get("quantity"))
        case "release":
            return requests.Release(actor="", hold=_if_of(request, "hold"))
        case "reversal":
            charge = _if_of(request, "con", "cap")
            return requests.Reverse(actor="", entry=charge, quantity=body.get("quantity"), description=body["reason"])
        case "void":
            return requests.Void(actor="", lot=_if_of(request, "gra"), credits=body.get("credits"))
    ends = milliseconds_of(body["expires_at"]) if "expires_at" in body else None
    return requests.Grant(
        actor="", kind=body["kind"], credits=body["credits"], months=body.get("valid_months"), expires_at=ends
    )


def _if_of(request: Request, *kinds: str) -> int:
    """The number in the id that a request names; 0, which no entry has, when it is of another kind."""
    kind, _, number = request.about.partition("_")
    return int(number) if kind in kinds else 0


def _instants(state: State, at: int, attempt: Attempt, response: Response) -> list[int]:
    """The first and the last time that the request can have used, and those between at which the state changes.

    at: of the entry that left the state.
    """
    first, last = max(attempt.wall, at), max(response.wall, at)
    changes = [*(row[EXPIRES_AT] for row in state.lots), *(hold[LAPSES_AT] for hold in state.holds), state.renews_at]
    return [first, *(change for change in changes if first < change < last), last]


def answers_of(ledger: RawLedger, number: int) -> list[Json]:  # noqa: PLR0911 - one case for each kind
    """The responses to the request that an entry carries out. Only a reversal's repeats a text, which an erasure takes
    from later ones."""
    line = ledger.lines[number]
    match line["type"]:
        case "consumption":
            return [answers.consumption(line, number)]
        case "hold":
            return [answers.hold(line, number)]
        case "capture":
            return [answers.capture(line, number)]
        case "release":
            return [answers.release(line, number)]
        case "reversal":
            return [answers.reversal(line, number), answers.reversal({**line, **ledger.texts_of(number)}, number)]
        case "void":
            return [answers.void({**line, **ledger.texts_of(number)}, ledger.states[number], number)]
        case "erasure":
            body_of_erasure = {"id": f"era_{number:012d}", "entry": number, "entries": line["quantity"]}
            return [body_of_erasure | {"created_at": time_text(line["at"])}]
    return [answers.grant({**line, **ledger.texts_of(number)}, number)]
