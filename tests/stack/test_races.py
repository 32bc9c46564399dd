"""Many at once over HTTP: a credit is spent once, a key has one effect."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.support.api import CONSUME, new_key
from tests.support.over_http import HttpApi, new_account

# More than a function has processes in the local cloud, so that all of them are busy.
AT_ONCE = 6
# As many as a simple script may send at once.
BURST = 30


def test_a_hundred_debits_of_forty_credits_spend_forty(api: HttpApi) -> None:
    account = api.open(new_account())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Refused, but now enough processes run for a real race.
        list(pool.map(lambda _: api.spend(account=account), range(4 * AT_ONCE)))
        api.give(40, account)

        answers = list(pool.map(lambda key: api.spend(account=account, key=key), [new_key() for _ in range(100)]))

    assert Counter(answer.status for answer in answers) == {201: 40, 402: 60}
    spent = [answer.body for answer in answers if answer.status == 201]
    assert sorted(response["balance"]["available"] for response in spent) == list(range(40))
    assert sorted(response["entry"] for response in spent) == list(range(3, 43))
    refused = [answer.body for answer in answers if answer.status == 402]
    assert {(response["needed"], response["available"]) for response in refused} == {(1, 0)}
    assert api.balance(account)["credits"]["available"] == 0
    assert Counter(line["type"] for line in api.history(account)) == {"consumption": 40, "grant": 1, "plan_change": 1}


def test_thirty_calls_at_once_are_all_answered(api: HttpApi) -> None:
    """Also the first ones of a function, none of whose processes runs yet."""
    account = api.open(new_account())
    api.give(40, account)

    with ThreadPoolExecutor(BURST) as pool:
        answers = list(pool.map(lambda _: api.spend(account=account), range(BURST)))
        histories = list(pool.map(lambda _: api.history(account, type="consumption"), range(BURST)))

    assert Counter(answer.status for answer in answers) == {201: BURST}
    assert {len(history) for history in histories} == {BURST}


def test_twenty_parallel_retries_of_one_key_spend_once(api: HttpApi) -> None:
    """All get the same response."""
    account = api.open(new_account())
    api.give(40, account)
    key = new_key()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: api.spend(3, account=account, key=key), range(20)))

    assert {(answer.status, answer.text) for answer in answers} == {(201, answers[0].text)}
    # The first effect may have been returned as a replay only, to a client that retried.
    assert sum(not answer.replayed for answer in answers) <= 1
    assert api.balance(account)["credits"]["available"] == 37
    assert len(api.history(account, type="consumption")) == 1


def test_a_key_that_had_its_effect_is_refused_for_another_request(api: HttpApi) -> None:
    account = api.open(new_account())
    api.give(40, account)
    key = new_key()
    api.spend(3, account=account, key=key)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda quantity: api.spend(quantity, account=account, key=key), range(4, 10)))
    same = api(CONSUME, account, body=b'{ "quantity": 3, "feature": "sticker" }', key=key)

    assert {(answer.status, answer.code) for answer in answers} == {(409, "idempotency_key_reused")}
    assert (same.status, same.replayed) == (201, True)
    assert api.balance(account)["credits"]["available"] == 37


def test_a_key_belongs_to_its_account(api: HttpApi) -> None:
    accounts = [api.open(new_account()), api.open(new_account())]
    for account in accounts:
        api.give(40, account)
    key = new_key()

    answers = [api.spend(3, account=account, key=key) for account in accounts]

    assert [(answer.status, answer.replayed) for answer in answers] == [(201, False)] * 2
    assert [api.balance(account)["credits"]["available"] for account in accounts] == [37, 37]
