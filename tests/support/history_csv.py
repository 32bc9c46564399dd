"""Reads the history's CSV files."""

import csv
import io
from dataclasses import dataclass
from typing import Any

from prepaid.api.histories import COLUMNS


@dataclass(frozen=True)
class HistoryFile:
    """lines: by column. cursor: from the last line, if that states that the file isn't complete."""

    lines: list[dict[str, Any]]
    cursor: str | None

    @property
    def numbers(self) -> list[int]:
        """Of the entries."""
        return [int(line["entry"]) for line in self.lines]


def read_file(text: str) -> HistoryFile:
    """Parse a file. Fails unless it is as documented: a byte order mark, the columns, whole lines."""
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text[1:], newline=""), strict=True))
    assert rows[0] == list(COLUMNS)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    cursor = None
    if rows[-1][0].startswith("This file is not complete."):
        notice, *rest = rows.pop()
        assert not any(rest)
        cursor = notice.partition("cursor=")[2].partition(" ")[0]
    return HistoryFile([dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]], cursor)
