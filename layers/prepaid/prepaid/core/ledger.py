"""The rules: how each operation changes an account. (account, operation, catalog, now) -> new entries, or a Refused.

Every operation settles first: expired lots, lapsed holds and a passed quota period become entries of their own before
the operation's entry. So the balance never depends on a timer (rules 2, 8, 16).
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never

from prepaid.core.account import (
    Account,
    Lot,
    LotKind,
    Terms,
    draw_order,
    quotas_remaining,
)
from prepaid.core.calendar import end_of_validity, next_renewal, same_months_renewal
from prepaid.core.catalog import Catalog
from prepaid.core.drawing import (
    COURTESY,
    charge,
    charged,
    draws_of,
    lot_draws,
    refilled,
    taken_from,
    with_lot,
    without,
)
from prepaid.core.entry import Draw, Entry, EntryType, LotDraw, entry_between
from prepaid.core.errors import (
    ExceedsRemaining,
    InsufficientCredits,
    InvalidRequest,
    PurchaseNotVoidable,
    TooManyLots,
)
from prepaid.core.holding import Capture, PlaceHold, Release, capture, lapse, place, release
from prepaid.core.reversing import Reverse, reverse

MAX_LOTS = 500
LONGEST_VALIDITY = timedelta(days=36525)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Record that the texts of `entries` entries were erased (rule 22). subject: a keyed digest of the customer."""

    actor: str
    subject: str
    entries: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """Record expired lots, lapsed holds and a renewed quota. Adds no entry when there is nothing to record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a debit would do (rule 17). quota: units that the quota would pay for. credits: the price of the others.

    draws: what it would draw; empty when the account can't afford it. refusal: why it can't, or None.
    """

    credits: int
    quota: int
    draws: tuple[Draw, ...]
    refusal: InsufficientCredits | None = None


Operation = (
    Debit | PlaceHold | Capture | Release | Reverse | Grant | Void | Revoke | Restore | ChangeTerms | Erase | Settle
)


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
    """The entries that carry out `operation`, in order; the operation's own is last. None when nothing changes.

    A ledger's time never runs backwards: when `now` is before the last entry (clocks differ), that entry's time counts.
    Raises a Refused; the caller then writes nothing, not even the settled entries.
    """
    now = max(now, account.at)
    account, settled = settle(account, catalog=catalog, now=now)
    entries: tuple[Entry, ...]
    match operation:
        case Debit() | PlaceHold() | Capture() | Release() | Reverse():
            entries = (_use(account, operation, catalog, now),)
        case Grant():
            entries = (_grant(account, operation, catalog, now),)
        case Void():
            entries = (_void(account, operation, catalog, now),)
        case Revoke():
            entries = (_revoke(account, operation, catalog, now),)
        case Restore():
            entries = (_restore(account, operation, catalog, now),)
        case ChangeTerms():
            entries = _change_terms(account, operation, catalog, now)
        case Erase():
            erased = entry_between("erasure", account, account, catalog, now, operation.actor)
            entries = (replace(erased, quantity=operation.entries),)
        case Settle():
            entries = ()
        case _:
            assert_never(operation)
    return (*settled, *entries)


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
    """The account as it is at `now`, and the entries still missing from the ledger: at most one expiry, one release of
    lapsed holds and one renewal, in this order.

    A read uses only the account; a write records the entries first.
    """
    now = max(now, account.at)
    entries: list[Entry] = []
    # A lot is expired at the boundary instant itself (rule 2).
    expired = tuple(lot for lot in account.lots if lot.expires_at <= now)
    if expired:
        unexpired = tuple(lot for lot in account.lots if lot.expires_at > now)
        entry = entry_between("expiry", account, replace(account, lots=unexpired), catalog, now, SERVICE)
        entries.append(replace(entry, draws=tuple(LotDraw(lot.id, lot.remaining, lot.expires_at) for lot in expired)))
        account = entry.after
    # After the expired lots, because no entry may show an expired credit. The order makes no difference to the account:
    # credits that a lapsed hold returns to an expired lot expire with it.
    lapsed = lapse(account, catalog, now, SERVICE)
    if lapsed:
        entries.append(lapsed)
        account = lapsed.after
    if account.quota_renews_at <= now:
        renewed = replace(account, quotas_used={}, quota_renews_at=_next_renewal(account.terms, now))
        # An unused period needs no entry: only the renewal date changed, and it follows from `now`.
        if account.quotas_used:
            entries.append(entry_between("quota_renewal", account, renewed, catalog, now, SERVICE))
            renewed = entries[-1].after
        account = renewed
    return account, tuple(entries)


def _use(
    account: Account, operation: Debit | PlaceHold | Capture | Release | Reverse, catalog: Catalog, now: datetime
) -> Entry:
    match operation:
        case Debit():
            return _debit(account, operation, catalog, now)
        case PlaceHold():
            return place(account, operation, catalog, now)
        case Capture():
            return capture(account, operation, catalog, now)
        case Release():
            return release(account, operation, catalog, now)
        case Reverse():
            return reverse(account, operation, catalog, now)


def _debit(account: Account, debit: Debit, catalog: Catalog, now: datetime) -> Entry:
    spent = charge(account, debit.feature, debit.quantity, catalog)
    return replace(
        entry_between(
            "consumption", account, charged(account, spent), catalog, now, debit.actor, feature=spent.feature
        ),
        draws=draws_of(spent),
        quantity=debit.quantity,
        description=debit.description,
        customer=debit.customer,
        reference=debit.reference,
    )


def _grant(account: Account, grant: Grant, catalog: Catalog, now: datetime) -> Entry:
    assert grant.credits >= 1
    # A paid purchase is never rejected; only grants without payment have to wait.
    if grant.kind != "purchase" and _lot_count(account) >= MAX_LOTS:
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
    after = replace(account, lots=with_lot(account.lots, lot), owed=account.owed - settled)
    return replace(
        entry_between(ENTRY_TYPE_OF[grant.kind], account, after, catalog, now, grant.actor),
        description=grant.description,
        lot=lot,
        purchase=grant.purchase,
    )


def _lot_count(account: Account) -> int:
    """How many lots the account has, including those whose credits are all held: a hold can return them."""
    held = {lot.number for hold in account.holds for lot in hold.charge.lots}
    return len(held | {lot.number for lot in account.lots})


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
    after = replace(account, lots=without(account.lots, draws))
    entry = entry_between("void", account, after, catalog, now, void.actor)
    return replace(entry, draws=draws, description=void.description)


def _revoke(account: Account, revoke: Revoke, catalog: Catalog, now: datetime) -> Entry:
    # From its own lots only: a refund doesn't touch other purchases' credits.
    numbers = {lot.number for lot in revoke.lots}
    draws = lot_draws(taken_from((lot for lot in account.lots if lot.number in numbers), revoke.credits))
    missing = revoke.credits - sum(draw.credits for draw in draws)
    owed = max(0, missing - revoke.expired_unspent)
    after = replace(account, lots=without(account.lots, draws), owed=account.owed + owed)
    entry = entry_between(revoke.cause, account, after, catalog, now, revoke.actor)
    return replace(entry, draws=draws, purchase=revoke.purchase)


def _restore(account: Account, restore: Restore, catalog: Catalog, now: datetime) -> Entry:
    cancelled = min(restore.debt, account.owed)
    # A later grant paid the rest of the debt. Those credits return as a new lot with full validity.
    repaid = restore.debt - cancelled
    drawn = restore.credits - restore.debt - restore.expired_unspent
    unexpired = [lot for lot in restore.lots if lot.expires_at > now]
    lots, new_lot = account.lots, None
    draws: list[LotDraw] = []
    if drawn and unexpired:
        last_lot = max(unexpired, key=draw_order)
        lot = refilled(next((live for live in lots if live.number == last_lot.number), None), last_lot, drawn)
        lots = with_lot((other for other in lots if other.number != lot.number), lot)
        draws.append(LotDraw(lot.id, -drawn, lot.expires_at))
    in_new_lot = repaid if unexpired else repaid + drawn
    if in_new_lot:
        new_lot = Lot(
            number=account.number + 1,
            kind=restore.lots[0].kind,
            granted=in_new_lot,
            remaining=in_new_lot,
            granted_at=now,
            # Credits that expired while their payment was disputed return for a week (rule 15).
            expires_at=_expiry(restore.valid_months, account.terms.time_zone, now) if repaid else now + COURTESY,
        )
        lots = with_lot(lots, new_lot)
        draws.append(LotDraw(new_lot.id, -in_new_lot, new_lot.expires_at))
    after = replace(account, lots=lots, owed=account.owed - cancelled)
    return replace(
        entry_between(restore.cause, account, after, catalog, now, restore.actor),
        draws=tuple(draws),
        lot=new_lot,
        purchase=restore.purchase,
    )


def _change_terms(account: Account, change: ChangeTerms, catalog: Catalog, now: datetime) -> tuple[Entry, ...]:
    old, new = account.terms, change.terms
    if new == old:
        return ()
    if new.plan != old.plan:
        # An account may keep a plan that was retired, but not change to one.
        catalog.active_plan(new.plan)
    after = replace(account, terms=new)
    if (old.quota_anchor_day, old.time_zone) != (new.quota_anchor_day, new.time_zone):
        # The month's renewal moves with its anchor. If it is then past, the next settle renews.
        renewal = same_months_renewal(after.quota_renews_at, old.time_zone, new.quota_anchor_day, new.time_zone)
        after = replace(after, quota_renews_at=renewal)
    entry = entry_between("plan_change", account, after, catalog, now, change.actor)
    return (replace(entry, description=_what_changed(old, new)),)


def _what_changed(old: Terms, new: Terms) -> str:
    changes = [("plan", old.plan, new.plan), ("status", old.status, new.status)]
    return (
        ", ".join(f"{name} {before} to {after}" for name, before, after in changes if before != after)
        or "terms changed"
    )


def new_status(entry: Entry) -> str | None:
    """The account's status, if the entry changed it: read from the text of `_what_changed`."""
    if entry.type == "plan_change":
        for change in (entry.description or "").split(", "):
            match change.split(" "):
                case ["status", _, "to", status]:
                    return status
    return None


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
