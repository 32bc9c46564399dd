"""Stripe's deliveries: 200 when no repeat is needed, 400 when it isn't provably Stripe's, 503 to have it again."""

from collections.abc import Callable
from dataclasses import dataclass

from prepaid.api.http import Request, Response, logger
from prepaid.payments.secrets import StripeSecret
from prepaid.payments.sessions import SESSION_EVENTS, open_stripe, session_fact
from prepaid.payments.webhook import Event, verified_event
from prepaid.store.catalogue import CurrentCatalogue
from prepaid.store.dynamodb import Table
from prepaid.store.purchases import receive_fact


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
    if event.type not in SESSION_EVENTS or not event.object_id:
        return _received(event, "ignored")
    fact = session_fact(open_stripe(secret.api_key, stripe.api_base), event)
    if fact is None:
        return _received(event, "ignored")
    outcome = receive_fact(
        table,
        fact,
        catalogue=catalogue(request.patience),
        now=request.now,
        event_id=event.id,
        patience=request.patience,
    )
    if outcome == "quarantined":
        on_quarantine()
        about = {"account": fact.account, "purchase": fact.purchase, "session": fact.session, "event_id": event.id}
        logger.error("quarantined", extra=about)
    return _received(event, outcome)


def _received(event: Event, outcome: str) -> Response:
    logger.info("webhook", extra={"outcome": outcome, "event_id": event.id, "event_type": event.type})
    return Response(status=200, body={"received": True})
