"""Due rows and the sweep: every end is recorded, even if sweeps are stopped, run twice or fail on an account."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from zlib import crc32

import pytest

from prepaid.core.errors import Busy
from prepaid.store import keys
from prepaid.store.due import DueRow, SweepCheckpoint, delete_due, read_checkpoint, read_due, save_checkpoint
from prepaid.store.dynamodb import Deadline
from prepaid.use_cases.sweeping import INITIAL_LOOKBACK, PAGE_ROWS, SweepContext, SweepResult, sweep
from tests.support.interruptions import raising
from tests.support.ledger_audit import audit
from tests.support.store_driver import DAY, HOUR, NOW, SECOND, FakeTime, StoreDriver, due_keys, stored, types
from tests.support.wire import Fault, Wire, answer_lost, first, no_answer, refuses

DUE_AT = NOW + DAY


@dataclass
class Sweeper:
    """Runs sweeps and keeps the failures that they reported."""

    driver: StoreDriver
    failures: list[tuple[DueRow, Exception]] = field(default_factory=list)
    page_rows: int = PAGE_ROWS

    def run(
        self,
        at: datetime,
        *,
        has_time: Callable[[], bool] = lambda: True,
        deadline: Deadline | None = None,
    ) -> SweepResult:
        driver = self.driver.with_deadline(deadline) if deadline else self.driver
        return sweep(
            SweepContext(
                piece=driver.piece,
                catalog=driver.catalog,
                now=at,
                has_time=has_time,
                on_failure=lambda row, error: self.failures.append((row, error)),
                page_rows=self.page_rows,
            )
        )

    def run_for(self, looks: int, at: datetime) -> SweepResult:
        """A sweep whose time is up after so many checks of the time."""
        answers: Iterator[bool] = iter([True] * looks)
        return self.run(at, has_time=lambda: next(answers, False))


@pytest.fixture
def sweeper(driver: StoreDriver) -> Sweeper:
    """Earlier sweeps have run, because the first sweep of a table covers many more days."""
    save_checkpoint(driver.table, SweepCheckpoint(day=NOW.date()))
    return Sweeper(driver)


def open_with_lot(driver: StoreDriver, account: str, ends: datetime = DUE_AT, credits: int = 5) -> None:
    driver.open(account)
    driver.grant(credits, account=account, validity=ends)


def expiries(driver: StoreDriver, accounts: list[str]) -> list[int]:
    items = stored(driver.table)
    return [types(items, account).count("expiry") for account in accounts]


def accounts_of_every_shard() -> list[str]:
    """One account for each shard, found by where its due rows go."""
    found: dict[int, str] = {}
    for index in range(1000):
        found.setdefault(crc32(f"acme-{index}".encode()) % keys.DUE_SHARDS, f"acme-{index}")
    return [found[shard] for shard in range(keys.DUE_SHARDS)]


def no_write(driver: StoreDriver) -> AbstractContextManager[None]:
    """No entry can be written, for an unexpected reason."""
    return raising(driver.table.client, RuntimeError("sick"), "TransactWriteItems")


def test_a_due_row_lies_in_its_day_and_its_accounts_shard(driver: StoreDriver) -> None:
    """The day is UTC's."""
    open_with_lot(driver, "acme", datetime(2026, 7, 1, 2, 59, tzinfo=UTC))
    driver.grant(5, validity=datetime(2026, 6, 30, 23, 59, 59, 999000, tzinfo=UTC))
    driver.grant(5, validity=datetime(2026, 7, 1, 0, 0, tzinfo=UTC))

    days = sorted(partition for partition, _ in stored(driver.table) if partition.startswith("DUE#"))

    assert [day.rpartition("#")[0] for day in days] == ["DUE#2026-06-30", "DUE#2026-07-01", "DUE#2026-07-01"]
    assert len({day.rpartition("#")[2] for day in days}) == 1


def test_due_rows_are_read_in_pages_without_a_gap(driver: StoreDriver) -> None:
    driver.open()
    for _ in range(7):
        driver.grant(1, validity=DUE_AT)
    shard = int(next(partition for partition, _ in stored(driver.table) if partition.startswith("DUE#"))[-1])
    place = SweepCheckpoint(day=DUE_AT.date(), shard=shard)
    found: list[str] = []

    while rows := read_due(driver.table, place, 3):
        assert len(found) < 7
        found += [row.what for row in rows]
        place = SweepCheckpoint(day=place.day, shard=shard, after=f"{rows[-1].account}#{rows[-1].what}")

    assert found == [f"lot_{number:012d}" for number in range(2, 9)]


def test_the_sweep_records_ended_lots_and_deletes_their_rows(driver: StoreDriver, sweeper: Sweeper) -> None:
    open_with_lot(driver, "acme")

    swept = sweeper.run(DUE_AT)

    items = stored(driver.table)
    assert swept == SweepResult(recorded=1, failed=0, finished=True)
    assert types(items) == ["plan_change", "grant", "expiry"]
    assert due_keys(items) == []
    assert audit(items).expired == 5


def test_the_sweep_finds_every_shard(driver: StoreDriver, sweeper: Sweeper) -> None:
    accounts = accounts_of_every_shard()
    for account in accounts:
        open_with_lot(driver, account)

    assert sweeper.run(DUE_AT).recorded == 8
    assert expiries(driver, accounts) == [1] * 8


@pytest.mark.parametrize("account", ["0", "-", "A", "zz", "pet_shop-1", "x" * 64])
def test_the_sweep_finds_accounts_of_any_name(driver: StoreDriver, sweeper: Sweeper, account: str) -> None:
    open_with_lot(driver, account)

    assert sweeper.run(DUE_AT).recorded == 1


def test_a_lot_that_has_not_ended_yet_keeps_its_row_until_it_has(driver: StoreDriver, sweeper: Sweeper) -> None:
    open_with_lot(driver, "acme", DUE_AT)

    assert sweeper.run(DUE_AT - SECOND).recorded == 0
    assert due_keys(stored(driver.table)) == ["acme#lot_000000000002"]
    assert types(stored(driver.table)) == ["plan_change", "grant"]

    assert sweeper.run(DUE_AT).recorded == 1
    assert due_keys(stored(driver.table)) == []


def test_a_lot_used_up_before_its_end_leaves_no_entry_and_no_row(driver: StoreDriver, sweeper: Sweeper) -> None:
    open_with_lot(driver, "acme")
    driver.debit(5)

    sweeper.run(DUE_AT)

    assert types(stored(driver.table)) == ["plan_change", "grant", "consumption"]
    assert due_keys(stored(driver.table)) == []


def test_the_row_of_a_recorded_end_is_only_deleted(driver: StoreDriver, sweeper: Sweeper) -> None:
    open_with_lot(driver, "acme")
    driver.settle(at=DUE_AT)
    before = stored(driver.table)

    sweeper.run(DUE_AT + HOUR)

    after = stored(driver.table)
    assert types(after).count("expiry") == 1
    assert {key for key in before if key not in after} == {key for key in before if key[0].startswith("DUE#")}


def test_several_lots_of_one_account_are_recorded_in_one_entry(driver: StoreDriver, sweeper: Sweeper) -> None:
    driver.open()
    for credits in (1, 2, 3):
        driver.grant(credits, validity=DUE_AT)

    sweeper.run(DUE_AT)

    assert types(stored(driver.table)).count("expiry") == 1
    assert audit(stored(driver.table)).expired == 6
    assert due_keys(stored(driver.table)) == []


def test_more_rows_than_a_page_are_all_swept(driver: StoreDriver, sweeper: Sweeper) -> None:
    sweeper.page_rows = 2
    driver.open()
    for _ in range(7):
        driver.grant(1, validity=DUE_AT)

    assert sweeper.run(DUE_AT).finished
    assert due_keys(stored(driver.table)) == []


def test_the_row_is_deleted_after_the_entry_is_written(driver: StoreDriver, sweeper: Sweeper, wire: Wire) -> None:
    open_with_lot(driver, "acme")
    seen: list[list[str]] = []
    wire.plan("DeleteItem", first(lambda: seen.append(types(stored(driver.table)))))
    wire.plan("TransactWriteItems", first(lambda: seen.append(due_keys(stored(driver.table)))))

    sweeper.run(DUE_AT)

    assert seen == [["acme#lot_000000000002"], ["plan_change", "grant", "expiry"]]


def test_a_sweep_killed_after_the_entry_is_finished_by_the_next(
    driver: StoreDriver, sweeper: Sweeper, wire: Wire
) -> None:
    """The entry is written; its due row is not yet deleted."""
    open_with_lot(driver, "acme")

    def die(_: object) -> None:
        raise KeyboardInterrupt

    wire.plan("DeleteItem", die)
    with pytest.raises(KeyboardInterrupt):
        sweeper.run(DUE_AT)
    assert len(due_keys(stored(driver.table))) == 1

    sweeper.run(DUE_AT)

    assert types(stored(driver.table)).count("expiry") == 1
    assert due_keys(stored(driver.table)) == []


@pytest.mark.parametrize("fault", [answer_lost, no_answer, refuses("ThrottlingException")])
@pytest.mark.parametrize("operation", ["GetItem", "Query", "TransactWriteItems", "DeleteItem", "PutItem"])
def test_a_sweep_completes_under_every_fault(
    driver: StoreDriver, sweeper: Sweeper, wire: Wire, operation: str, fault: Fault
) -> None:
    open_with_lot(driver, "acme")
    wire.plan(operation, fault, fault)

    swept = sweeper.run(DUE_AT)

    assert wire.undone == 0
    assert (swept.failed, swept.finished) == (0, True)
    assert audit(stored(driver.table)).expired == 5
    assert due_keys(stored(driver.table)) == []


def test_a_sweep_out_of_time_is_continued_by_the_next_runs(driver: StoreDriver, sweeper: Sweeper) -> None:
    """Every expiry is recorded in the end."""
    accounts = accounts_of_every_shard()[:3]
    for account in accounts:
        open_with_lot(driver, account, DUE_AT)
        open_with_lot(driver, account, DUE_AT + DAY)
    save_checkpoint(driver.table, SweepCheckpoint(day=DUE_AT.date()))
    now = DUE_AT + DAY
    unfinished = 0

    # Two checks of the time per run, at a page and at one row of it: the time runs out at every possible point.
    while not sweeper.run_for(2, now).finished:
        unfinished += 1
        assert unfinished < 100

    assert unfinished > 6
    assert due_keys(stored(driver.table)) == []
    assert [audit(stored(driver.table), account).expired for account in accounts] == [10] * 3


def test_a_sweep_without_any_time_does_nothing_and_loses_nothing(driver: StoreDriver, sweeper: Sweeper) -> None:
    open_with_lot(driver, "acme")
    before = stored(driver.table)

    swept = sweeper.run_for(0, DUE_AT)

    assert swept == SweepResult(recorded=0, failed=0, finished=False)
    assert stored(driver.table) == before


def test_the_checkpoint_never_passes_an_unfinished_row(driver: StoreDriver, sweeper: Sweeper) -> None:
    accounts = accounts_of_every_shard()
    for account in accounts:
        open_with_lot(driver, account)

    for looks in range(1, 40):
        sweeper.run_for(looks % 3, DUE_AT)

        place = read_checkpoint(driver.table)
        assert place
        for partition, sort in stored(driver.table):
            if partition.startswith("DUE#"):
                _, day, shard = partition.split("#")
                assert (date.fromisoformat(day), int(shard), sort) > (place.day, place.shard, place.after)
    assert expiries(driver, accounts) == [1] * 8


def test_the_first_sweep_of_a_table_covers_a_month(driver: StoreDriver) -> None:
    open_with_lot(driver, "acme", DUE_AT)

    Sweeper(driver).run(DUE_AT + INITIAL_LOOKBACK)

    assert due_keys(stored(driver.table)) == []
    assert read_checkpoint(driver.table) == SweepCheckpoint(day=(DUE_AT + INITIAL_LOOKBACK - DAY).date())


@pytest.mark.parametrize("days", [1, 2, 10])
def test_a_sweep_catches_up_on_days_without_one(driver: StoreDriver, sweeper: Sweeper, days: int) -> None:
    sweeper.run(NOW)
    open_with_lot(driver, "acme", NOW + HOUR)

    sweeper.run(NOW + days * DAY)

    assert due_keys(stored(driver.table)) == []


def test_a_row_written_late_for_yesterday_is_found(driver: StoreDriver, sweeper: Sweeper) -> None:
    midnight = datetime(2026, 6, 17, 0, 0, tzinfo=UTC)
    sweeper.run(midnight + SECOND)
    open_with_lot(driver, "acme", midnight - SECOND)

    sweeper.run(midnight + HOUR)

    assert due_keys(stored(driver.table)) == []
    assert audit(stored(driver.table)).expired == 5


def test_an_account_that_fails_holds_up_no_other(driver: StoreDriver, sweeper: Sweeper) -> None:
    """The next run tries it again."""
    accounts = accounts_of_every_shard()
    for account in accounts:
        open_with_lot(driver, account)

    with raising(driver.table.client, RuntimeError("sick"), "TransactWriteItems", f"'ACCOUNT#{accounts[2]}'"):
        first_run = sweeper.run(DUE_AT)
        second_run = sweeper.run(DUE_AT + 5 * DAY)

    assert (first_run.recorded, first_run.failed, first_run.finished) == (7, 1, True)
    assert (second_run.recorded, second_run.failed) == (0, 1)
    assert [(row.account, str(error)) for row, error in sweeper.failures] == [(accounts[2], "sick")] * 2
    assert due_keys(stored(driver.table)) == [f"{accounts[2]}#lot_000000000002"]

    assert sweeper.run(DUE_AT + 9 * DAY).recorded == 1
    assert due_keys(stored(driver.table)) == []


def test_failures_of_several_days_are_all_retried(driver: StoreDriver, sweeper: Sweeper) -> None:
    for days in range(3):
        open_with_lot(driver, f"acme-{days}", DUE_AT + days * DAY)
    with no_write(driver):
        assert sweeper.run(DUE_AT + 9 * DAY).failed == 3

    assert sweeper.run(DUE_AT + 9 * DAY).recorded == 3
    assert due_keys(stored(driver.table)) == []


def test_a_failure_is_remembered_through_unfinished_runs(driver: StoreDriver, sweeper: Sweeper) -> None:
    account = accounts_of_every_shard()[0]
    open_with_lot(driver, account)
    save_checkpoint(driver.table, SweepCheckpoint(day=DUE_AT.date()))
    # Three days later, so that a sweep of only the day before would miss the row.
    later = DUE_AT + 3 * DAY
    with no_write(driver):
        assert not sweeper.run_for(2, later).finished

    assert any(sweeper.run_for(2, later).finished for _ in range(100))
    assert due_keys(stored(driver.table)) == [f"{account}#lot_000000000002"]
    assert sweeper.run(later).recorded == 1

    assert due_keys(stored(driver.table)) == []


def test_a_sweep_whose_rows_cannot_be_read_is_busy(driver: StoreDriver, sweeper: Sweeper, wire: Wire) -> None:
    open_with_lot(driver, "acme")
    wire.always("Query", no_answer)

    with pytest.raises(Busy):
        sweeper.run(DUE_AT, deadline=FakeTime().deadline())
    wire.end_faults()

    assert sweeper.run(DUE_AT).recorded == 1


def test_a_sweep_with_nothing_to_do_costs_two_days_of_shards(driver: StoreDriver, sweeper: Sweeper, wire: Wire) -> None:
    driver.open(credits=5)
    sweeper.run(NOW)
    before = stored(driver.table)
    wire.forget()

    sweeper.run(NOW + HOUR)

    assert wire.calls == ["GetItem", *["Query"] * (2 * keys.DUE_SHARDS), "PutItem"]
    assert stored(driver.table) == before


@pytest.mark.parametrize(
    "place",
    [
        SweepCheckpoint(day=date(2026, 6, 16)),
        SweepCheckpoint(day=date(2026, 6, 16), shard=7, after="acme#lot_000000000002", return_to=date(2025, 1, 1)),
    ],
)
def test_a_checkpoint_is_read_back_as_it_was_saved(driver: StoreDriver, place: SweepCheckpoint) -> None:
    save_checkpoint(driver.table, SweepCheckpoint(day=date(2000, 1, 1), return_to=date(1999, 1, 1)))
    save_checkpoint(driver.table, place)

    assert read_checkpoint(driver.table) == place


def test_deleting_a_due_row_twice_is_no_error(driver: StoreDriver) -> None:
    row = DueRow(account="acme", what="lot_000000000002", ends_at=DUE_AT, day=DUE_AT.date(), shard=0)

    delete_due(driver.table, row)
    delete_due(driver.table, row)

    assert stored(driver.table) == {}


def test_two_sweeps_at_once_leave_nothing_behind(
    driver: StoreDriver, sweeper: Sweeper, rival: StoreDriver, wire: Wire
) -> None:
    """One overtakes the other."""
    accounts = accounts_of_every_shard()
    for account in accounts:
        open_with_lot(driver, account)
    other = Sweeper(rival)
    wire.plan("DeleteItem", first(lambda: other.run_for(30, DUE_AT)))

    swept = sweeper.run(DUE_AT)

    assert swept.finished
    assert expiries(driver, accounts) == [1] * 8
    assert due_keys(stored(driver.table)) == []


def test_a_day_whose_sweep_was_cut_short_is_swept_again(driver: StoreDriver, sweeper: Sweeper) -> None:
    """When the day is over."""
    accounts = accounts_of_every_shard()
    for account in accounts:
        open_with_lot(driver, account, DUE_AT + HOUR)
    # The rows were passed before their lots had ended, and then time ran out.
    save_checkpoint(driver.table, SweepCheckpoint(day=DUE_AT.date()))
    assert not sweeper.run_for(5, DUE_AT).finished

    sweeper.run(DUE_AT + 2 * DAY)
    sweeper.run(DUE_AT + 2 * DAY)

    assert expiries(driver, accounts) == [1] * 8
    assert due_keys(stored(driver.table)) == []


def test_a_row_written_behind_a_sweep_that_was_cut_short_is_found(driver: StoreDriver, sweeper: Sweeper) -> None:
    [account, *_] = accounts_of_every_shard()
    save_checkpoint(driver.table, SweepCheckpoint(day=DUE_AT.date()))
    assert not sweeper.run_for(5, DUE_AT).finished
    open_with_lot(driver, account, DUE_AT + HOUR)

    sweeper.run(DUE_AT + 2 * DAY)
    sweeper.run(DUE_AT + 2 * DAY)

    assert expiries(driver, [account]) == [1]


def test_a_failure_today_hides_no_late_row_of_yesterday(driver: StoreDriver, sweeper: Sweeper) -> None:
    midnight = datetime(2026, 6, 17, 0, 0, tzinfo=UTC)
    open_with_lot(driver, "sick", midnight)
    with no_write(driver):
        assert sweeper.run(midnight + SECOND).failed == 1
    open_with_lot(driver, "acme", midnight - SECOND)

    sweeper.run(midnight + HOUR)

    assert expiries(driver, ["acme", "sick"]) == [1, 1]


def test_a_sweep_whose_time_runs_out_within_a_page_stops_there(driver: StoreDriver, sweeper: Sweeper) -> None:
    candidates = (f"acme-{number}" for number in range(1000))
    accounts = list(
        islice((candidate for candidate in candidates if crc32(candidate.encode()) % keys.DUE_SHARDS == 0), 5)
    )
    for account in accounts:
        open_with_lot(driver, account, DUE_AT)
    save_checkpoint(driver.table, SweepCheckpoint(day=DUE_AT.date()))

    def has_time() -> bool:
        """Time for two accounts and no more."""
        return sum(expiries(driver, accounts)) < 2

    swept = sweeper.run(DUE_AT, has_time=has_time)

    assert (swept.recorded, swept.finished) == (2, False)
    assert len(due_keys(stored(driver.table))) == 3
    assert sweeper.run(DUE_AT).recorded == 3
