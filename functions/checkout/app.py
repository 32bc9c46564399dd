"""Buying: the manager's code and sessions, purchases and their payment pages."""

from prepaid import wiring
from prepaid.api import managers, purchases
from prepaid.api.http import STRIPE_DEADLINE_SECONDS, LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = {
    "PUT /v1/accounts/{account}/manager-code": managers.put_code,
    "POST /v1/accounts/{account}/manager-sessions": managers.post_session,
    "POST /v1/accounts/{account}/purchases": purchases.buy,
    "GET /v1/accounts/{account}/purchases": purchases.show_all,
    "GET /v1/accounts/{account}/purchases/{id}": purchases.show,
}


def make_handler(deps: Deps) -> LambdaHandler:
    """What Lambda calls."""
    return serve(ROUTES, deps, deadline_seconds=STRIPE_DEADLINE_SECONDS)


handler = make_handler(wiring.build(from_environment()))
