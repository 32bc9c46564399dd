"""Spending, holding and returning credits, and looking up what was spent. Every use of a feature waits, so this
imports only what it needs."""

from prepaid import wiring
from prepaid.api import consumptions, holds, reversals
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (
    consumptions.CONSUME,
    consumptions.BATCH,
    consumptions.SHOW,
    consumptions.FIND,
    reversals.REVERSE,
    holds.PLACE,
    holds.SHOW,
    holds.CAPTURE,
    holds.RELEASE,
)


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps)


handler = make_handler(wiring.build(from_environment()))
