"""POST /v1/webhooks/stripe: 200 if no retry is needed, 400 without proof that Stripe sent it, 5xx to get a retry."""

from typing import Literal, TypedDict

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import Parameter, ResponseSchema, Route
from prepaid.deps import Deps
from prepaid.payments.errors import WebhookRejected
from prepaid.payments.webhook import verified_event
from prepaid.telemetry import Metric, count, logger
from prepaid.use_cases.syncing import Sync, follow_event


class ReceivedResponse(TypedDict):
    """A webhook delivery that needs no retry."""

    received: Literal[True]


def receive(request: Request, deps: Deps) -> Response:
    """POST /v1/webhooks/stripe: sync the event's purchase. Duplicate or unordered events grant a purchase only once."""
    try:
        event = verified_event(
            request.body,
            request.headers.get("stripe-signature", ""),
            deps.webhook_secrets(deps.table.deadline),
            now=request.now,
            tolerance_seconds=deps.webhook_tolerance_seconds,
        )
    except WebhookRejected:
        # For the alarm WebhooksRejected: with a wrong signing secret, all of Stripe's deliveries end here.
        count(Metric.WEBHOOKS_REJECTED, 1)
        raise
    sync = Sync(
        table=deps.table,
        client=deps.stripe(deps.table.deadline),
        catalog=lambda: deps.catalog(deps.table),
        stack=deps.stack,
        now=request.now,
        # For the alarm PurchaseQuarantined: the payment doesn't match its purchase, so an operator must decide.
        on_quarantine=lambda _: count(Metric.PURCHASE_QUARANTINED, 1),
    )
    outcome = follow_event(sync, event)
    logger.info("webhook", extra={"event_id": event.id, "event_type": event.type, "outcome": outcome})
    body: ReceivedResponse = {"received": True}
    return Response(status=200, body=body)


RECEIVE = Route(
    method="POST",
    path="/v1/webhooks/stripe",
    operation_id="receiveStripeEvent",
    summary="Receive Stripe's webhook deliveries, signed over the raw body",
    scopes=(),
    parameters=(
        Parameter(
            name="Stripe-Signature",
            where="header",
            required=True,
            description="Stripe's signature of the time and the raw body.",
        ),
    ),
    responses={200: ResponseSchema(ReceivedResponse)},
    refusals={
        400: ("invalid_webhook", "malformed_body"),
        413: ("body_too_large",),
        502: ("payment_provider_refused",),
        503: ("busy", "payments_unavailable", "payments_not_configured"),
    },
    function=receive,
)
