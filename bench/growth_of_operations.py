"""How each operation grows with the account's lots, holds and quotas, and with its history: part of `make costs`.

Each appends entries that carry the account after them. Its other rows have a few hundred bytes each.
tests/store/test_cost_of_operations.py measures the same at one state of an account.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil

from bench.growth import KEY, NOW, USUAL_DEBIT, Shape, catalog_of, debit_of
from bench.item_sizes import KILOBYTE, size
from prepaid.core.account import Account, Charge
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ledger import Grant, Operation, Void, apply
from prepaid.core.reversing import Reverse
from prepaid.store.items import GENESIS_HASH, SALT_BYTES, entry_to_item, key_digest

ACTOR, CUSTOMER = USUAL_DEBIT.actor, USUAL_DEBIT.customer
# Each row takes less than one write unit; a transaction doubles it.
UNITS_OF_A_SMALL_ROW = 2
COLUMNS = {
    **{f"{lots} lots": Shape(lots=lots) for lots in (3, 12, 60, 300, 500)},
    **{f"{holds} holds": Shape(holds=holds) for holds in (10, 100)},
    "2 quotas": Shape(quotas=2),
    **{f"{entries:,} entries": Shape(history=entries) for entries in (1, 1_000, 100_000)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The reads and writes of one operation.

    of: the operation for a given account. entries: the number of entries written, each with its claim. rows: the number
    of other rows written. entries_read, rows_read: the numbers read. trips: round trips to the database. before: the
    account's shape before the operation, given the shape in the table's column.
    """

    of: Callable[[Account], Operation]
    entries: int = 1
    rows: int = 0
    entries_read: int = 1
    rows_read: int = 0
    trips: int = 2
    before: Callable[[Shape], Shape] = lambda shape: shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one operation. bytes: the size of an entry. read, written: units."""

    bytes: int
    read: int
    written: int


def _charge_of_ten(account: Account) -> Charge:
    lot = replace(account.lots[0], remaining=USUAL_DEBIT.quantity)
    return Charge(feature=USUAL_DEBIT.feature, quantity=USUAL_DEBIT.quantity, quota=0, period=None, lots=(lot,))


def _one_more_hold(shape: Shape) -> Shape:
    return replace(shape, holds=max(1, shape.holds))


# By the names in docs/costs.md.
OPERATIONS = {
    "consumption": Written(of=lambda _: USUAL_DEBIT),
    "batch of 10 consumptions": Written(of=lambda _: replace(USUAL_DEBIT, quantity=1), entries=10),
    "grant": Written(
        of=lambda _: Grant(actor=ACTOR, kind="promotion", credits=1_000, validity=12, description="Welcome"),
        rows=1,
        # The limit is 500 lots, the new one included.
        before=lambda shape: replace(shape, lots=shape.lots - 1),
    ),
    "void": Written(of=lambda account: Void(actor=ACTOR, lot=_voidable(account), credits=5, description="Mistake")),
    "hold": Written(
        of=lambda _: PlaceHold(actor=ACTOR, feature="ai_service", quantity=10, customer=CUSTOMER),
        rows=1,
        # The limit is 100 holds, the new one included.
        before=lambda shape: replace(shape, holds=max(0, shape.holds - 1)),
    ),
    "capture": Written(
        of=lambda account: Capture(actor=ACTOR, hold=account.holds[0].number, customer=CUSTOMER),
        entries_read=2,
        trips=3,
        before=_one_more_hold,
    ),
    "release": Written(
        of=lambda account: Release(actor=ACTOR, hold=account.holds[0].number),
        entries_read=2,
        trips=3,
        before=_one_more_hold,
    ),
    "reversal of a consumption": Written(
        of=lambda account: Reverse(
            actor=ACTOR, entry=account.number - 1, charge=_charge_of_ten(account), reversed=0, customer=CUSTOMER
        ),
        rows=1,
        # The newest entry, the one that is reversed, and the one that granted the lot.
        entries_read=3,
        rows_read=1,
        trips=4,
    ),
}


def _voidable(account: Account) -> int:
    """The number of a lot that can be voided, so not a purchase."""
    return next(lot.number for lot in account.lots if lot.kind != "purchase")


def cost(operation: Written, shape: Shape) -> Cost:
    """The cost of an operation on an account of this shape."""
    account, _ = debit_of(operation.before(shape))
    sizes = []
    for _ in range(operation.entries):
        # Each debit of a batch draws on the credits that the previous one left.
        [entry] = apply(account, operation.of(account), catalog=catalog_of(shape.quotas), now=NOW)
        account = entry.after
        sizes.append(size(entry_to_item(replace(entry, key=key_digest(KEY)), GENESIS_HASH, bytes(SALT_BYTES))))
    small_rows = operation.entries + operation.rows
    return Cost(
        bytes=sizes[0],
        read=operation.entries_read * ceil(sizes[0] / (4 * KILOBYTE)) + operation.rows_read,
        written=sum(2 * ceil(entry_bytes / KILOBYTE) for entry_bytes in sizes) + UNITS_OF_A_SMALL_ROW * small_rows,
    )


def table() -> Iterator[str]:
    """A row for each operation, and a column for each shape."""
    yield f"| operation | trips | {' | '.join(COLUMNS)} |"
    yield f"|---|---:|{'---:|' * len(COLUMNS)}"
    for name, operation in OPERATIONS.items():
        costs = (cost(operation, shape) for shape in COLUMNS.values())
        cells = (f"{figure.bytes:,} B, {figure.read} + {figure.written}" for figure in costs)
        yield f"| {name} | {operation.trips} | {' | '.join(cells)} |"
