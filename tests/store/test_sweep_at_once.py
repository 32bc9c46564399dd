"""The sweep with several accounts at once: every end is recorded once, and no run passes a row that it left."""

import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import count
from threading import Lock
from typing import Any
from zlib import crc32

import pytest

from prepaid.core.errors import Busy
from prepaid.store import keys
from prepaid.store.due import DueRow, SweepCheckpoint, read_checkpoint, read_due, save_checkpoint, sort_key
from prepaid.use_cases.sweeping import Spread, SweepContext, SweepResult, sweep
from tests.support.interruptions import raising
from tests.support.ledger_audit import audit
from tests.support.store_driver import DAY, HOUR, NOW, StoreDriver, due_keys, stored, types, until_answered
from tests.support.wire import Send, Wire, nothing
from tests.support.workers import at_once

DUE_AT = NOW + DAY
ACCOUNTS = 5


class Died(BaseException):
    """The process of a sweep has ended."""


def last_first(act: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    return [act(argument) for argument in reversed(list(arguments))][::-1]


def shuffled(seed: int) -> Spread:
    """In an order of its own for each page."""
    dice = random.Random(seed)

    def spread(act: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        numbered = list(enumerate(arguments))
        dice.shuffle(numbered)
        return [result for _, result in sorted((number, act(argument)) for number, argument in numbered)]

    return spread


@pytest.fixture
def names(driver: StoreDriver) -> list[str]:
    """Accounts of one shard, each with two lots that end together and one that ends later."""
    candidates = (f"acme-{number}" for number in count())
    found = [name for name, _ in zip(filter(in_first_shard, candidates), range(ACCOUNTS), strict=False)]
    for name in found:
        driver.open(name)
        driver.grant(5, account=name, validity=DUE_AT)
        driver.grant(3, account=name, validity=DUE_AT)
        driver.grant(2, account=name, validity=DUE_AT + 2 * HOUR)
    save_checkpoint(driver.table, SweepCheckpoint(day=DUE_AT.date()))
    return sorted(found)


def in_first_shard(account: str) -> bool:
    return crc32(account.encode()) % keys.DUE_SHARDS == 0


def run(
    driver: StoreDriver,
    spread: Spread,
    *,
    at: datetime = DUE_AT,
    page_rows: int = 100,
    has_time: Callable[[], bool] = lambda: True,
    failures: list[DueRow] | None = None,
) -> SweepResult:
    return sweep(
        SweepContext(
            piece=driver.piece,
            catalog=driver.catalog,
            now=at,
            has_time=has_time,
            on_failure=lambda row, _: failures.append(row) if failures is not None else pytest.fail(f"{row}"),
            spread=spread,
            page_rows=page_rows,
        )
    )


def for_looks(looks: int) -> Callable[[], bool]:
    """The time is up after so many checks of it."""
    answers: Iterator[bool] = iter([True] * looks)
    return lambda: next(answers, False)


def passed(driver: StoreDriver) -> list[str]:
    """The rows of ended lots that are behind the checkpoint, and would be found by no later run of that day."""
    place = read_checkpoint(driver.table)
    assert place
    start = SweepCheckpoint(day=DUE_AT.date(), shard=0)
    left = [row for row in read_due(driver.table, start, 100) if row.ends_at <= DUE_AT]
    return [
        sort_key(row) for row in left if (row.day, row.shard, sort_key(row)) <= (place.day, place.shard, place.after)
    ]


def all_recorded_once(driver: StoreDriver, names: list[str]) -> None:
    items = stored(driver.table)
    for name in names:
        assert types(items, name).count("expiry") == 1
        assert audit(items, name).expired == 8
    assert due_keys(items) == [f"{name}#lot_000000000004" for name in names]


@pytest.mark.parametrize("page_rows", [1, 3, 100])
def test_threads_record_every_end_once(driver: StoreDriver, names: list[str], page_rows: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        swept = run(driver, pool.map, page_rows=page_rows)

    assert swept == SweepResult(recorded=2 * ACCOUNTS, failed=0, finished=True)
    all_recorded_once(driver, names)


def test_an_account_is_in_one_thread_at_a_time(driver: StoreDriver, names: list[str], wire: Wire) -> None:
    busy: set[str] = set()
    met: list[list[str]] = []
    lock = Lock()

    def watched(act: Callable[[Any], Any]) -> Callable[[list[DueRow]], Any]:
        def act_alone(rows: list[DueRow]) -> Any:
            [account] = {row.account for row in rows}
            with lock:
                assert account not in busy
                busy.add(account)
                met.append([row.what for row in rows])
            try:
                return act(rows)
            finally:
                with lock:
                    busy.remove(account)

        return act_alone

    with ThreadPoolExecutor(8) as pool:
        run(driver, lambda act, arguments: pool.map(watched(act), arguments))

    assert met == [["lot_000000000002", "lot_000000000003"]] * ACCOUNTS
    # The second row of an account finds its end recorded.
    assert wire.calls.count("TransactWriteItems") >= ACCOUNTS


@pytest.mark.parametrize("spread", [last_first, shuffled(1)])
def test_a_run_out_of_time_passes_no_row_that_it_left(driver: StoreDriver, names: list[str], spread: Spread) -> None:
    unfinished = 0
    for looks in count(2):
        swept = run(driver, spread, page_rows=5, has_time=for_looks(looks))

        assert swept.failed == 0
        assert passed(driver) == []
        if swept.finished:
            break
        unfinished += 1

    assert unfinished > 2
    all_recorded_once(driver, names)


def test_threads_out_of_time_leave_the_rest_to_the_next_run(driver: StoreDriver, names: list[str]) -> None:
    recorded, runs = 0, 0
    with ThreadPoolExecutor(8) as pool:
        for looks in count(3):
            swept = run(driver, pool.map, has_time=for_looks(looks))
            recorded, runs = recorded + swept.recorded, runs + 1
            assert passed(driver) == []
            if swept.finished:
                break

    assert runs > 1
    assert recorded == 2 * ACCOUNTS
    all_recorded_once(driver, names)


@pytest.mark.parametrize("spread", [shuffled(3)])
@pytest.mark.parametrize("operation", ["GetItem", "Query", "TransactWriteItems", "DeleteItem", "PutItem"])
@pytest.mark.parametrize("done", [False, True])
def test_a_sweep_that_dies_at_any_call_is_finished_by_the_next(
    driver: StoreDriver, names: list[str], wire: Wire, spread: Spread, operation: str, done: bool
) -> None:
    """Before the call reaches the database, or once it has done its work."""
    deaths = 0
    for number in count():
        wire.plan(operation, *[nothing] * number, dies_after if done else dies_before)
        try:
            run(driver, spread, page_rows=3)
            break
        except Died:
            deaths += 1
        finally:
            wire.end_faults()
        assert passed(driver) == []

    assert deaths > 0
    run(driver, spread, page_rows=3)
    all_recorded_once(driver, names)


def dies_before(_: Send) -> None:
    raise Died


def dies_after(send: Send) -> None:
    send()
    raise Died


@pytest.mark.parametrize("spread", [last_first, shuffled(4)])
def test_an_account_that_fails_is_the_only_one_left(driver: StoreDriver, names: list[str], spread: Spread) -> None:
    failures: list[DueRow] = []
    with raising(driver.table.client, RuntimeError("sick"), "TransactWriteItems", f"'ACCOUNT#{names[3]}'"):
        swept = run(driver, spread, page_rows=5, failures=failures)

    assert (swept.recorded, swept.failed, swept.finished) == (2 * ACCOUNTS - 2, 2, True)
    assert [(row.account, row.what) for row in failures] == [
        (names[3], "lot_000000000002"),
        (names[3], "lot_000000000003"),
    ]
    assert run(driver, spread).recorded == 2
    all_recorded_once(driver, names)


def test_two_sweeps_of_eight_threads_beside_debits_are_exact(driver: StoreDriver, names: list[str]) -> None:
    def act(number: int) -> None:
        if number < 2:
            with ThreadPoolExecutor(8) as pool:
                assert run(driver, pool.map).failed == 0
        else:
            until_answered(lambda: driver.debit(1, account=names[number % ACCOUNTS], key=f"k{number}", at=DUE_AT))

    at_once(act, range(10), threads=10)

    items = stored(driver.table)
    for name in names:
        assert types(items, name).count("expiry") == 1
        assert audit(items, name).expired == 8
    assert sum(audit(items, name).spent for name in names) == 8
    assert due_keys(items) == [f"{name}#lot_000000000004" for name in names]


def test_a_page_that_cannot_be_read_stops_the_sweep(driver: StoreDriver, names: list[str], wire: Wire) -> None:
    with ThreadPoolExecutor(8) as pool, raising(driver.table.client, Busy(), "Query"), pytest.raises(Busy):
        run(driver, pool.map)

    with ThreadPoolExecutor(8) as pool:
        assert run(driver, pool.map).recorded == 2 * ACCOUNTS
    all_recorded_once(driver, names)
