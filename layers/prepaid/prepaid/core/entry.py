"""One entry of an account's ledger: the event, its draws, and the account's state after it (rule 6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from prepaid.core.account import Account, Lot, quotas_remaining
from prepaid.core.catalog import Catalog

EntryType = Literal[
    "purchase",
    "grant",
    "adjustment",
    "void",
    "consumption",
    "reversal",
    "hold",
    "capture",
    "release",
    "expiry",
    "refund",
    "dispute",
    "quota_renewal",
    "plan_change",
    "erasure",
]
Source = Literal["quota", "credits", "both"]
# The types that spend units of a feature. Only these can be reversed.
CHARGES: tuple[EntryType, ...] = ("consumption", "capture")


@dataclass(frozen=True, slots=True)
class QuotaDraw:
    """units: drawn from the period's quota of the feature; negative when returned to it."""

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
    lapses_at: of the hold that this entry placed. holds: the numbers of the holds that this entry ended.
    returned: for a capture, what the hold gave back, as negative draws. The draws of a capture are what it spent.
    expired: credits of those holds that couldn't return, because their lot had expired.
    reverses: the number of the consumption or capture that this entry reverses. past_quota: units of it that the quota
    of a past period paid for: they count as reversed, but don't return to the quota.
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
    lapses_at: datetime | None = None
    holds: tuple[int, ...] = ()
    returned: tuple[Draw, ...] = ()
    expired: tuple[LotDraw, ...] = ()
    reverses: int | None = None
    past_quota: int | None = None

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

    @property
    def spent(self) -> int:
        """Credits that the entry spent on its feature; negative when it reverses a charge, 0 for other entries."""
        match self.type:
            case "consumption":
                return -self.credits
            case "capture":
                return sum(draw.credits for draw in self.draws if isinstance(draw, LotDraw))
            case "reversal":
                # What paid a debt was returned too.
                return self.owed - self.credits
            case _:
                return 0

    @property
    def units(self) -> int:
        """Units of the feature that the entry spent; negative when it reverses a charge, 0 for other entries."""
        match self.type:
            case "consumption" | "capture":
                return self.quantity or 0
            case "reversal":
                return -(self.quantity or 0)
            case _:
                return 0

    @property
    def quota_units(self) -> int:
        """How many of `units` the quota paid for, including the quota of a past period."""
        if self.type not in CHARGES and self.type != "reversal":
            return 0
        return sum(draw.units for draw in self.draws if isinstance(draw, QuotaDraw)) - (self.past_quota or 0)


def entry_between(
    type_: EntryType,
    before: Account,
    after: Account,
    catalog: Catalog,
    now: datetime,
    actor: str,
    *,
    feature: str | None = None,
) -> Entry:
    """The entry that changes `before` to `after`. Only this function numbers and dates entries."""
    after = replace(after, number=before.number + 1, at=now)
    left_before, left = quotas_remaining(before, catalog), quotas_remaining(after, catalog)
    changes = {name: left.get(name, 0) - left_before.get(name, 0) for name in left_before | left}
    return Entry(
        type=type_,
        feature=feature,
        credits=after.available - before.available,
        quota=sum(changes.values()),
        quotas={name: units for name, units in changes.items() if units},
        owed=after.owed - before.owed,
        quota_remaining=left[feature] if feature in left else sum(left.values()),
        draws=(),
        actor=actor,
        catalog_version=catalog.version,
        after=after,
    )
