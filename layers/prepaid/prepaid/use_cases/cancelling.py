"""Cancelling: close an open purchase's page at Stripe, then record it. If the customer paid first, the payment stands.

The purchase is marked as being cancelled before its page is closed. So Stripe's event about the closed page also leads
to `cancelled`, even if it is handled first or the process is killed in between.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from prepaid.core.errors import Busy, PurchaseNotCancellable, PurchaseNotFound
from prepaid.core.purchase import Purchase, with_cancellation
from prepaid.store.accounts import read_account
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.items import key_digest
from prepaid.store.purchases import find_cancelled_by_key, read_purchase, record_cancellation, save_purchase

if TYPE_CHECKING:
    from prepaid.payments.sessions import Stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """A request to cancel a purchase."""

    account: str
    purchase: str
    idempotency_key: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancelled purchase. replayed: whether an earlier request with the key cancelled it."""

    purchase: Purchase
    replayed: bool


def cancel(table: Table, request: Cancellation, *, client: "Callable[[], Stripe]", now: datetime) -> Cancelled:
    """Cancel an open purchase, once per key. Cancelling a cancelled purchase changes nothing.

    Raises AccountNotFound, PurchaseNotFound, PurchaseNotCancellable, IdempotencyKeyReused, PaymentsRefused,
    PaymentsUnavailable, Busy.
    """
    read_account(table, request.account)
    for _ in attempts(table.deadline):
        # Before the key: if another request with the key cancels the purchase in between, the key is found.
        purchase = read_purchase(table, request.account, request.purchase)
        earlier = find_cancelled_by_key(table, request.account, request.idempotency_key, request.purchase)
        if earlier:
            return Cancelled(earlier, replayed=True)
        if purchase is None:
            raise PurchaseNotFound
        if purchase.state == "cancelled" and purchase.cancel_key:
            return Cancelled(purchase, replayed=False)
        try:
            closed = purchase if purchase.state == "cancelled" else _close(table, purchase, client(), now)
            cancelled = with_cancellation(closed, key_digest(request.idempotency_key), now)
            record_cancellation(table, cancelled, request.idempotency_key)
            return Cancelled(cancelled, replayed=False)
        except ConditionFailed:
            # An event, another request, or this request's own write with its reply lost came first: read again.
            continue
    raise Busy


def _close(table: Table, purchase: Purchase, client: "Stripe", now: datetime) -> Purchase:
    """The purchase, with its page closed. Raises ConditionFailed when the purchase was changed meanwhile."""
    from prepaid.payments.checkout import close_page, read_page_status  # noqa: PLC0415 - heavy, rare

    session = purchase.session
    if purchase.state != "open" or session is None:
        raise PurchaseNotCancellable
    # Read first, so that a refusal writes nothing.
    status = read_page_status(client, session)
    if status == "open":
        if not purchase.cancelling:
            purchase = replace(purchase, cancelling=True, version=purchase.version + 1, changed_at=now)
            save_purchase(table, purchase)
        status = close_page(client, session)
    if status != "expired":
        # The customer paid, or chose Pix or boleto: the event about that updates the purchase.
        raise PurchaseNotCancellable
    return purchase
