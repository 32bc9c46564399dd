"""Parts of several responses: an entry's draws, and the balance after it."""

from typing import Literal, NotRequired, TypedDict

from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.entry import Draw, Entry, QuotaDraw


class DrawResponse(TypedDict):
    """A draw from one source: units of the feature's quota, or credits of a lot (negative when returned to it)."""

    source: Literal["quota", "lot"]
    feature: NotRequired[str]
    units: NotRequired[int]
    lot: NotRequired[str]
    credits: NotRequired[int]
    expires_at: NotRequired[Time]


class BalanceAfter(TypedDict):
    """The balance after an entry. quota_remaining: of the feature's quota if the plan has one, else of all quotas."""

    available: int
    quota_remaining: int


def draw_response(draw: Draw) -> DrawResponse:
    """One draw of an entry."""
    if isinstance(draw, QuotaDraw):
        return {"source": "quota", "feature": draw.feature, "units": draw.units}
    return {"source": "lot", "lot": draw.lot, "credits": draw.credits, "expires_at": rfc3339(draw.expires_at)}


def balance_after(entry: Entry) -> BalanceAfter:
    """The balance after the entry."""
    return {"available": entry.after.available, "quota_remaining": entry.quota_remaining}
