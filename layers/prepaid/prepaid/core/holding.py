"""Holds: units of a feature reserved for work whose cost isn't known yet (rule 16)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prepaid.core.account import Account, Charge, Hold, period_of
from prepaid.core.catalog import Catalog
from prepaid.core.drawing import charge, charged, draws_of, give_back, lot_draws, part_of, with_used
from prepaid.core.entry import Draw, Entry, LotDraw, QuotaDraw, entry_between
from prepaid.core.errors import HoldNotFound, InvalidRequest, TooManyHolds

MAX_HOLDS = 100
# Lots of all holds together, each counted once per hold: an account's newest entry carries them all.
MAX_HELD_LOTS = 500
DEFAULT_TTL_SECONDS = 15 * 60
LONGEST_TTL_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold:
    """Reserve `quantity` units (>= 1) of a feature, all or nothing, with what would pay for them now.

    ttl_seconds: after which the hold lapses.
    """

    actor: str
    feature: str
    quantity: int
    ttl_seconds: int = DEFAULT_TTL_SECONDS
    description: str | None = None
    customer: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Spend `quantity` units (>= 0) of a hold, or all of them for None, and release the rest.

    hold: its number. The texts are the hold's.
    """

    actor: str
    hold: int
    quantity: int | None = None
    description: str | None = None
    customer: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Give back all that a hold reserves. hold: its number."""

    actor: str
    hold: int


@dataclass(frozen=True, slots=True)
class _Freed:
    """An account after holds ended. draws: what returned, negative. expired: what couldn't, because its lot expired."""

    account: Account
    draws: tuple[Draw, ...]
    expired: tuple[LotDraw, ...]


def place(account: Account, operation: PlaceHold, catalog: Catalog, now: datetime) -> Entry:
    """The entry of a new hold. Raises TooManyHolds, InvalidRequest, FeatureRetired, InsufficientCredits."""
    if len(account.holds) >= MAX_HOLDS:
        raise TooManyHolds(MAX_HOLDS, "holds")
    reserved = charge(account, operation.feature, operation.quantity, catalog)
    if sum(len(hold.charge.lots) for hold in account.holds) + len(reserved.lots) > MAX_HELD_LOTS:
        raise TooManyHolds(MAX_HELD_LOTS, "lots")
    hold = Hold(number=account.number + 1, charge=reserved, lapses_at=now + timedelta(seconds=operation.ttl_seconds))
    after = replace(charged(account, reserved), holds=(*account.holds, hold))
    return replace(
        entry_between("hold", account, after, catalog, now, operation.actor, feature=reserved.feature),
        draws=draws_of(reserved),
        quantity=reserved.quantity,
        description=operation.description,
        customer=operation.customer,
        reference=operation.reference,
        lapses_at=hold.lapses_at,
    )


def capture(account: Account, operation: Capture, catalog: Catalog, now: datetime) -> Entry:
    """The entry that spends a hold's first units and frees the others. Raises HoldNotFound, InvalidRequest.

    An account that was frozen after it was held can still be charged for the work.
    """
    hold = find_hold(account, operation.hold)
    held = hold.charge.quantity
    quantity = held if operation.quantity is None else operation.quantity
    assert quantity >= 0
    if quantity > held:
        raise InvalidRequest((("quantity", f"must be at most {held}, the units that the hold reserves"),))
    spent, unused = part_of(hold.charge, 0, quantity), part_of(hold.charge, quantity, held)
    freed = _free(_without_holds(account, (hold,)), (unused,), now)
    return replace(
        entry_between("capture", account, freed.account, catalog, now, operation.actor, feature=spent.feature),
        draws=draws_of(spent),
        quantity=quantity,
        description=operation.description,
        customer=operation.customer,
        reference=operation.reference,
        holds=(hold.number,),
        returned=freed.draws,
        expired=freed.expired,
    )


def release(account: Account, operation: Release, catalog: Catalog, now: datetime) -> Entry:
    """The entry that frees a hold. Raises HoldNotFound."""
    return _released(account, (find_hold(account, operation.hold),), catalog, now, operation.actor)


def lapse(account: Account, catalog: Catalog, now: datetime, actor: str) -> Entry | None:
    """The entry that frees the holds that have lapsed by now, in the order in which they did; None without any.

    account: without lots that have ended, and before a renewal of its quotas.
    """
    lapsed = sorted(
        (hold for hold in account.holds if hold.lapses_at <= now), key=lambda hold: (hold.lapses_at, hold.number)
    )
    return _released(account, lapsed, catalog, now, actor) if lapsed else None


def find_hold(account: Account, number: int) -> Hold:
    """The account's hold with this number. Raises HoldNotFound, also for one that has ended."""
    hold = next((hold for hold in account.holds if hold.number == number), None)
    if hold is None:
        raise HoldNotFound
    return hold


def _released(account: Account, holds: Iterable[Hold], catalog: Catalog, now: datetime, actor: str) -> Entry:
    ended = tuple(holds)
    charges = [
        # The hold lapsed after a renewal that isn't recorded yet: its quota units were of the old period.
        hold.charge if min(hold.lapses_at, now) <= account.quota_renews_at else replace(hold.charge, period=None)
        for hold in ended
    ]
    freed = _free(_without_holds(account, ended), charges, now)
    features = {hold.charge.feature for hold in ended}
    feature = features.pop() if len(features) == 1 else None
    return replace(
        entry_between("release", account, freed.account, catalog, now, actor, feature=feature),
        draws=freed.draws,
        quantity=sum(hold.charge.quantity for hold in ended) if feature else None,
        holds=tuple(hold.number for hold in ended),
        expired=freed.expired,
    )


def _free(account: Account, charges: Iterable[Charge], now: datetime) -> _Freed:
    """Give back what charges reserve: quota of the current period, and credits."""
    units: dict[str, int] = {}
    credits: dict[str, LotDraw] = {}
    expired: dict[str, LotDraw] = {}
    for reserved in charges:
        if reserved.quota and reserved.period == period_of(account):
            account = replace(account, quotas_used=with_used(account.quotas_used, reserved.feature, -reserved.quota))
            units[reserved.feature] = units.get(reserved.feature, 0) - reserved.quota
        returned = give_back(account, reserved.lots, now)
        account = returned.account
        _add(credits, returned.draws)
        _add(expired, lot_draws(returned.ended))
    quota = tuple(QuotaDraw(feature, count) for feature, count in units.items())
    return _Freed(account, (*quota, *credits.values()), tuple(expired.values()))


def _add(sums: dict[str, LotDraw], draws: Iterable[LotDraw]) -> None:
    for draw in draws:
        credits = sums[draw.lot].credits if draw.lot in sums else 0
        sums[draw.lot] = replace(draw, credits=credits + draw.credits)


def _without_holds(account: Account, ended: Iterable[Hold]) -> Account:
    numbers = {hold.number for hold in ended}
    return replace(account, holds=tuple(hold for hold in account.holds if hold.number not in numbers))
