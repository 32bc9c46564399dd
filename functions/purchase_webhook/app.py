"""Stripe's deliveries: what was paid becomes credits, once."""

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from prepaid import wiring
from prepaid.api import webhooks
from prepaid.api.http import Request, Response, serve


def receive(request: Request) -> Response:
    settings = wiring.settings()
    stripe = webhooks.StripeSettings(
        secret=wiring.stripe_secret,
        api_base=settings.stripe_api_base,
        tolerance_seconds=settings.webhook_tolerance_seconds,
    )
    return webhooks.receive(request, wiring.table(), wiring.catalogue(), stripe, on_quarantine)


def on_quarantine() -> None:
    """The alarm PurchaseQuarantined counts this: money or an event that doesn't fit its record waits for a person."""
    metrics = Metrics()
    metrics.add_metric(name="PurchaseQuarantined", unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()


handler = serve({"POST /v1/webhooks/stripe": receive}, wiring.now)
