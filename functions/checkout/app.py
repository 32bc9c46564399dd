"""Buying: the manager's code and sessions, purchases and their payment pages."""

from prepaid import wiring
from prepaid.api import manager_codes, portal_sessions, purchases
from prepaid.api.http.routes import STRIPE_DEADLINE_SECONDS
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.portal import buying, entering
from prepaid.settings import from_environment

ROUTES = (
    manager_codes.PUT_CODE,
    manager_codes.POST_SESSION,
    purchases.BUY,
    purchases.CANCEL,
    purchases.SHOW_ALL,
    purchases.SHOW,
    purchases.SHOW_BY_STATE,
    portal_sessions.POST,
    entering.SUBMIT_CODE,
    buying.BUY,
)


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps, deadline_seconds=STRIPE_DEADLINE_SECONDS)


handler = make_handler(wiring.build(from_environment()))
