"""What Stripe says now of a checkout session and its money, asked from Stripe itself: events only make us look."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

import stripe

from prepaid.core.purchase import PaymentStatus, Progress
from prepaid.payments.errors import PaymentsRefused, PaymentsUnavailable, SessionUnknown
from prepaid.payments.webhook import METADATA_ACCOUNT, METADATA_PURCHASE, Event, event_of

# What a checkout session can announce; the session is what happens once, not the event.
SESSION_EVENTS = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
# What can happen to money that was paid. The charge.refund* ones are how older API versions say refund.*.
MONEY_EVENTS = frozenset(
    {
        "refund.created",
        "refund.updated",
        "refund.failed",
        "charge.refunded",
        "charge.refund.updated",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
# Money that is gone or may be. An inquiry (warning_…) has moved none, a dispute that was won or prevented gave it back.
LOST_DISPUTES = frozenset({"needs_response", "under_review", "lost"})
VOID_REFUNDS = frozenset({"failed", "canceled"})
# A look makes three calls. When Stripe is so slow that a function's own time-out comes first, the delivery comes again.
TIMEOUT_SECONDS = 4
NOT_FOUND = 404
# Stripe's words when a test key asks for what is live, or a live key for what is a test.
OTHER_MODE = "a similar object exists in"
# What Stripe says no to, whoever asks again: the request, its key, the key's rights, or a used idempotency key.
REFUSALS = (
    stripe.AuthenticationError,
    stripe.IdempotencyError,
    stripe.InvalidRequestError,
    stripe.PermissionError,
)
# Of one payment; Stripe allows fewer.
MAX_REFUNDS = 100
EVENTS_PAGE = 100

# What the rest of the service hands on without knowing it.
type Stripe = stripe.StripeClient


@lru_cache(maxsize=2)
def open_stripe(api_key: str, api_base: str) -> stripe.StripeClient:
    """The official client for `api_base` (Stripe's own address, or a local stand-in's), kept with its connection."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base},
        http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
        max_network_retries=1,
    )


def fetch_payment_status(client: stripe.StripeClient, session_id: str, *, failed: bool = False) -> PaymentStatus | None:
    """What the session says now, its refunds and disputes included; None when it isn't ours or says nothing yet.

    failed: the caller was told that a voucher ran out, which the session itself doesn't show.
    Raises SessionUnknown, PaymentsUnavailable when Stripe doesn't answer, PaymentsRefused when it won't.
    """
    with answering():
        try:
            session = client.v1.checkout.sessions.retrieve(session_id, {"expand": ["line_items"]})
        except stripe.InvalidRequestError as error:
            # It exists, and the key is the wrong one: for a person to mend, no case for the quarantine.
            if error.http_status == NOT_FOUND and OTHER_MODE not in str(error):
                raise SessionUnknown from error
            raise
        return payment_status_of(client, session, failed=failed)


def payment_status_of(
    client: stripe.StripeClient, session: stripe.checkout.Session, *, failed: bool = False
) -> PaymentStatus | None:
    """The status in a session. Raises PaymentsRefused, PaymentsUnavailable."""
    metadata: dict[str, str] = session.metadata.to_dict() if session.metadata else {}
    progress = _progress(session, failed=failed)
    if METADATA_ACCOUNT not in metadata or METADATA_PURCHASE not in metadata or progress is None:
        return None
    payment = session.payment_intent
    payment = payment if isinstance(payment, str) or payment is None else payment.id
    paid = progress == "paid" and payment is not None
    with answering():
        return PaymentStatus(
            progress=progress,
            session=session.id,
            account=metadata[METADATA_ACCOUNT],
            purchase=metadata[METADATA_PURCHASE],
            amount=session.amount_total or 0,
            currency=session.currency or "",
            live=session.livemode,
            mode=session.mode,
            quantity=sum(item.quantity or 0 for item in session.line_items.data) if session.line_items else 0,
            payment=payment,
            refunded=_refunded(client, payment) if paid and payment else 0,
            disputed=_disputed(client, payment) if paid and payment else 0,
        )


def session_of_payment(client: stripe.StripeClient, payment: str) -> stripe.checkout.Session | None:
    """The checkout session that this money was paid through, if any. Raises PaymentsRefused, PaymentsUnavailable."""
    with answering():
        sessions = client.v1.checkout.sessions.list({"payment_intent": payment, "limit": 1})
        return sessions.data[0] if sessions.data else None


def events_page(client: stripe.StripeClient, *, since: datetime, until: datetime, after: str) -> tuple[Event, ...]:
    """At most a hundred events that may concern us, newest first, below event `after`. Stripe keeps 30 days of them.

    Raises PaymentsRefused, PaymentsUnavailable.
    """
    parameters: dict[str, Any] = {
        "types": sorted(SESSION_EVENTS | MONEY_EVENTS),
        "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
        "limit": EVENTS_PAGE,
    }
    if after:
        parameters["starting_after"] = after
    with answering():
        try:
            page = client.v1.events.list(parameters)  # type: ignore[arg-type]
        except stripe.InvalidRequestError:
            # Where we had come to isn't known any more: from the newest again, nothing is done twice.
            if parameters.pop("starting_after", None) is None:
                raise
            page = client.v1.events.list(parameters)  # type: ignore[arg-type]
        return tuple(event_of(event.to_dict()) for event in page.data)


def _refunded(client: stripe.StripeClient, payment: str) -> int:
    refunds = client.v1.refunds.list({"payment_intent": payment, "limit": MAX_REFUNDS})
    return sum(refund.amount for refund in refunds.data if refund.status not in VOID_REFUNDS)


def _disputed(client: stripe.StripeClient, payment: str) -> int:
    disputes = client.v1.disputes.list({"payment_intent": payment, "limit": MAX_REFUNDS})
    return sum(dispute.amount for dispute in disputes.data if dispute.status in LOST_DISPUTES)


def _progress(session: stripe.checkout.Session, *, failed: bool) -> Progress | None:
    if session.payment_status == "paid":
        return "paid"
    if session.status == "expired":
        return "session_expired"
    if session.status != "complete":
        return None
    # Pix and boleto: complete says that the customer was given a code to pay, not that it was paid.
    return "payment_failed" if failed else "awaiting_payment"


@contextmanager
def answering() -> Iterator[None]:
    """Turn what the SDK raises into our own errors. Raises PaymentsRefused, PaymentsUnavailable."""
    try:
        yield
    except REFUSALS as error:
        raise PaymentsRefused from error
    except stripe.StripeError as error:
        raise PaymentsUnavailable from error
