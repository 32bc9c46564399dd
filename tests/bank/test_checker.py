"""The checker finds faults: one corruption at a time of the history or table of a real run."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.bank.checker import check, items_by_account
from tests.bank.history import Attempt, Response
from tests.bank.run import BankRun
from tests.bank.spoilt_runs import Corruption, Run
from tests.oracle import stored_form
from tests.support.store_driver import entry_items


@pytest.fixture(scope="module")
def true_run(bank_run: BankRun) -> Run:
    return Run(bank_run.finished.histories, bank_run.finished.items)


@pytest.fixture
def spoilt(true_run: Run) -> Run:
    return Run(list(true_run.histories), deepcopy(true_run.items))


def an_answer_that_says_another_balance(run: Run) -> None:
    attempt = run.new("debit")
    assert attempt.response
    body = deepcopy(attempt.response.body)
    body["balance"]["available"] += 1
    run.change(attempt, response={"body": body})


def an_answer_that_says_other_draws(run: Run) -> None:
    attempt = run.new("debit", lambda _, response: response.body["draws"][0]["source"] == "lot")
    assert attempt.response
    body = deepcopy(attempt.response.body)
    body["draws"][0]["lot"] = "lot_000000000001"
    run.change(attempt, response={"body": body})


def an_answer_with_another_entrys_id(run: Run) -> None:
    attempt = run.new("grant")
    assert attempt.response
    run.change(attempt, response={"body": {**attempt.response.body, "id": "gra_000000000099"}})


def a_replay_that_answers_something_else(run: Run) -> None:
    attempt = run.answered("debit", 201, lambda _, response: response.replayed)
    assert attempt.response
    run.change(attempt, response={"body": {**attempt.response.body, "credits": attempt.response.body["credits"] + 1}})


def an_entry_older_than_one_that_was_answered_before_it_was_asked(run: Run) -> None:
    earlier = run.new("debit", lambda attempt, response: acknowledged_after(run, attempt, response) is not None)
    assert earlier.response
    answered = acknowledged_after(run, earlier, earlier.response)
    assert answered
    for attempt in [
        attempt for attempt in run.histories if attempt.request.key == earlier.request.key and attempt != earlier
    ]:
        run.histories.remove(attempt)
    run.change(earlier, at=answered + 1, response={"at": answered + 2})


def acknowledged_after(run: Run, earlier: Attempt, response: Response) -> int | None:
    """When a later entry of the same account was answered."""
    later = [
        attempt
        for attempt in run.histories
        if attempt.request.account == earlier.request.account and attempt.request.kind == "debit"
    ]
    entries = [
        attempt.response
        for attempt in later
        if attempt.response and attempt.response.status == 201 and not attempt.response.replayed
    ]
    return next((entry.at for entry in entries if entry.body["entry"] > response.body["entry"]), None)


def a_balance_that_is_stale(run: Run) -> None:
    read = run.answered(
        "balance", 200, lambda attempt, response: response.body["entry"] < run.last_of(attempt.request.account) - 2
    )
    late = max(attempt.response.at for attempt in run.histories if attempt.response) + 1
    run.change(read, at=late, response={"at": late + 1})


def a_balance_from_the_future(run: Run) -> None:
    read = run.answered("balance", 200, lambda _, response: response.body["entry"] > 2)
    early = min(attempt.at for attempt in run.histories)
    run.change(read, at=early - 2, response={"at": early - 1})


def a_balance_with_a_credit_too_many(run: Run) -> None:
    read = run.answered("balance", 200)
    assert read.response
    body = deepcopy(read.response.body)
    body["credits"]["available"] += 1
    run.change(read, response={"body": body})


def a_balance_with_a_quota_that_was_not_left(run: Run) -> None:
    read = run.answered("balance", 200, lambda _, response: bool(response.body["quotas"]))
    assert read.response
    body = deepcopy(read.response.body)
    body["quotas"][0]["remaining"] += 1
    run.change(read, response={"body": body})


def a_refusal_for_want_of_credits_that_were_there(run: Run) -> None:
    refused = run.answered("debit", 402, lambda _, response: response.body["needed"] > 1)
    assert refused.request.body
    run.change(refused, request=replace(refused.request, body={**refused.request.body, "quantity": 1}))


def a_refusal_that_names_credits_nobody_had(run: Run) -> None:
    refused = run.answered("debit", 402)
    assert refused.response
    # So many that no nearby state of the account had as much.
    run.change(refused, response={"body": {**refused.response.body, "available": 1_000_000}})


def a_refusal_of_a_key_that_had_its_effect(run: Run) -> None:
    done = run.new("debit", lambda attempt, response: refused_later(run, attempt, response) is not None)
    assert done.response
    refused = refused_later(run, done, done.response)
    assert refused and refused.request.body  # noqa: PT018
    key, body = done.request.key, {**refused.request.body, "reference": done.request.key}
    run.change(refused, request=replace(refused.request, key=key, body=body))


def refused_later(run: Run, done: Attempt, response: Response) -> Attempt | None:
    """A refusal of the same account, to a request that came after this one was done."""
    refused = [
        attempt
        for attempt in run.histories
        if attempt.response and attempt.response.status == 402 and attempt.at > response.at
    ]
    return next((attempt for attempt in refused if attempt.request.account == done.request.account), None)


def a_conflict_of_a_key_that_was_never_used(run: Run) -> None:
    conflict = run.answered("debit", 409)
    run.change(conflict, request=replace(conflict.request, key="never"))


def a_conflict_of_a_key_with_its_own_request(run: Run) -> None:
    attempt = run.answered("debit", 201, lambda _, response: response.replayed)
    run.change(attempt, response={"status": 409, "body": {"code": "idempotency_key_reused"}})


def a_grant_refused_as_ended_that_was_not(run: Run) -> None:
    refused = run.answered("grant", 422)
    assert refused.request.body
    run.change(
        refused, request=replace(refused.request, body={**refused.request.body, "expires_at": "2100-01-01T00:00:00Z"})
    )


def an_account_missing_after_it_was_opened(run: Run) -> None:
    missing = run.answered("debit", 404)
    late = max(attempt.response.at for attempt in run.histories if attempt.response) + 1
    run.change(missing, at=late, response={"at": late + 1})


def an_error_of_our_own(run: Run) -> None:
    run.change(run.answered("balance", 200), response={"status": 500, "body": {"code": "internal_error"}})


def a_change_of_terms_without_effect(run: Run) -> None:
    attempt = run.answered("terms", 200)
    assert attempt.request.body
    run.change(attempt, request=replace(attempt.request, body={**attempt.request.body, "plan": "scale"}))


def an_account_opened_twice(run: Run) -> None:
    run.histories.append(replace(run.answered("terms", 201), index=-1))


def two_first_answers_to_one_key(run: Run) -> None:
    run.histories.append(replace(run.new("debit"), index=-1))


def an_acknowledgement_of_what_is_not_there(run: Run) -> None:
    attempt = run.new("debit")
    assert attempt.request.body
    request = replace(attempt.request, key="ghost", body={**attempt.request.body, "reference": "ghost"})
    run.histories.append(replace(attempt, index=-1, request=request))


def an_entry_that_nobody_asked_for(run: Run) -> None:
    key = run.new("grant").request.key
    run.histories[:] = [attempt for attempt in run.histories if attempt.request.key != key]


def an_answer_to_another_request(run: Run) -> None:
    attempt = run.new("debit")
    assert attempt.request.body
    run.change(
        attempt,
        request=replace(
            attempt.request, body={**attempt.request.body, "quantity": attempt.request.body["quantity"] + 1}
        ),
    )


def a_newest_entry_that_is_lost(run: Run) -> None:
    account = run.new(
        "debit", lambda attempt, response: response.body["entry"] == run.last_of(attempt.request.account)
    ).request.account
    run.rewrite(account, lambda pairs: pairs.pop())


def a_newest_entry_lost_with_its_claim(run: Run) -> None:
    newest = run.new("debit", lambda attempt, response: response.body["entry"] == run.last_of(attempt.request.account))
    account = newest.request.account
    run.rewrite(account, lambda pairs: pairs.pop())
    del run.items[f"CLAIM#{account}#{newest.request.key}", "CLAIM"]


def an_entry_lost_in_the_middle(run: Run) -> None:
    account = run.new(
        "debit", lambda attempt, response: 1 < response.body["entry"] < run.last_of(attempt.request.account)
    ).request.account
    run.rewrite(account, lambda pairs: pairs.pop(1))


def two_entries_swapped(run: Run) -> None:
    def swap(pairs: list[Any]) -> None:
        pairs[-1], pairs[-2] = pairs[-2], pairs[-1]

    account = run.new(
        "debit", lambda attempt, response: response.body["entry"] == run.last_of(attempt.request.account) > 3
    ).request.account
    run.rewrite(account, swap)


def a_debit_carried_out_twice(run: Run) -> None:
    """With matching sums and chain: only its key reveals it."""
    attempt = run.new(
        "debit",
        lambda attempt, response: response.body["quantity"] == 1 and first_lot(run, attempt.request.account)[3] > 1,
    )
    assert attempt.request.body

    def again(pairs: list[Any]) -> None:
        line, state = deepcopy(pairs[-1])
        lot = state["lots"][0]
        lot[3] -= 1
        fields = {"credits": -1, "quota": 0, "balance_after": line["balance_after"] - 1, **(attempt.request.body or {})}
        kept = {name: line[name] for name in ("at", "quota_remaining", "actor", "catalog_version", "key")}
        pairs.append([{**kept, **fields, "type": "consumption", "draws": [["lot", lot[0], 1, lot[5]]]}, state])

    run.rewrite(attempt.request.account, again)


def first_lot(run: Run, account: str) -> list[Any]:
    """What the account would spend next; an empty row when it has nothing."""
    lots: list[list[Any]] = stored_form.state_of(entry_items(run.items, account)[-1])["lots"]
    return lots[0] if lots else [0] * 6


def a_claim_that_is_lost(run: Run) -> None:
    attempt = run.new("debit")
    del run.items[f"CLAIM#{attempt.request.account}#{attempt.request.key}", "CLAIM"]


def a_claim_that_names_another_entry(run: Run) -> None:
    attempt = run.new("debit")
    run.items[f"CLAIM#{attempt.request.account}#{attempt.request.key}", "CLAIM"]["number"] = {"N": "1"}


def a_second_claim_of_one_entry(run: Run) -> None:
    attempt = run.new("debit")
    found = run.items[f"CLAIM#{attempt.request.account}#{attempt.request.key}", "CLAIM"]
    run.items[f"CLAIM#{attempt.request.account}#other", "CLAIM"] = found


def a_due_row_that_is_lost(run: Run) -> None:
    del run.items[next(key for key in run.items if key[0].startswith("DUE#"))]


def a_hold_without_a_due_row(run: Run) -> None:
    del run.items[next(key for key in run.items if "#hold_" in key[1])]


def a_charge_that_counts_fewer_reversed_units(run: Run) -> None:
    key = next(key for key in run.items if key[1].startswith("REVERSED#"))
    run.items[key] = {**run.items[key], "units": {"N": "0"}}


def a_lost_count_of_reversed_units(run: Run) -> None:
    del run.items[next(key for key in run.items if key[1].startswith("REVERSED#"))]


def an_erased_entry_that_named_nobody_erased(run: Run) -> None:
    """Its texts are gone by no erasure that anybody asked for."""
    key = next(
        key for key, item in run.items.items() if "texts" in item and not item["texts"]["S"].startswith("erased ")
    )
    run.items[key] = {**run.items[key], "texts": {"S": "erased 123456"}}


def an_erasure_that_counts_one_more(run: Run) -> None:
    attempt = run.new("erasure")

    def count(pairs: list[Any]) -> None:
        pairs[attempt.response.body["entry"] - 1][0]["quantity"] += 1  # type: ignore[union-attr]

    run.rewrite(attempt.request.account, count)


def an_erasure_of_another_customer(run: Run) -> None:
    """What it says was erased names somebody else, and its own customer is still there."""
    attempt = run.new("erasure", lambda _, response: response.body["entries"] > 0)
    for each in [each for each in run.histories if each.request.key == attempt.request.key]:
        run.change(each, request=replace(each.request, body={"customer": "nobody"}))


def an_entry_that_an_erasure_left(run: Run) -> None:
    """The request of an entry that is erased, and its texts are there again."""
    attempt = run.new("erasure", lambda _, response: response.body["entries"] > 0)
    assert attempt.response
    customer = (attempt.request.body or {})["customer"]

    def name_again(pairs: list[Any]) -> None:
        assert attempt.response
        earlier = (line for line, _ in pairs[: attempt.response.body["entry"]] if line.pop("erased", None))
        for line in earlier:
            line["customer"] = customer

    run.rewrite(attempt.request.account, name_again)


def a_capture_of_another_quantity(run: Run) -> None:
    attempt = run.answered("capture", 200)
    run.change(attempt, request=replace(attempt.request, body={"quantity": 9_999}))


def a_release_answered_with_another_quantity(run: Run) -> None:
    attempt = run.answered("release", 200)
    assert attempt.response
    run.change(attempt, response={"body": {**attempt.response.body, "quantity": 9_999}})


def a_reversal_answered_with_more_credits(run: Run) -> None:
    attempt = run.new("reversal")
    assert attempt.response
    run.change(attempt, response={"body": {**attempt.response.body, "credits": 9_999}})


def a_hold_answered_with_another_end(run: Run) -> None:
    attempt = run.new("hold")
    assert attempt.response
    run.change(attempt, response={"body": {**attempt.response.body, "lapses_at": "2100-01-01T00:00:00.000Z"}})


def a_capture_refused_as_lapsed_that_was_not(run: Run) -> None:
    attempt = run.answered("capture", 200)
    body = {"code": "hold_lapsed", "lapsed_at": "2100-01-01T00:00:00.000Z"}
    run.change(attempt, request=replace(attempt.request, key="never"), response={"status": 409, "body": body})


def a_quote_of_another_price(run: Run) -> None:
    attempt = run.answered("quote", 200)
    assert attempt.response
    run.change(attempt, response={"body": {**attempt.response.body, "credits": 9_999}})


def a_batch_whose_results_are_out_of_order(run: Run) -> None:
    attempt = run.answered("batch", 200, lambda _, response: len(_new_results(response)) > 1)
    assert attempt.response
    results = attempt.response.body["results"]
    first, second = (results.index(result) for result in _new_results(attempt.response)[:2])
    swapped = list(results)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    run.change(attempt, response={"body": {"results": swapped}})


def _new_results(response: Response) -> list[Any]:
    return [result for result in response.body["results"] if result["status"] == 201 and not result["replayed"]]


def a_hash_that_does_not_follow(run: Run) -> None:
    entry_items(run.items, "hot-0")[3]["hash"] = {"B": bytes(32)}


def an_account_nobody_asked_for(run: Run) -> None:
    run.items["CLAIM#stranger#k", "CLAIM"] = {"number": {"N": "1"}}


def credits_from_nowhere(run: Run) -> None:
    """In the newest entry's state and balance."""

    def give(pairs: list[Any]) -> None:
        line, state = pairs[-1]
        line["balance_after"] += 5
        line["credits"] += 5
        state["lots"].append([line.get("lot", [2])[0], "promotion", 5, 5, line["at"], line["at"] + 10**10])

    run.rewrite("hot-0", give)


def a_service_paid_in_credits_while_quota_was_left(run: Run) -> None:
    attempt = run.new(
        "debit", lambda _, response: response.body["quota"] > 0 and response.body["balance"]["available"] > 50
    )
    assert attempt.response
    number = attempt.response.body["entry"]

    def pay(pairs: list[Any]) -> None:
        line = pairs[number - 1][0]
        line["draws"] = [["lot", pairs[number - 1][1]["lots"][0][0], 1, pairs[number - 1][1]["lots"][0][5]]]

    run.rewrite(attempt.request.account, pay)


CORRUPTIONS: dict[Corruption, str] = {
    an_answer_that_says_another_balance: "not what entry",
    an_answer_that_says_other_draws: "not what entry",
    an_answer_with_another_entrys_id: "not what entry",
    a_replay_that_answers_something_else: "not what entry",
    an_entry_older_than_one_that_was_answered_before_it_was_asked: "before it can have been there",
    a_balance_that_is_stale: "before it can have been there",
    a_balance_from_the_future: "before it can have been there",
    a_balance_with_a_credit_too_many: "a balance that never was",
    a_balance_with_a_quota_that_was_not_left: "a balance that never was",
    a_refusal_for_want_of_credits_that_were_there: "not true at any moment",
    a_refusal_that_names_credits_nobody_had: "not true at any moment",
    a_refusal_of_a_key_that_had_its_effect: "not true at any moment",
    a_conflict_of_a_key_that_was_never_used: "not true at any moment",
    a_conflict_of_a_key_with_its_own_request: "not true at any moment",
    a_grant_refused_as_ended_that_was_not: "not true at any moment",
    an_account_missing_after_it_was_opened: "not true at any moment",
    an_error_of_our_own: "not true at any moment",
    a_change_of_terms_without_effect: "not true at any moment",
    an_account_opened_twice: "the opening",
    two_first_answers_to_one_key: "answered as new more than once",
    an_acknowledgement_of_what_is_not_there: "acknowledged and not in the ledger",
    an_entry_that_nobody_asked_for: "nobody asked for entry",
    an_answer_to_another_request: "another request's entry",
    a_newest_entry_that_is_lost: "claims of entries that are not there",
    a_newest_entry_lost_with_its_claim: "acknowledged and not in the ledger",
    an_entry_lost_in_the_middle: "is not claimed by it",
    two_entries_swapped: "is not claimed by it",
    a_debit_carried_out_twice: "is not claimed by it",
    a_claim_that_is_lost: "is not claimed by it",
    a_claim_that_names_another_entry: "is not claimed by it",
    a_second_claim_of_one_entry: "two keys claim one entry",
    a_due_row_that_is_lost: "due rows, lots and holds differ",
    a_hold_without_a_due_row: "due rows, lots and holds differ",
    a_charge_that_counts_fewer_reversed_units: "reversed units",
    a_lost_count_of_reversed_units: "reversed units",
    an_erased_entry_that_named_nobody_erased: "is erased, and it named",
    an_erasure_that_counts_one_more: "entries instead of",
    an_erasure_of_another_customer: "is erased, and it named",
    an_entry_that_an_erasure_left: "left the customer in entry",
    a_capture_of_another_quantity: "another request's entry",
    a_release_answered_with_another_quantity: "not what entry",
    a_reversal_answered_with_more_credits: "not what entry",
    a_hold_answered_with_another_end: "not what entry",
    a_capture_refused_as_lapsed_that_was_not: "not true at any moment",
    a_quote_of_another_price: "not true at any moment",
    a_batch_whose_results_are_out_of_order: "a batch out of order",
    a_hash_that_does_not_follow: "the chain breaks",
    an_account_nobody_asked_for: "nobody ever asked for it",
    credits_from_nowhere: "its line",
    a_service_paid_in_credits_while_quota_was_left: "its line",
}


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda corrupt: corrupt.__name__)
@pytest.mark.parametrize("bank_run", ["own_ministack"], indirect=True)
def test_a_corruption_is_found(true_run: Run, spoilt: Run, corrupt: Corruption) -> None:
    corrupt(spoilt)

    # The other accounts are those of the true run, which tests/bank/test_bank.py checks.
    touched = spoilt.touched_since(true_run)
    faults = check(touched.histories, touched.items).faults

    assert any(CORRUPTIONS[corrupt] in fault for fault in faults), faults[:5]


@pytest.mark.parametrize("bank_run", ["own_ministack"], indirect=True)
def test_items_are_sorted_to_their_accounts(true_run: Run) -> None:
    sorted_out = items_by_account(true_run.items)

    assert sum(len(own) for own in sorted_out.values()) == len(true_run.items)
    assert all(account.startswith(("hot-", "cold-")) for account in sorted_out)
