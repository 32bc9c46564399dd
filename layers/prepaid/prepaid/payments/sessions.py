"""What a checkout session says of a purchase, asked from Stripe itself: an event only tells us to look.

Whatever order events come in, each is answered from the session as it is now, so a late one can't undo a newer truth.
"""

from functools import lru_cache

import stripe

from prepaid.core.purchase import FactKind, PaymentFact
from prepaid.payments.errors import PaymentsUnavailable
from prepaid.payments.webhook import Event

# The checkout-session events; credits are granted from these only.
SESSION_EVENTS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
# Where a session we made points back to its purchase. Pointers only: no amount is ever read from them.
ACCOUNT_POINTER, PURCHASE_POINTER = "prepaid_account", "prepaid_purchase"
TIMEOUT_SECONDS = 5


@lru_cache(maxsize=2)
def open_stripe(api_key: str, api_base: str) -> stripe.StripeClient:
    """A client for `api_base` (Stripe's own address, or a local stand-in's), kept with its connection."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base},
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
        max_network_retries=1,
    )


def session_fact(client: stripe.StripeClient, event: Event) -> PaymentFact | None:
    """What the session of `event` says now; None when it isn't ours or says nothing yet.

    Raises PaymentsUnavailable when Stripe doesn't answer.
    """
    try:
        session = client.v1.checkout.sessions.retrieve(event.object_id, {"expand": ["line_items"]})
    except stripe.InvalidRequestError as error:
        if error.http_status == 404:  # noqa: PLR2004
            return None
        raise
    except stripe.StripeError as error:
        raise PaymentsUnavailable from error
    metadata: dict[str, str] = session.metadata.to_dict() if session.metadata else {}
    kind = _kind(session, event)
    if ACCOUNT_POINTER not in metadata or PURCHASE_POINTER not in metadata or kind is None:
        return None
    payment = session.payment_intent
    return PaymentFact(
        kind=kind,
        session=session.id,
        account=metadata[ACCOUNT_POINTER],
        purchase=metadata[PURCHASE_POINTER],
        amount=session.amount_total or 0,
        currency=session.currency or "",
        live=session.livemode,
        mode=session.mode,
        quantity=sum(item.quantity or 0 for item in session.line_items.data) if session.line_items else 0,
        payment=payment if isinstance(payment, str) or payment is None else payment.id,
    )


def _kind(session: stripe.checkout.Session, event: Event) -> FactKind | None:
    if session.payment_status == "paid":
        return "paid"
    if session.status == "expired":
        return "session_expired"
    if session.status != "complete":
        return None
    # Pix and boleto: complete says that the customer was given a code to pay, not that it was paid.
    return "payment_failed" if event.type == "checkout.session.async_payment_failed" else "awaiting_payment"
