"""A purchase from its record to its credits, and back: what the provider's newest truth asks for (rule 11-13).

created -> open -> pending -> paid -> granted, or failed, or expired; after granted: partially_refunded, refunded,
disputed. Paid and granted are one step, unless the money doesn't fit the record: then it waits as paid for a person.

Credits, price and validity come from the record alone. Events only make us look: `next_step` compares the record with
what the provider says now and names the one thing to do, again and again until nothing is left. So whatever events
come, however often and in whatever order, a purchase ends where the provider's truth ends.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from prepaid.core.account import Lot
from prepaid.core.catalog import Pack
from prepaid.core.entry import Entry
from prepaid.core.ledger import Grant, Restore, Revoke

PurchaseState = Literal[
    "created",
    "open",
    "pending",
    "paid",
    "failed",
    "expired",
    "granted",
    "partially_refunded",
    "refunded",
    "disputed",
]
Progress = Literal["awaiting_payment", "paid", "payment_failed", "session_expired"]

ACTOR = "stripe"
# What a session that isn't paid makes of each state that it may still move. A purchase that reads expired can still be
# paid by a voucher that outlives its page, so it may wait again.
UNPAID_STATES: dict[Progress, dict[PurchaseState, PurchaseState]] = {
    "awaiting_payment": {"created": "pending", "open": "pending", "expired": "pending"},
    "payment_failed": {"created": "failed", "open": "failed", "pending": "failed", "expired": "failed"},
    "session_expired": {"created": "expired", "open": "expired"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What was agreed before the payment page existed, and how far it came.

    amount: minor units of `currency` (lower case, as Stripe writes it). version: counts the record's own changes.
    session: the provider's checkout session and its page. payment: its id of the money, once known.
    key: a digest of the idempotency key that began it.
    lots: as they were granted: by the payment, and by money that came back when the first one had lapsed.
    refunded, disputed: minor units that went back, or may. revoked: credits taken back for that; debt: how many of them
    had been spent and became owed; lapsed: how many had expired unspent, so that there was nothing to take.
    """

    id: str
    account: str
    pack: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    language: str
    live: bool
    state: PurchaseState
    version: int
    created_at: datetime
    changed_at: datetime
    session: str | None = None
    checkout_url: str | None = None
    payment: str | None = None
    key: str | None = None
    lots: tuple[Lot, ...] = ()
    refunded: int = 0
    disputed: int = 0
    revoked: int = 0
    debt: int = 0
    lapsed: int = 0

    @property
    def granted(self) -> bool:
        """Whether its credits have landed, whatever became of them since."""
        return bool(self.lots)


def begin(purchase_id: str, account: str, pack: Pack, *, language: str, live: bool, now: datetime) -> Purchase:
    """A new purchase: all that it will ever grant is on it, whatever happens to the catalog (rule 11)."""
    return Purchase(
        id=purchase_id,
        account=account,
        pack=pack.id,
        credits=pack.credits,
        amount=pack.amount,
        currency=pack.currency,
        valid_months=pack.valid_months,
        language=language,
        live=live,
        state="created",
        version=1,
        created_at=now,
        changed_at=now,
    )


def opened(purchase: Purchase, session: str, checkout_url: str, now: datetime) -> Purchase:
    """The purchase once its payment page exists. Events may have moved it on before we heard of the page."""
    return replace(
        purchase,
        state="open" if purchase.state == "created" else purchase.state,
        version=purchase.version + 1,
        changed_at=now,
        session=session,
        checkout_url=checkout_url,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatus:
    """What the provider says now of one checkout session and its money.

    amount: minor units. mode: of the session, "payment" for what we sell. quantity: how many of the pack.
    payment: the provider's id of the money, if there is any.
    refunded: minor units of refunds that didn't fail. disputed: of disputes that are open or lost.
    """

    progress: Progress
    session: str
    purchase: str
    account: str
    amount: int
    currency: str
    live: bool
    mode: str
    quantity: int
    payment: str | None = None
    refunded: int = 0
    disputed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do: the purchase as it shall be, and the ledger's operation that goes with it, if any."""

    purchase: Purchase
    operation: Grant | Revoke | Restore | None = None


def mismatches(purchase: Purchase | None, status: PaymentStatus | None) -> tuple[str, ...]:
    """The names of what the provider says otherwise than the record; any of them means quarantine (rule 12)."""
    if purchase is None:
        return ("unknown_purchase",)
    if status is None:
        return ("unknown_session",)
    told = (
        ("account", purchase.account, status.account),
        ("purchase", purchase.id, status.purchase),
        # A purchase whose page was made but whose answer was lost learns its session from the session itself.
        ("session", purchase.session or status.session, status.session),
        ("payment", purchase.payment or status.payment, status.payment),
        ("amount", purchase.amount, status.amount),
        ("currency", purchase.currency, status.currency),
        ("live", purchase.live, status.live),
        ("mode", "payment", status.mode),
        ("quantity", 1, status.quantity),
        # What was granted was paid, and stays so: a refund is told apart from it.
        ("progress", "paid" if purchase.granted else status.progress, status.progress),
    )
    return tuple(name for name, recorded, said in told if recorded != said)


def as_paid_unmatched(purchase: Purchase, status: PaymentStatus, now: datetime) -> Purchase | None:
    """The purchase once money came for it that doesn't fit its record; None when that changes nothing.

    Only its own session can say so: anybody may write our pointers into another one.
    """
    own = status.session == purchase.session and (status.account, status.purchase) == (purchase.account, purchase.id)
    if not own or status.progress != "paid" or purchase.granted or purchase.state == "paid":
        return None
    return replace(purchase, state="paid", version=purchase.version + 1, changed_at=now)


def needs_revocation(purchase: Purchase, status: PaymentStatus) -> bool:
    """Whether the next step takes credits back. Only then it needs to know what the purchase's lots lost unspent."""
    return purchase.granted and revoked_credits(purchase, status.refunded + status.disputed) > purchase.revoked


def next_step(purchase: Purchase, status: PaymentStatus, now: datetime, *, lapsed: int) -> Step | None:
    """What brings the purchase closer to what the provider says; None when it is there.

    `status` must be newer than `purchase`, or it could undo what a newer one did: read the record, then ask.
    lapsed: credits that the lots lost unspent at their end, from the ledger; read when `needs_revocation` says so.
    """
    changed = replace(purchase, version=purchase.version + 1, changed_at=now, session=status.session)
    if not purchase.granted:
        if status.progress == "paid":
            return Step(replace(changed, state="granted", payment=status.payment), grant_of(purchase))
        state = UNPAID_STATES[status.progress].get(purchase.state)
        return Step(replace(changed, state=state)) if state else None
    refunded, disputed = min(status.refunded, purchase.amount), min(status.disputed, purchase.amount)
    if (refunded, disputed) == (purchase.refunded, purchase.disputed):
        return None
    revoked = revoked_credits(purchase, refunded + disputed)
    changed = replace(
        changed, refunded=refunded, disputed=disputed, revoked=revoked, state=state_after(purchase, refunded, disputed)
    )
    if revoked > purchase.revoked:
        return Step(changed, _revoke(purchase, changed, lapsed))
    if revoked < purchase.revoked:
        restore = _restore(purchase, changed)
        return Step(
            replace(changed, debt=purchase.debt - restore.debt, lapsed=purchase.lapsed - restore.lapsed), restore
        )
    return Step(changed)


def with_result(step: Step, entry: Entry) -> Purchase:
    """The purchase of a step once its operation's entry says which lot it left and what became owed."""
    purchase = step.purchase
    if isinstance(step.operation, Revoke):
        expired = step.operation.credits + entry.credits - entry.owed
        return replace(purchase, debt=purchase.debt + entry.owed, lapsed=purchase.lapsed + expired)
    # Granted, or come back after it had lapsed: what is taken next is taken there too.
    return replace(purchase, lots=(*purchase.lots, entry.lot)) if entry.lot else purchase


def revoked_credits(purchase: Purchase, money_back: int) -> int:
    """Credits that so much money back justifies taking: pro rata, rounded down, at most the lot (rule 13)."""
    return purchase.credits * min(money_back, purchase.amount) // purchase.amount


def grant_of(purchase: Purchase) -> Grant:
    """What its payment adds to the account."""
    return Grant(
        actor=ACTOR,
        kind="purchase",
        credits=purchase.credits,
        validity=purchase.valid_months,
        description=purchase.pack,
        purchase=purchase.id,
    )


def _revoke(before: Purchase, after: Purchase, lapsed: int) -> Revoke:
    # Both may have moved, one against the other: the line in the history says which one did what it shows.
    return Revoke(
        actor=ACTOR,
        cause="dispute" if after.disputed > before.disputed else "refund",
        lots=before.lots,
        credits=after.revoked - before.revoked,
        lapsed=lapsed - before.lapsed,
        purchase=before.id,
    )


def _restore(before: Purchase, after: Purchase) -> Restore:
    credits = before.revoked - after.revoked
    # A revocation takes what is there, then counts what expired, then makes owed: undone from its end.
    debt = min(credits, before.debt)
    return Restore(
        actor=ACTOR,
        cause="dispute" if after.disputed < before.disputed else "refund",
        lots=before.lots,
        credits=credits,
        debt=debt,
        lapsed=min(credits - debt, before.lapsed),
        valid_months=before.valid_months,
        purchase=before.id,
    )


def state_after(purchase: Purchase, refunded: int, disputed: int) -> PurchaseState:
    """What a granted purchase is when so much of its money went back, or may."""
    if disputed:
        return "disputed"
    if refunded >= purchase.amount:
        return "refunded"
    return "partially_refunded" if refunded else "granted"
