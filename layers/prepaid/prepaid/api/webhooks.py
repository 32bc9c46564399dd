"""POST /v1/webhooks/stripe: 200 when no retry is needed, 400 when it isn't provably Stripe's, 5xx to get it again."""

from typing import Literal, TypedDict

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import Answer, Parameter, Route
from prepaid.deps import Deps
from prepaid.payments.webhook import verified_event
from prepaid.telemetry import Metric, count, logger
from prepaid.use_cases.syncing import follow_event


class ReceivedAnswer(TypedDict):
    """A webhook delivery that needs no repeat."""

    received: Literal[True]


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
        count(Metric.PURCHASE_QUARANTINED, 1)
    body: ReceivedAnswer = {"received": True}
    return Response(status=200, body=body)


RECEIVE = Route(
    method="POST",
    path="/v1/webhooks/stripe",
    operation_id="receiveStripeEvent",
    summary="Stripe's deliveries, signed over the raw body",
    scopes=(),
    parameters=(
        Parameter(
            name="Stripe-Signature",
            where="header",
            required=True,
            description="Stripe's signature of the time and the raw body.",
        ),
    ),
    answers={200: Answer(ReceivedAnswer)},
    refusals={
        400: ("invalid_webhook", "malformed_body"),
        413: ("body_too_large",),
        502: ("payment_provider_refused",),
        503: ("busy", "payments_unavailable"),
    },
    function=receive,
)
