"""Reading: what an account has, and what happened to it."""

from prepaid import wiring
from prepaid.api import balances, histories
from prepaid.api.http import Request, Response, serve


def balance(request: Request) -> Response:
    """GET /v1/accounts/{account}/balance"""
    return balances.balance(request, wiring.table(), wiring.catalog())


def history(request: Request) -> Response:
    """GET /v1/accounts/{account}/history"""
    return histories.history(request, wiring.table(), wiring.cursor_secret())


handler = serve(
    {
        "GET /v1/accounts/{account}/balance": balance,
        "GET /v1/accounts/{account}/history": history,
    },
    wiring.now,
)
