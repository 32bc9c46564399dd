"""Many at once on a real, concurrent database: threads, and processes that share nothing but the table.

The tests check effects. They don't check which of several requests gets the first response: on a busy machine it may
be lost to a time-out, and then the request that had the effect gets a replay.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest

from prepaid.core.catalog import Catalog, Feature
from prepaid.core.errors import AccountFrozen, InsufficientCredits, VersionConflict
from prepaid.core.purchase import Progress
from prepaid.store.accounts import Profile, read_account
from prepaid.store.catalog import first_catalog, read_catalog
from prepaid.use_cases.administering import replace_catalog
from prepaid.use_cases.publishing import publish_missing
from prepaid.use_cases.sweeping import SweepContext, SweepResult, sweep
from tests.support.core_builders import a_payment_status
from tests.support.ledger_audit import audit
from tests.support.publishing import Outside, Publisher, feed, ids
from tests.support.store_driver import (
    DAY,
    NO_QUOTA,
    NOW,
    QUOTA_100,
    StoreDriver,
    a_purchase,
    claim_keys,
    due_keys,
    stored,
    types,
    until_answered,
)
from tests.support.workers import REFUSED, Answer, at_once, debit, debit_each, deliver_paid

PROCESSES = 3


@pytest.fixture(scope="module")
def others(cloud: None) -> Iterator[ProcessPoolExecutor]:
    """Processes that share only the table with this one."""
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        yield pool


def test_exactly_100_of_200_debits_on_100_credits_succeed(driver: StoreDriver) -> None:
    driver.open(credits=100)

    answers = at_once(lambda index: debit(driver, f"k{index}"), range(200), threads=16)

    items = stored(driver.table)
    audited = audit(items)
    assert answers.count(REFUSED) == 100
    assert (audited.available, audited.spent, audited.consumptions) == (0, 100, 100)
    assert len(claim_keys(items)) == 100
    assert numbers(answers) == list(range(3, 103))


def test_parallel_debits_without_keys_spend_each_credit_once(driver: StoreDriver) -> None:
    driver.open(credits=20)

    answers = at_once(lambda _: debit(driver, None), range(40), threads=16)

    assert answers.count(REFUSED) == 20
    assert audit(stored(driver.table)).consumptions == 20


def test_50_parallel_retries_of_one_key_write_one_entry(driver: StoreDriver) -> None:
    """All get one response."""
    driver.open(credits=100)

    answers = at_once(lambda _: until_answered(lambda: driver.debit(2, key="k1")), range(50), threads=25)

    audited = audit(stored(driver.table))
    assert audited.spent == 2
    assert [answer.entries for answer in answers] == [answers[0].entries] * 50
    assert sum(not answer.replayed for answer in answers) <= 1


def test_parallel_retries_of_the_last_debit_get_its_response(driver: StoreDriver) -> None:
    driver.open(credits=1)

    answers = at_once(lambda _: debit(driver, "k1"), range(32), threads=32)

    assert {number for _, number in answers} == {3}
    assert [answer for answer, _ in answers].count("new") <= 1
    assert audit(stored(driver.table)).available == 0


def test_one_of_two_parallel_debits_gets_the_last_credit(driver: StoreDriver) -> None:
    """Each with many retries."""
    driver.open(credits=1)

    answers = at_once(lambda key: (key, debit(driver, key)), ["k0", "k1"] * 16, threads=32)

    results = [{number for own_key, (_, number) in answers if own_key == key} for key in ("k0", "k1")]
    assert sorted(results, key=sorted) == [{0}, {3}]


def test_parallel_grants_and_debits_add_up_exactly(driver: StoreDriver) -> None:
    driver.open(credits=5)

    def ask(index: int) -> str:
        if index % 3 == 0:
            until_answered(lambda: driver.grant(3, key=f"g{index}"))
            return "granted"
        return debit(driver, f"k{index}", quantity=2)[0]

    answers = at_once(ask, range(60), threads=16)

    audited = audit(stored(driver.table))
    spent = 2 * sum(answer in {"new", "replayed"} for answer in answers)
    assert audited.granted == 5 + 3 * 20
    assert audited.spent == spent
    assert audited.available == audited.granted - spent
    assert audited.entries == 2 + 20 + spent // 2


def test_parallel_debits_of_several_accounts_are_independent(driver: StoreDriver) -> None:
    accounts = ["acme", "acme-2", "ac"]
    for account in accounts:
        driver.open(account, credits=10)

    at_once(
        lambda account: until_answered(lambda: driver.debit(1, key="k1", account=account)), accounts * 8, threads=12
    )

    items = stored(driver.table)
    assert [audit(items, account).available for account in accounts] == [9, 9, 9]


def test_parallel_debits_never_overdraw_quota_and_credits(driver: StoreDriver) -> None:
    driver.open(terms=QUOTA_100, credits=5)

    def ask(index: int) -> bool:
        try:
            until_answered(lambda: driver.debit(7, feature="ai_service", key=f"k{index}"))
        except InsufficientCredits:
            return False
        return True

    answers = at_once(ask, range(20), threads=10)

    account = driver.account()
    assert sum(answers) == 15
    assert (account.quotas_used, account.available) == ({"ai_service": 100}, 0)


def test_parallel_debits_and_publishers_raise_each_alert_once(driver: StoreDriver) -> None:
    """Once for each crossing, and again after a top-up."""
    driver.open(terms=QUOTA_100, credits=28)
    outside = Outside()

    first = spend_in_parallel(driver, outside, "first", 4)
    driver.grant(32, key="top-up")
    second = spend_in_parallel(driver, outside, "second", 1)

    assert sorted(first) == ["credits_exhausted", "credits_low", "quota_80", "quota_exhausted"]
    assert sorted(second[len(first) :]) == ["credits_exhausted", "credits_low"]


def test_racing_processes_spend_each_credit_once(driver: StoreDriver, others: ProcessPoolExecutor) -> None:
    driver.open(credits=40)

    futures = [
        others.submit(debit_each, driver.table.name, [f"p{process}-{index}" for index in range(20)], 4)
        for process in range(PROCESSES)
    ]
    answers = [answer for future in futures for answer in future.result()]

    audited = audit(stored(driver.table))
    assert answers.count(REFUSED) == 20
    assert (audited.available, audited.consumptions) == (0, 40)
    assert numbers(answers) == list(range(3, 43))


def test_processes_that_retry_the_same_keys_have_one_effect(driver: StoreDriver, others: ProcessPoolExecutor) -> None:
    driver.open(credits=10)
    keys = [f"k{index}" for index in range(10)]

    futures = [others.submit(debit_each, driver.table.name, keys, 4) for _ in range(PROCESSES)]
    answers = [future.result() for future in futures]

    assert audit(stored(driver.table)).available == 0
    for results in zip(*answers, strict=True):
        assert len({number for _, number in results}) == 1
        assert [answer for answer, _ in results].count("new") <= 1


def test_eight_parallel_deliveries_of_one_payment_grant_one_lot(driver: StoreDriver) -> None:
    driver.open()
    purchase = a_purchase()
    driver.record(purchase)

    outcomes = at_once(
        lambda index: until_answered(lambda: driver.receive(a_payment_status("paid", purchase), event=f"evt_{index}")),
        range(8),
        threads=8,
    )

    items = stored(driver.table)
    assert outcomes.count("changed") <= 1
    assert set(outcomes) <= {"changed", "unchanged"}
    assert audit(items).granted == 100
    assert types(items).count("purchase") == 1
    assert len(due_keys(items)) == 1


def test_deliveries_of_one_payment_to_several_processes_grant_one_lot(
    driver: StoreDriver, others: ProcessPoolExecutor
) -> None:
    driver.open()
    driver.record(a_purchase())

    futures = [others.submit(deliver_paid, driver.table.name, f"evt_{index}") for index in range(2 * PROCESSES)]
    outcomes = [future.result() for future in futures]

    assert outcomes.count("changed") <= 1
    assert audit(stored(driver.table)).granted == 100


def test_every_status_at_once_grants_once_and_ends_granted(driver: StoreDriver) -> None:
    driver.open()
    purchase = a_purchase()
    driver.record(purchase)
    kinds: list[Progress] = ["awaiting_payment", "paid", "payment_failed", "session_expired"]

    at_once(
        lambda kind: until_answered(lambda: driver.receive(a_payment_status(kind, purchase))), kinds * 4, threads=16
    )

    assert audit(stored(driver.table)).granted == 100
    assert driver.purchase().state == "granted"
    assert driver.granted_by() == 2


def test_one_payment_of_two_purchases_at_once_grants_one(driver: StoreDriver) -> None:
    driver.open()
    for purchase in (a_purchase("pur_1"), a_purchase("pur_2")):
        driver.record(purchase)

    outcomes = at_once(
        lambda name: until_answered(
            lambda: driver.receive(a_payment_status("paid", a_purchase(name), payment="pi_1"), event=f"evt_{name}")
        ),
        ["pur_1", "pur_2"],
        threads=2,
    )

    items = stored(driver.table)
    assert outcomes.count("quarantined") == 1
    assert audit(items).granted == 100
    assert [sort for partition, sort in items if partition.startswith("QUARANTINE#")] != []


def test_parallel_sweeps_record_each_end_once_and_leave_no_row(driver: StoreDriver) -> None:
    accounts = [f"acme-{index}" for index in range(6)]
    for account in accounts:
        driver.open(account)
        driver.grant(5, account=account, validity=NOW + DAY)
        driver.grant(3, account=account, validity=NOW + DAY + DAY)

    swept = at_once(lambda _: run_sweep(driver), range(3), threads=3)

    items = stored(driver.table)
    assert all(result.finished and result.failed == 0 for result in swept)
    for account in accounts:
        assert types(items, account).count("expiry") == 1
        assert audit(items, account).expired == 8
    assert due_keys(items) == []


def test_a_sweep_and_debits_at_once_record_the_end_once(driver: StoreDriver) -> None:
    driver.open(credits=20)
    driver.grant(5, validity=NOW + DAY)
    later = NOW + 2 * DAY

    def ask(index: int) -> None:
        if index == 0:
            run_sweep(driver)
        else:
            until_answered(lambda: driver.debit(1, key=f"k{index}", at=later))

    at_once(ask, range(13), threads=13)

    items = stored(driver.table)
    assert types(items).count("expiry") == 1
    assert (audit(items).expired, audit(items).available) == (5, 8)
    assert len(due_keys(items)) == 1


def test_parallel_requests_open_an_account_once(driver: StoreDriver) -> None:
    opened = at_once(lambda _: until_answered(lambda: driver.put_account(terms=QUOTA_100)), range(12), threads=12)

    items = stored(driver.table)
    assert opened.count(True) <= 1
    assert types(items) == ["plan_change"]
    assert items["ACCOUNT#acme", "PROFILE"]["version"]["N"] == "1"


def test_parallel_account_changes_all_count(driver: StoreDriver) -> None:
    """The last one stands whole."""
    driver.open()
    plans = ["individual", "trio", "team", "scale"] * 3
    changes = [
        (
            replace(QUOTA_100, plan=plan, quota_anchor_day=1 + index),
            Profile(name=f"{plan}-{1 + index}", language="pt-BR", manager_contact=None),
        )
        for index, plan in enumerate(plans)
    ]

    at_once(lambda change: until_answered(lambda: driver.put_account("acme", *change)), changes, threads=12)

    items = stored(driver.table)
    assert read_account(driver.table, "acme") in changes
    assert int(items["ACCOUNT#acme", "PROFILE"]["version"]["N"]) >= 1 + len(changes)
    assert audit(items).entries >= 1 + len(changes)


def test_no_debit_follows_a_freeze(driver: StoreDriver) -> None:
    driver.open(credits=100)

    def ask(index: int) -> str:
        try:
            if index == 8:
                until_answered(lambda: driver.put_account(terms=replace(NO_QUOTA, status="frozen")))
                return "frozen"
            until_answered(lambda: driver.debit(1, key=f"k{index}"))
        except AccountFrozen:
            return "refused"
        return "spent"

    answers = at_once(ask, range(40), threads=16)

    order = types(stored(driver.table))
    assert order[-1] == "plan_change"
    assert order.count("consumption") == answers.count("spent") == 39 - answers.count("refused")
    assert audit(stored(driver.table)).spent == answers.count("spent")


def test_one_of_parallel_catalog_replacements_succeeds(driver: StoreDriver) -> None:
    """The others are refused."""
    first = first_catalog()
    successors = [
        replace(first, features=(*first.features, Feature(id=f"new-{index}", price=index))) for index in range(10)
    ]

    def ask(successor: Catalog) -> Catalog | int:
        try:
            return replace_catalog(driver.table, successor, expected_version=1, now=NOW)
        except VersionConflict as conflict:
            return conflict.current

    answers = at_once(ask, successors, threads=10)

    [winner] = [answer for answer in answers if isinstance(answer, Catalog)]
    assert answers.count(2) == 9
    assert read_catalog(driver.table) == winner
    assert [sort for partition, sort in sorted(stored(driver.table)) if partition == "CATALOG"] == [
        "CURRENT",
        "V#000002",
    ]


def spend_in_parallel(driver: StoreDriver, outside: Outside, name: str, units: int) -> list[str]:
    """32 debits at once of so many units, which publishers follow. Returns every alert so far.

    The queue and the bus may get an alert more than once, with the id that it has in the feed.
    """

    def ask(index: int) -> None:
        if index % 8 == 0:
            publish_missing(Publisher(driver.table, outside).context())
        until_answered(lambda: driver.debit(units, feature="ai_service", key=f"{name} {index}"))

    at_once(ask, range(32), threads=32)
    assert publish_missing(Publisher(driver.table, outside).context()).failed == 0
    fed = feed(driver.table)
    assert set(ids(outside.queue)) == set(ids(outside.bus)) == set(ids(fed))
    alerts = [event["type"] for event in fed if event["type"].startswith("prepaid.alert.")]
    return [alert.removeprefix("prepaid.alert.") for alert in alerts]


def numbers(answers: list[Answer]) -> list[int]:
    """The entries that were acknowledged, new or replayed."""
    return sorted(number for answer, number in answers if answer != "refused")


def run_sweep(driver: StoreDriver) -> SweepResult:
    return sweep(
        SweepContext(
            piece=driver.piece,
            catalog=driver.catalog,
            now=NOW + 3 * DAY,
            has_time=lambda: True,
            on_failure=lambda row, error: pytest.fail(f"{row}: {error}"),
        )
    )
