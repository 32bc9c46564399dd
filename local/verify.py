"""`make verify`: every row of a table held against the rules, with a progress bar; exit code 1 when something is found.

--stack reads the table of a local stack that is running; --table one in the AWS account of your credentials. The place
is kept on disk every few seconds and at Ctrl-C; --resume goes on there.
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

from local.cloud import environment_at
from local.processes import STATE, LocalStackError
from prepaid.store.dynamodb import Patience, Table, open_client
from prepaid.verifying.findings import Finding
from prepaid.verifying.scan_pass import ScanPass, VerifyContext, advance, finish, pack, unpack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

SEGMENTS = 4
PATIENCE_SECONDS = 60.0
BAR_CHARACTERS = 30
# Between two drawings of the bar, and between two lines where nobody watches.
DRAW_SECONDS, LINE_SECONDS = 0.2, 30.0
# What a run that is killed loses at most, beside the pages in hand.
KEEP_SECONDS = 5.0
OK, FOUND, FAILED, CUT_SHORT = 0, 1, 2, 130
COLUMNS = ("code", "account", "where", "expected", "found")


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
        return verify(Table(open_client(), asked.table), resume=asked.resume)
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
    finish(_desk(table, progress), passes)
    kept.unlink()
    # A page that failed half way was read again.
    findings = list(dict.fromkeys(progress.findings))
    print(_table(findings) if findings else f"{sum(progress.read)} rows, nothing found")
    return FOUND if findings else OK


def _segment(table: Table, progress: Progress, segment: int) -> None:
    """One segment to its end, or until somebody says stop; its place is put away after each page."""
    one = unpack(progress.passes[segment])
    desk = _desk(table, progress)
    try:
        while not one.done and not progress.stop.is_set():
            advance(desk, one, lambda: False)
            progress.passes[segment], progress.read[segment] = pack(one), one.read
    except BaseException:
        # The others have no reason to go on.
        progress.stop.set()
        raise


def _desk(table: Table, progress: Progress) -> VerifyContext:
    patience = Patience(seconds=PATIENCE_SECONDS)
    return VerifyContext(
        table=table, patience=patience, now=lambda: datetime.now(UTC), on_finding=progress.findings.append
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
    """Keep the place and say how far it is, until it is done: a bar where somebody watches, else lines now and then."""
    watched = sys.stderr.isatty()
    said = kept = time.monotonic()
    while not done():
        time.sleep(DRAW_SECONDS)
        if time.monotonic() - kept >= KEEP_SECONDS:
            kept = time.monotonic()
            _keep(progress, file)
        if watched:
            print(f"\r{_bar(sum(progress.read), rows, len(progress.findings))}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            print(_bar(sum(progress.read), rows, len(progress.findings)), file=sys.stderr, flush=True)
    if watched:
        print(f"\r{_bar(sum(progress.read), sum(progress.read), len(progress.findings))}", file=sys.stderr)


def _bar(read: int, rows: int, found: int) -> str:
    """DynamoDB counts its rows every six hours only, so the end is an estimate."""
    share = min(1.0, read / rows) if rows else 0.0
    filled = round(share * BAR_CHARACTERS)
    return f"[{'#' * filled}{'.' * (BAR_CHARACTERS - filled)}] {share:4.0%} {read} of about {rows} rows, {found} found"


def _table(findings: Sequence[Finding]) -> str:
    lines = [COLUMNS, *(tuple(asdict(one)[name] for name in COLUMNS) for one in findings)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)


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
