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
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table as RichTable
from rich.text import Text

from local.cloud import environment_at
from local.processes import STATE, LocalStackError
from prepaid.aws import open_dynamodb
from prepaid.store.dynamodb import Deadline, Table, within
from prepaid.use_cases.verifying.checking import PAGE_ROWS, SETTLED, VerifyContext
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.running import read_pages
from prepaid.use_cases.verifying.scan_pass import ScanPass, advance, finish, pack, unpack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

SEGMENTS = 4
CALL_SECONDS = 60.0
OK, FOUND, FAILED, CUT_SHORT = 0, 1, 2, 130
COLUMNS = ("code", "account", "where", "expected", "found")
UNLIMITED_WIDTH = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """folder: of the files with the progress. page_rows: rows of a page.

    draw_seconds, line_seconds: between two updates of the bar, and between two lines of output without a terminal.
    keep_seconds: the most work that a killed run loses, besides the current pages.
    """

    folder: Path = STATE / "verify"
    page_rows: int = PAGE_ROWS
    draw_seconds: float = 0.2
    line_seconds: float = 30.0
    keep_seconds: float = 5.0


DEFAULT_LIMITS = Limits()


@dataclass
class Progress:
    """The progress so far: each segment's last packed pass and rows read, and the findings."""

    passes: list[bytes]
    read: list[int]
    findings: list[Finding] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def to_json(self) -> str:
        """The progress as JSON, to resume from. It reads the passes first, so that no finding of theirs is missing."""
        passes = [base64.b64encode(packed).decode() for packed in self.passes]
        findings = [asdict(finding) for finding in self.findings]
        return json.dumps({"passes": passes, "read": self.read, "findings": findings})


def main(arguments: Sequence[str] | None = None, limits: Limits = DEFAULT_LIMITS) -> int:
    """Run the program. Returns its exit code."""
    options = _parser().parse_args(arguments)
    # The AWS CLI reads both names, boto3 only one of them.
    if region := os.environ.get("AWS_REGION"):
        os.environ.setdefault("AWS_DEFAULT_REGION", region)
    try:
        name = _use_stack(options.stack) if options.table is None else options.table
        table = Table(client=open_dynamodb(), name=name, deadline=Deadline(at=0.0))
        return verify(table, limits, resume=options.resume, restored=options.restored)
    except LocalStackError as error:
        print(error, file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(f"make verify: {error} (the region and the credentials must be the table's)", file=sys.stderr)
    except Exception:  # noqa: BLE001 - Python's own exit code would mean a finding
        traceback.print_exc()
    return FAILED


def verify(table: Table, limits: Limits, *, resume: bool, restored: bool = False) -> int:
    """Run a pass over the table, or resume an interrupted one. Returns the exit code."""
    described = table.client.describe_table(TableName=table.name)["Table"]
    file, rows = _file(table, described, limits.folder), int(described.get("ItemCount", 0))
    file.parent.mkdir(parents=True, exist_ok=True)
    progress = _read_progress(file) if resume else _new_progress()
    with ThreadPoolExecutor(SEGMENTS) as pool:
        contexts = [_context(table, progress, limits, restored=restored) for _ in range(SEGMENTS)]
        running = [pool.submit(_segment, context, progress, segment) for segment, context in enumerate(contexts)]
        try:
            _watch(progress, rows, file, limits, lambda: all(segment.done() for segment in running))
        except KeyboardInterrupt:
            print("\nfinishing the current pages", file=sys.stderr)
        finally:
            progress.stop.set()
    _save_progress(progress, file)
    for segment in running:
        segment.result()
    passes = [unpack(packed) for packed in progress.passes]
    if not all(scan_pass.done for scan_pass in passes):
        print(f"\nstopped after {sum(progress.read)} rows; continue with --resume", file=sys.stderr)
        return CUT_SHORT
    finish(contexts[0], passes)
    file.unlink()
    # A page that failed halfway was read twice, so its findings may be listed twice.
    findings = list(dict.fromkeys(progress.findings))
    if findings:
        _print_table(findings)
        return FOUND
    print(f"{sum(progress.read)} rows, nothing found")
    return OK


def _segment(context: VerifyContext, progress: Progress, segment: int) -> None:
    """Read one segment to its end, or until `progress.stop` is set; store its pass after each page."""
    scan_pass = unpack(progress.passes[segment])

    def save(packed: bytes) -> None:
        progress.passes[segment], progress.read[segment] = packed, scan_pass.read

    try:
        if not scan_pass.done and not progress.stop.is_set():
            read_pages(
                scan_pass,
                lambda: advance(context, scan_pass),
                lambda: pack(scan_pass),
                save,
                has_time=lambda: not progress.stop.is_set(),
                pages_per_place=1,
                max_place_bytes=sys.maxsize,
            )
    except BaseException:
        # Without this segment, the others need not continue.
        progress.stop.set()
        raise


def _context(table: Table, progress: Progress, limits: Limits, *, restored: bool) -> VerifyContext:
    return VerifyContext(
        piece=partial(within, table, CALL_SECONDS),
        now=lambda: datetime.now(UTC),
        on_finding=progress.findings.append,
        page_rows=limits.page_rows,
        # The last hour of a restored table may hold half a transaction, which a person then takes back: below a mark,
        # that would look like a ledger that was cut.
        settled=timedelta(0) if restored else SETTLED,
        marks=not restored,
    )


def _new_progress() -> Progress:
    now = datetime.now(UTC)
    passes = [pack(ScanPass(started_at=now, segment=segment, segments=SEGMENTS)) for segment in range(SEGMENTS)]
    return Progress(passes, [0] * SEGMENTS)


def _file(table: Table, described: "TableDescriptionTypeDef", folder: Path) -> Path:
    """The progress file of this table. The digest excludes a table of that name in another account or region, or an
    earlier one."""
    identity = (table.client.meta.endpoint_url, described["TableArn"], described["TableId"])
    digest = sha256("\n".join(identity).encode()).hexdigest()[:12]
    return folder / f"{re.sub('[^A-Za-z0-9._-]', '_', table.name)}-{digest}.json"


def _save_progress(progress: Progress, file: Path) -> None:
    """Write the progress to the file atomically."""
    temporary = file.with_suffix(".new")
    temporary.write_text(progress.to_json())
    temporary.replace(file)


def _read_progress(file: Path) -> Progress:
    """The progress in the file. Without a file, prints that and begins a new run."""
    if not file.exists():
        print("this table has no interrupted run; starting a new one", file=sys.stderr)
        return _new_progress()
    value = json.loads(file.read_text())
    findings = [Finding(**finding) for finding in value["findings"]]
    print(f"continuing after {sum(value['read'])} rows", file=sys.stderr)
    return Progress([base64.b64decode(packed) for packed in value["passes"]], value["read"], findings)


def _watch(progress: Progress, rows: int, file: Path, limits: Limits, done: Callable[[], bool]) -> None:
    """Save the progress regularly and show it until `done`: as a bar on a terminal, else as a line at intervals.

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
            time.sleep(limits.draw_seconds)
            rows_read, findings_count = sum(progress.read), len(progress.findings)
            bar.update(task, completed=rows_read, total=max(rows, rows_read), found=findings_count)
            if time.monotonic() - saved >= limits.keep_seconds:
                saved = time.monotonic()
                _save_progress(progress, file)
            if not console.is_terminal and time.monotonic() - printed >= limits.line_seconds:
                printed = time.monotonic()
                console.print(
                    f"{rows_read} of about {max(rows, rows_read)} rows, {findings_count} found", soft_wrap=True
                )
        rows_read, findings_count = sum(progress.read), len(progress.findings)
        bar.update(task, completed=rows_read, total=rows_read, found=findings_count)


def _print_table(findings: Sequence[Finding]) -> None:
    """Print the findings. On a terminal long cells are folded; elsewhere each finding is one line of any width."""
    table = RichTable(box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for finding in findings:
        values = asdict(finding)
        table.add_row(*(Text(values[name]) for name in COLUMNS))
    Console(width=None if sys.stdout.isatty() else UNLIMITED_WIDTH).print(table)


def _use_stack(name: str) -> str:
    """The table of a local stack. Directs this process's AWS clients to that stack."""
    file = STATE / f"{name}.json"
    if not file.exists():
        raise LocalStackError(f"no stack named {name} is running; use TABLE=… for a table in AWS")
    stack = json.loads(file.read_text())
    os.environ.update(environment_at(stack["aws_endpoint_url"]))
    return str(stack["table_name"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make verify", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stack", default="stack", help="a running local stack")
    which.add_argument("--table", help="a table in AWS")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument(
        "--restored",
        action="store_true",
        help="for a table that nobody writes to: check its last hour too, and save no marks",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
