"""One entry of an account's ledger: the event, its draws, and the account's state after it (rule 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from prepaid.core.account import Account, Lot

EntryType = Literal[
    "purchase",
    "grant",
    "adjustment",
    "void",
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
    """units: drawn from the period's quota of the feature."""

    feature: str
    units: int


@dataclass(frozen=True, slots=True)
class LotDraw:
    """credits: drawn from the lot; negative when returned to it.

    The draw stores the lot's id and expiry so that a reversal can return the credits.
    """

    lot: str
    credits: int
    expires_at: datetime


Draw = QuotaDraw | LotDraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Never changed or removed once written.

    credits, quota, owed: signed changes of the credits available, the quota remaining and the credits owed.
    quotas: `quota` by feature, without zeros. An entry with a `feature` moves the quota of that feature only.
    quota_remaining: units left after the entry, under `catalog_version`: of the entry's feature if the plan has a quota
    of it, else of all quotas together.
    actor: the token's client, or the part of the service that acted on its own.
    lot: the lot that this entry granted, as it was then. purchase: the purchase that the entry belongs to.
    description, customer, reference: texts that can name a person. erased: whether they were removed (rule 22).
    key: a digest of the request's idempotency key, so that the verifier detects a missing claim.
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
    erased: bool = False
    quotas: Mapping[str, int] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.after.number

    @property
    def at(self) -> datetime:
        return self.after.at

    @property
    def source(self) -> Source | None:
        """Where the entry's draws came from: quota, credits or both. None when nothing was drawn."""
        quota = any(isinstance(draw, QuotaDraw) for draw in self.draws)
        credits = any(isinstance(draw, LotDraw) for draw in self.draws)
        if quota and credits:
            return "both"
        if credits:
            return "credits"
        return "quota" if quota else None
