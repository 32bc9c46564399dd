"""Erasing: removing the texts that name a person from an account's entries."""

from prepaid import wiring
from prepaid.api import erasures
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (erasures.ERASE,)


def make_handler(deps: Deps, *, deadline_seconds: float = erasures.WALK_SECONDS) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps, deadline_seconds=deadline_seconds)


handler = make_handler(wiring.build(from_environment()))
