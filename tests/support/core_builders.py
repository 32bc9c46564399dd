"""Builders of the core's values. Each argument has an ordinary default, so a test names only what it is about."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from prepaid.core.account import Account, Lot, LotKind, Terms, draw_order
from prepaid.core.calendar import next_renewal
from prepaid.core.catalog import Catalog, Feature, Pack, Plan
from prepaid.core.entry import Entry
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ledger import ChangeTerms, Debit, Grant, Operation, Restore, Revoke, apply
from prepaid.core.purchase import PaymentStatus, Progress, Purchase, PurchaseState, next_step, with_result

SAO_PAULO = "America/Sao_Paulo"


def civil(text: str, zone: str = SAO_PAULO) -> datetime:
    """The instant of a civil time such as "2026-06-16 10:00" in a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))


NOW = civil("2026-06-16 10:00")
LAST_JANUARY = civil("2026-01-10 09:00")
NEXT_JANUARY = civil("2027-01-11 00:00")

STICKER = Feature(id="sticker", price=1)
AI_SERVICE = Feature(id="ai_service", price=1)
PLANS = (
    Plan(id="none"),
    *(
        Plan(id=plan, quotas={"ai_service": units})
        for plan, units in (("individual", 100), ("trio", 300), ("team", 500), ("scale", 1000))
    ),
)


def a_pack(
    credits: int = 100,
    amount: int = 4990,
    *,
    pack_id: str | None = None,
    currency: str = "brl",
    active: bool = True,
) -> Pack:
    return Pack(
        id=pack_id or f"credits-{credits}",
        credits=credits,
        amount=amount,
        currency=currency,
        valid_months=12,
        active=active,
    )


PACKS = (a_pack(50, 2990), a_pack(100, 4990), a_pack(500, 19990), a_pack(1000, 34990))


def a_catalog(
    *,
    version: int = 1,
    features: Iterable[Feature] = (STICKER, AI_SERVICE),
    plans: Iterable[Plan] = PLANS,
    packs: Iterable[Pack] = PACKS,
) -> Catalog:
    return Catalog(version=version, features=tuple(features), plans=tuple(plans), packs=tuple(packs))


CATALOG = a_catalog()


def priced(feature: Feature, price: int) -> Catalog:
    """The default catalog with another price for one feature."""
    others = (other for other in CATALOG.features if other.id != feature.id)
    return a_catalog(features=(*others, replace(feature, price=price)))


def some_terms(
    plan: str = "none", *, ai_enabled: bool = True, quota_anchor_day: int = 1, time_zone: str = SAO_PAULO
) -> Terms:
    return Terms(plan=plan, ai_enabled=ai_enabled, quota_anchor_day=quota_anchor_day, time_zone=time_zone)


def a_lot(
    credits: int = 10,
    *,
    number: int = 2,
    kind: LotKind = "purchase",
    granted: int | None = None,
    granted_at: datetime = LAST_JANUARY,
    expires_at: datetime = NEXT_JANUARY,
) -> Lot:
    """A lot with `credits` remaining."""
    return Lot(
        number=number,
        kind=kind,
        granted=granted or credits,
        remaining=credits,
        granted_at=granted_at,
        expires_at=expires_at,
    )


def an_account(
    *lots: Lot,
    terms: Terms | None = None,
    quota_used: int = 0,
    quotas_used: Mapping[str, int] | None = None,
    number: int = 90,
    at: datetime = NOW,
    quota_renews_at: datetime | None = None,
    owed: int = 0,
) -> Account:
    """An account that was last written at `at`, its lots in draw order. On plan "none" unless its terms say more.

    quota_used: of AI services, unless quotas_used says more.
    """
    terms = terms or some_terms()
    return Account(
        id="petshop-1",
        number=number,
        at=at,
        terms=terms,
        quotas_used=quotas_used or ({"ai_service": quota_used} if quota_used else {}),
        quota_renews_at=quota_renews_at or next_renewal(at, terms.quota_anchor_day, terms.time_zone),
        lots=tuple(sorted(lots, key=draw_order)),
        owed=owed,
    )


def a_debit(feature: str = "sticker", quantity: int = 1) -> Debit:
    return Debit(actor="service", feature=feature, quantity=quantity)


def a_hold(feature: str = "sticker", quantity: int = 1, *, ttl_seconds: int = 900) -> PlaceHold:
    return PlaceHold(actor="service", feature=feature, quantity=quantity, ttl_seconds=ttl_seconds)


def a_capture(hold: Entry, quantity: int | None = None) -> Capture:
    return Capture(actor="service", hold=hold.number, quantity=quantity)


def a_release(hold: Entry) -> Release:
    return Release(actor="service", hold=hold.number)


def a_grant(credits: int = 10, *, kind: LotKind = "purchase", validity: datetime | int = 12) -> Grant:
    return Grant(actor="administrator", kind=kind, credits=credits, validity=validity)


def a_change_to(terms: Terms) -> ChangeTerms:
    return ChangeTerms(actor="administrator", terms=terms)


def a_revocation(lot: Lot, credits: int, *, cause: Literal["refund", "dispute"] = "refund") -> Revoke:
    return Revoke(actor="stripe", cause=cause, lots=(lot,), credits=credits, expired_unspent=0, purchase="pur_1")


def a_return(lot: Lot, credits: int, *, debt: int = 0, cause: Literal["refund", "dispute"] = "refund") -> Restore:
    """debt: how many of the credits had become owed."""
    return Restore(
        actor="stripe",
        cause=cause,
        lots=(lot,),
        credits=credits,
        debt=debt,
        expired_unspent=0,
        valid_months=12,
        purchase="pur_1",
    )


def run(
    account: Account, *operations: Operation, catalog: Catalog = CATALOG, now: datetime = NOW
) -> tuple[Account, tuple[Entry, ...]]:
    """The account after the operations, all at `now`, and the entries they left."""
    entries: tuple[Entry, ...] = ()
    for operation in operations:
        written = apply(account, operation, catalog=catalog, now=now)
        account = written[-1].after if written else account
        entries += written
    return account, entries


def followed(
    purchase: Purchase, account: Account, *statuses: PaymentStatus, now: datetime = NOW, before: Iterable[Account] = ()
) -> tuple[Purchase, Account, tuple[Entry, ...]]:
    """Purchase and account after these statuses, received one after the other, and the entries they left.

    before: the account as it was earlier, where lots have ended since.
    """
    history = [*before, account]
    entries: tuple[Entry, ...] = ()
    for status in statuses:
        while step := next_step(purchase, status, now, expired_unspent=expired_in(purchase, history, now)):
            purchase = step.purchase
            if step.operation:
                account, written = run(account, step.operation, now=now)
                purchase = with_result(step, written[-1])
                entries += written
                history += [entry.after for entry in written]
    return purchase, account, entries


def expired_in(purchase: Purchase, history: Iterable[Account], now: datetime) -> int:
    """Credits that expired unspent in the purchase's lots: those left in the last account before each lot's end."""
    accounts, expired = list(history), 0
    for lot in purchase.lots:
        if lot.expires_at <= max(now, accounts[-1].at):
            known = [account for account in accounts if account.at < lot.expires_at]
            expired += sum(
                left.remaining for account in known[-1:] for left in account.lots if left.number == lot.number
            )
    return expired


def a_purchase(state: PurchaseState = "open", **changes: Any) -> Purchase:
    purchase = Purchase(
        id="pur_1",
        account="petshop-1",
        pack="credits-100",
        credits=100,
        amount=4990,
        currency="brl",
        valid_months=12,
        language="pt-BR",
        live=False,
        requested_by="shop",
        state=state,
        version=3,
        created_at=NOW,
        changed_at=NOW,
        session="cs_1",
    )
    return replace(purchase, **changes)


def a_granted_purchase(**changes: Any) -> Purchase:
    """100 credits for 49.90, granted by entry 2."""
    lot = changes.pop("lot", None) or a_lot(changes.get("credits", 100), number=2, granted_at=NOW)
    return a_purchase(**{"state": "granted", "payment": "pi_pur_1", "lots": (lot,), **changes})


def a_payment_status(progress: Progress = "paid", purchase: Purchase | None = None, /, **changes: Any) -> PaymentStatus:
    """A payment status that matches this purchase, by default `a_purchase()`."""
    purchase = purchase or a_purchase()
    status = PaymentStatus(
        progress=progress,
        session=purchase.session or "",
        purchase=purchase.id,
        account=purchase.account,
        amount=purchase.amount,
        currency=purchase.currency,
        live=purchase.live,
        mode="payment",
        quantity=1,
        payment=f"pi_{purchase.id}" if progress == "paid" else None,
    )
    return replace(status, **changes)
