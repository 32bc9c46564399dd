"""A database that is slow, silent, throttled or down, at every call: nothing happens twice or in part."""

import random
from typing import Any

import boto3
import botocore
import pytest
from botocore.exceptions import ClientError

from prepaid.core.errors import Busy
from prepaid.store.accounts import read_account
from prepaid.store.catalog import read_catalog
from prepaid.store.dynamodb import ConditionFailed
from prepaid.store.ledger import find_entry_at
from prepaid.use_cases.administering import replace_catalog
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.store_driver import (
    DAY,
    NOW,
    PROFILE,
    QUOTA_100,
    FakeTime,
    StoreDriver,
    a_purchase,
    claim_keys,
    stored,
    types,
)
from tests.support.wire import (
    Fault,
    Send,
    Wire,
    answer_lost,
    answers,
    cancels,
    connection_refused,
    first,
    no_answer,
    nothing,
    refuses,
    reset_after_commit,
)
from tests.support.workers import at_once, debit

TRANSACTION = "TransactWriteItems"

# Temporary failures, which botocore and the store retry. Twice each, because botocore itself tries twice.
NOT_NOW: dict[str, Fault] = {
    "no answer": no_answer,
    "connection refused": connection_refused,
    "500": refuses("InternalServerError", 500),
    "503": refuses("ServiceUnavailable", 503),
    "a 503 from something between": answers(503, b"<html><body>Service Unavailable</body></html>"),
    "an empty 502": answers(502, b""),
    "throttled": refuses("ThrottlingException"),
    "over the table's throughput": refuses("ProvisionedThroughputExceededException"),
    "over the account's throughput": refuses("RequestLimitExceeded"),
}
CANCELLED: dict[str, Fault] = {
    "in conflict": cancels("TransactionConflict", "None"),
    "in conflict at the claim": cancels("None", "TransactionConflict"),
    "throttled": cancels("ThrottlingError", "None"),
    "throughput": cancels("None", "ProvisionedThroughputExceeded"),
    "several": cancels("TransactionConflict", "ThrottlingError"),
    "in progress": refuses("TransactionInProgressException"),
}
LOST: dict[str, Fault] = {"timed out": answer_lost, "reset": reset_after_commit}


def any_of(faults: dict[str, Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", list(faults.values()), ids=list(faults))


def test_the_clients_timeouts_fit_into_a_functions_time(driver: StoreDriver) -> None:
    config: Any = driver.table.client.meta.config

    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries["mode"] == "standard"


def test_each_request_names_prepaid_and_its_sdk(driver: StoreDriver) -> None:
    sent: set[str] = set()
    driver.table.client.meta.events.register(
        "before-send.dynamodb", lambda request, **_: sent.add(request.headers["User-Agent"].decode())
    )

    driver.open(credits=10)
    driver.debit(3)

    # Powertools adds its own version.
    [text] = sent
    assert text.startswith(f"Boto3/{boto3.__version__} md/Botocore#{botocore.__version__} app/Prepaid")


@any_of(LOST)
def test_a_debit_whose_response_is_lost_happens_once(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, fault)

    done = driver.debit(3, key="k1")

    assert (done.entries[-1].number, done.entries[-1].after.available) == (3, 7)
    assert audit(stored(driver.table)).spent == 3


@pytest.mark.parametrize("credits", [3, 10], ids=["the last ones", "plenty"])
@any_of(LOST)
def test_a_debit_without_any_response_is_found_by_its_claim(
    driver: StoreDriver, wire: Wire, fault: Fault, credits: int
) -> None:
    """botocore has given up by then."""
    driver.open(credits=credits)
    wire.plan(TRANSACTION, fault, fault)

    done = driver.debit(3, key="k1")

    assert done.replayed
    assert done.entries[-1].number == 3
    assert audit(stored(driver.table)).spent == 3
    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#k1"]


@any_of(LOST)
def test_a_debit_whose_response_is_lost_finds_its_own_entry(
    driver: StoreDriver, rival: StoreDriver, wire: Wire, fault: Fault
) -> None:
    """Even when others write meanwhile."""
    driver.open(credits=10)
    wire.plan(TRANSACTION, fault, lambda send: (rival.debit(7), fault(send))[1])

    done = driver.debit(3, key="k1")

    assert done.entries[-1].number == 3
    assert audit(stored(driver.table)).spent == 10


def test_a_debit_without_a_response_is_busy_until_it_is_retried(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=3)
    time = FakeTime()
    wire.plan(TRANSACTION, answer_lost)
    wire.always(TRANSACTION, no_answer)
    with pytest.raises(Busy):
        driver.with_deadline(time.deadline(0.001)).debit(3, key="k1")
    wire.end_faults()

    done = driver.debit(3, key="k1")

    assert done.replayed
    assert audit(stored(driver.table)).spent == 3


def test_a_retry_that_cannot_read_its_entry_tries_again(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=3)
    answer = driver.debit(3, key="k1")
    wire.plan("GetItem", *[no_answer] * 2, nothing, *[no_answer] * 2)

    repeat = driver.debit(3, key="k1")

    assert wire.undone == 0
    assert repeat.entries == answer.entries


@any_of(NOT_NOW)
@pytest.mark.parametrize("operation", ["Query", TRANSACTION])
def test_a_debit_is_retried_while_the_database_throttles(
    driver: StoreDriver, wire: Wire, operation: str, fault: Fault
) -> None:
    driver.open(credits=10)
    wire.plan(operation, fault, fault, fault, fault)

    done = driver.with_deadline(FakeTime().deadline()).debit(3, key="k1")

    assert wire.undone == 0
    assert not done.replayed
    assert audit(stored(driver.table)).spent == 3


@any_of(CANCELLED)
def test_a_debit_is_retried_after_a_transaction_failure(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, fault, fault, fault)

    done = driver.with_deadline(FakeTime().deadline()).debit(3, key="k1")

    assert wire.undone == 0
    assert not done.replayed
    assert audit(stored(driver.table)).spent == 3


# After a lost race: the claim, the request's row, older rows; after a pause the claim, the newest entries and the rows.
A_TURN = ("GetItem", "PutItem", "Query", "GetItem", "Query", "Query")


def test_after_a_cancelled_transaction_the_entry_is_read_again(
    driver: StoreDriver, rival: StoreDriver, wire: Wire
) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, lambda send: (rival.debit(1), cancels("TransactionConflict", "None")(send))[1])
    wire.forget()

    driver.debit(3, key="k1")

    assert wire.calls == ["Query", TRANSACTION, *A_TURN, TRANSACTION]


def test_a_lost_condition_beside_a_conflict_counts_as_lost(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    answer = driver.debit(3, key="k1")
    wire.plan(TRANSACTION, cancels("TransactionConflict", "ConditionalCheckFailed"))

    repeat = driver.debit(3, key="k1")

    assert repeat.entries == answer.entries
    assert repeat.replayed


def test_a_lost_race_without_the_entry_that_won_is_read_again(driver: StoreDriver, wire: Wire) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, cancels("ConditionalCheckFailed", "None"))
    wire.forget()

    done = driver.debit(3, key="k1")

    assert wire.calls == ["Query", TRANSACTION, *A_TURN, TRANSACTION]
    assert done.entries[-1].number == 3


@pytest.mark.parametrize("operation", ["Query", TRANSACTION])
@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", "UnrecognizedClientException"]
)
def test_an_error_of_ours_is_raised_without_a_retry(driver: StoreDriver, wire: Wire, operation: str, code: str) -> None:
    driver.open(credits=10)
    before = stored(driver.table)
    wire.plan(operation, refuses(code))
    wire.forget()

    with pytest.raises(ClientError, match=code):
        driver.debit(3, key="k1")

    assert wire.calls.count(operation) == 1
    assert stored(driver.table) == before


@pytest.mark.parametrize("code", ["ValidationError", "AccessDenied", "ItemCollectionSizeLimitExceeded"])
def test_a_cancelled_invalid_transaction_is_not_retried(driver: StoreDriver, wire: Wire, code: str) -> None:
    driver.open(credits=10)
    wire.plan(TRANSACTION, cancels(code, "TransactionConflict"))
    wire.forget()

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        driver.debit(3, key="k1")

    assert wire.calls.count(TRANSACTION) == 1


@any_of(NOT_NOW)
@pytest.mark.parametrize("operation", ["Query", TRANSACTION])
def test_a_database_outage_is_busy_and_writes_nothing(
    driver: StoreDriver, wire: Wire, operation: str, fault: Fault
) -> None:
    driver.open(credits=10)
    before = stored(driver.table)
    wire.always(operation, fault)

    with pytest.raises(Busy) as busy:
        driver.with_deadline(FakeTime().deadline(0.3)).debit(3, key="k1")

    assert busy.value.retry_after_seconds >= 1
    assert stored(driver.table) == before


def test_endless_conflicts_are_busy(driver: StoreDriver, rival: StoreDriver, wire: Wire) -> None:
    driver.open(credits=100)
    wire.always(TRANSACTION, first(lambda: rival.debit(1)))

    with pytest.raises(Busy):
        driver.with_deadline(FakeTime().deadline(0.5)).debit(1, key="k1")

    assert claim_keys(stored(driver.table)) == []


def test_settling_with_a_lost_response_records_the_end_once(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    driver.grant(5, validity=NOW + DAY)
    wire.plan(TRANSACTION, answer_lost, answer_lost)

    done = driver.settle(at=NOW + DAY)

    assert done.entries == ()
    assert types(stored(driver.table)).count("expiry") == 1


def test_changed_terms_with_a_lost_response_are_written_once(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    wire.plan(TRANSACTION, answer_lost, answer_lost)

    driver.put_account(terms=QUOTA_100)

    assert types(stored(driver.table)) == ["plan_change", "plan_change"]
    assert driver.account().terms == QUOTA_100


@any_of({**NOT_NOW, **LOST})
@pytest.mark.parametrize("operation", ["GetItem", TRANSACTION])
def test_an_account_opens_once_under_every_fault(driver: StoreDriver, wire: Wire, operation: str, fault: Fault) -> None:
    wire.plan(operation, fault, fault)

    driver.put_account(terms=QUOTA_100)

    items = stored(driver.table)
    assert wire.undone == 0
    assert types(items) == ["plan_change"]
    assert ("ACCOUNT#acme", "PROFILE") in items


@any_of({**NOT_NOW, **LOST})
@pytest.mark.parametrize("operation", ["GetItem", "Query", TRANSACTION])
def test_a_payment_is_granted_once_under_every_fault(
    driver: StoreDriver, wire: Wire, operation: str, fault: Fault
) -> None:
    driver.open()
    driver.record(a_purchase())
    wire.plan(operation, fault, fault)

    outcome = driver.receive(a_payment_status("paid", a_purchase()))

    assert wire.undone == 0
    assert outcome in {"changed", "unchanged"}
    assert audit(stored(driver.table)).granted == 100
    assert driver.purchase().state == "granted"


@any_of({**NOT_NOW, **LOST})
def test_a_purchase_changes_once_under_every_fault(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    driver.open()
    driver.record(a_purchase())
    wire.plan("PutItem", fault, fault)

    outcome = driver.receive(a_payment_status("awaiting_payment", a_purchase()))

    assert wire.undone == 0
    assert outcome in {"changed", "unchanged"}
    assert (driver.purchase().state, driver.purchase().version) == ("pending", 2)


@any_of({**NOT_NOW, **LOST})
def test_a_mismatch_is_quarantined_under_every_fault(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    driver.open()
    driver.record(a_purchase())
    wire.plan("PutItem", fault, fault)

    outcome = driver.receive(a_payment_status("paid", a_purchase(), amount=1))

    assert outcome == "quarantined"
    assert len([key for key in stored(driver.table) if key[0].startswith("QUARANTINE#")]) == 1


@any_of(NOT_NOW)
def test_a_status_that_cannot_be_written_is_busy(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    """So that its event is delivered again."""
    driver.open()
    driver.record(a_purchase())
    wire.always("GetItem", fault)
    short_of_time = driver.with_deadline(FakeTime().deadline(0.1))

    with pytest.raises(Busy):
        short_of_time.receive(a_payment_status("paid", a_purchase()))

    assert audit(stored(driver.table)).granted == 0


def test_recording_a_purchase_without_a_database_is_busy(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    wire.always(TRANSACTION, no_answer)

    with pytest.raises(Busy):
        driver.with_deadline(FakeTime().deadline()).record(a_purchase())


def test_a_recording_whose_response_is_lost_finds_its_record(driver: StoreDriver, wire: Wire) -> None:
    """botocore recovers the first lost reply by the transaction's token, the store retries after the second."""
    driver.open()
    wire.plan(TRANSACTION, answer_lost, answer_lost)

    with pytest.raises(ConditionFailed) as lost:
        driver.record(a_purchase())

    items = stored(driver.table)
    assert lost.value.existing.keys() == {"purchase", "claim", "manager_session"}
    assert lost.value.existing["purchase"] == items["ACCOUNT#acme", "PURCHASE#pur_1"]
    assert lost.value.existing["claim"] == items["CLAIM#acme#buy pur_1", "CLAIM"]


@any_of({**NOT_NOW, **LOST})
@pytest.mark.parametrize("operation", ["GetItem", TRANSACTION])
def test_a_catalog_is_replaced_once_under_every_fault(
    driver: StoreDriver, wire: Wire, operation: str, fault: Fault
) -> None:
    wire.plan(operation, fault, fault)

    replaced = replace_catalog(driver.table, driver.catalog, expected_version=1, now=NOW)

    assert wire.undone == 0
    assert replaced.version == 2
    assert read_catalog(driver.table) == replaced


@any_of(NOT_NOW)
def test_a_read_is_retried_while_the_database_throttles(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    driver.open()
    wire.plan("GetItem", fault, fault)
    wire.plan("Query", fault, fault)

    found = read_account(driver.table, "acme")

    assert wire.undone == 0
    assert found[1] == PROFILE


@any_of(NOT_NOW)
def test_a_search_is_retried_while_the_database_throttles(driver: StoreDriver, wire: Wire, fault: Fault) -> None:
    driver.open(credits=5)
    answer = driver.debit(1, at=NOW + DAY)
    wire.plan("GetItem", fault, fault)

    found = find_entry_at(driver.table, "acme", answer.entries[-1], NOW)

    assert wire.undone == 0
    assert found
    assert found.number == 2


@pytest.mark.parametrize("seed", range(3))
def test_under_random_faults_every_acknowledged_debit_is_stored(driver: StoreDriver, wire: Wire, seed: int) -> None:
    """Once, and the total is exact."""
    driver.open(credits=60)
    dice = random.Random(seed)
    faults: list[Fault] = [*LOST.values(), no_answer, connection_refused, NOT_NOW["500"], NOT_NOW["throttled"]]
    wire.chaos = lambda _: dice.choice(faults) if dice.random() < 0.25 else None

    answers = at_once(lambda index: debit(driver, f"k{index}", quantity=2), range(40), threads=8)

    wire.end_faults()
    items = stored(driver.table)
    audited = audit(items)
    acknowledged = [number for answer, number in answers if answer != "refused"]
    assert len(acknowledged) == len(set(acknowledged)) == audited.consumptions == 30
    assert (audited.available, audited.spent) == (0, 60)
    repeats = [debit(driver, f"k{index}", quantity=2) for index in range(40)]
    assert [number for _, number in repeats] == [number for _, number in answers]


def test_other_errors_pass_unchanged(driver: StoreDriver, wire: Wire) -> None:
    def bug(_: Send) -> None:
        raise ZeroDivisionError

    driver.open(credits=1)
    wire.plan("Query", bug)

    with pytest.raises(ZeroDivisionError):
        driver.debit(1)


def test_a_quarantine_is_retried_while_the_database_is_busy(driver: StoreDriver, wire: Wire) -> None:
    driver.open()
    for name in ("pur_1", "pur_2"):
        driver.record(a_purchase(name))
    driver.receive(a_payment_status("paid", a_purchase("pur_1"), payment="pi_1"), event="evt_1")
    wire.plan("PutItem", no_answer, no_answer)

    outcome = driver.receive(a_payment_status("paid", a_purchase("pur_2"), payment="pi_1"), event="evt_2")

    assert wire.undone == 0
    assert outcome == "quarantined"
