"""`make verify`: what it prints, its exit codes, and how it resumes after an interruption."""

import _thread
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Lock
from types import FrameType
from typing import Any

import pytest

from local import verify
from prepaid.store import keys
from prepaid.store.dynamodb import Item, Table
from tests.support.store_driver import StoreDriver, stored
from tests.support.template import table_schema

ACCOUNTS = [f"shop-{number}" for number in range(8)]


@pytest.fixture(autouse=True)
def interrupted() -> Iterator[Event]:
    """Set by Ctrl-C, which a shell ignores for programs in the background."""
    signalled = Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        signalled.set()
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, on_signal)
    yield signalled
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def by_hand(driver: StoreDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The program on this test's table, with pages of two rows, which prints and saves its progress often."""
    for account in ACCOUNTS:
        driver.open(account, credits=5)
    # The client on which the test watches the pages.
    monkeypatch.setattr("boto3.client", lambda *_, **__: driver.table.client)
    limits = verify.Limits(folder=tmp_path, page_rows=2, draw_seconds=0.001, line_seconds=0.0, keep_seconds=0.0)
    return lambda *more: verify.main(["--table", driver.table.name, *more], limits)


def test_a_table_that_cannot_be_read_is_said_in_a_sentence(
    by_hand: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = verify.main(["--table", "no-such-table"], verify.Limits(folder=tmp_path))

    stderr = capsys.readouterr().err
    assert code == verify.FAILED
    assert stderr.startswith("make verify: An error occurred (ResourceNotFoundException)")
    assert len(stderr.splitlines()) == 1


class Pages:
    """The parameters of each page's request. `act` comes before the page of that number is read."""

    def __init__(self, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[dict[str, Any]] = []
        self.number = 0
        self.act: Callable[[], None] = lambda: None
        self._lock, self._scan = Lock(), table.client.scan
        monkeypatch.setattr(table.client, "scan", self._scanned)

    def _scanned(self, **calls: Any) -> Any:
        with self._lock:
            self.calls.append(calls)
            if len(self.calls) == self.number:
                self.act()
        return self._scan(**calls)


@pytest.fixture
def pages(table: Table, monkeypatch: pytest.MonkeyPatch) -> Pages:
    return Pages(table, monkeypatch)


def interrupt(pages: Pages, interrupted: Event) -> None:
    """Ctrl-C before the tenth page."""

    def act() -> None:
        _thread.interrupt_main()
        assert interrupted.wait(10)

    pages.number, pages.act = 10, act


def tamper(table: Table, account: str) -> Item:
    """Change an entry from outside the service. Returns the original."""
    item = table.client.get_item(TableName=table.name, Key=keys.entry(account, 2))["Item"]
    changed = {**item, "state": {"S": item["state"]["S"].replace("5", "6")}}
    table.client.put_item(TableName=table.name, Item=changed)
    return item


def rows_reported(out: str) -> int:
    reported = re.search(r"^(\d+) rows, nothing found$", out, re.MULTILINE)
    assert reported, out
    return int(reported[1])


def test_a_sound_table_is_reported_with_progress(
    by_hand: Callable[..., int], table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No position is kept afterwards."""
    rows = len(stored(table))

    code = by_hand()

    out, err = capsys.readouterr()
    # The marks and audits that it writes may be read by it too.
    assert (code, rows <= rows_reported(out) <= rows + 2 * len(ACCOUNTS)) == (0, True)
    assert re.search(r"^\d+ of about \d+ rows, 0 found$", err, re.MULTILINE)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_terminal_shows_a_progress_bar(
    by_hand: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")

    code = by_hand()

    assert code == 0
    assert re.search(r"━{40} 100% \d+ of about \d+ rows, 0 found", capsys.readouterr().err)


def test_a_changed_row_is_reported_and_sets_the_exit_code(
    by_hand: Callable[..., int], table: Table, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(table, "shop-3")

    code = by_hand()

    lines = capsys.readouterr().out.splitlines()
    assert (code, lines[0].split()) == (1, list(verify.COLUMNS))
    assert ["chain_broken", "shop-3", "ENTRY#000000000002"] in [line.split()[:3] for line in lines]
    assert {line.split()[1] for line in lines[1:]} == {"shop-3"}


def test_a_failed_run_does_not_report_findings(
    by_hand: Callable[..., int], pages: Pages, capsys: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        raise OSError("no route to the table")

    pages.number, pages.act = 5, act

    assert by_hand() == 2
    assert "no route to the table" in capsys.readouterr().err


def test_a_stopped_run_continues_where_it_stopped(
    by_hand: Callable[..., int],
    table: Table,
    pages: Pages,
    interrupted: Event,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = len(stored(table))
    interrupt(pages, interrupted)

    stopped = by_hand()
    place = re.search(r"^stopped after (\d+) rows; continue with --resume$", capsys.readouterr().err, re.MULTILINE)
    assert place
    read = int(place[1])
    pages.calls.clear()
    pages.number = 0
    resumed = by_hand("--resume")
    second = capsys.readouterr()

    assert (stopped, resumed) == (130, 0)
    assert 0 < read < rows
    assert f"continuing after {read} rows" in second.err
    assert "ExclusiveStartKey" in pages.calls[0]
    assert len(pages.calls) <= (rows + 2 * len(ACCOUNTS) - read) // 2 + verify.SEGMENTS
    assert rows <= rows_reported(second.out) <= rows + 2 * len(ACCOUNTS)


def test_a_killed_run_is_resumed_with_its_findings(
    by_hand: Callable[..., int],
    table: Table,
    tmp_path: Path,
    pages: Pages,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = {account: tamper(table, account) for account in ACCOUNTS}
    left: dict[Path, str] = {}

    def act() -> None:
        # What a run that ends here leaves on the disk, once it has found something.
        deadline = time.monotonic() + 10
        while not any('"code"' in text for text in left.values()):
            assert time.monotonic() < deadline
            left.update({file: file.read_text() for file in tmp_path.glob("*.json")})

    pages.number, pages.act = 12, act
    by_hand()
    [(file, text)] = left.items()
    file.write_text(text)
    reported = {account for account in ACCOUNTS if f'"account": "{account}"' in text}
    for item in whole.values():
        table.client.put_item(TableName=table.name, Item=item)
    capsys.readouterr()

    code = by_hand("--resume")

    out, err = capsys.readouterr()
    lines = [line.split()[:3] for line in out.splitlines()[1:]]
    assert (code, "continuing after" in err) == (1, True)
    assert reported <= {account for _, account, _ in lines}
    assert len({tuple(line) for line in lines}) == len(lines)


def test_resuming_without_an_interrupted_run_starts_anew(
    by_hand: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints that."""
    assert by_hand("--resume") == 0
    assert "starting a new one" in capsys.readouterr().err


def test_a_position_belongs_to_one_table(
    by_hand: Callable[..., int],
    table: Table,
    pages: Pages,
    interrupted: Event,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another table of the same name doesn't use it."""
    interrupt(pages, interrupted)
    assert by_hand() == 130
    table.client.delete_table(TableName=table.name)
    table.client.create_table(TableName=table.name, **table_schema())

    assert by_hand("--resume") == 0
    assert "starting a new one" in capsys.readouterr().err
