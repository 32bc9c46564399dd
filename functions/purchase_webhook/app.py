"""Stripe's deliveries: what was paid becomes credits, once."""

from prepaid import wiring
from prepaid.api import webhooks
from prepaid.api.http import STRIPE_DEADLINE_SECONDS, serve
from prepaid.settings import from_environment

# A dispute's event carries its evidence; a delivery that is rejected for its size is sent again for days.
MAX_EVENT_BYTES = 1024 * 1024

ROUTES = {"POST /v1/webhooks/stripe": webhooks.receive}

handler = serve(
    ROUTES,
    wiring.build(from_environment()),
    deadline_seconds=STRIPE_DEADLINE_SECONDS,
    max_body_bytes=MAX_EVENT_BYTES,
)
