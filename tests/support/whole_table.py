"""A table in memory that can also be read as a whole, and the findings of a verifier."""

import threading
from bisect import bisect_left
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, cached_property, partial
from itertools import islice
from typing import Any
from zlib import crc32

from botocore.config import Config
from botocore.session import get_session

from prepaid.store.dynamodb import Table, within
from prepaid.use_cases.verifying.checking import PAGE_ROWS, PIECE_SECONDS, VerifyContext
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.recent_pass import RecentPass, advance_recent, pack_recent, unpack_recent
from prepaid.use_cases.verifying.scan_pass import ScanPass, advance, finish, pack, unpack
from tests.simulation.database import Answer, Database
from tests.simulation.line import QuickClient, no_faults
from tests.simulation.stored_items import as_stored
from tests.support.store_driver import DAY, NO_DEADLINE, NOW, Stored

NAME = "table"
# For a pass that must finish.
MOST_PAGES = 100_000
# Long after anything that a test writes, so that all of it counts.
LATER = NOW + 3 * 365 * DAY


class WholeDatabase(Database):
    """The simulation's database, with the verifier's Scan, and reads of many keys that leave some out."""

    # A busy table leaves out some of the most that may be asked for.
    answered_keys = 60

    def __init__(self, name: str = NAME) -> None:
        super().__init__(name)
        self._operations |= {
            "Scan": self._scan,
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": self._batch_write,
        }
        self.lock = threading.Lock()
        self.most_requested = 0

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, Answer]:
        with self.lock:
            return super().answer(operation, request)

    def _scan(self, request: dict[str, Any]) -> Answer:
        rows, limit = self.tables[request["TableName"]], request["Limit"]
        start = request.get("ExclusiveStartKey")
        after = (crc32(start["PK"]["S"].encode()), start["PK"]["S"], start["SK"]["S"]) if start else (-1, "", "")
        segment, segments = request["Segment"], request["TotalSegments"]
        partitions = self.partitions_of(request["TableName"])
        found: list[Any] = []
        for hashed, partition in islice(partitions, bisect_left(partitions, after[:2]), None):
            if hashed % segments != segment:
                continue
            for sort in rows.orders.get(partition, []):
                if (hashed, partition, sort) > after:
                    found.append(rows.partitions[partition][sort][0])
                if len(found) == limit:
                    last = {"PK": found[-1]["PK"], "SK": found[-1]["SK"]}
                    return {"Items": found, "LastEvaluatedKey": last}
        return {"Items": found}

    def partitions_of(self, table: str) -> list[tuple[int, str]]:
        """The table's partitions by a hash, as AWS has them. Within one, rows are in order of their sort keys."""
        return sorted((crc32(partition.encode()), partition) for partition in self.tables[table].partitions)

    def _batch_get(self, request: dict[str, Any]) -> Answer:
        [(name, table_request)] = request["RequestItems"].items()
        wanted = table_request["Keys"]
        assert 1 <= len(wanted) <= 100
        self.most_requested = max(self.most_requested, len(wanted))
        found = [self.tables[name].get((key["PK"]["S"], key["SK"]["S"])) for key in wanted]
        left = wanted[self.answered_keys :]
        answer: Answer = {"Responses": {name: [item for item in found[: self.answered_keys] if item]}}
        if left:
            answer["UnprocessedKeys"] = {name: {**table_request, "Keys": left}}
        return answer

    def _batch_write(self, request: dict[str, Any]) -> Answer:
        """Puts only: how tests fill a table."""
        for name, writes in request["RequestItems"].items():
            for write in writes:
                self.tables[name].put(*as_stored(write["PutRequest"]["Item"]))
        return {"UnprocessedItems": {}}


class WholeClient(QuickClient):
    """The simulation's quick client, with the verifier's own call and batches of puts."""

    def batch_write_item(self, **params: Any) -> Answer:
        return self.call("BatchWriteItem", params)

    def scan(self, **params: Any) -> Answer:
        return self.call("Scan", params)


@cache
def errors_of_a_client() -> Any:
    """A client that sends nothing: only its error classes and its number of attempts are used."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 2})
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return get_session().create_client("dynamodb", region_name="eu-west-1", config=config, **keys)  # type: ignore[arg-type]


@dataclass
class WholeTable:
    """A table, its rows as they travel (binary in base64), and a way to replace them."""

    database: WholeDatabase = field(default_factory=WholeDatabase)

    @cached_property
    def table(self) -> Table:
        # One client for all: a client numbers the tokens of its transactions itself.
        real = errors_of_a_client()
        client: Any = WholeClient(real, self.database, no_faults)
        # A pause between reads of what was left out takes no time.
        return Table(client=client, name=NAME, deadline=replace(NO_DEADLINE, sleep=lambda _: None))

    def snapshot(self) -> Stored:
        return deepcopy(self.database.snapshot(NAME))

    def hold(self, items: Stored) -> None:
        self.database.restore(NAME, deepcopy(items))


@dataclass
class Verified:
    """What a pass found."""

    findings: list[Finding]
    passes: list[ScanPass]
    recent: RecentPass | None = None

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings}


def context_at(table: Table, findings: list[Finding], now: datetime, page_rows: int) -> VerifyContext:
    return VerifyContext(
        piece=partial(within, table, PIECE_SECONDS),
        now=lambda: now,
        on_finding=findings.append,
        page_rows=page_rows,
        recompute_one_in=1,
    )


def verified(
    table: Table,
    *,
    now: datetime = LATER,
    page_rows: int = PAGE_ROWS,
    segments: int = 1,
    cut: bool = False,
    has_time: Callable[[], bool] = lambda: True,
) -> Verified:
    """A pass over the table. cut: after every page the pass is saved, and another process continues it."""
    findings: list[Finding] = []
    context = context_at(table, findings, now, page_rows)
    passes = [ScanPass(started_at=now, segment=segment, segments=segments) for segment in range(segments)]
    for index in range(segments):
        for _ in range(MOST_PAGES):
            if passes[index].done:
                break
            advance(context, passes[index])
            passes[index] = unpack(pack(passes[index])) if cut else passes[index]
    finish(context, passes)
    return Verified(findings, passes)


def verified_recently(
    table: Table, *, now: datetime = LATER, page_rows: int = PAGE_ROWS, cut: bool = False
) -> Verified:
    """A recent pass over the table. cut: put away and taken up again, by somebody else, after every page."""
    findings: list[Finding] = []
    context = context_at(table, findings, now, page_rows)
    recent = RecentPass(started_at=now)
    for _ in range(MOST_PAGES):
        if recent.done:
            break
        advance_recent(context, recent)
        recent = unpack_recent(pack_recent(recent)) if cut else recent
    return Verified(findings, [], recent)
