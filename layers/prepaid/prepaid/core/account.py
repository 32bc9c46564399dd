"""The state of an account after an entry: its terms, quotas and lots. Plain values; the rules are in ledger.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from prepaid.core.calendar import month_of
from prepaid.core.catalog import Catalog, Feature
from prepaid.core.errors import AccountClosed, AccountFrozen
from prepaid.core.ids import lot_id

LotKind = Literal["purchase", "promotion", "adjustment"]
Status = Literal["active", "frozen", "closed"]
DEFAULT_LOW_CREDIT_THRESHOLD = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Credits granted together, with one expiry.

    number: the number of the entry that granted it, so it is unique in the account and increases over time.
    granted, remaining: credits, 0 < remaining <= granted (an empty lot is removed from the account).
    expires_at: the first instant at which the lot can no longer be spent (rule 2).
    """

    number: int
    kind: LotKind
    granted: int
    remaining: int
    granted_at: datetime
    expires_at: datetime

    @property
    def id(self) -> str:
        return lot_id(self.number)


def draw_order(lot: Lot) -> tuple[datetime, bool, datetime, int]:
    """The sort key of rule 3: soonest expiry, then promotional before purchased, then granted first, then the number.

    No two lots are equal, because numbers are unique.
    """
    return (lot.expires_at, lot.kind == "purchase", lot.granted_at, lot.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The account's agreed terms: its quotas, its currency, when its credits count as low, and whether it may spend.

    Only a plan_change entry changes them.
    currency: None for an account that was opened while no pack was on sale; it buys in the catalog's currency.
    low_credit_threshold: credits.
    """

    plan: str
    ai_enabled: bool
    quota_anchor_day: int
    time_zone: str
    currency: str | None = None
    low_credit_threshold: int = DEFAULT_LOW_CREDIT_THRESHOLD
    status: Status = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Units of a feature and what pays for them.

    quantity: units. quota: how many of them the feature's quota pays for; these are the first. period: the quota's
    period; None if the quota pays for none. lots: what pays for the other units, which all have the same price. They
    are in draw order, and `remaining` of each is the credits that it pays.
    """

    feature: str
    quantity: int
    quota: int
    period: date | None
    lots: tuple[Lot, ...]

    @property
    def credits(self) -> int:
        return sum(lot.remaining for lot in self.lots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Units that are reserved (rule 16): neither in the account's lots nor left in its quota.

    number: the number of the entry that placed it. lapses_at: the first instant at which it can't be captured any more.
    """

    number: int
    charge: Charge
    lapses_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account's full state after entry `number`, which is dated `at`.

    quotas_used: units used in the period that ends at quota_renews_at, by feature, without zeros.
    lots: in draw order, none of them empty.
    owed: credits that were refunded or disputed after they were spent; the next grant pays them (rule 13).
    """

    id: str
    number: int
    at: datetime
    terms: Terms
    quotas_used: Mapping[str, int]
    quota_renews_at: datetime
    lots: tuple[Lot, ...]
    owed: int = 0
    holds: tuple[Hold, ...] = ()

    @property
    def held(self) -> int:
        """Credits that holds reserve."""
        return sum(hold.charge.credits for hold in self.holds)

    @property
    def available(self) -> int:
        """Credits in lots. After `settle` at an instant: the credits that can be spent at that instant."""
        return sum(lot.remaining for lot in self.lots)


def require_active(terms: Terms) -> None:
    """Refuse what only an active account does: spend, hold and buy (rule 21). Raises AccountFrozen, AccountClosed."""
    if terms.status == "frozen":
        raise AccountFrozen
    if terms.status == "closed":
        raise AccountClosed


def period_of(account: Account) -> date:
    """The period of the account's quotas: the civil month in which it ends.

    Each month has one renewal, however often the anchor day or the zone changes (rule 9), so no two periods share it.
    """
    return month_of(account.quota_renews_at, account.terms.time_zone)


def remaining_in(account: Account, lot: Lot) -> int:
    """Credits that the account has left in a lot now; `lot` itself may be an older copy."""
    return next((live.remaining for live in account.lots if live.number == lot.number), 0)


def quota_limits(account: Account, catalog: Catalog) -> dict[str, int]:
    """Monthly units by feature, without zeros: the plan's quotas, or none while AI is disabled for the account."""
    if not account.terms.ai_enabled:
        return {}
    quotas = catalog.plan(account.terms.plan).quotas
    return {feature.id: quotas[feature.id] for feature in catalog.features if quotas.get(feature.id)}


def quotas_remaining(account: Account, catalog: Catalog) -> dict[str, int]:
    """Units left in the period, by feature, for each of `quota_limits`.

    Never negative: a smaller plan doesn't take back used units (rule 9).
    """
    used, limits = account.quotas_used, quota_limits(account, catalog)
    return {feature: max(0, limit - used.get(feature, 0)) for feature, limit in limits.items()}


def quota_remaining(account: Account, feature: Feature, catalog: Catalog) -> int:
    """Quota units available to `feature`: its own only (rule 7)."""
    return quotas_remaining(account, catalog).get(feature.id, 0)


def units_left(account: Account, feature: Feature, catalog: Catalog) -> int | None:
    """How many more units of `feature` the account can use: 0 if it is retired or the account isn't active, None (no
    limit) if it is free."""
    if not feature.active or account.terms.status != "active":
        return 0
    if feature.price == 0:
        return None
    return quota_remaining(account, feature, catalog) + account.available // feature.price
