"""What an entry charged or reserved, from a whole ledger in memory."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from prepaid.core.account import Charge, Lot, period_of
from prepaid.core.entry import Draw, Entry, LotDraw, QuotaDraw


def charge_of(entry: Entry, entries: list[Entry]) -> Charge:
    """entries: the account's, from the first. A capture's quota is of the period in which its hold was placed."""
    assert entry.feature is not None
    assert entry.quantity is not None
    granted = {other.lot.id: other.lot for other in entries if other.lot}
    drawn_by = entries[entry.holds[0] - 1] if entry.type == "capture" else entry
    quota = sum(draw.units for draw in entry.draws if isinstance(draw, QuotaDraw))
    lots: list[Lot] = [
        replace(granted[draw.lot], remaining=draw.credits) for draw in entry.draws if isinstance(draw, LotDraw)
    ]
    return Charge(
        feature=entry.feature,
        quantity=entry.quantity,
        quota=quota,
        period=period_of(drawn_by.after) if quota else None,
        lots=tuple(lots),
    )


def credits_of(draws: Iterable[Draw]) -> Counter[str]:
    """Credits by lot."""
    sums: Counter[str] = Counter()
    for draw in draws:
        if isinstance(draw, LotDraw):
            sums[draw.lot] += draw.credits
    return sums
