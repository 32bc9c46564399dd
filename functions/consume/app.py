"""Spending credits: the one route that every use of a feature waits for, so it imports nothing it doesn't need."""

from prepaid import wiring
from prepaid.api import consumptions
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (consumptions.CONSUME,)


def make_handler(deps: Deps) -> LambdaHandler:
    """What Lambda calls."""
    return serve(ROUTES, deps)


handler = make_handler(wiring.build(from_environment()))
