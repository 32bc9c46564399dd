"""Stripe's deliveries: 200 when no repeat is needed, 400 when it isn't provably Stripe's, 503 to have it again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prepaid.api.http import Request, Response, logger
from prepaid.payments.secrets import StripeSecret
from prepaid.payments.sessions import MONEY_EVENTS, SESSION_EVENTS, look_at_session, open_stripe, session_of_payment
from prepaid.payments.webhook import ACCOUNT_POINTER, PURCHASE_POINTER, Event, verified_event
from prepaid.store.catalogue import CurrentCatalogue
from prepaid.store.dynamodb import Patience, Table, persist
from prepaid.store.purchases import Pointer, bring_up_to_date, find_payment, read_purchase

if TYPE_CHECKING:
    import stripe

FAILED_EVENT = "checkout.session.async_payment_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeSettings:
    """secret: the API key and webhook secrets, read when needed. api_base: Stripe's address."""

    secret: Callable[[], StripeSecret]
    api_base: str
    tolerance_seconds: int


def receive(
    request: Request,
    table: Table,
    catalogue: CurrentCatalogue,
    stripe: StripeSettings,
    on_quarantine: Callable[[], None],
) -> Response:
    """POST /v1/webhooks/stripe: however often and in whatever order events come, a purchase is granted once."""
    secret = stripe.secret()
    event = verified_event(
        request.body,
        request.headers.get("stripe-signature", ""),
        secret.webhook_secrets,
        now=request.now,
        tolerance_seconds=stripe.tolerance_seconds,
    )
    logger.append_keys(event_id=event.id, event_type=event.type)
    client = open_stripe(secret.api_key, stripe.api_base)
    found = _find(table, client, event, request.patience)
    if found is None:
        return _received("ignored")
    pointer, session = found
    outcome = bring_up_to_date(
        table,
        pointer,
        lambda: look_at_session(client, session, failed=event.type == FAILED_EVENT),
        catalogue=catalogue(request.patience),
        now=request.now,
        reason=event.id,
        patience=request.patience,
    )
    if outcome == "quarantined":
        on_quarantine()
        logger.error("quarantined", extra={"account": pointer.account, "purchase": pointer.purchase})
    return _received(outcome)


def _find(table: Table, client: "stripe.StripeClient", event: Event, patience: Patience) -> tuple[Pointer, str] | None:
    """The purchase that an event concerns and its session; None when it concerns none of ours."""
    if event.type in SESSION_EVENTS and event.account and event.purchase and event.session:
        return Pointer(account=event.account, purchase=event.purchase), event.session
    if event.type not in MONEY_EVENTS or event.payment is None:
        return None
    pointer = persist(patience, find_payment, table, event.payment)
    if pointer:
        purchase = persist(patience, read_purchase, table, pointer.account, pointer.purchase)
        return (pointer, purchase.session) if purchase and purchase.session else None
    # Money can go back before we heard that it came: only the provider knows then what it was for.
    session = session_of_payment(client, event.payment)
    metadata = session.metadata.to_dict() if session and session.metadata else {}
    if session is None or ACCOUNT_POINTER not in metadata or PURCHASE_POINTER not in metadata:
        return None
    return Pointer(account=metadata[ACCOUNT_POINTER], purchase=metadata[PURCHASE_POINTER]), session.id


def _received(outcome: str) -> Response:
    logger.info("webhook", extra={"outcome": outcome})
    return Response(status=200, body={"received": True})
