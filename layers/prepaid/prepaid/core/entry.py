"""One line of an account's ledger: what happened, what was drawn, and the account after it (rule 6)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prepaid.core.account import Account, Lot

EntryType = Literal[
    "purchase",
    "grant",
    "adjustment",
    "consumption",
    "expiry",
    "refund",
    "dispute",
    "quota_renewal",
    "plan_change",
]
Source = Literal["quota", "credits", "both"]


@dataclass(frozen=True, slots=True)
class QuotaDraw:
    """units: taken from the period's quota."""

    units: int


@dataclass(frozen=True, slots=True)
class LotDraw:
    """credits: taken from the lot, or given back to it when negative.

    The lot's id and expiry stand here so that a reversal can find its way back.
    """

    lot: str
    credits: int
    expires_at: datetime


Draw = QuotaDraw | LotDraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Never changed or removed once written.

    credits, quota, owed: signed change of the credits available, of the quota remaining, of the credits owed.
    quota_remaining: units left after it, as the catalog version named here counted them.
    actor: who asked (a token's client, or the part of the service that acted by itself).
    lot: the lot that this entry granted, as it was then. purchase: the purchase that paid for it.
    key: a digest of the idempotency key that asked for it, so that a claim that is gone is missed.
    """

    type: EntryType
    credits: int
    quota: int
    owed: int
    quota_remaining: int
    draws: tuple[Draw, ...]
    actor: str
    catalog_version: int
    after: Account
    feature: str | None = None
    quantity: int | None = None
    description: str | None = None
    customer: str | None = None
    reference: str | None = None
    lot: Lot | None = None
    purchase: str | None = None
    key: str | None = None

    @property
    def number(self) -> int:
        return self.after.number

    @property
    def at(self) -> datetime:
        return self.after.at

    @property
    def source(self) -> Source | None:
        """What paid for it, or was lost: where its draws came from. None when nothing was drawn."""
        quota = any(isinstance(draw, QuotaDraw) for draw in self.draws)
        credits = any(isinstance(draw, LotDraw) for draw in self.draws)
        if quota and credits:
            return "both"
        if credits:
            return "credits"
        return "quota" if quota else None
