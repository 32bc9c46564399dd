"""A purchase from its record to its credits: which fact from the payment provider leads where (semantics 11, 12).

created -> open -> pending -> granted, or failed, or expired. Credits, price and validity come from the record alone.
Facts arrive late, twice and in any order, so each transition asks what the fact proves, not what came before it:
money that is confirmed grants from every state but granted; everything else only moves a purchase that waits.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

PurchaseState = Literal["created", "open", "pending", "granted", "failed", "expired"]
FactKind = Literal["awaiting_payment", "paid", "payment_failed", "session_expired"]

PURCHASE_STATES: tuple[PurchaseState, ...] = ("created", "open", "pending", "granted", "failed", "expired")
# What a fact that isn't the payment makes of each state it may still move.
NEXT_STATE: dict[FactKind, dict[PurchaseState, PurchaseState]] = {
    "awaiting_payment": {"created": "pending", "open": "pending", "expired": "pending"},
    "payment_failed": {"created": "failed", "open": "failed", "pending": "failed", "expired": "failed"},
    "session_expired": {"created": "expired", "open": "expired"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What was agreed before the payment page existed, and how far it came.

    amount: minor units of `currency` (lower case, as Stripe writes it). version: counts the record's own changes.
    session: the payment provider's checkout session. payment: its id of the money, once known.
    granted_entry: number of the ledger entry that granted the credits, once granted.
    """

    id: str
    account: str
    pack: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    live: bool
    state: PurchaseState
    version: int
    created_at: datetime
    changed_at: datetime
    session: str | None = None
    payment: str | None = None
    granted_entry: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFact:
    """What the provider says of one checkout session.

    amount: minor units. mode: of the session, "payment" for what we sell. quantity: how many of the pack.
    payment: the provider's id of the money, if there is any.
    """

    kind: FactKind
    session: str
    purchase: str
    account: str
    amount: int
    currency: str
    live: bool
    mode: str
    quantity: int
    payment: str | None = None


def mismatches(purchase: Purchase, fact: PaymentFact) -> tuple[str, ...]:
    """The names of what the provider says otherwise than the record; any of them means quarantine (semantics 12)."""
    return tuple(
        name
        for name, recorded, told in (
            ("session", purchase.session, fact.session),
            ("amount", purchase.amount, fact.amount),
            ("currency", purchase.currency, fact.currency),
            ("live", purchase.live, fact.live),
            ("mode", "payment", fact.mode),
            ("quantity", 1, fact.quantity),
        )
        if recorded != told
    )


def grants(purchase: Purchase, fact: PaymentFact) -> bool:
    """Whether the fact is the money for credits that weren't granted yet: from any state, expired too."""
    return fact.kind == "paid" and purchase.state != "granted"


def moved(purchase: Purchase, fact: PaymentFact, now: datetime) -> Purchase | None:
    """The purchase after a fact that isn't its payment; None when the fact changes nothing any more."""
    state = NEXT_STATE.get(fact.kind, {}).get(purchase.state)
    if state is None:
        return None
    return replace(purchase, state=state, version=purchase.version + 1, changed_at=now)


def granted(purchase: Purchase, fact: PaymentFact, entry: int, now: datetime) -> Purchase:
    """The purchase once entry `entry` carries its credits."""
    return replace(
        purchase,
        state="granted",
        version=purchase.version + 1,
        changed_at=now,
        payment=fact.payment,
        granted_entry=entry,
    )
