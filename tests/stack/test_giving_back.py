"""Holds, reversals and an erasure on the deployed functions, each with the rights of its own role."""

from tests.support.api import BATCH, CONSUME, CONSUMPTION, HOLD, USAGE, new_key
from tests.support.over_http import HttpApi

CUSTOMER = "Maria Pereira"


def test_a_hold_is_captured_in_part_and_then_reversed(api: HttpApi, account: str) -> None:
    before = api.balance(account)["credits"]["available"]

    held = api.hold(5, account=account)
    assert (held.status, held.body["credits"]) == (201, 5)
    waiting = api.balance(account)["credits"]
    assert (waiting["available"], waiting["held"]) == (before - 5, 5)
    assert api(HOLD, account, id=held.body["id"]).body["state"] == "held"
    captured = api.capture(held.body["id"], 3, account=account)
    assert (captured.status, captured.body["credits"]) == (200, 3)
    again = api.capture(held.body["id"], account=account)
    assert (again.status, again.code) == (409, "already_captured")
    given_back = api.reverse(captured.body["id"], 1, account=account)
    assert (given_back.status, given_back.body["credits"]) == (201, 1)

    after = api.balance(account)["credits"]
    assert (after["available"], after["held"]) == (before - 2, 0)


def test_a_released_hold_gives_everything_back(api: HttpApi, account: str) -> None:
    before = api.balance(account)["credits"]["available"]
    held = api.hold(4, account=account)

    released = api.release(held.body["id"], account=account)

    assert released.status == 200
    assert api.balance(account)["credits"]["available"] == before
    assert api(HOLD, account, id=held.body["id"]).body["state"] == "released"


def test_a_quote_states_what_the_debit_then_charges(api: HttpApi, account: str) -> None:
    quoted = api.quote(2, account=account).body

    spent = api.spend(2, account=account).body

    assert (quoted["affordable"], quoted["credits"], quoted["draws"]) == (True, spent["credits"], spent["draws"])
    assert api(CONSUMPTION, account, id=spent["id"]).body == spent


def test_a_batch_has_a_result_for_each_item(api: HttpApi, account: str) -> None:
    key = new_key()
    items = [
        {"idempotency_key": key, "feature": "sticker"},
        {"feature": 1},
        {"idempotency_key": key, "feature": "sticker"},
    ]

    answer = api(BATCH, account, json={"items": items})

    assert [result["status"] for result in answer.body["results"]] == [201, 422, 201]
    assert [result.get("replayed") for result in answer.body["results"]] == [False, None, True]
    assert api.find(key, account).body["id"] == answer.body["results"][0]["id"]


def test_an_erasure_removes_a_customers_texts(api: HttpApi, account: str) -> None:
    body = {"feature": "sticker", "customer": CUSTOMER, "description": f"for {CUSTOMER}"}
    spent = [api(CONSUME, account, json=body).body["entry"] for _ in range(2)]

    erased = api.erase(CUSTOMER, account)

    assert (erased.status, erased.body["entries"]) == (201, 2)
    history = api.history(account)
    assert CUSTOMER not in str(history)
    assert sorted(entry["entry"] for entry in history if entry["erased"]) == spent


def test_the_use_of_an_account_is_added_up(api: HttpApi, account: str) -> None:
    lines = api.history(account)
    charged = sum(-line["credits"] for line in lines if line["type"] == "consumption")
    captured = sum(draw["credits"] for line in lines if line["type"] == "capture" for draw in line["draws"])
    reversed_ = sum(line["credits"] for line in lines if line["type"] == "reversal")

    answer = api(USAGE, account)

    total = charged + captured - reversed_
    assert answer.body["totals"] == [{"feature": "sticker", "source": "credits", "units": total, "credits": total}]
