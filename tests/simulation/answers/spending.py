"""Answers to debits, grants and voids."""

from collections.abc import Iterator

from tests.oracle import answers, requests, rules
from tests.oracle.catalog import Json
from tests.oracle.expectation import must, same
from tests.simulation.answers.answer_check import AnswerCheck


def check_debit(it: AnswerCheck) -> None:
    if it.is_refused_for_its_key():
        return
    if it.answer.status == 201:
        number = it.acknowledged().number
        same(it.answer.body, answers.consumption(it.ledger.lines[number - 1], number), it.about)
        _note_success(it)
        return
    if it.is_refused_for_its_status():
        it.world.refused_keys.add((it.frame.account, it.frame.key))
        return
    if it.answer.code == "insufficient_credits":
        it.world.refused_keys.add((it.frame.account, it.frame.key))
        it.is_one_of(insufficient(it), {name: it.answer.body[name] for name in INSUFFICIENT})
        _note_lost_credit(it)
        return
    check_feature(it)


def check_feature(it: AnswerCheck) -> None:
    """Require that the request is refused for its feature, and that this is right."""
    feature = it.frame.details["feature"]
    if it.answer.code == "feature_retired":
        offered = [catalog.offers("feature", feature) for _, number in it.states() for catalog in it.catalogs(number)]
        must(not all(offered), f"{it.about}: {feature} is active")
        it.world.seen[f"a {it.frame.step.kind} of a retired feature"] += 1
        return
    same(it.answer.code, "invalid_request", it.about)
    known = [feature in catalog.prices for _, number in it.states() for catalog in it.catalogs(number)]
    must(not all(known), f"{it.about}: the feature exists")


INSUFFICIENT = ("needed", "available", "quota_remaining", "renews_at", "suggested_pack")


def insufficient(it: AnswerCheck) -> Iterator[Json]:
    """What a 402 may say, for each state that the account had while the request ran."""
    assert it.frame.request is not None
    for state, number in it.states():
        for catalog in it.catalogs(number):
            refusal = rules.refusal(it.ledger, state, it.frame.request, it.time_after(number), catalog)
            if refusal and refusal.code == "insufficient_credits":
                yield answers.insufficient(refusal.facts)


def _note_success(it: AnswerCheck) -> None:
    if (it.frame.account, it.frame.key) in it.world.refused_keys:
        it.world.seen["a key that was refused and then served"] += 1
        if it.answer.headers.get("idempotent-replayed"):
            it.world.seen["replay after a refusal"] += 1


def _note_lost_credit(it: AnswerCheck) -> None:
    if it.frame.rivals and it.ledger.number > it.frame.first_number:
        before = it.ledger.states[it.frame.first_number - 1] if it.frame.first_number else None
        if before and before.at(it.frame.now).available >= it.answer.body["needed"]:
            it.world.seen["a rival took the last credit"] += 1


def check_grant(it: AnswerCheck) -> None:
    if it.is_refused_for_its_key():
        return
    if it.answer.status == 201:
        number = it.acknowledged().number
        same(it.answer.body, answers.grant(it.ledger.lines[number - 1], number), it.about)
        return
    same(it.answer.code, "invalid_request", it.about)
    request = it.frame.request
    assert isinstance(request, requests.Grant)
    ended = request.expires_at is not None and request.expires_at <= max(it.frame.now, it.ledger.time)
    must(ended, f"{it.about}: its end is still to come")
    it.world.seen["a grant that has ended already"] += 1


def check_void(it: AnswerCheck) -> None:
    if it.is_refused_for_its_key():
        return
    if it.answer.status == 201:
        number = it.acknowledged().number
        expected = answers.void(it.ledger.lines[number - 1], it.ledger.states[number - 1], number)
        same(it.answer.body, expected, it.about)
        it.world.seen["a void of a part" if expected["remaining"] else "a void of all that remained"] += 1
        return
    it.is_one_of(_void_refusals(it), {"code": it.answer.code, "remaining": it.answer.body.get("remaining")})
    nothing = it.answer.body.get("remaining") == 0
    it.world.seen[f"a void refused: {it.answer.code}{', nothing remains' if nothing else ''}"] += 1


def _void_refusals(it: AnswerCheck) -> Iterator[Json]:
    assert it.frame.request is not None
    for state, number in it.states():
        for catalog in it.catalogs(number):
            refusal = rules.refusal(it.ledger, state, it.frame.request, it.time_after(number), catalog)
            if refusal:
                yield {"code": refusal.code, "remaining": refusal.facts.get("remaining")}
