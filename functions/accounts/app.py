"""Administration: accounts, their plans and gifts, and the catalog."""

from prepaid import wiring
from prepaid.api import accounts, catalogs, grants
from prepaid.api.http import Request, Response, serve


def put_account(request: Request) -> Response:
    """PUT /v1/accounts/{account}"""
    return accounts.put(request, wiring.table(), wiring.catalog())


def show_account(request: Request) -> Response:
    """GET /v1/accounts/{account}"""
    return accounts.show(request, wiring.table())


def grant(request: Request) -> Response:
    """POST /v1/accounts/{account}/grants"""
    return grants.grant(request, wiring.table(), wiring.catalog())


def show_packs(request: Request) -> Response:
    """GET /v1/packs"""
    return catalogs.show_packs(request, wiring.catalog())


def show_catalog(request: Request) -> Response:
    """GET /v1/catalog"""
    return catalogs.show_catalog(request, wiring.table())


def put_catalog(request: Request) -> Response:
    """PUT /v1/catalog"""
    return catalogs.put_catalog(request, wiring.table(), wiring.catalog())


handler = serve(
    {
        "PUT /v1/accounts/{account}": put_account,
        "GET /v1/accounts/{account}": show_account,
        "POST /v1/accounts/{account}/grants": grant,
        "GET /v1/packs": show_packs,
        "GET /v1/catalog": show_catalog,
        "PUT /v1/catalog": put_catalog,
    },
    wiring.now,
)
