"""How each operation grows with the account's lots, holds and quotas, and with its history: part of `make costs`.

Each appends entries that carry the account after them. What else it writes are rows of a few hundred bytes.
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
# Below a write unit each, doubled by the transaction.
UNITS_OF_A_SMALL_ROW = 2
COLUMNS = {
    **{f"{lots} lots": Shape(lots=lots) for lots in (3, 12, 60, 300, 500)},
    **{f"{holds} holds": Shape(holds=holds) for holds in (10, 100)},
    "2 quotas": Shape(quotas=2),
    **{f"{entries:,} entries": Shape(history=entries) for entries in (1, 1_000, 100_000)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """of: what is appended to an account. entries: that it appends, each with its claim. rows: that it writes besides
    those. entries_read, rows_read: what it reads. trips: to the database. before: the account that it changes, from the
    one to which the table's columns refer."""

    of: Callable[[Account], Operation]
    entries: int = 1
    rows: int = 0
    entries_read: int = 1
    rows_read: int = 0
    trips: int = 2
    before: Callable[[Shape], Shape] = lambda shape: shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """bytes: of an entry. read, written: units."""

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
        # An account has 500 lots at most, the new one included.
        before=lambda shape: replace(shape, lots=shape.lots - 1),
    ),
    "void": Written(of=lambda account: Void(actor=ACTOR, lot=_voidable(account), credits=5, description="Mistake")),
    "hold": Written(
        of=lambda _: PlaceHold(actor=ACTOR, feature="ai_service", quantity=10, customer=CUSTOMER),
        rows=1,
        # 100 holds at most.
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
        # The newest, its own, and the one that granted the lot.
        entries_read=3,
        rows_read=1,
        trips=4,
    ),
}


def _voidable(account: Account) -> int:
    """What was bought can't be voided."""
    return next(lot.number for lot in account.lots if lot.kind != "purchase")


def cost(operation: Written, shape: Shape) -> Cost:
    """Of one operation on an account that has this shape."""
    account, _ = debit_of(operation.before(shape))
    sizes = []
    for _ in range(operation.entries):
        # In a batch each debit draws on what the one before it left.
        [entry] = apply(account, operation.of(account), catalog=catalog_of(shape.quotas), now=NOW)
        account = entry.after
        sizes.append(size(entry_to_item(replace(entry, key=key_digest(KEY)), GENESIS_HASH, bytes(SALT_BYTES))))
    small = operation.entries + operation.rows
    return Cost(
        bytes=sizes[0],
        read=operation.entries_read * ceil(sizes[0] / (4 * KILOBYTE)) + operation.rows_read,
        written=sum(2 * ceil(each / KILOBYTE) for each in sizes) + UNITS_OF_A_SMALL_ROW * small,
    )


def table() -> Iterator[str]:
    """A row for each operation, and a column for each shape."""
    yield f"| operation | trips | {' | '.join(COLUMNS)} |"
    yield f"|---|---:|{'---:|' * len(COLUMNS)}"
    for name, operation in OPERATIONS.items():
        costs = (cost(operation, shape) for shape in COLUMNS.values())
        cells = (f"{each.bytes:,} B, {each.read} + {each.written}" for each in costs)
        yield f"| {name} | {operation.trips} | {' | '.join(cells)} |"
