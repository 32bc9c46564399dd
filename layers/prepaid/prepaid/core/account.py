"""An account as it stands after an entry: its terms, quota and lots. Plain values; the rules are in ledger.py."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from prepaid.core.catalog import Catalog, Feature

LotKind = Literal["purchase", "promotion", "adjustment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Credits that came together, with one expiry.

    number: of the entry that granted it, so it is unique in the account and grows with time.
    granted, remaining: credits, 0 < remaining <= granted (a lot that is used up leaves the account).
    expires_at: the first instant at which it can't be spent any more (rule 2).
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


def lot_id(number: int) -> str:
    """The public id of the lot that entry `number` granted. Zero padded, so ids sort as their numbers do."""
    return f"lot_{number:012d}"


def draw_order(lot: Lot) -> tuple[datetime, bool, datetime, int]:
    """rule 3: soonest expiry, promotional before purchased, granted first, lot id. Total: numbers are unique."""
    return (lot.expires_at, lot.kind == "purchase", lot.granted_at, lot.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the account agreed to: the part of it that decides about quota. Changed by a plan_change entry only."""

    plan: str
    ai_enabled: bool
    quota_anchor_day: int
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The whole account after entry `number`, which was written at `at`.

    quota_used: units used in the period that ends at quota_renews_at. lots: in draw order, none of them empty.
    owed: credits whose money went back after they were spent; the next grant settles them (rule 13).
    """

    id: str
    number: int
    at: datetime
    terms: Terms
    quota_used: int
    quota_renews_at: datetime
    lots: tuple[Lot, ...]
    owed: int = 0

    @property
    def available(self) -> int:
        """Credits in lots. After `settle` at an instant: what can be spent at that instant."""
        return sum(lot.remaining for lot in self.lots)


def remaining_in(account: Account, lot: Lot) -> int:
    """Credits that the account has left in a lot, whatever that held when `lot` was written down."""
    return next((live.remaining for live in account.lots if live.number == lot.number), 0)


def quota_limit(account: Account, catalog: Catalog) -> int:
    """Units of the quota-backed feature a month: the plan's, when the account has AI switched on."""
    return catalog.plan(account.terms.plan).quota if account.terms.ai_enabled else 0


def quota_remaining(account: Account, catalog: Catalog) -> int:
    """Units left in the period. Never below zero: a smaller plan doesn't take back what was used (rule 9)."""
    return max(0, quota_limit(account, catalog) - account.quota_used)


def quota_remaining_for(account: Account, feature: Feature, catalog: Catalog) -> int:
    """Units of quota that `feature` may draw on: none unless it is quota-backed (rule 7)."""
    return quota_remaining(account, catalog) if feature.quota_backed else 0


def units_left(account: Account, feature: Feature, catalog: Catalog) -> int | None:
    """How many units of `feature` the account could still pay for; None for a free feature, which has no limit."""
    if feature.price == 0:
        return None
    return quota_remaining_for(account, feature, catalog) + account.available // feature.price
