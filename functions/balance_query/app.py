"""Reading: balances, quotes, histories, statements, usage and events."""

from prepaid import wiring
from prepaid.api import balances, events, histories, quotes, statements, usages
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (balances.SHOW, quotes.QUOTE, histories.SHOW, statements.SHOW, usages.SHOW, events.LIST)


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps)


handler = make_handler(wiring.build(from_environment()))
