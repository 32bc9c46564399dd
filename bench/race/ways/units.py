"""Write units of a DynamoDB client, computed from the sizes of what it sends.

DynamoDB Local reports twice the units of a transaction with an item over 1 KB. A write whose condition fails is billed
as well, so each call counts, whatever becomes of it.
"""

from math import ceil
from typing import Any

from bench.item_sizes import KILOBYTE, size


class Units:
    """Counts the calls and write units of one client."""

    def __init__(self, client: Any) -> None:
        self.written = self.calls = 0
        client.meta.events.register("provide-client-params.dynamodb", self._count)

    def _count(self, params: dict[str, Any], **_: Any) -> None:
        self.calls += 1
        for write in params.get("TransactItems", ()):
            [(_, arguments)] = write.items()
            self.written += 2 * _units(arguments)
        if "Item" in params or "UpdateExpression" in params:
            self.written += _units(params)


def _units(arguments: dict[str, Any]) -> int:
    """The write units of one write outside a transaction. An updated item stays below a kilobyte in every way here."""
    return ceil(size(arguments["Item"]) / KILOBYTE) if "Item" in arguments else 1
