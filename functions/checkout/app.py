"""Buying: the manager's code and sessions, purchases and their payment pages."""

from prepaid import wiring
from prepaid.api import managers, purchases
from prepaid.api.http import Request, Response, serve


def put_manager_code(request: Request) -> Response:
    """PUT /v1/accounts/{account}/manager-code"""
    return managers.put_code(request, wiring.table(), wiring.pepper())


def open_manager_session(request: Request) -> Response:
    """POST /v1/accounts/{account}/manager-sessions"""
    return managers.post_session(request, wiring.table(), wiring.pepper())


def buy(request: Request) -> Response:
    """POST /v1/accounts/{account}/purchases"""
    return purchases.buy(request, wiring.table(), wiring.catalog(), wiring.checkout_config())


def show_purchases(request: Request) -> Response:
    """GET /v1/accounts/{account}/purchases"""
    return purchases.show_all(request, wiring.table())


def show_purchase(request: Request) -> Response:
    """GET /v1/accounts/{account}/purchases/{id}"""
    return purchases.show(request, wiring.table())


handler = serve(
    {
        "PUT /v1/accounts/{account}/manager-code": put_manager_code,
        "POST /v1/accounts/{account}/manager-sessions": open_manager_session,
        "POST /v1/accounts/{account}/purchases": buy,
        "GET /v1/accounts/{account}/purchases": show_purchases,
        "GET /v1/accounts/{account}/purchases/{id}": show_purchase,
    },
    wiring.now,
)
