"""`make verify`: check every row of a table against the rules, with a progress bar; exit code 1 when a check fails.

--stack reads the table of a running local stack; --table reads a table in the AWS account of your credentials. The
program saves its place every few seconds and at Ctrl-C; --resume continues there.
"""

import argparse
import base64
import json
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table as RichTable
from rich.text import Text

from local.cloud import environment_at
from local.processes import STATE, LocalStackError
from prepaid.store.dynamodb import Deadline, Table, open_client
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.running import read_pages
from prepaid.use_cases.verifying.scan_pass import PAGE_ROWS, ScanPass, VerifyContext, advance, finish, pack, unpack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

SEGMENTS = 4
CALL_SECONDS = 60.0
# Between two updates of the bar, and between two lines where no terminal shows it.
DRAW_SECONDS, LINE_SECONDS = 0.2, 30.0
# What a run that is killed loses at most, beside the pages in hand.
KEEP_SECONDS = 5.0
OK, FOUND, FAILED, CUT_SHORT = 0, 1, 2, 130
COLUMNS = ("code", "account", "where", "expected", "found")
UNLIMITED_WIDTH = 1_000_000


@dataclass
class Progress:
    """What is known so far: the segments as they were last put away, and the findings."""

    passes: list[bytes]
    read: list[int]
    findings: list[Finding] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def to_json(self) -> str:
        """For another process to go on. Of findings at least those of the passes, which are looked at first."""
        passes = [base64.b64encode(one).decode() for one in self.passes]
        return json.dumps({"passes": passes, "read": self.read, "findings": [asdict(one) for one in self.findings]})


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.table is None:
            asked.table = _use_stack(asked.stack)
        return verify(Table(client=open_client(), name=asked.table, deadline=Deadline(at=0.0)), resume=asked.resume)
    except LocalStackError as error:
        print(error, file=sys.stderr)
    except Exception:  # noqa: BLE001 - Python's own exit code would say that something was found
        traceback.print_exc()
    return FAILED


def verify(table: Table, *, resume: bool) -> int:
    """A pass over the table, or the rest of one that was cut short; its exit code."""
    described = table.client.describe_table(TableName=table.name)["Table"]
    kept, rows = _file(table, described), int(described.get("ItemCount", 0))
    kept.parent.mkdir(parents=True, exist_ok=True)
    progress = _kept(kept) if resume else _begin()
    with ThreadPoolExecutor(SEGMENTS) as pool:
        running = [pool.submit(_segment, table, progress, segment) for segment in range(SEGMENTS)]
        try:
            _watch(progress, rows, kept, lambda: all(one.done() for one in running))
        except KeyboardInterrupt:
            print("\nfinishing the pages in hand", file=sys.stderr)
        finally:
            progress.stop.set()
    _keep(progress, kept)
    for one in running:
        one.result()
    passes = [unpack(one) for one in progress.passes]
    if not all(one.done for one in passes):
        print(f"\nstopped after {sum(progress.read)} rows; go on with --resume", file=sys.stderr)
        return CUT_SHORT
    finish(_context(table, progress), passes)
    kept.unlink()
    # A page that failed half way was read again.
    findings = list(dict.fromkeys(progress.findings))
    if findings:
        _print_table(findings)
        return FOUND
    print(f"{sum(progress.read)} rows, nothing found")
    return OK


def _segment(table: Table, progress: Progress, segment: int) -> None:
    """One segment to its end, or until somebody says stop; its place is put away after each page."""
    scan_pass = unpack(progress.passes[segment])
    context = _context(table, progress)

    def keep(place: bytes) -> None:
        progress.passes[segment], progress.read[segment] = place, scan_pass.read

    try:
        if not scan_pass.done and not progress.stop.is_set():
            read_pages(
                scan_pass,
                lambda: advance(context, scan_pass),
                keep,
                has_time=lambda: not progress.stop.is_set(),
                pages_per_place=1,
                max_place_bytes=sys.maxsize,
            )
    except BaseException:
        # The others have no reason to go on.
        progress.stop.set()
        raise


def _context(table: Table, progress: Progress) -> VerifyContext:
    return VerifyContext(
        table=table,
        now=lambda: datetime.now(UTC),
        on_finding=progress.findings.append,
        call_seconds=CALL_SECONDS,
        page_rows=PAGE_ROWS,
    )


def _begin() -> Progress:
    now = datetime.now(UTC)
    passes = [pack(ScanPass(started_at=now, segment=segment, segments=SEGMENTS)) for segment in range(SEGMENTS)]
    return Progress(passes, [0] * SEGMENTS)


def _file(table: Table, described: "TableDescriptionTypeDef") -> Path:
    """Where the place in this very table is kept: not that of another account, region, stack or time of its name."""
    which = (table.client.meta.endpoint_url, described["TableArn"], described["TableId"])
    digest = sha256("\n".join(which).encode()).hexdigest()[:12]
    return STATE / "verify" / f"{re.sub('[^A-Za-z0-9._-]', '_', table.name)}-{digest}.json"


def _keep(progress: Progress, file: Path) -> None:
    """Write the place down, all of it or nothing."""
    temporary = file.with_suffix(".new")
    temporary.write_text(progress.to_json())
    temporary.replace(file)


def _kept(file: Path) -> Progress:
    """The place that was written down; the beginning, and a word about it, where none was."""
    if not file.exists():
        print("no run of this table was cut short: beginning anew", file=sys.stderr)
        return _begin()
    value = json.loads(file.read_text())
    findings = [Finding(**one) for one in value["findings"]]
    print(f"going on after {sum(value['read'])} rows", file=sys.stderr)
    return Progress([base64.b64decode(one) for one in value["passes"]], value["read"], findings)


def _watch(progress: Progress, rows: int, file: Path, done: Callable[[], bool]) -> None:
    """Save the place regularly and show the progress until `done`: a bar on a terminal, else a line now and then.

    rows: an estimate, because DynamoDB counts its rows only every six hours.
    """
    console = Console(stderr=True, highlight=False)
    counts = TextColumn("{task.completed} of about {task.total} rows, {task.fields[found]} found")
    printed = saved = time.monotonic()
    with ProgressBar(
        BarColumn(), TaskProgressColumn(), counts, console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("rows", total=rows, found=0)
        while not done():
            time.sleep(DRAW_SECONDS)
            read, found = sum(progress.read), len(progress.findings)
            bar.update(task, completed=read, total=max(rows, read), found=found)
            if time.monotonic() - saved >= KEEP_SECONDS:
                saved = time.monotonic()
                _keep(progress, file)
            if not console.is_terminal and time.monotonic() - printed >= LINE_SECONDS:
                printed = time.monotonic()
                console.print(f"{read} of about {max(rows, read)} rows, {found} found", soft_wrap=True)
        read, found = sum(progress.read), len(progress.findings)
        bar.update(task, completed=read, total=read, found=found)


def _print_table(findings: Sequence[Finding]) -> None:
    """One line a finding where nobody watches, whatever its width; on a terminal long cells are folded."""
    table = RichTable(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for finding in findings:
        values = asdict(finding)
        table.add_row(*(Text(values[name]) for name in COLUMNS))
    Console(width=None if sys.stdout.isatty() else UNLIMITED_WIDTH).print(table)


def _use_stack(name: str) -> str:
    """The table of a local stack; its AWS becomes this process's."""
    file = STATE / f"{name}.json"
    if not file.exists():
        raise LocalStackError(f"no stack named {name} is running; say TABLE=… for a table in AWS")
    stack = json.loads(file.read_text())
    os.environ.update(environment_at(stack["aws_endpoint_url"]))
    return str(stack["table_name"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make verify", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stack", default="stack", help="a local stack that is running")
    which.add_argument("--table", help="a table in AWS")
    parser.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    return parser


if __name__ == "__main__":
    sys.exit(main())
