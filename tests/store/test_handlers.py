"""The handlers under threads, killed after each call, and at a table with thousands of rows, on MiniStack.

moto, on which tests/functions run, isn't exact under threads, and copies the whole table for each transaction.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from fake_stripe import lifecycle
from prepaid.payments.sessions import EVENTS_PAGE
from prepaid.use_cases.reconciling import PAGE_PENDING_CHECKS
from tests.support.api import PURCHASES
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.interruptions import Killed
from tests.support.reconciliation import NOTHING, Run, available, forget_events, looks, reviews_due
from tests.support.store_driver import Stored, entry_items, quarantined, types
from tests.support.stripe_line import stripe_tapped, then
from tests.support.stripe_purchases import Storefront, bought
from tests.support.wire import Wire, answer_lost, nothing

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def test_parallel_purchases_with_one_key_buy_once(storefront: Storefront, service: Service) -> None:
    session = service.manager_session()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: service.buy(key="k", session=session, may_fail=True), range(6)))
    # Stripe itself refuses the second while the first is under way; the SDK asks once more.
    assert {answer.status for answer in answers} <= {201, 503}
    answer = service.buy(key="k", session="")
    bought(storefront, answer, replayed=True)
    assert {response.text for response in answers if response.status == 201} <= {answer.text}


def test_parallel_purchases_on_one_session_buy_once(storefront: Storefront, service: Service) -> None:
    session = service.manager_session()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: service.buy(key=f"k{number}", session=session), range(6)))
    assert sorted(answer.status for answer in answers) == [201] + [403] * 5
    assert {answer.code for answer in answers if answer.status == 403} == {"manager_session_invalid"}
    assert len(service(PURCHASES).body["purchases"]) == 1


@pytest.mark.parametrize("is_set", [True, False])
def test_parallel_guesses_get_no_further_tries(service: Service, comparisons: list[int], is_set: bool) -> None:
    service.open()
    if is_set:
        service.set_code()
    comparisons.clear()
    guesses = [f"{number:06d}" for number in range(500_000, 500_040)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda code: service.try_code(code, may_fail=True), guesses))
    assert {answer.status for answer in answers} <= {403, 429, 503}
    assert len(comparisons) <= 5
    assert (
        sorted(answer.body["tries_left"] for answer in answers if answer.status == 403)
        == [0, 1, 2, 3, 4][-len(comparisons) :]
    )
    assert service.try_code().status == 429


def test_eight_deliveries_of_one_event_at_once_grant_once(storefront: Storefront, service: Service) -> None:
    for _ in range(3):
        purchase = storefront.sell()
        [event] = storefront.pay(purchase)
        before = len(entry_items(service.stored()))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: storefront.deliver(event), range(8)))  # noqa: B023
        assert [answer.status for answer in answers] == [200] * 8
        assert len(entry_items(service.stored())) == before + 1
        assert storefront.purchase(purchase).state == "granted"
    assert quarantined(service.stored()) == []


def test_eight_purchases_of_one_account_paid_at_once_are_all_granted(storefront: Storefront, service: Service) -> None:
    events = [event for _ in range(8) for event in storefront.pay(storefront.sell())]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(storefront.deliver, events))
    assert service.balance()["credits"]["available"] == 800


def test_two_runs_and_the_webhook_at_once_grant_once(storefront: Storefront, run: Run, service: Service) -> None:
    events = [event for _ in range(4) for event in storefront.pay(storefront.buy())]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(run) for _ in range(2)]
        deliveries = [pool.submit(storefront.deliver, event) for event in events]
        assert all(future.result()["failed"] == 0 for future in runs)
        assert {future.result().status for future in deliveries} == {200}
    assert available(service) == 400
    assert types(service.stored()).count("purchase") == 4


def test_runs_that_run_out_of_time_make_up_for_three_days(
    storefront: Storefront, run: Run, service: Service, clock: Clock
) -> None:
    """The first run stops after more than a page of events, the second after more than a page of checks of grants."""
    sold, events, number_of_looks = [], 0, 110
    for number in range(90):
        if number % 30 == 0:
            clock.now += DAY
        sold.append(storefront.sell())
        events += len(storefront.pay(sold[-1], ("card", "pix", "boleto")[number % 3]))
    checks_of_second_run = 2 * number_of_looks - events
    assert EVENTS_PAGE < number_of_looks < events
    assert PAGE_PENDING_CHECKS < checks_of_second_run < len(sold)

    answers: list[dict[str, Any]] = []
    due: list[int] = []
    while not answers or not answers[-1]["finished"]:
        assert len(answers) < 3
        answers.append(run(looks(number_of_looks)))
        due.append(len(reviews_due(service, clock)))
        clock.now += HOUR

    assert answers[0]["healed"] == due[0] < len(sold)
    assert due[1:] == [len(sold) - checks_of_second_run, 0]
    assert sum(answer["healed"] for answer in answers) == len(sold)
    assert {answer["failed"] + answer["quarantined"] + answer["waiting"] for answer in answers} == {0}
    assert available(service) == len(sold) * 100
    assert types(service.stored()).count("purchase") == len(sold)
    assert {storefront.purchase(purchase).state for purchase in sold} == {"granted"}
    assert reviews_due(service, clock) == {}
    assert run() == NOTHING


@pytest.mark.usefixtures("small_pages")
def test_after_a_kill_at_any_call_the_next_run_ends_the_same(
    storefront: Storefront, run: Run, service: Service, clock: Clock, unlucky: set[str]
) -> None:
    late, unpaid, card = (storefront.buy() for _ in range(3))
    storefront.deliver_all(storefront.pay(unpaid))
    storefront.session(unpaid.session or "").update({"payment_status": "unpaid"})
    forget_events(storefront)
    storefront.pay(late)
    unlucky.add(late.session or "")
    clock.now += HOUR
    kept = service.stored()
    assert run() == NOTHING | {"failed": 1, "waiting": 1, "quarantined": 1}
    unlucky.clear()
    restore(service, {**service.stored(), **{key: row for key, row in kept.items() if key[0] == "PENDING_CHECK"}})
    clock.now += 5 * HOUR
    storefront.pay(card)
    storefront.refund(card, 2495)
    nobody = storefront.open_session({"prepaid_account": "acme", "prepaid_purchase": "pur_" + "0" * 20})
    with storefront.fake.state.lock:
        lifecycle.pay(storefront.fake.state, nobody["id"], "card")
    before = service.stored()
    # The misfit of the first run is on record already: it is reported once.
    assert run() == NOTHING | {"healed": 2, "quarantined": 1}
    end = service.stored()
    for number in itertools.count(1):
        restore(service, before)
        if not killed_after(number, run, service):
            break
        assert run()["finished"]
        assert service.stored() == end, f"killed after call {number}"
    assert number > 50


def killed_after(number: int, run: Run, service: Service) -> bool:
    """A run that dies after so many answers of the database or of Stripe; False when it gave no more."""
    left = [number]

    def count(**_: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    events = service.table.client.meta.events
    events.register("after-call.dynamodb", count, unique_id="death")
    try:
        with stripe_tapped(lambda _: then(count)):
            run()
    except Killed:
        return True
    finally:
        events.unregister("after-call.dynamodb", unique_id="death")
    return False


def restore(service: Service, items: Stored) -> None:
    """The table as it was."""
    client, name = service.table.client, service.table.name
    there = service.stored()
    for partition, sort in there.keys() - items.keys():
        client.delete_item(TableName=name, Key={"PK": {"S": partition}, "SK": {"S": sort}})
    for key, item in items.items():
        if there.get(key) != item:
            client.put_item(TableName=name, Item=item)


LOST_WRITES = {
    "the record": ("TransactWriteItems", 0),
    "the customer": ("PutItem", 0),
    "the page": ("PutItem", 1),
}


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize(("operation", "earlier"), LOST_WRITES.values(), ids=LOST_WRITES)
def test_a_purchase_whose_response_is_lost_is_found_again(
    storefront: Storefront, service: Service, operation: str, earlier: int, lost: int
) -> None:
    session = service.manager_session()
    with Wire.tapped(service.table.client) as wire:
        wire.plan(operation, *[nothing] * earlier, *[answer_lost] * lost)
        answer = service.buy(key="k", session=session)
        assert wire.undone == 0

    # botocore recovers one lost reply of a transaction by itself; the key's claim shows the second.
    bought(storefront, answer, replayed=operation == "TransactWriteItems" and lost == 2)
    assert service.buy(key="k", session="").text == answer.text


@pytest.mark.parametrize("lost", [1, 2])
def test_lost_responses_of_the_database_lock_no_account(service: Service, lost: int) -> None:
    service.open()
    with Wire.tapped(service.table.client) as wire:
        wire.plan("PutItem", *[answer_lost] * lost)
        assert service.set_code().status == 204
        wire.plan("PutItem", *[answer_lost] * lost)
        assert service.try_code().status == 201

        assert wire.undone == 0
