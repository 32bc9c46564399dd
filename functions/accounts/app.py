"""Administration: accounts, their plans and gifts, and the catalog."""

from prepaid import wiring
from prepaid.api import accounts, catalogs, grants
from prepaid.api.http import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = {
    "PUT /v1/accounts/{account}": accounts.put,
    "GET /v1/accounts/{account}": accounts.show,
    "POST /v1/accounts/{account}/grants": grants.grant,
    "GET /v1/packs": catalogs.show_packs,
    "GET /v1/catalog": catalogs.show_catalog,
    "PUT /v1/catalog": catalogs.put_catalog,
}


def make_handler(deps: Deps) -> LambdaHandler:
    """What Lambda calls."""
    return serve(ROUTES, deps)


handler = make_handler(wiring.build(from_environment()))
