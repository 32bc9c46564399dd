"""Answers to batches: each item's result alone, and all of them as if they had been sent one after another."""

from collections.abc import Iterator

from tests.oracle import answers, effects, requests, rules
from tests.oracle.account import State
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.expectation import must, same
from tests.oracle.ledger import KeyEffect
from tests.simulation.answers.answer_check import AnswerCheck
from tests.simulation.answers.spending import INSUFFICIENT
from tests.simulation.frames import ClientRequest

STATUSES = {
    "insufficient_credits": 402,
    "account_frozen": 409,
    "account_closed": 409,
    "feature_retired": 422,
    "invalid_request": 422,
}


def check_batch(it: AnswerCheck) -> None:
    if it.is_not_found():
        return
    same(it.answer.status, 200, it.about)
    items, results = it.frame.details["items"], it.answer.body["results"]
    same(len(results), len(items), f"{it.about}: results")
    done: set[str] = set()
    for item, result in zip(items, results, strict=True):
        _check_item(it, item, result, done)
        if result["status"] == 201:
            done.add(item.key)
    if not it.frame.met and not it.frame.rivals:
        found = [result["status"] for result in results]
        possible = [_in_turn(it, catalog) for catalog in it.catalogs(it.frame.first_number)]
        must(found in possible, f"{it.about}: {found}\n  should be {possible}")
    statuses = {result["status"] for result in results}
    it.world.seen["a batch"] += 1
    it.world.seen["a batch with a refusal among others"] += {201, 402} <= statuses
    it.world.seen["a batch of forty"] += len(items) == 40


def _check_item(it: AnswerCheck, item: ClientRequest, result: Json, done: set[str]) -> None:
    """done: keys of the items before it that were served."""
    about = f"{it.about}, item {item.key}: {result}"
    effect: KeyEffect | None = it.ledger.effects.get(item.key)
    if result["status"] == 201:
        must(effect is not None, f"{about}, and nothing is stored")
        assert effect is not None
        same(effect.signature, item.signature, f"{about}: what its key stands for")
        own = effect.author is it.frame and item.key not in done
        # An own transaction whose answer was lost is found like anybody else's.
        must(result["replayed"] != own or (result["replayed"] and it.frame.met), f"{about}: marked wrongly")
        it.world.seen["a batch's item replayed"] += result["replayed"]
        it.world.seen["a batch's key twice"] += item.key in done
        consumed = answers.consumption(it.ledger.lines[effect.number - 1], effect.number)
        same(result, {"status": 201, "replayed": result["replayed"], **consumed}, about)
        return
    if result["code"] == "idempotency_key_reused":
        must(effect and effect.signature != item.signature, f"{about}: {effect}")
        it.world.seen["a batch's key with another request"] += 1
        return
    assert item.body is not None
    if not item.body["quantity"]:
        same((result["status"], result["code"]), (422, "invalid_request"), about)
        it.world.seen["a batch's malformed item"] += 1
        return
    must(effect is None or effect.signature != item.signature, f"{about}, though its key had its effect")
    if result["status"] == 402:
        it.is_one_of(_insufficient(it, item), {name: result[name] for name in INSUFFICIENT})
        return
    codes = {would.code for would, _, _ in _would(it, item) if isinstance(would, effects.Refusal)}
    must(result["code"] in codes, f"{about}: {codes}")
    it.world.seen[f"a batch's item refused: {result['code']}"] += 1


def _would(
    it: AnswerCheck, item: ClientRequest
) -> Iterator[tuple[effects.Effect | effects.Refusal, State, CatalogVersion]]:
    """What the item would do alone, at each state that the account had meanwhile."""
    assert isinstance(item.request, requests.Debit)
    for state, number in it.states():
        for catalog in it.catalogs(number):
            yield rules.quote(it.ledger, state, item.request, it.time_after(number), catalog), state, catalog


def _insufficient(it: AnswerCheck, item: ClientRequest) -> Iterator[Json]:
    for would, _, _ in _would(it, item):
        if isinstance(would, effects.Refusal) and would.code == "insufficient_credits":
            yield answers.insufficient(would.facts)


def _in_turn(it: AnswerCheck, catalog: CatalogVersion) -> list[int]:
    """The statuses of the same debits sent one after another, with nobody in between."""
    number = it.frame.first_number
    state, at = it.ledger.states[number - 1], it.time_after(number)
    before = {key: effect.signature for key, effect in it.ledger.effects.items() if effect.author is not it.frame}
    found: list[int] = []
    for item in it.frame.details["items"]:
        assert isinstance(item.request, requests.Debit)
        if not item.request.quantity:
            found.append(422)
            continue
        if item.key in before:
            found.append(201 if before[item.key] == item.signature else 409)
            continue
        would = rules.quote(it.ledger, state, item.request, at, catalog)
        if isinstance(would, effects.Refusal):
            found.append(STATUSES[would.code])
            continue
        found.append(201)
        state, before[item.key] = would.after, item.signature
    return found
