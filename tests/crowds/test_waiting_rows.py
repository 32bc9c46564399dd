"""Rows that other requests have left: which of them a debit carries, and what it leaves itself."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from prepaid.core.errors import Busy, InsufficientCredits
from prepaid.store.dynamodb import Table, put
from prepaid.store.ledger import read_tail
from prepaid.store.waiting import ROW_LIFE
from prepaid.use_cases.debiting import MAX_CARRIED, Crowds
from tests.simulation.line import off_the_wire
from tests.support.ledger_audit import audit
from tests.support.store_driver import NO_DEADLINE, NOW, FakeTime, Stored, StoreDriver, claim_keys
from tests.support.waiting_rows import a_waiting_row
from tests.support.whole_table import NAME, WholeClient, WholeDatabase, WholeTable, errors_of_a_client
from tests.support.wire import Fault, cancels

MILLISECONDS = int(NOW.timestamp() * 1000)


@pytest.fixture
def driver() -> StoreDriver:
    return crowded(WholeTable().table)


def crowded(table: Table) -> StoreDriver:
    """In a crowd: its debits leave a row first."""
    driver = StoreDriver(table)
    driver.open(credits=100)
    driver = driver.with_deadline(FakeTime().deadline())
    driver.crowds.note("acme")
    return driver


def stored(table: Any) -> Stored:
    return {key: off_the_wire(item) for key, item in table.client.database.snapshot(table.name).items()}


def waits(driver: StoreDriver, key: str, debit: str | None = None, **changes: Any) -> None:
    """Leave a row, as a request does that began a second ago."""
    place = read_tail(driver.table, "acme").entry.number
    put(driver.table, {"Item": a_waiting_row("acme", place, MILLISECONDS - 1000, key, debit, **changes)})


def waiting(items: Stored) -> list[bool]:
    """For each row, whether a debit waits in it, and no tombstone is there."""
    return ["debit" in items[key] for key in sorted(items) if key[0].startswith("WAIT#")]


def test_a_debit_carries_those_that_wait(driver: StoreDriver) -> None:
    waits(driver, "theirs")

    driver.debit(2, key="ours")

    items = stored(driver.table)
    assert claim_keys(items) == ["CLAIM#acme#ours", "CLAIM#acme#theirs"]
    assert items["CLAIM#acme#theirs", "CLAIM"]["row"]
    assert audit(items).spent == 3
    assert driver.debit(1, key="theirs").replayed


def test_a_retry_in_a_crowd_leaves_no_row(driver: StoreDriver) -> None:
    driver.debit(key="ours")
    driver.crowds.note("acme")
    rows = waiting(stored(driver.table))

    assert driver.debit(key="ours").replayed
    assert waiting(stored(driver.table)) == rows


@pytest.mark.parametrize(
    ("debit", "changes"),
    [
        (None, {"form": {"N": "2"}}),
        ("not JSON", {}),
        ('{"key":"theirs"}', {}),
        ('{"key":"theirs","actor":"app","feature":"sticker","quantity":"many"}', {}),
        ('{"key":"theirs","actor":"app","feature":"gone","quantity":1}', {}),
        ('{"key":"theirs","actor":"app","feature":"sticker","quantity":1,"customer":5}', {}),
        ('{"key":"theirs","actor":"app","feature":"sticker","quantity":1,"customer":"\\ud800"}', {}),
        ('{"key":"another","actor":"app","feature":"sticker","quantity":1}', {}),
        ("[]", {}),
        (None, {"now": {"N": "1" * 20}}),
        ('{"key":"theirs","actor":"app","feature":"sticker","quantity":1.5}', {}),
        ('{"key":"theirs","actor":"app","feature":"sticker","quantity":-9}', {}),
        (None, {"catalog": {"N": "2"}}),
    ],
)
def test_a_row_that_can_not_be_read_is_left_out(driver: StoreDriver, debit: str | None, changes: Any) -> None:
    waits(driver, "theirs", debit, **changes)
    waits(driver, "others")

    driver.debit(2, key="ours")

    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#others", "CLAIM#acme#ours"]


def test_a_row_grows_old_while_a_request_waits(driver: StoreDriver) -> None:
    """The request begins when the row is a second old, and appends nine seconds later."""
    waits(driver, "theirs")
    time = FakeTime()
    slow = driver.with_deadline(replace(time.deadline(60.0), clock=lambda: time.now, sleep=lambda _: elapse(time)))

    slow.debit(2, key="ours", at=NOW)

    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#ours"]


def elapse(time: FakeTime) -> None:
    time.now += ROW_LIFE.total_seconds() - 1


def test_a_row_whose_key_is_claimed_is_left_out(driver: StoreDriver) -> None:
    """Its entry is further back than the request looks."""
    driver.debit(key="theirs")
    for batch in range(5):
        driver.batch([(f"{batch} {number}", 1) for number in range(18)])
    waits(driver, "theirs")
    waits(driver, "others", now={"N": str(MILLISECONDS)})
    driver.crowds.note("acme")

    driver.debit(key="ours")

    assert {"CLAIM#acme#others", "CLAIM#acme#ours", "CLAIM#acme#theirs"} <= set(claim_keys(stored(driver.table)))


def test_a_transaction_carries_at_most_forty_five(driver: StoreDriver) -> None:
    for number in range(60):
        waits(driver, f"theirs{number}")

    driver.debit(key="ours")

    assert len(claim_keys(stored(driver.table))) == MAX_CARRIED


def test_a_refused_debit_leaves_a_tombstone(driver: StoreDriver) -> None:
    """Its credits are spent while it waits."""
    waits(driver, "theirs", now={"N": str(MILLISECONDS)})
    rival = replace(driver, table=driver.table)
    time = FakeTime()

    def spend(_: float) -> None:
        if "CLAIM#acme#last" not in claim_keys(stored(driver.table)):
            rival.crowds.forget("acme")
            rival.debit(100, key="last")

    with pytest.raises(InsufficientCredits):
        driver.with_deadline(replace(time.deadline(), sleep=spend)).debit(2, key="ours")

    assert waiting(stored(driver.table)) == [True, False]


def test_a_debit_that_gives_up_leaves_a_tombstone(driver: StoreDriver) -> None:
    time = FakeTime()

    def elapses(_: float) -> None:
        time.now += 4.0

    with pytest.raises(Busy):
        driver.with_deadline(replace(time.deadline(4.0), sleep=elapses)).debit(2, key="ours")

    assert waiting(stored(driver.table)) == [False]


def test_a_row_and_its_tombstone_stay_for_ten_minutes() -> None:
    """Longer than a late write of a row may be under way."""
    client: Any = OvertakenClient()
    driver = crowded(Table(client=client, name=NAME, deadline=NO_DEADLINE))
    kept: list[Stored] = []
    client.meanwhile = lambda: kept.append(stored(driver.table))
    time = FakeTime()

    def elapses(_: float) -> None:
        time.now += 4.0

    with pytest.raises(Busy):
        driver.with_deadline(replace(time.deadline(4.0), sleep=elapses)).debit(2, key="ours", at=NOW)

    rows = [items[key] for items in (kept[0], stored(driver.table)) for key in items if key[0].startswith("WAIT#")]
    assert ["debit" in row for row in rows] == [True, False]
    assert [row["ttl"]["N"] for row in rows] == [str(MILLISECONDS // 1000 + 600)] * 2


class OvertakenClient(WholeClient):
    """Something else happens whenever rows have been read.

    conflicting: the database then finds the next transaction, of an entry and its claim, in conflict with that.
    """

    def __init__(self, *, conflicting: bool = False) -> None:
        super().__init__(errors_of_a_client(), WholeDatabase(), self._fault)
        self.meanwhile: Callable[[], object] = list
        self._conflicting, self._conflicts = conflicting, False

    def query(self, **params: Any) -> Any:
        answer = super().query(**params)
        if params["ExpressionAttributeValues"][":partition"]["S"].startswith("WAIT#"):
            self._conflicts = False
            self.meanwhile()
            self._conflicts = self._conflicting
        return answer

    def _fault(self, operation: str, _call: int) -> Fault | None:
        if operation != "TransactWriteItems" or not self._conflicts:
            return None
        self._conflicts = False
        return cancels("TransactionConflict", "None")


@pytest.mark.parametrize("conflicting", [False, True], ids=["later", "at the same time"])
def test_a_quick_rival_cannot_keep_a_debit_waiting(conflicting: bool) -> None:
    """It appends between the request's read of the newest entry and its write, whenever the request reads rows too."""
    client: Any = OvertakenClient(conflicting=conflicting)
    driver = crowded(Table(client=client, name=NAME, deadline=NO_DEADLINE))
    rival, keys = replace(driver, crowds=Crowds()), (f"quick{number}" for number in count())
    client.meanwhile = lambda: rival.debit(key=next(keys))

    driver.debit(2, key="ours")

    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#ours", "CLAIM#acme#quick0", "CLAIM#acme#quick1"]
    assert "acme" in driver.crowds


def test_a_grant_that_comes_first_is_no_quick_rival() -> None:
    """The debit reads the rows again, and carries the one that another request has left meanwhile."""
    client: Any = OvertakenClient()
    driver = crowded(Table(client=client, name=NAME, deadline=NO_DEADLINE))
    other = replace(driver, crowds=Crowds())

    def looks_for_older_rows() -> None:
        client.meanwhile = reads_rows

    def reads_rows() -> None:
        client.meanwhile = list
        waits(driver, "theirs")
        other.grant(5)

    client.meanwhile = looks_for_older_rows

    driver.debit(2, key="ours")

    assert claim_keys(stored(driver.table)) == ["CLAIM#acme#ours", "CLAIM#acme#theirs"]


def test_a_replay_is_no_race(driver: StoreDriver) -> None:
    driver.crowds.forget("acme")
    driver.debit(key="ours")

    assert driver.debit(key="ours").replayed
    assert "acme" not in driver.crowds
