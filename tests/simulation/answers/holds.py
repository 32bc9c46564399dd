"""Answers to holds, captures, releases, reversals and erasures."""

from collections.abc import Callable, Iterator
from itertools import product

from tests.oracle import answers, rules
from tests.oracle.calendar import time_text
from tests.oracle.catalog import Json
from tests.oracle.expectation import must, same
from tests.simulation.answers.answer_check import AnswerCheck
from tests.simulation.answers.spending import INSUFFICIENT, check_feature, insufficient

SERVED = {"hold": 201, "capture": 200, "release": 200, "reverse": 201, "erase": 201}
BODIES: dict[str, Callable[[Json, int], Json]] = {
    "hold": answers.hold,
    "capture": answers.capture,
    "release": answers.release,
    "reverse": answers.reversal,
    "erase": answers.erasure,
}


def check_hold(it: AnswerCheck) -> None:
    if _is_served(it) or it.is_refused_for_its_key() or it.is_refused_for_its_status():
        return
    if it.answer.code == "insufficient_credits":
        it.is_one_of(insufficient(it), {name: it.answer.body[name] for name in INSUFFICIENT})
        it.world.seen["a hold refused: insufficient_credits"] += 1
        return
    if it.answer.code == "too_many_holds":
        it.is_one_of(_refusals(it), {"code": it.answer.code})
        it.world.seen["a hold refused: too_many_holds"] += 1
        return
    check_feature(it)


def check_ending(it: AnswerCheck) -> None:
    """Of a capture, a release or a reversal."""
    if _is_served(it) or it.is_refused_for_its_key():
        return
    facts = {name: it.answer.body[name] for name in ("capture", "lapsed_at", "reversible") if name in it.answer.body}
    it.is_one_of(_refusals(it), {"code": it.answer.code, **facts})
    it.world.seen[f"a {it.frame.step.kind} refused: {it.answer.code}"] += 1


def check_erase(it: AnswerCheck) -> None:
    """Once it is answered, no entry that was there before names the customer."""
    customer = it.frame.details["customer"]
    if _is_served(it):
        number = it.acknowledged().number
        named = [line for line in it.ledger.lines[: number - 1] if line.get("customer") == customer]
        must(not named, f"{it.about}: the customer is still named")
        it.world.seen["an erasure"] += 1
        return
    walked = it.auditor.walks.get((it.account, it.frame.key or ""), customer) != customer
    if it.answer.code == "idempotency_key_reused" and walked:
        it.world.seen["an erasure's key for somebody else"] += 1
        return
    must(it.is_refused_for_its_key(), it.about)


def _is_served(it: AnswerCheck) -> bool:
    kind = it.frame.step.kind
    if it.answer.status != SERVED[kind]:
        return False
    number = it.acknowledged().number
    same(it.answer.body, BODIES[kind](it.ledger.lines[number - 1], number), it.about)
    return True


def _refusals(it: AnswerCheck) -> Iterator[Json]:
    assert it.frame.request is not None
    for state, number in it.states():
        # How a hold ended and how much of a charge is reversed may be read later than the state, or with it.
        as_of = it.ledger.lines_until(number)
        for catalog, ledger in product(it.catalogs(number), (it.ledger, as_of)):
            refusal = rules.refusal(ledger, state, it.frame.request, it.time_after(number), catalog)
            if refusal:
                yield {"code": refusal.code, **_shown(refusal.facts)}


def _shown(facts: Json) -> Json:
    shown = dict(facts)
    if "lapsed_at" in facts:
        shown["lapsed_at"] = time_text(facts["lapsed_at"])
    if "capture" in facts:
        shown["capture"] = f"cap_{facts['capture']:012d}"
    return shown
