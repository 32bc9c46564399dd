"""How a debit grows with the account's lots, holds and quotas, and with its history: part of `make costs`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from bench.item_sizes import KILOBYTE, size
from prepaid.core.account import Account, Charge, Hold, Lot, Terms
from prepaid.core.catalog import Catalog
from prepaid.core.ledger import Debit, apply
from prepaid.store.catalog import first_catalog
from prepaid.store.items import GENESIS_HASH, SALT_BYTES, entry_to_item, key_digest, request_hash
from prepaid.store.ledger import Effect, claim_put
from prepaid.use_cases.debiting import REACH

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEY = "5f1c1b52-6a50-4d0e-9df0-0d4f1d5f5a11"
FEATURES = ("sticker", "ai_service")
TERMS = Terms(plan="trio", ai_enabled=True, quota_anchor_day=15, time_zone="America/Sao_Paulo")
USUAL_DEBIT = Debit(
    actor="4k2m9qv7h1c8r3t5w6x0y2z4b6",
    feature="ai_service",
    quantity=10,
    description="Sticker, square",
    customer="cus_8f14e45f",
    reference="order-000123",
)


# The entries in the page that a request reads after it lost a race to 31 others.
ENTRIES_AFTER_A_RACE = REACH + 31
PAGE_BYTES = 1024 * KILOBYTE
# Round trips to the database. tests/store/test_cost.py measures them, python -m bench.reading after a long history.
TRIPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """An account. history: entries before the debit."""

    lots: int = 3
    holds: int = 0
    quotas: int = 0
    history: int = 12_345


SHAPES = (
    *(Shape(lots=lots) for lots in (1, 12, 60, 300, 500)),
    *(Shape(holds=holds) for holds in (1, 10, 100)),
    *(Shape(quotas=quotas) for quotas in (1, 2)),
    Shape(lots=12, holds=1, quotas=2),
    *(Shape(history=history) for history in (1, 1_000, 100_000)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The cost of a debit. entry, claim: their bytes. written: write units.

    read: the read units of the previous entry. read_after_a_race: those of the newest entries, after a lost race.
    """

    entry: int
    claim: int
    read: int
    read_after_a_race: int
    written: int


def debit_of(shape: Shape) -> tuple[Account, Debit]:
    """The account, and a debit with all texts. The account's quotas are used up, so the debit draws on lots."""
    # Entries granted the lots and placed the holds, so a short history has short numbers.
    first = max(2, shape.history - shape.lots - shape.holds)
    lots = tuple(
        Lot(
            number=first + number,
            kind="purchase" if number % 3 else "promotion",
            granted=1_000,
            remaining=1_000 if number else 437,
            granted_at=NOW - timedelta(days=shape.lots - number),
            expires_at=NOW + timedelta(days=30 + number),
        )
        for number in range(shape.lots)
    )
    held = Charge(
        feature="sticker", quantity=5, quota=0, period=None, lots=(replace(lots[0], granted=1_000, remaining=5),)
    )
    holds = tuple(
        Hold(number=first + shape.lots + number, charge=held, lapses_at=NOW + timedelta(minutes=10 + number))
        for number in range(shape.holds)
    )
    account = Account(
        id="petshop-4711",
        number=shape.history,
        at=NOW,
        terms=TERMS,
        quotas_used=dict.fromkeys(FEATURES[: shape.quotas], 300),
        quota_renews_at=NOW + timedelta(days=18),
        lots=lots,
        holds=holds,
    )
    return account, USUAL_DEBIT


def catalog_of(quotas: int) -> Catalog:
    """The catalog, with `quotas` quotas in the account's plan."""
    catalog = first_catalog()
    plans = tuple(
        replace(plan, quotas=dict.fromkeys(FEATURES[:quotas], 300)) if plan.id == TERMS.plan else plan
        for plan in catalog.plans
    )
    return replace(catalog, plans=plans)


def growth_of(shape: Shape) -> Growth:
    """The cost of one more debit on an account of this shape."""
    account, debit = debit_of(shape)
    [entry] = apply(account, debit, catalog=catalog_of(shape.quotas), now=NOW)
    row: Mapping[str, Any] = entry_to_item(replace(entry, key=key_digest(KEY)), GENESIS_HASH, bytes(range(SALT_BYTES)))
    sizes = size(row), size(claim_put(account.id, KEY, Effect(request_hash(debit), entry))["Item"])
    return Growth(
        entry=sizes[0],
        claim=sizes[1],
        read=ceil(sizes[0] / (4 * KILOBYTE)),
        read_after_a_race=ceil(min(ENTRIES_AFTER_A_RACE * sizes[0], PAGE_BYTES) / (4 * KILOBYTE)),
        written=sum(2 * ceil(row_bytes / KILOBYTE) for row_bytes in sizes),
    )


def event_reads(entry: int) -> int:
    """The read units of publishing one entry of `entry` bytes alone.

    The publisher reads the cursor twice, the entry together with the previous one, and the entry again to see that none
    follows.
    """
    return 2 + ceil(2 * entry / (4 * KILOBYTE)) + ceil(entry / (4 * KILOBYTE))


def table(fixed: float, write_unit: float, read_unit: float) -> Iterator[str]:
    """A row for each shape. fixed: the dollars of a million debits without the units that depend on its size."""
    columns = ("lots", "holds", "quotas", "entries before", "bytes of the entry", "read units", "write units", "trips")
    yield f"| {' | '.join(columns)} | dollars | read units after a lost race |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for shape in SHAPES:
        debit = growth_of(shape)
        read = debit.read + event_reads(debit.entry)
        dollars = fixed + 1_000_000 * (debit.written * write_unit + read * read_unit)
        yield (
            f"| {shape.lots} | {shape.holds} | {shape.quotas} | {shape.history:,} | {debit.entry:,} | {debit.read} | "
            f"{debit.written} | {TRIPS} | {dollars:.2f} | {debit.read_after_a_race} |"
        )
