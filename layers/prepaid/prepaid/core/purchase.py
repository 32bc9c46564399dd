"""A purchase's lifecycle, from its record to its credits and back, driven by its payment status (rules 11-13).

created -> open -> pending -> paid -> granted, or failed, expired or cancelled; after granted: partially_refunded,
refunded, disputed. Paid and granted are one step, unless the payment doesn't match the record: then the purchase stays
paid until an operator resolves it.

Credits, price and validity come from the record alone. An event only triggers a check: `next_step` compares the record
with the payment's current status and returns the next step, until none is left. So a purchase reaches the state that
its payment has at the provider, whichever events arrive, however often and in whatever order.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
    "cancelled",
    "granted",
    "partially_refunded",
    "refunded",
    "disputed",
]
Progress = Literal["awaiting_payment", "paid", "payment_failed", "session_expired"]

# Stripe's payment page is open for a day, because its creation names no other time:
# https://docs.stripe.com/payments/checkout/managing-limited-inventory
PAGE_OPEN = timedelta(hours=24)
# After this time a purchase can no longer be paid: two days for its page, which a retry may make almost a day after the
# purchase; three for a boleto; the rest for weekends and holidays, because banks confirm a payment after one business
# day: https://docs.stripe.com/payments/boleto
PAYABLE = timedelta(days=10)
# Who moves money back. The grant's actor is the client that began the purchase.
ACTOR = "stripe"
# For each progress of an unpaid session: the states it changes, and to which state. An expired purchase can become
# pending again, because a voucher can be paid after its page expired.
UNPAID_STATES: dict[Progress, dict[PurchaseState, PurchaseState]] = {
    "awaiting_payment": {"created": "pending", "open": "pending", "expired": "pending", "cancelled": "pending"},
    "payment_failed": dict.fromkeys(("created", "open", "pending", "expired", "cancelled"), "failed"),
    "session_expired": {"created": "expired", "open": "expired"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """What a customer pays later with, at a bank: a Pix code or the number of a boleto.

    expires_at: the last instant at which it can be paid. pdf: the address of a boleto to print, if there is one.
    """

    method: Literal["pix", "boleto"]
    code: str
    expires_at: datetime
    pdf: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What was agreed before the payment page existed, and the purchase's progress since.

    amount: minor units of `currency` (lower case, as Stripe writes it). version: counts changes of this record.
    session: the provider's id of the checkout session; checkout_url: its page. payment: the provider's id of the
    payment, once known. key: a digest of the request's idempotency key. requested_by: the client that made the request.
    lots: as they were granted: by the payment, and by restored credits whose lot had expired.
    cancelling: whether a client asked to close the page. cancel_key, cancelled_at: of the request that cancelled it.
    voucher: while the purchase is pending, if the provider names it.
    refunded, disputed: minor units. revoked: credits taken back for them; debt: how many of those had been spent and
    became owed; expired_unspent: how many had expired unspent, so that there was nothing to take.
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
    requested_by: str
    state: PurchaseState
    version: int
    created_at: datetime
    changed_at: datetime
    session: str | None = None
    checkout_url: str | None = None
    payment: str | None = None
    key: str | None = None
    cancelling: bool = False
    cancel_key: str | None = None
    cancelled_at: datetime | None = None
    voucher: Voucher | None = None
    lots: tuple[Lot, ...] = ()
    refunded: int = 0
    disputed: int = 0
    revoked: int = 0
    debt: int = 0
    expired_unspent: int = 0

    @property
    def granted(self) -> bool:
        """Whether its credits were granted, even if some were revoked since."""
        return bool(self.lots)


def new_purchase(
    purchase_id: str, account: str, pack: Pack, *, language: str, live: bool, requested_by: str, now: datetime
) -> Purchase:
    """A new purchase. It copies what it will grant, so later catalog changes don't affect it (rule 11)."""
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
        requested_by=requested_by,
        state="created",
        version=1,
        created_at=now,
        changed_at=now,
    )


def with_page(purchase: Purchase, session: str, checkout_url: str, now: datetime) -> Purchase:
    """The purchase with its payment page. An event may have changed its state already; that state stays."""
    return replace(
        purchase,
        state="open" if purchase.state == "created" else purchase.state,
        version=purchase.version + 1,
        changed_at=now,
        session=session,
        checkout_url=checkout_url,
    )


def can_open(purchase: Purchase, now: datetime) -> bool:
    """Whether the purchase's payment page can still be used."""
    return purchase.state == "open" and now < purchase.created_at + PAGE_OPEN


def with_cancellation(purchase: Purchase, key: str, now: datetime) -> Purchase:
    """The purchase once its page is closed. key: a digest of the idempotency key of the request that asked for it."""
    return replace(
        purchase,
        state="cancelled",
        version=purchase.version + 1,
        changed_at=now,
        cancel_key=key,
        cancelled_at=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatus:
    """The provider's current status of one checkout session and its payment.

    amount: minor units. mode: of the session, "payment" for packs. quantity: number of packs.
    account, purchase: named by the session's metadata; "" when it names none. other_stack: the stack that it names, if
    that isn't this one; else "".
    payment: the provider's id of the payment, if there is one. voucher: what an awaited payment is made with.
    refunded: minor units of refunds that didn't fail. disputed: minor units of disputes that are open or lost.
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
    other_stack: str = ""
    payment: str | None = None
    voucher: Voucher | None = None
    refunded: int = 0
    disputed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """The next step: the purchase's new record, and the ledger operation to write with it, if any."""

    purchase: Purchase
    operation: Grant | Revoke | Restore | None = None


def mismatches(purchase: Purchase | None, status: PaymentStatus | None) -> tuple[str, ...]:
    """The names of the fields in which the status contradicts the record; any mismatch means quarantine (rule 12)."""
    if purchase is None:
        return ("unknown_purchase",)
    if status is None:
        return ("unknown_session",)
    compared = (
        ("stack", "", status.other_stack),
        ("account", purchase.account, status.account),
        ("purchase", purchase.id, status.purchase),
        # If the reply that created the page was lost, the purchase learns its session from the status.
        ("session", purchase.session or status.session, status.session),
        ("payment", purchase.payment or status.payment, status.payment),
        ("amount", purchase.amount, status.amount),
        ("currency", purchase.currency, status.currency),
        ("live", purchase.live, status.live),
        ("mode", "payment", status.mode),
        ("quantity", 1, status.quantity),
        # A granted purchase stays paid: refunds have fields of their own.
        ("progress", "paid" if purchase.granted else status.progress, status.progress),
    )
    return tuple(name for name, recorded, reported in compared if recorded != reported)


def is_page_of(purchase: Purchase | None, status: PaymentStatus) -> bool:
    """Whether the status is of the purchase's own session, whatever its metadata says.

    If the reply that created the page was lost, the record doesn't know its session, and the metadata has to name it.
    """
    if purchase is None:
        return False
    if purchase.session is None:
        return not status.other_stack and (status.account, status.purchase) == (purchase.account, purchase.id)
    return purchase.session == status.session


def has_moved_money(purchase: Purchase | None, status: PaymentStatus | None) -> bool:
    """Whether money or credits moved. If not, a status that matches no record is only an abandoned page."""
    return status is None or status.progress == "paid" or (purchase is not None and purchase.granted)


def as_paid_unmatched(purchase: Purchase, status: PaymentStatus, now: datetime) -> Purchase | None:
    """The purchase marked paid when its payment doesn't match its record; None when nothing changes.

    Only the purchase's own session counts: anyone can copy our metadata into another session.
    """
    is_own_page = purchase.session is not None and is_page_of(purchase, status)
    if not is_own_page or status.progress != "paid" or purchase.granted or purchase.state == "paid":
        return None
    return replace(purchase, state="paid", version=purchase.version + 1, changed_at=now, voucher=None)


def needs_revocation(purchase: Purchase, status: PaymentStatus) -> bool:
    """Whether the next step revokes credits. Only then does it need the credits that expired unspent in the lots."""
    return purchase.granted and revoked_credits(purchase, status.refunded + status.disputed) > purchase.revoked


def next_step(purchase: Purchase, status: PaymentStatus, now: datetime, *, expired_unspent: int) -> Step | None:
    """The next step towards the provider's status; None when the purchase matches it.

    `status` must be newer than `purchase`, or it could undo a newer one: read the record first, then fetch the status.
    expired_unspent: credits that expired in the purchase's lots, from the ledger; used only if `needs_revocation`.
    """
    changed = replace(
        purchase,
        version=purchase.version + 1,
        changed_at=now,
        session=status.session,
        # Only an awaited payment has one: it ends with the wait.
        voucher=status.voucher,
    )
    if not purchase.granted:
        if status.progress == "paid":
            return Step(replace(changed, state="granted", payment=status.payment), grant_of(purchase))
        state = UNPAID_STATES[status.progress].get(purchase.state)
        if state == "expired" and purchase.cancelling:
            # The event of the page that a client's request has just closed.
            state = "cancelled"
        return Step(replace(changed, state=state)) if state else None
    refunded, disputed = min(status.refunded, purchase.amount), min(status.disputed, purchase.amount)
    if (refunded, disputed) == (purchase.refunded, purchase.disputed):
        return None
    revoked = revoked_credits(purchase, refunded + disputed)
    changed = replace(
        changed, refunded=refunded, disputed=disputed, revoked=revoked, state=state_after(purchase, refunded, disputed)
    )
    if revoked > purchase.revoked:
        return Step(changed, _revoke(purchase, changed, expired_unspent))
    if revoked < purchase.revoked:
        restore = _restore(purchase, changed)
        return Step(
            replace(
                changed,
                debt=purchase.debt - restore.debt,
                expired_unspent=purchase.expired_unspent - restore.expired_unspent,
            ),
            restore,
        )
    return Step(changed)


def with_result(step: Step, entry: Entry) -> Purchase:
    """The step's purchase, completed from its operation's entry: its lot, credits owed and expired unspent."""
    purchase = step.purchase
    if isinstance(step.operation, Revoke):
        expired = step.operation.credits + entry.credits - entry.owed
        return replace(purchase, debt=purchase.debt + entry.owed, expired_unspent=purchase.expired_unspent + expired)
    # A grant, or a restore after the lot expired: the next revocation draws from the new lot too.
    return replace(purchase, lots=(*purchase.lots, entry.lot)) if entry.lot else purchase


def revoked_credits(purchase: Purchase, money_back: int) -> int:
    """Credits to revoke for `money_back` minor units: pro rata, rounded down, at most all credits (rule 13)."""
    return purchase.credits * min(money_back, purchase.amount) // purchase.amount


def grant_of(purchase: Purchase) -> Grant:
    """The grant that the purchase's payment makes."""
    return Grant(
        actor=purchase.requested_by,
        kind="purchase",
        credits=purchase.credits,
        validity=purchase.valid_months,
        description=purchase.pack,
        purchase=purchase.id,
    )


def _revoke(before: Purchase, after: Purchase, expired_unspent: int) -> Revoke:
    # Refunded and disputed may both have changed, in opposite directions: the cause is the one that increased.
    return Revoke(
        actor=ACTOR,
        cause="dispute" if after.disputed > before.disputed else "refund",
        lots=before.lots,
        credits=after.revoked - before.revoked,
        expired_unspent=expired_unspent - before.expired_unspent,
        purchase=before.id,
    )


def _restore(before: Purchase, after: Purchase) -> Restore:
    credits = before.revoked - after.revoked
    # A revocation draws from lots, then counts expired credits, then makes the rest owed: undo in reverse order.
    debt = min(credits, before.debt)
    return Restore(
        actor=ACTOR,
        cause="dispute" if after.disputed < before.disputed else "refund",
        lots=before.lots,
        credits=credits,
        debt=debt,
        expired_unspent=min(credits - debt, before.expired_unspent),
        valid_months=before.valid_months,
        purchase=before.id,
    )


def state_after(purchase: Purchase, refunded: int, disputed: int) -> PurchaseState:
    """The state of a granted purchase with these minor units refunded and disputed."""
    if disputed:
        return "disputed"
    if refunded >= purchase.amount:
        return "refunded"
    return "partially_refunded" if refunded else "granted"
