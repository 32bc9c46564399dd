"""How credits and quota leave an account and return to it: the steps that several operations share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prepaid.core.account import (
    Account,
    Charge,
    Lot,
    draw_order,
    period_of,
    quota_limits,
    quota_remaining,
    require_active,
)
from prepaid.core.catalog import Catalog, Feature
from prepaid.core.entry import Draw, LotDraw, QuotaDraw
from prepaid.core.errors import InsufficientCredits

# How long credits are valid when they are returned after their own expiry (rule 15).
COURTESY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Returned:
    """The result of `give_back`. draws: what returned to lots. ended: lots that had expired, with what they lost."""

    account: Account
    draws: tuple[LotDraw, ...]
    ended: tuple[Lot, ...]


def charge(account: Account, feature_id: str, quantity: int, catalog: Catalog) -> Charge:
    """What pays for `quantity` units (>= 1), all or nothing: quota first, then lots in draw order (rules 3, 4).

    account: settled. Raises AccountFrozen, AccountClosed, InvalidRequest, FeatureRetired, InsufficientCredits.
    """
    assert quantity >= 1
    require_active(account.terms)
    feature = catalog.active_feature(feature_id)
    from_quota = min(quantity, quota_remaining(account, feature, catalog))
    needed = (quantity - from_quota) * feature.price
    if needed > account.available:
        raise _insufficient(account, needed, feature, catalog)
    return Charge(
        feature=feature.id,
        quantity=quantity,
        quota=from_quota,
        period=period_of(account) if from_quota else None,
        lots=tuple(taken_from(account.lots, needed)),
    )


def charged(account: Account, charge: Charge) -> Account:
    """The account without what pays for the charge."""
    used = with_used(account.quotas_used, charge.feature, charge.quota)
    return replace(account, quotas_used=used, lots=without(account.lots, lot_draws(charge.lots)))


def draws_of(charge: Charge) -> tuple[Draw, ...]:
    """The charge as draws."""
    lots = lot_draws(charge.lots)
    return (QuotaDraw(charge.feature, charge.quota), *lots) if charge.quota else lots


def part_of(charge: Charge, first: int, last: int) -> Charge:
    """The charge of the units from `first` up to, not including, `last`, counted from 0 in the order of drawing."""
    assert 0 <= first <= last <= charge.quantity
    quota = min(last, charge.quota) - min(first, charge.quota)
    paid_units = charge.quantity - charge.quota
    price = charge.credits // paid_units if paid_units else 0
    skip = max(0, first - charge.quota) * price
    take = max(0, last - charge.quota) * price - skip
    lots: list[Lot] = []
    for lot in charge.lots:
        skipped = min(skip, lot.remaining)
        taken = min(take, lot.remaining - skipped)
        skip, take = skip - skipped, take - taken
        if taken:
            lots.append(replace(lot, remaining=taken))
    period = charge.period if quota else None
    return replace(charge, quantity=last - first, quota=quota, period=period, lots=tuple(lots))


def give_back(account: Account, lots: Iterable[Lot], now: datetime) -> Returned:
    """Return credits, `remaining` of each lot, to the lots that they came from, in this order.

    They first pay what the account owes. Credits of an expired lot do so too: nobody owes what expired unspent (rule
    13).
    """
    owed = account.owed
    live = {lot.number: lot for lot in account.lots}
    draws: list[LotDraw] = []
    ended: list[Lot] = []
    for lot in lots:
        settled = min(owed, lot.remaining)
        owed -= settled
        credits = lot.remaining - settled
        if not credits:
            continue
        if lot.expires_at <= now:
            ended.append(replace(lot, remaining=credits))
            continue
        live[lot.number] = refilled(live.get(lot.number), lot, credits)
        draws.append(LotDraw(lot.id, -credits, lot.expires_at))
    after = replace(account, owed=owed, lots=tuple(sorted(live.values(), key=draw_order)))
    return Returned(after, tuple(draws), tuple(ended))


def refilled(live: Lot | None, lot: Lot, credits: int) -> Lot:
    """The lot with `credits` added. A lot that was restored in part may be refilled beyond its granted amount.

    live: the lot as the account has it; None when it is empty. lot: an earlier copy.
    """
    base = live or replace(lot, remaining=0)
    remaining = base.remaining + credits
    return replace(base, granted=max(base.granted, remaining), remaining=remaining)


def with_lot(lots: Iterable[Lot], lot: Lot) -> tuple[Lot, ...]:
    """The lots plus `lot`, in draw order; an empty lot isn't added."""
    return tuple(sorted((*lots, lot), key=draw_order)) if lot.remaining else tuple(lots)


def taken_from(lots: Iterable[Lot], credits: int) -> Iterable[Lot]:
    """`credits`, or all that the lots hold if less, from lots given in draw order: `remaining` of each is its part."""
    for lot in lots:
        if credits == 0:
            break
        taken = min(credits, lot.remaining)
        yield replace(lot, remaining=taken)
        credits -= taken


def lot_draws(lots: Iterable[Lot]) -> tuple[LotDraw, ...]:
    """`remaining` of each lot as a draw."""
    return tuple(LotDraw(lot.id, lot.remaining, lot.expires_at) for lot in lots)


def without(lots: tuple[Lot, ...], draws: Iterable[LotDraw]) -> tuple[Lot, ...]:
    """The lots after the draws; an empty lot is left out."""
    drawn = {draw.lot: draw.credits for draw in draws}
    # Most lots of an account stay as they are, and a copy takes longer than the rest of this.
    reduced = (replace(lot, remaining=lot.remaining - drawn[lot.id]) if lot.id in drawn else lot for lot in lots)
    return tuple(lot for lot in reduced if lot.remaining)


def with_used(used: Mapping[str, int], feature: str, units: int) -> Mapping[str, int]:
    """The used quotas with `units` more of one feature, or fewer when negative; without zeros."""
    total = used.get(feature, 0) + units
    assert total >= 0
    return {name: count for name, count in {**used, feature: total}.items() if count}


def _insufficient(account: Account, needed: int, feature: Feature, catalog: Catalog) -> InsufficientCredits:
    # A renewal helps only for a feature of which the plan has a quota (rule 8).
    renewal_helps = feature.id in quota_limits(account, catalog)
    # A new pack pays owed credits first (rule 13): a pack that covers only the shortfall would not be enough.
    missing = needed - account.available + account.owed
    pack = catalog.smallest_pack_covering(missing, account.terms.currency)
    return InsufficientCredits(
        needed=needed,
        available=account.available,
        quota_remaining=quota_remaining(account, feature, catalog),
        renews_at=account.quota_renews_at if renewal_helps else None,
        suggested_pack=pack.id if pack else None,
    )
