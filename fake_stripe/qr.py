"""QR codes as SVG, from scratch: byte mode, error correction level M, versions 1 to 15 (up to 412 bytes)."""

from collections.abc import Callable, Iterator

# Per version, level M: error correction bytes in each block, and the number of blocks.
CORRECTION = (10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24)
BLOCKS = (1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10)
MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda x, y: (x + y) % 2 == 0,
    lambda _x, y: y % 2 == 0,
    lambda x, _y: x % 3 == 0,
    lambda x, y: (x + y) % 3 == 0,
    lambda x, y: (x // 3 + y // 2) % 2 == 0,
    lambda x, y: x * y % 2 + x * y % 3 == 0,
    lambda x, y: (x * y % 2 + x * y % 3) % 2 == 0,
    lambda x, y: ((x + y) % 2 + x * y % 3) % 2 == 0,
)
QUIET = 4
FINDER_LIKE = ((1, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0), (0, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1))


def svg(text: str, label: str) -> str:
    """`label` must be escaped already."""
    rows = matrix(text.encode())
    side = len(rows) + 2 * QUIET
    path = "".join(
        f"M{x + QUIET},{y + QUIET}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="qr" viewBox="0 0 {side} {side}" role="img" '
        f'aria-label="{label}" shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff"/>'
        f'<path d="{path}" fill="#000"/></svg>'
    )


def matrix(data: bytes) -> list[list[int]]:
    version = _version(len(data))
    codewords = _interleaved(_padded(data, version), version)
    best: tuple[int, list[list[int]]] | None = None
    for number, mask in enumerate(MASKS):
        drawing = _Drawing(version)
        drawing.place(codewords, mask)
        drawing.format_bits(number)
        penalty = _penalty(drawing.cells)
        if best is None or penalty < best[0]:
            best = (penalty, drawing.cells)
    assert best is not None  # there are eight masks
    return best[1]


def _raw_bytes(version: int) -> int:
    """How many bytes fit outside the fixed patterns."""
    modules = (16 * version + 128) * version + 64
    if version > 1:
        aligned = version // 7 + 2
        modules -= (25 * aligned - 10) * aligned - 55
        modules -= 36 if version > 6 else 0  # noqa: PLR2004 (the version's own bits)
    return modules // 8


def _capacity(version: int) -> int:
    return _raw_bytes(version) - CORRECTION[version - 1] * BLOCKS[version - 1]


def _version(length: int) -> int:
    for version in range(1, len(CORRECTION) + 1):
        if length + (2 if version < 10 else 3) <= _capacity(version):  # noqa: PLR2004 (header: 12 or 20 bits)
            return version
    raise ValueError(f"{length} bytes are too many for a QR code of version {len(CORRECTION)}")


def _padded(data: bytes, version: int) -> bytes:
    length_bits = 8 if version < 10 else 16  # noqa: PLR2004
    bits = f"0100{len(data):0{length_bits}b}" + "".join(f"{byte:08b}" for byte in data)
    capacity = _capacity(version) * 8
    bits += "0" * min(4, capacity - len(bits))
    bits += "0" * (-len(bits) % 8)
    full = bytes(int(bits[place : place + 8], 2) for place in range(0, len(bits), 8))
    return full + bytes((0xEC, 0x11)[place % 2] for place in range(capacity // 8 - len(full)))


def _interleaved(data: bytes, version: int) -> bytes:
    blocks, correction = BLOCKS[version - 1], CORRECTION[version - 1]
    short, longer = divmod(len(data), blocks)
    parts: list[bytes] = []
    start = 0
    for number in range(blocks):
        end = start + short + (number >= blocks - longer)
        parts.append(data[start:end])
        start = end
    checks = [_reed_solomon(part, correction) for part in parts]
    mixed = [part[place] for place in range(short + 1) for part in parts if place < len(part)]
    mixed += [check[place] for place in range(correction) for check in checks]
    return bytes(mixed)


def _multiply(left: int, right: int) -> int:
    """In the field of 256 elements over x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    for place in range(7, -1, -1):
        product = (product << 1) ^ (0x11D if product & 0x80 else 0)
        product ^= left if right >> place & 1 else 0
    return product


def _reed_solomon(data: bytes, degree: int) -> bytes:
    divisor = [0] * (degree - 1) + [1]
    root = 1
    for _ in range(degree):
        for place in range(degree):
            divisor[place] = _multiply(divisor[place], root) ^ (divisor[place + 1] if place + 1 < degree else 0)
        root = _multiply(root, 2)
    remainder = [0] * degree
    for byte in data:
        factor = byte ^ remainder.pop(0)
        remainder.append(0)
        remainder = [old ^ _multiply(part, factor) for old, part in zip(remainder, divisor, strict=True)]
    return bytes(remainder)


class _Drawing:
    """The square: first the fixed patterns, then the data around them."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.size = 17 + 4 * version
        self.cells = [[0] * self.size for _ in range(self.size)]
        self.fixed = [[False] * self.size for _ in range(self.size)]
        for place in range(self.size):
            self._set(6, place, place % 2 == 0)
            self._set(place, 6, place % 2 == 0)
        for x, y in ((3, 3), (self.size - 4, 3), (3, self.size - 4)):
            self._rings(x, y, 4)
        centres = self._alignments()
        last = len(centres) - 1
        for across, x in enumerate(centres):
            for down, y in enumerate(centres):
                if (across, down) not in {(0, 0), (0, last), (last, 0)}:
                    self._rings(x, y, 2)
        self.format_bits(0)
        self._version_bits()

    def _set(self, x: int, y: int, dark: bool) -> None:
        self.cells[y][x] = int(dark)
        self.fixed[y][x] = True

    def _rings(self, x: int, y: int, reach: int) -> None:
        light = {2, 4} if reach == 4 else {1}  # noqa: PLR2004 (finder patterns have a border)
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if 0 <= x + dx < self.size and 0 <= y + dy < self.size:
                    self._set(x + dx, y + dy, max(abs(dx), abs(dy)) not in light)

    def _alignments(self) -> list[int]:
        if self.version == 1:
            return []
        count = self.version // 7 + 2
        step = (self.version * 4 + count * 2 + 1) // (count * 2 - 2) * 2
        return [6] + [self.size - 7 - step * place for place in range(count - 2, -1, -1)]

    def format_bits(self, mask: int) -> None:
        value = mask  # level M is 00
        for _ in range(10):
            value = (value << 1) ^ (0x537 if value >> 9 & 1 else 0)
        bits = (mask << 10 | value) ^ 0x5412
        first = [(8, y) for y in (0, 1, 2, 3, 4, 5, 7, 8)] + [(7, 8)] + [(x, 8) for x in range(5, -1, -1)]
        second = [(self.size - 1 - x, 8) for x in range(8)] + [(8, self.size - 15 + y) for y in range(8, 15)]
        for places in (first, second):
            for number, (x, y) in enumerate(places):
                self._set(x, y, bool(bits >> number & 1))
        self._set(8, self.size - 8, dark=True)

    def _version_bits(self) -> None:
        if self.version < 7:  # noqa: PLR2004
            return
        value = self.version
        for _ in range(12):
            value = (value << 1) ^ (0x1F25 if value >> 11 & 1 else 0)
        bits = self.version << 12 | value
        for number in range(18):
            near, far = number // 3, self.size - 11 + number % 3
            self._set(far, near, bool(bits >> number & 1))
            self._set(near, far, bool(bits >> number & 1))

    def _zigzag(self) -> Iterator[tuple[int, int]]:
        for right in (*range(self.size - 1, 6, -2), 5, 3, 1):
            upwards = (right + 1) & 2 == 0
            for step in range(self.size):
                y = self.size - 1 - step if upwards else step
                yield right, y
                yield right - 1, y

    def place(self, codewords: bytes, mask: Callable[[int, int], bool]) -> None:
        bits = (byte >> place & 1 for byte in codewords for place in range(7, -1, -1))
        for x, y in self._zigzag():
            if not self.fixed[y][x]:
                self.cells[y][x] = next(bits, 0) ^ int(mask(x, y))


def _penalty(cells: list[list[int]]) -> int:
    """How hard the pattern is to read; the mask with the least wins."""
    size = len(cells)
    total = 0
    for line in (*cells, *map(list, zip(*cells, strict=True))):
        run = 1
        for place in range(1, size):
            run = run + 1 if line[place] == line[place - 1] else 1
            total += 3 if run == 5 else int(run > 5)  # noqa: PLR2004
        for start in range(size - 10):
            total += 40 * (tuple(line[start : start + 11]) in FINDER_LIKE)
    for y in range(size - 1):
        for x in range(size - 1):
            total += 3 * (cells[y][x] == cells[y][x + 1] == cells[y + 1][x] == cells[y + 1][x + 1])
    dark = sum(map(sum, cells))
    return total + 10 * (abs(dark * 20 - size * size * 10) // (size * size))
