"""Reading: what an account has, and what happened to it."""

from prepaid import wiring
from prepaid.api import balances, histories
from prepaid.api.http import serve
from prepaid.settings import from_environment

ROUTES = {
    "GET /v1/accounts/{account}/balance": balances.balance,
    "GET /v1/accounts/{account}/history": histories.history,
}

handler = serve(ROUTES, wiring.build(from_environment()))
