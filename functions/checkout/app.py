"""Buying: the manager's code and sessions, purchases and their payment pages."""

from prepaid import wiring
from prepaid.api import managers, purchases
from prepaid.api.http import STRIPE_DEADLINE_SECONDS, serve
from prepaid.settings import from_environment

ROUTES = {
    "PUT /v1/accounts/{account}/manager-code": managers.put_code,
    "POST /v1/accounts/{account}/manager-sessions": managers.post_session,
    "POST /v1/accounts/{account}/purchases": purchases.buy,
    "GET /v1/accounts/{account}/purchases": purchases.show_all,
    "GET /v1/accounts/{account}/purchases/{id}": purchases.show,
}

handler = serve(ROUTES, wiring.build(from_environment()), deadline_seconds=STRIPE_DEADLINE_SECONDS)
