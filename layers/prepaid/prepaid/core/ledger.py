"""The rules: how each operation changes an account. (account, operation, catalog, now) -> new entries, or a Refused.

Every operation settles first: expired lots and a passed quota period become entries of their own before the operation's
entry. So the balance never depends on a timer (rules 2, 8).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never

from prepaid.core.account import (
    Account,
    Lot,
    LotKind,
    Terms,
    draw_order,
    quota_limits,
    quota_remaining,
    quotas_remaining,
    require_active,
)
from prepaid.core.calendar import end_of_validity, next_renewal, same_months_renewal
from prepaid.core.catalog import Catalog, Feature
from prepaid.core.entry import Draw, Entry, EntryType, LotDraw, QuotaDraw
from prepaid.core.errors import (
    ExceedsRemaining,
    InsufficientCredits,
    InvalidRequest,
    PurchaseNotVoidable,
    TooManyLots,
)

MAX_LOTS = 500
LONGEST_VALIDITY = timedelta(days=36525)
# How long credits are valid when they are returned after their own expiry (rule 15).
COURTESY = timedelta(days=7)
SERVICE = "prepaid"

ENTRY_TYPE_OF: dict[LotKind, EntryType] = {"purchase": "purchase", "promotion": "grant", "adjustment": "adjustment"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Debit:
    """Spend `quantity` units (>= 1) of a feature, all or nothing."""

    actor: str
    feature: str
    quantity: int
    description: str | None = None
    customer: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Add a lot of `credits` (>= 1). validity: the instant of expiry, or a number of civil months from now."""

    actor: str
    kind: LotKind
    credits: int
    validity: datetime | int
    description: str | None = None
    purchase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """Take back `credits` (>= 1) of what remains of a granted lot; None: all that remains. Nothing becomes owed.

    lot: its number.
    """

    actor: str
    lot: int
    credits: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Take back `credits` (>= 1) of a purchase that was refunded or disputed.

    The credits come first from its lots, then from those that expired unspent in them. Only the rest was spent, and it
    becomes owed: the result is the same as if the revocation had come before the lots expired.
    lots: every lot that the purchase ever had. expired_unspent: credits that expired in them, less those that earlier
    revocations counted. cause: the type of the entry.
    """

    actor: str
    cause: Literal["refund", "dispute"]
    lots: tuple[Lot, ...]
    credits: int
    expired_unspent: int
    purchase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Undo `credits` (>= 1) of earlier revocations, last taken first: a refund failed or a dispute was won.

    debt, expired_unspent: how many of `credits` had become owed, and how many had expired. Those stay expired.
    valid_months: the validity, from now, of credits with which a later grant paid this purchase's debt.
    """

    actor: str
    cause: Literal["refund", "dispute"]
    lots: tuple[Lot, ...]
    credits: int
    debt: int
    expired_unspent: int
    valid_months: int
    purchase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTerms:
    """Change the account's terms immediately (rule 9). Adds no entry when the terms are the same."""

    actor: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class Settle:
    """Record expired lots and a renewed quota. Adds no entry when there is nothing to record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a debit would do (rule 17). credits, quota: what it costs in credits, after so many units of quota.

    draws: what it would draw; empty when the account can't afford it. refusal: why it can't, or None.
    """

    credits: int
    quota: int
    draws: tuple[Draw, ...]
    refusal: InsufficientCredits | None = None


Operation = Debit | Grant | Void | Revoke | Restore | ChangeTerms | Settle


def open_account(account_id: str, terms: Terms, *, actor: str, catalog: Catalog, now: datetime) -> Entry:
    """The first entry of an account. Raises InvalidRequest for a plan that is unknown or retired."""
    catalog.active_plan(terms.plan)
    account = Account(
        id=account_id,
        number=1,
        at=now,
        terms=terms,
        quotas_used={},
        quota_renews_at=next_renewal(now, terms.quota_anchor_day, terms.time_zone),
        lots=(),
    )
    quotas = quotas_remaining(account, catalog)
    return Entry(
        type="plan_change",
        credits=0,
        quota=sum(quotas.values()),
        quotas=quotas,
        owed=0,
        quota_remaining=sum(quotas.values()),
        draws=(),
        actor=actor,
        catalog_version=catalog.version,
        after=account,
        description=f"opened on plan {terms.plan}",
    )


def apply(account: Account, operation: Operation, *, catalog: Catalog, now: datetime) -> tuple[Entry, ...]:
    """The entries that carry out `operation`, in order, the operation's own last; none when nothing changes.

    A ledger's time never runs backwards: when `now` is before the last entry (clocks differ), that entry's time counts.
    Raises a Refused; the caller then writes nothing, not even the settled entries.
    """
    now = max(now, account.at)
    account, settled = settle(account, catalog=catalog, now=now)
    own: tuple[Entry, ...]
    match operation:
        case Debit():
            own = (_debit(account, operation, catalog, now),)
        case Grant():
            own = (_grant(account, operation, catalog, now),)
        case Void():
            own = (_void(account, operation, catalog, now),)
        case Revoke():
            own = (_revoke(account, operation, catalog, now),)
        case Restore():
            own = (_restore(account, operation, catalog, now),)
        case ChangeTerms():
            own = _change_terms(account, operation, catalog, now)
        case Settle():
            own = ()
        case _:
            assert_never(operation)
    return (*settled, *own)


def quote(account: Account, debit: Debit, *, catalog: Catalog, now: datetime) -> Quote:
    """What `debit` would draw now, or what is missing: the debit itself, without its write.

    Raises any other Refused that the debit raises.
    """
    try:
        entry = apply(account, debit, catalog=catalog, now=now)[-1]
    except InsufficientCredits as refusal:
        return Quote(credits=refusal.needed, quota=refusal.quota_remaining, draws=(), refusal=refusal)
    return Quote(credits=-entry.credits, quota=-entry.quota, draws=entry.draws)


def settle(account: Account, *, catalog: Catalog, now: datetime) -> tuple[Account, tuple[Entry, ...]]:
    """The account as it is at `now`, and the entries still missing from the ledger: at most one expiry, one renewal.

    A read uses only the account; a write records the entries first.
    """
    now = max(now, account.at)
    entries: list[Entry] = []
    # A lot is expired at the boundary instant itself (rule 2).
    expired = tuple(lot for lot in account.lots if lot.expires_at <= now)
    if expired:
        kept = tuple(lot for lot in account.lots if lot.expires_at > now)
        entry = _entry("expiry", account, replace(account, lots=kept), catalog, now, SERVICE)
        entries.append(replace(entry, draws=tuple(LotDraw(lot.id, lot.remaining, lot.expires_at) for lot in expired)))
        account = entry.after
    if account.quota_renews_at <= now:
        renewed = replace(account, quotas_used={}, quota_renews_at=_next_renewal(account.terms, now))
        # An unused period needs no entry: only the renewal date changed, and it follows from `now`.
        if account.quotas_used:
            entries.append(_entry("quota_renewal", account, renewed, catalog, now, SERVICE))
            renewed = entries[-1].after
        account = renewed
    return account, tuple(entries)


def _debit(account: Account, debit: Debit, catalog: Catalog, now: datetime) -> Entry:
    assert debit.quantity >= 1
    require_active(account.terms)
    feature = catalog.active_feature(debit.feature)
    from_quota = min(debit.quantity, quota_remaining(account, feature, catalog))
    needed = (debit.quantity - from_quota) * feature.price
    if needed > account.available:
        raise _insufficient(account, needed, feature, catalog)
    from_lots = _draw(account.lots, needed)
    used = _with_used(account.quotas_used, feature.id, from_quota)
    after = replace(account, quotas_used=used, lots=_without(account.lots, from_lots))
    return replace(
        _entry("consumption", account, after, catalog, now, debit.actor, feature=feature.id),
        draws=(QuotaDraw(feature.id, from_quota), *from_lots) if from_quota else from_lots,
        quantity=debit.quantity,
        description=debit.description,
        customer=debit.customer,
        reference=debit.reference,
    )


def _grant(account: Account, grant: Grant, catalog: Catalog, now: datetime) -> Entry:
    assert grant.credits >= 1
    # A paid purchase is never rejected; only grants without payment have to wait.
    if grant.kind != "purchase" and len(account.lots) >= MAX_LOTS:
        raise TooManyLots(MAX_LOTS)
    # Owed credits are paid before any new credits can be spent (rule 13).
    settled = min(account.owed, grant.credits)
    lot = Lot(
        number=account.number + 1,
        kind=grant.kind,
        granted=grant.credits,
        remaining=grant.credits - settled,
        granted_at=now,
        expires_at=_expiry(grant.validity, account.terms.time_zone, now),
    )
    assert lot.expires_at > now
    after = replace(account, lots=_with_lot(account.lots, lot), owed=account.owed - settled)
    return replace(
        _entry(ENTRY_TYPE_OF[grant.kind], account, after, catalog, now, grant.actor),
        description=grant.description,
        lot=lot,
        purchase=grant.purchase,
    )


def _void(account: Account, void: Void, catalog: Catalog, now: datetime) -> Entry:
    lot = next((lot for lot in account.lots if lot.number == void.lot), None)
    if lot is None:
        raise ExceedsRemaining(0)
    if lot.kind == "purchase":
        raise PurchaseNotVoidable
    credits = lot.remaining if void.credits is None else void.credits
    assert credits >= 1
    if credits > lot.remaining:
        raise ExceedsRemaining(lot.remaining)
    draws = (LotDraw(lot.id, credits, lot.expires_at),)
    after = replace(account, lots=_without(account.lots, draws))
    entry = _entry("void", account, after, catalog, now, void.actor)
    return replace(entry, draws=draws, description=void.description)


def _revoke(account: Account, revoke: Revoke, catalog: Catalog, now: datetime) -> Entry:
    # From its own lots only: a refund doesn't touch other purchases' credits.
    numbers = {lot.number for lot in revoke.lots}
    draws = _draw((lot for lot in account.lots if lot.number in numbers), revoke.credits)
    missing = revoke.credits - sum(draw.credits for draw in draws)
    owed = max(0, missing - revoke.expired_unspent)
    after = replace(account, lots=_without(account.lots, draws), owed=account.owed + owed)
    entry = _entry(revoke.cause, account, after, catalog, now, revoke.actor)
    return replace(entry, draws=draws, purchase=revoke.purchase)


def _restore(account: Account, restore: Restore, catalog: Catalog, now: datetime) -> Entry:
    cancelled = min(restore.debt, account.owed)
    # A later grant paid the rest of the debt. Those credits return as a new lot with full validity.
    paid = restore.debt - cancelled
    taken = restore.credits - restore.debt - restore.expired_unspent
    living = [lot for lot in restore.lots if lot.expires_at > now]
    lots, new = account.lots, None
    draws: list[LotDraw] = []
    if taken and living:
        lot = _refilled(account, max(living, key=draw_order), taken)
        lots = _with_lot((other for other in lots if other.number != lot.number), lot)
        draws.append(LotDraw(lot.id, -taken, lot.expires_at))
    in_new_lot = paid if living else paid + taken
    if in_new_lot:
        new = Lot(
            number=account.number + 1,
            kind=restore.lots[0].kind,
            granted=in_new_lot,
            remaining=in_new_lot,
            granted_at=now,
            # Credits that expired while their payment was disputed return for a week (rule 15).
            expires_at=_expiry(restore.valid_months, account.terms.time_zone, now) if paid else now + COURTESY,
        )
        lots = _with_lot(lots, new)
        draws.append(LotDraw(new.id, -in_new_lot, new.expires_at))
    after = replace(account, lots=lots, owed=account.owed - cancelled)
    return replace(
        _entry(restore.cause, account, after, catalog, now, restore.actor),
        draws=tuple(draws),
        lot=new,
        purchase=restore.purchase,
    )


def _change_terms(account: Account, change: ChangeTerms, catalog: Catalog, now: datetime) -> tuple[Entry, ...]:
    old, new = account.terms, change.terms
    if new == old:
        return ()
    if new.plan != old.plan:
        # An account keeps a plan that is retired since.
        catalog.active_plan(new.plan)
    after = replace(account, terms=new)
    if (old.quota_anchor_day, old.time_zone) != (new.quota_anchor_day, new.time_zone):
        # The month's renewal moves with its anchor. If it is then past, the next settle renews.
        renewal = same_months_renewal(after.quota_renews_at, old.time_zone, new.quota_anchor_day, new.time_zone)
        after = replace(after, quota_renews_at=renewal)
    entry = _entry("plan_change", account, after, catalog, now, change.actor)
    return (replace(entry, description=_what_changed(old, new)),)


def _what_changed(old: Terms, new: Terms) -> str:
    changes = [("plan", old.plan, new.plan), ("status", old.status, new.status)]
    return ", ".join(f"{name} {was} to {now}" for name, was, now in changes if was != now) or "terms changed"


def _entry(
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


def _with_used(used: Mapping[str, int], feature: str, units: int) -> Mapping[str, int]:
    return {**used, feature: used.get(feature, 0) + units} if units else used


def _refilled(account: Account, lot: Lot, credits: int) -> Lot:
    """The lot with `credits` added. A lot that was restored in part may be refilled beyond its granted amount."""
    live = next((live for live in account.lots if live.number == lot.number), replace(lot, remaining=0))
    remaining = live.remaining + credits
    return replace(live, granted=max(live.granted, remaining), remaining=remaining)


def _with_lot(lots: Iterable[Lot], lot: Lot) -> tuple[Lot, ...]:
    """The lots plus `lot`, in draw order; an empty lot isn't added."""
    return tuple(sorted((*lots, lot), key=draw_order)) if lot.remaining else tuple(lots)


def _draw(lots: Iterable[Lot], credits: int) -> tuple[LotDraw, ...]:
    """Draw `credits`, or all that the lots hold if less, from lots given in draw order."""
    draws: list[LotDraw] = []
    for lot in lots:
        if credits == 0:
            break
        taken = min(credits, lot.remaining)
        draws.append(LotDraw(lot.id, taken, lot.expires_at))
        credits -= taken
    return tuple(draws)


def _without(lots: tuple[Lot, ...], draws: tuple[LotDraw, ...]) -> tuple[Lot, ...]:
    drawn = {draw.lot: draw.credits for draw in draws}
    reduced = (replace(lot, remaining=lot.remaining - drawn.get(lot.id, 0)) for lot in lots)
    return tuple(lot for lot in reduced if lot.remaining)


def _expiry(validity: datetime | int, zone: str, now: datetime) -> datetime:
    if isinstance(validity, int):
        return end_of_validity(now, validity, zone)
    if validity <= now:
        raise InvalidRequest((("expires_at", "must be in the future"),))
    # A year that a UTC datetime can't represent would make the account permanently unreadable.
    if validity - now > LONGEST_VALIDITY:
        raise InvalidRequest((("expires_at", "must be within 100 years"),))
    return validity.astimezone(UTC)


def _next_renewal(terms: Terms, now: datetime) -> datetime:
    return next_renewal(now, terms.quota_anchor_day, terms.time_zone)


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
