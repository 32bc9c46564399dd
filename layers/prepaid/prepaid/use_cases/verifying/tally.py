"""Checks that everything requested with a key has exactly one claim, in memory of a fixed size.

A claim can only be found by its key, and an entry stores only a digest of the key. So a pass adds up both sides: +1 and
the name for each entry or purchase with a key, -1 and the name for each claim that points to one, in three cells that
the name determines. A name and its claim cancel out. A name that is alone in a cell can be read there and removed from
its other two cells, which may leave other names alone. This is an invertible Bloom lookup table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

CELLS_A_THIRD = 64
THIRDS = 3
# The longest name is an account id of 64 characters, a purchase id and the word "cancelled".
NAME_BYTES = 112
CHECK_BYTES = 8
COUNT_BYTES = 8
CELL_BYTES = COUNT_BYTES + CHECK_BYTES + NAME_BYTES


@dataclass(slots=True)
class Tally:
    """counts: names with a key minus names with a claim, per cell. names: the XOR of all names, per cell."""

    counts: list[int] = field(default_factory=lambda: [0] * CELLS_A_THIRD * THIRDS)
    names: list[int] = field(default_factory=lambda: [0] * CELLS_A_THIRD * THIRDS)

    def add_key(self, name: str) -> None:
        """Count an entry or purchase that must have a claim."""
        self._add(_encoded(name), 1)

    def add_claim(self, name: str) -> None:
        """Count the entry or purchase that a claim points to."""
        self._add(_encoded(name), -1)

    def merge(self, other: "Tally") -> None:
        """Add the counts of another segment of the same pass."""
        for cell in range(len(self.counts)):
            self.counts[cell] += other.counts[cell]
            self.names[cell] ^= other.names[cell]

    def left(self) -> tuple[list[tuple[str, int]], int]:
        """The names that don't cancel out, with their surplus of keys (+1) or claims (-1), and the number of cells with
        names that can't be separated. Empties the tally."""
        names: list[tuple[str, int]] = []
        while name_alone := next(self._alone(), None):
            encoded, count = name_alone
            names.append((_name(encoded), count))
            self._add(encoded, -count)
        return sorted(names), sum(1 for count, name in zip(self.counts, self.names, strict=True) if count or name)

    def to_bytes(self) -> bytes:
        """The tally as a fixed number of bytes."""
        return b"".join(
            count.to_bytes(COUNT_BYTES, signed=True) + name.to_bytes(CELL_BYTES - COUNT_BYTES)
            for count, name in zip(self.counts, self.names, strict=True)
        )

    def _add(self, encoded: int, count: int) -> None:
        for cell in _cells(encoded):
            self.counts[cell] += count
            self.names[cell] ^= encoded

    def _alone(self) -> Iterator[tuple[int, int]]:
        for count, name in zip(self.counts, self.names, strict=True):
            if abs(count) == 1 and _is_name(name):
                yield name, count


def tally_from_bytes(packed: bytes) -> Tally:
    """The tally from to_bytes' bytes."""
    cells = [packed[start : start + CELL_BYTES] for start in range(0, len(packed), CELL_BYTES)]
    return Tally(
        counts=[int.from_bytes(cell[:COUNT_BYTES], signed=True) for cell in cells],
        names=[int.from_bytes(cell[COUNT_BYTES:]) for cell in cells],
    )


def _encoded(name: str) -> int:
    text = name.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0")
    return int.from_bytes(sha256(text).digest()[:CHECK_BYTES] + text)


def _is_name(encoded: int) -> bool:
    packed = encoded.to_bytes(CHECK_BYTES + NAME_BYTES)
    return packed[:CHECK_BYTES] == sha256(packed[CHECK_BYTES:]).digest()[:CHECK_BYTES]


def _name(encoded: int) -> str:
    return encoded.to_bytes(CHECK_BYTES + NAME_BYTES)[CHECK_BYTES:].rstrip(b"\0").decode()


def _cells(encoded: int) -> Iterator[int]:
    check = encoded >> NAME_BYTES * 8
    for third in range(THIRDS):
        yield third * CELLS_A_THIRD + (check >> 16 * third) % CELLS_A_THIRD
