"""Reading: balances, quotes, histories, statements, usage and events."""

from prepaid import wiring
from prepaid.api import balances
from prepaid.api.http.routes import Route
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (balances.SHOW,)


def more_routes() -> tuple[Route, ...]:
    """The routes that the first request for one of them loads."""
    from prepaid.api import events, histories, quotes, statements, usages  # noqa: PLC0415 - a balance doesn't need them

    return (quotes.QUOTE, histories.SHOW, statements.SHOW, usages.SHOW, events.LIST)


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps, more=more_routes)


handler = make_handler(wiring.build(from_environment()))
