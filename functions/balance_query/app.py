"""Reading: balances, histories and statements."""

from prepaid import wiring
from prepaid.api import balances, histories, statements
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (balances.SHOW, histories.SHOW, statements.SHOW)


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps)


handler = make_handler(wiring.build(from_environment()))
