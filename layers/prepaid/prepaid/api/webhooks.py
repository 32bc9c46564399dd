"""Stripe's deliveries: 200 when no repeat is needed, 400 when it isn't provably Stripe's, 503 to have it again."""

from collections.abc import Callable
from dataclasses import dataclass

from prepaid.api.http import Request, Response, logger
from prepaid.payments.secrets import StripeSecret
from prepaid.payments.sessions import open_stripe
from prepaid.payments.webhook import verified_event
from prepaid.purchasing import follow_event
from prepaid.store.catalogue import CurrentCatalogue
from prepaid.store.dynamodb import Table


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
    outcome = follow_event(
        table,
        open_stripe(secret.api_key, stripe.api_base),
        event,
        catalogue=lambda: catalogue(request.patience),
        now=request.now,
        patience=request.patience,
    )
    logger.info("webhook", extra={"event_id": event.id, "event_type": event.type, "outcome": outcome})
    if outcome == "quarantined":
        on_quarantine()
    return Response(status=200, body={"received": True})
