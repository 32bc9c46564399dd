"""Stripe's deliveries: what was paid becomes credits, once."""

from prepaid import wiring
from prepaid.api import webhooks
from prepaid.api.http import Request, Response, serve
from prepaid.api.metrics import count


def receive(request: Request) -> Response:
    """POST /v1/webhooks/stripe"""
    return webhooks.receive(
        request,
        wiring.table(),
        wiring.catalog(),
        secrets=wiring.webhook_secrets(),
        tolerance_seconds=wiring.settings().webhook_tolerance_seconds,
        client=wiring.stripe_client,
        on_quarantine=on_quarantine,
    )


def on_quarantine() -> None:
    """The alarm PurchaseQuarantined counts this: money or an event that doesn't fit its record waits for a person."""
    count("PurchaseQuarantined", 1)


# A dispute's event carries its evidence; a delivery that is turned away for its size comes again for days.
MAX_EVENT_BYTES = 1024 * 1024

handler = serve({"POST /v1/webhooks/stripe": receive}, wiring.now, max_body_bytes=MAX_EVENT_BYTES)
