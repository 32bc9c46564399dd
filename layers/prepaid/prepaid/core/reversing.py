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


def charge_of(entry: Entry, account: Account, lots: Iterable[Lot]) -> Charge:
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
        period=period_of(account) if quota else None,
        lots=tuple(
            replace(granted[draw.lot], remaining=draw.credits) for draw in entry.draws if isinstance(draw, LotDraw)
        ),
    )


def reverse(account: Account, operation: Reverse, catalog: Catalog, now: datetime) -> Entry:
    """The entry that returns the units drawn last that are not yet returned. Raises AlreadyReversed.

    Credits pay first what the account owes, then return to their lots; those of ended lots form one lot of 7 days.
    Units of the quota return in their own period only.
    """
    reversible = operation.charge.quantity - operation.reversed
    quantity = reversible if operation.quantity is None else operation.quantity
    if not 1 <= quantity <= reversible:
        raise AlreadyReversed(reversible)
    charge = part_of(operation.charge, reversible - quantity, reversible)
    quota: tuple[Draw, ...] = ()
    before = account
    is_current = charge.period == period_of(account)
    if charge.quota and is_current:
        account = replace(account, quotas_used=with_used(account.quotas_used, charge.feature, -charge.quota))
        quota = (QuotaDraw(charge.feature, -charge.quota),)
    returned = give_back(account, charge.lots, now)
    after, draws = returned.account, returned.draws
    courtesy_lot = _courtesy(before, returned.ended, now) if returned.ended else None
    if courtesy_lot:
        after = replace(after, lots=with_lot(after.lots, courtesy_lot))
        draws = (*draws, LotDraw(courtesy_lot.id, -courtesy_lot.remaining, courtesy_lot.expires_at))
    return replace(
        entry_between("reversal", before, after, catalog, now, operation.actor, feature=charge.feature),
        draws=(*quota, *draws),
        quantity=quantity,
        description=operation.description,
        customer=operation.customer,
        reference=operation.reference,
        lot=courtesy_lot,
        reverses=operation.entry,
        past_quota=charge.quota if charge.quota and not is_current else None,
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
