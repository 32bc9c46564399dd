"""What callers receive: each shape once, as the types that mypy checks and that openapi.json is made from."""

from dataclasses import replace
from typing import Literal, NotRequired, TypedDict

from prepaid.api.times import rfc3339
from prepaid.core.account import Account, Terms, quota_limit, quota_remaining, units_left
from prepaid.core.catalog import Catalog, Offer
from prepaid.core.entry import Draw, Entry, QuotaDraw
from prepaid.core.purchase import Purchase
from prepaid.store.accounts import Profile


class DrawAnswer(TypedDict):
    """What was taken from one source: units of quota, or credits of a lot."""

    source: Literal["quota", "lot"]
    units: NotRequired[int]
    lot: NotRequired[str]
    credits: NotRequired[int]
    expires_at: NotRequired[str]


class BalanceAfter(TypedDict):
    """What is left after a consumption."""

    available: int
    quota_remaining: int


class ConsumptionAnswer(TypedDict):
    """A consumption that happened."""

    id: str
    entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: list[DrawAnswer]
    balance: BalanceAfter
    created_at: str


class GrantAnswer(TypedDict):
    """A grant that happened."""

    id: str
    entry: int
    kind: str
    credits: int
    lot: str
    reason: str
    expires_at: str
    balance: BalanceAfter
    created_at: str


class AccountAnswer(TypedDict):
    """An account's terms and profile."""

    account: str
    name: str
    plan: str
    ai_enabled: bool
    quota_anchor_day: int
    time_zone: str
    language: str
    low_credit_threshold: int
    manager_contact: str | None


class LotAnswer(TypedDict):
    """A lot with credits left."""

    lot: str
    kind: str
    granted: int
    remaining: int
    granted_at: str
    expires_at: str


class CreditsAnswer(TypedDict):
    """The credits side of a balance."""

    available: int
    held: int
    owed: int
    next_expiry_at: str | None
    lots: list[LotAnswer]


class QuotaAnswer(TypedDict):
    """The quota side of a balance."""

    feature: str
    limit: int
    used: int
    remaining: int
    renews_at: str


class FeatureAnswer(TypedDict):
    """Whether a feature can be used. units_left: null for a free feature, which has no limit."""

    price: int
    can_use: bool
    units_left: int | None


class BalanceAnswer(TypedDict):
    """An account at one instant."""

    account: str
    as_of: str
    entry: int
    credits: CreditsAnswer
    quota: QuotaAnswer | None
    features: dict[str, FeatureAnswer]


class EntryAnswer(TypedDict):
    """A line of the history."""

    entry: int
    at: str
    type: str
    credits: int
    quota: int
    owed: int
    feature: str | None
    quantity: int | None
    description: str | None
    customer: str | None
    reference: str | None
    source: Literal["quota", "credits", "both"] | None
    balance_after: int
    quota_remaining: int
    draws: list[DrawAnswer]
    lot: str | None
    purchase: str | None
    actor: str


class HistoryAnswer(TypedDict):
    """A page of the history, newest first. next_cursor: null on the last page."""

    entries: list[EntryAnswer]
    next_cursor: str | None


class PackAnswer(TypedDict):
    """A pack on sale. amount, price_per_credit: minor units of the currency."""

    id: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    price_per_credit: float
    saving_percent: int
    best_value: bool


class PacksAnswer(TypedDict):
    """Packs on sale, smallest first."""

    packs: list[PackAnswer]


class FeatureItem(TypedDict):
    """A feature of the catalog."""

    id: str
    price: int
    quota_backed: bool


class PlanItem(TypedDict):
    """A plan of the catalog."""

    id: str
    quota: int


class PackItem(TypedDict):
    """A pack of the catalog, on sale or retired."""

    id: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    active: bool


class CatalogAnswer(TypedDict):
    """The catalog in force."""

    version: int
    features: list[FeatureItem]
    plans: list[PlanItem]
    packs: list[PackItem]


class PurchaseAnswer(TypedDict):
    """A purchase. amount, refunded_amount, disputed_amount: minor units of the currency."""

    id: str
    state: str
    checkout_url: str | None
    pack: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    lot: str | None
    expires_at: str | None
    refunded_amount: int
    disputed_amount: int
    revoked_credits: int
    created_at: str


class PurchasesAnswer(TypedDict):
    """A page of purchases, newest first."""

    purchases: list[PurchaseAnswer]
    next_cursor: str | None


class ManagerSessionAnswer(TypedDict):
    """A session's token, which is kept by nobody but the caller."""

    manager_session: str
    expires_at: str


class ReceivedAnswer(TypedDict):
    """A webhook delivery that needs no repeat."""

    received: Literal[True]


def consumption_answer(entry: Entry) -> ConsumptionAnswer:
    """The answer to a consumption, from its entry alone: a replay says the same, whatever happened since."""
    assert entry.feature is not None
    assert entry.quantity is not None
    return {
        "id": f"con_{entry.number:012d}",
        "entry": entry.number,
        "feature": entry.feature,
        "quantity": entry.quantity,
        "credits": -entry.credits,
        "quota": -entry.quota,
        "draws": [_draw(draw) for draw in entry.draws],
        "balance": _balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


def grant_answer(entry: Entry) -> GrantAnswer:
    """The answer to a grant, from its entry alone."""
    assert entry.lot is not None
    lot = entry.lot
    return {
        "id": f"gra_{entry.number:012d}",
        "entry": entry.number,
        "kind": lot.kind,
        "credits": lot.granted,
        "lot": lot.id,
        "reason": entry.description or "",
        "expires_at": rfc3339(lot.expires_at),
        "balance": _balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


def account_answer(account_id: str, terms: Terms, profile: Profile) -> AccountAnswer:
    """The answer that a PUT of the same account gave."""
    return {
        "account": account_id,
        "name": profile.name,
        "plan": terms.plan,
        "ai_enabled": terms.ai_enabled,
        "quota_anchor_day": terms.quota_anchor_day,
        "time_zone": terms.time_zone,
        "language": profile.language,
        "low_credit_threshold": profile.low_credit_threshold,
        "manager_contact": profile.manager_contact,
    }


def balance_answer(account: Account, catalog: Catalog, *, entry: int, as_of: str) -> BalanceAnswer:
    """A settled account at the instant `as_of`. entry: the last one written by then."""
    return {
        "account": account.id,
        "as_of": as_of,
        "entry": entry,
        "credits": {
            "available": account.available,
            # Nothing can be held before there are holds.
            "held": 0,
            "owed": account.owed,
            "next_expiry_at": rfc3339(account.lots[0].expires_at) if account.lots else None,
            "lots": [
                {
                    "lot": lot.id,
                    "kind": lot.kind,
                    "granted": lot.granted,
                    "remaining": lot.remaining,
                    "granted_at": rfc3339(lot.granted_at),
                    "expires_at": rfc3339(lot.expires_at),
                }
                for lot in account.lots
            ],
        },
        "quota": _quota(account, catalog),
        "features": {
            feature.id: {
                "price": feature.price,
                "can_use": (left := units_left(account, feature, catalog)) is None or left > 0,
                "units_left": left,
            }
            for feature in catalog.features
        },
    }


def entry_answer(entry: Entry) -> EntryAnswer:
    """An entry as a line of the history."""
    return {
        "entry": entry.number,
        "at": rfc3339(entry.at),
        "type": entry.type,
        "credits": entry.credits,
        "quota": entry.quota,
        "owed": entry.owed,
        "feature": entry.feature,
        "quantity": entry.quantity,
        "description": entry.description,
        "customer": entry.customer,
        "reference": entry.reference,
        "source": entry.source,
        "balance_after": entry.after.available,
        "quota_remaining": entry.quota_remaining,
        "draws": [_draw(draw) for draw in entry.draws],
        "lot": entry.lot.id if entry.lot else None,
        "purchase": entry.purchase,
        "actor": entry.actor,
    }


def purchase_answer(purchase: Purchase) -> PurchaseAnswer:
    """A purchase as it is now."""
    return {
        "id": purchase.id,
        "state": purchase.state,
        "checkout_url": purchase.checkout_url,
        "pack": purchase.pack,
        "credits": purchase.credits,
        "amount": purchase.amount,
        "currency": purchase.currency,
        "valid_months": purchase.valid_months,
        # The newest: what comes back after its time is over comes back as another.
        "lot": purchase.lots[-1].id if purchase.granted else None,
        "expires_at": rfc3339(purchase.lots[-1].expires_at) if purchase.granted else None,
        "refunded_amount": purchase.refunded,
        "disputed_amount": purchase.disputed,
        "revoked_credits": purchase.revoked,
        "created_at": rfc3339(purchase.created_at),
    }


def new_purchase_answer(purchase: Purchase) -> PurchaseAnswer:
    """The answer to a purchase request: as it was when its page was made, so that a replay says the same."""
    begun = replace(purchase, state="open", lots=(), refunded=0, disputed=0, revoked=0)
    return purchase_answer(begun)


def pack_answer(offer: Offer) -> PackAnswer:
    """A pack as a shop window shows it."""
    return {
        "id": offer.pack.id,
        "credits": offer.pack.credits,
        "amount": offer.pack.amount,
        "currency": offer.pack.currency,
        "valid_months": offer.pack.valid_months,
        # For showing only: what is charged is `amount`.
        "price_per_credit": round(float(offer.price_per_credit), 4),
        "saving_percent": offer.saving_percent,
        "best_value": offer.best_value,
    }


def _quota(account: Account, catalog: Catalog) -> QuotaAnswer | None:
    feature, limit = catalog.quota_feature, quota_limit(account, catalog)
    if feature is None or limit == 0:
        return None
    return {
        "feature": feature.id,
        "limit": limit,
        "used": account.quota_used,
        "remaining": quota_remaining(account, catalog),
        "renews_at": rfc3339(account.quota_renews_at),
    }


def _balance_after(entry: Entry) -> BalanceAfter:
    return {"available": entry.after.available, "quota_remaining": entry.quota_remaining}


def _draw(draw: Draw) -> DrawAnswer:
    if isinstance(draw, QuotaDraw):
        return {"source": "quota", "units": draw.units}
    return {"source": "lot", "lot": draw.lot, "credits": draw.credits, "expires_at": rfc3339(draw.expires_at)}
