"""The database in memory, which shows each commit to the auditor while it is made."""

from typing import TYPE_CHECKING

from tests.oracle.catalog import Json
from tests.simulation.database import Database
from tests.simulation.stage import TABLE
from tests.simulation.writes.commit import Change

if TYPE_CHECKING:
    from tests.simulation.world import World

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})


class WatchedDatabase(Database):
    """world: whose running function every call comes from."""

    def __init__(self, world: "World") -> None:
        super().__init__(TABLE, clock=world.monotonic)
        self._world = world
        self.conflicts = False

    def answer(self, operation: str, request: Json) -> tuple[int, Json]:
        if operation == "Query" and "IndexName" not in request:
            # The result of an empty partition; a sweep reads thousands of them.
            partition = request["ExpressionAttributeValues"][":partition"]["S"]
            if partition not in self.tables[TABLE].partitions:
                return 200, {"Items": [], "Count": 0, "ScannedCount": 0}
        if operation not in WRITES:
            return super().answer(operation, request)
        keys = [_key(write) for write in _writes(request)]
        if self.conflicts or self._world.is_busy(keys):
            return in_conflict(operation, request)
        rows = self.tables[TABLE]
        before = [rows.get(key) for key in keys]
        status, body = super().answer(operation, request)
        if status == 200:
            after = [rows.get(key) for key in keys]
            changes: list[Change] = [
                (key, old, new) for key, old, new in zip(keys, before, after, strict=True) if old is not new
            ]
            if changes:
                self._world.committed(changes)
        return status, body


def in_conflict(operation: str, request: Json) -> tuple[int, Json]:
    """The answer to a write when another transaction holds its first item."""
    prefix = "com.amazonaws.dynamodb.v20120810#"
    if operation != "TransactWriteItems":
        return 400, {"__type": prefix + "TransactionConflictException", "message": "in conflict"}
    codes = ["TransactionConflict", *["None"] * (len(request["TransactItems"]) - 1)]
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
    reasons = [{"Code": code} for code in codes]
    body = {"__type": prefix + "TransactionCanceledException", "message": message, "CancellationReasons": reasons}
    return 400, body


def _writes(request: Json) -> list[Json]:
    if "TransactItems" in request:
        return [params for write in request["TransactItems"] for params in write.values()]
    return [request]


def _key(write: Json) -> tuple[str, str]:
    named = write.get("Item") or write["Key"]
    return named["PK"]["S"], named["SK"]["S"]
