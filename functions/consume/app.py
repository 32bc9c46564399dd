"""Spending, holding and returning credits, and looking up what was spent.

Every use of a feature waits for this function, so it imports only what it needs.
"""

from prepaid import wiring
from prepaid.api import consumptions
from prepaid.api.http.routes import Route
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (
    consumptions.CONSUME,
    consumptions.SHOW,
    consumptions.FIND,
)


def more_routes() -> tuple[Route, ...]:
    """The routes that the first request for one of them loads."""
    from prepaid.api import batches, holds, reversals  # noqa: PLC0415 - a debit doesn't need them

    return (batches.BATCH, reversals.REVERSE, holds.PLACE, holds.SHOW, holds.CAPTURE, holds.RELEASE)


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps, more=more_routes)


handler = make_handler(wiring.build(from_environment()))
