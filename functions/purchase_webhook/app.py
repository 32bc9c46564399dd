"""Stripe's webhook deliveries: turns each payment into credits, once."""

from prepaid import wiring
from prepaid.api import webhooks
from prepaid.api.http.routes import STRIPE_DEADLINE_SECONDS
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

# A dispute's event contains its evidence. If it were rejected for its size, Stripe would resend it for days.
MAX_EVENT_BYTES = 1024 * 1024

ROUTES = (webhooks.RECEIVE,)


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps, deadline_seconds=STRIPE_DEADLINE_SECONDS, max_body_bytes=MAX_EVENT_BYTES)


handler = make_handler(wiring.build(from_environment()))
