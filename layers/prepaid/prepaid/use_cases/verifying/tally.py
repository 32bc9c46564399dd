"""Whether everything that was asked with a key has exactly one claim, in memory that doesn't grow.

A claim can be found by its key only, and an entry keeps no more than a digest of it. So both sides of a whole pass are
added up: +1 and the name of what has a key, -1 and the name of what a claim points to, in three cells each that the
name itself chooses. What has its claim cancels out. A name that is left alone in a cell can be read there, and taken
out of its other two cells, which may leave others alone (an invertible Bloom lookup table).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

CELLS_A_THIRD = 64
THIRDS = 3
# The longest is an account of 64 characters and a purchase's id.
NAME_BYTES = 112
CHECK_BYTES = 8
COUNT_BYTES = 8
CELL_BYTES = COUNT_BYTES + CHECK_BYTES + NAME_BYTES


@dataclass(slots=True)
class Tally:
    """counts: what had a key less what had a claim, by cell. names: of all of them, one XOR the other."""

    counts: list[int] = field(default_factory=lambda: [0] * CELLS_A_THIRD * THIRDS)
    names: list[int] = field(default_factory=lambda: [0] * CELLS_A_THIRD * THIRDS)

    def asked(self, name: str) -> None:
        """Something that must have a claim."""
        self._add(_encoded(name), 1)

    def claimed(self, name: str) -> None:
        """What a claim points to."""
        self._add(_encoded(name), -1)

    def merge(self, other: "Tally") -> None:
        """Count what another part of the same pass counted."""
        for cell in range(len(self.counts)):
            self.counts[cell] += other.counts[cell]
            self.names[cell] ^= other.names[cell]

    def left(self) -> tuple[list[tuple[str, int]], int]:
        """What doesn't cancel out: names with their surplus of entries (+1) or claims (-1), and how many more cells
        hold names that can't be told apart. Empties the tally."""
        told: list[tuple[str, int]] = []
        while found := next(self._alone(), None):
            encoded, count = found
            told.append((_name(encoded), count))
            self._add(encoded, -count)
        return sorted(told), sum(1 for count, name in zip(self.counts, self.names, strict=True) if count or name)

    def to_bytes(self) -> bytes:
        """All of it, in a fixed number of bytes."""
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
    """What to_bytes gave."""
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
