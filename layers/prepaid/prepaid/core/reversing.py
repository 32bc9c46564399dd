"""Reversals: what a consumption or a capture charged returns to where it came from (rule 15)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from prepaid.core.account import Account, Charge, Lot, period_of
from prepaid.core.catalog import Catalog
from prepaid.core.drawing import COURTESY, give_back, part_of, with_lot, with_used
from prepaid.core.entry import CHARGES, Draw, Entry, LotDraw, QuotaDraw, entry_between
from prepaid.core.errors import AlreadyReversed


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverse:
    """Return `quantity` units (>= 1) of a consumption or a capture, or all that are left for None.

    entry: the number of the consumption or capture. charge: what it charged. reversed: units that earlier reversals
    returned. customer, reference: those of the entry.
    """

    actor: str
    entry: int
    charge: Charge
    reversed: int
    quantity: int | None = None
    description: str | None = None
    customer: str | None = None
    reference: str | None = None


def charge_of(entry: Entry, drawn: Account, lots: Iterable[Lot]) -> Charge:
    """What a consumption or a capture charged.

    drawn: the account after its quota was drawn: after the consumption itself, or after the capture's hold was placed.
    lots: at least those of its draws, as they were granted.
    """
    assert entry.type in CHARGES
    assert entry.feature is not None
    assert entry.quantity is not None
    granted = {lot.id: lot for lot in lots}
    quota = sum(draw.units for draw in entry.draws if isinstance(draw, QuotaDraw))
    return Charge(
        feature=entry.feature,
        quantity=entry.quantity,
        quota=quota,
        period=period_of(drawn) if quota else None,
        lots=tuple(
            replace(granted[draw.lot], remaining=draw.credits) for draw in entry.draws if isinstance(draw, LotDraw)
        ),
    )


def reverse(account: Account, operation: Reverse, catalog: Catalog, now: datetime) -> Entry:
    """The entry that returns the units drawn last that are not yet returned. Raises AlreadyReversed.

    Credits pay first what the account owes, then return to their lots; those of ended lots form one lot of 7 days.
    Units of the quota return in their own period only.
    """
    left = operation.charge.quantity - operation.reversed
    quantity = left if operation.quantity is None else operation.quantity
    if not 1 <= quantity <= left:
        raise AlreadyReversed(left)
    part = part_of(operation.charge, left - quantity, left)
    quota: tuple[Draw, ...] = ()
    before = account
    returns = part.period == period_of(account)
    if part.quota and returns:
        account = replace(account, quotas_used=with_used(account.quotas_used, part.feature, -part.quota))
        quota = (QuotaDraw(part.feature, -part.quota),)
    back = give_back(account, part.lots, now)
    after, draws = back.account, back.draws
    new = _courtesy(before, back.ended, now) if back.ended else None
    if new:
        after = replace(after, lots=with_lot(after.lots, new))
        draws = (*draws, LotDraw(new.id, -new.remaining, new.expires_at))
    return replace(
        entry_between("reversal", before, after, catalog, now, operation.actor, feature=part.feature),
        draws=(*quota, *draws),
        quantity=quantity,
        description=operation.description,
        customer=operation.customer,
        reference=operation.reference,
        lot=new,
        reverses=operation.entry,
        past_quota=part.quota if part.quota and not returns else None,
    )


def _courtesy(account: Account, ended: tuple[Lot, ...], now: datetime) -> Lot:
    credits = sum(lot.remaining for lot in ended)
    return Lot(
        number=account.number + 1,
        # Bought credits can't be voided, not even a part of a lot.
        kind="purchase" if any(lot.kind == "purchase" for lot in ended) else ended[0].kind,
        granted=credits,
        remaining=credits,
        granted_at=now,
        expires_at=now + COURTESY,
    )
