"""What several answers say about an entry: its draws, and what it left."""

from typing import Literal, NotRequired, TypedDict

from prepaid.api.http.times import Time, rfc3339
from prepaid.core.entry import Draw, Entry, QuotaDraw


class DrawAnswer(TypedDict):
    """What was taken from one source: units of quota, or credits of a lot."""

    source: Literal["quota", "lot"]
    units: NotRequired[int]
    lot: NotRequired[str]
    credits: NotRequired[int]
    expires_at: NotRequired[Time]


class BalanceAfter(TypedDict):
    """What is left after a consumption."""

    available: int
    quota_remaining: int


def draw_answer(draw: Draw) -> DrawAnswer:
    """What one draw took."""
    if isinstance(draw, QuotaDraw):
        return {"source": "quota", "units": draw.units}
    return {"source": "lot", "lot": draw.lot, "credits": draw.credits, "expires_at": rfc3339(draw.expires_at)}


def balance_after(entry: Entry) -> BalanceAfter:
    """What the entry left."""
    return {"available": entry.after.available, "quota_remaining": entry.quota_remaining}
