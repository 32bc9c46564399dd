"""Administration: accounts, their plans and gifts, and the catalogue."""

from prepaid import wiring
from prepaid.api import accounts, catalogues, grants
from prepaid.api.http import Request, Response, serve


def put_account(request: Request) -> Response:
    """PUT /v1/accounts/{account}"""
    return accounts.put(request, wiring.table(), wiring.catalogue())


def show_account(request: Request) -> Response:
    """GET /v1/accounts/{account}"""
    return accounts.show(request, wiring.table())


def grant(request: Request) -> Response:
    """POST /v1/accounts/{account}/grants"""
    return grants.grant(request, wiring.table(), wiring.catalogue())


def show_packs(request: Request) -> Response:
    """GET /v1/packs"""
    return catalogues.show_packs(request, wiring.catalogue())


def show_catalogue(request: Request) -> Response:
    """GET /v1/catalog"""
    return catalogues.show_catalogue(request, wiring.table())


def put_catalogue(request: Request) -> Response:
    """PUT /v1/catalog"""
    return catalogues.put_catalogue(request, wiring.table(), wiring.catalogue())


handler = serve(
    {
        "PUT /v1/accounts/{account}": put_account,
        "GET /v1/accounts/{account}": show_account,
        "POST /v1/accounts/{account}/grants": grant,
        "GET /v1/packs": show_packs,
        "GET /v1/catalog": show_catalogue,
        "PUT /v1/catalog": put_catalogue,
    },
    wiring.now,
)
