"""Stripe's deliveries: 200 when no retry is needed, 400 when it isn't provably Stripe's, 5xx to get it again."""

from prepaid.api.http import Request, Response, logger
from prepaid.api.metrics import count
from prepaid.deps import Deps
from prepaid.payments.webhook import verified_event
from prepaid.use_cases.syncing import follow_event


def receive(request: Request, deps: Deps) -> Response:
    """POST /v1/webhooks/stripe: however often and in whatever order events arrive, a purchase is granted once."""
    event = verified_event(
        request.body,
        request.headers.get("stripe-signature", ""),
        deps.webhook_secrets(),
        now=request.now,
        tolerance_seconds=deps.webhook_tolerance_seconds,
    )
    outcome = follow_event(deps.table, deps.stripe(), event, catalog=lambda: deps.catalog(deps.table), now=request.now)
    logger.info("webhook", extra={"event_id": event.id, "event_type": event.type, "outcome": outcome})
    if outcome == "quarantined":
        # The alarm PurchaseQuarantined: money or an event that doesn't match its record waits for a person.
        count("PurchaseQuarantined", 1)
    return Response(status=200, body={"received": True})
