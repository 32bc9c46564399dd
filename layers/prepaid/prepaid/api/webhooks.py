"""Stripe's deliveries: 200 when no repeat is needed, 400 when it isn't provably Stripe's, 5xx to have it again."""

from collections.abc import Callable, Sequence

from prepaid.api.http import Request, Response, logger
from prepaid.payments.sessions import Stripe
from prepaid.payments.webhook import verified_event
from prepaid.purchasing import follow_event
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table


def receive(
    request: Request,
    table: Table,
    catalog: CatalogCache,
    *,
    secrets: Sequence[str],
    tolerance_seconds: int,
    client: Callable[[], Stripe],
    on_quarantine: Callable[[], None],
) -> Response:
    """POST /v1/webhooks/stripe: however often and in whatever order events come, a purchase is granted once.

    secrets: what Stripe may have signed with. tolerance_seconds: how far its clock may be from ours, either way.
    """
    event = verified_event(
        request.body,
        request.headers.get("stripe-signature", ""),
        secrets,
        now=request.now,
        tolerance_seconds=tolerance_seconds,
    )
    outcome = follow_event(
        table,
        client(),
        event,
        catalog=lambda: catalog(request.patience),
        now=request.now,
        patience=request.patience,
    )
    logger.info("webhook", extra={"event_id": event.id, "event_type": event.type, "outcome": outcome})
    if outcome == "quarantined":
        on_quarantine()
    return Response(status=200, body={"received": True})
