"""Administration: accounts, their plans and gifts, and the catalog."""

from prepaid import wiring
from prepaid.api import accounts, catalogs, grants
from prepaid.api.http import serve
from prepaid.settings import from_environment

ROUTES = {
    "PUT /v1/accounts/{account}": accounts.put,
    "GET /v1/accounts/{account}": accounts.show,
    "POST /v1/accounts/{account}/grants": grants.grant,
    "GET /v1/packs": catalogs.show_packs,
    "GET /v1/catalog": catalogs.show_catalog,
    "PUT /v1/catalog": catalogs.put_catalog,
}

handler = serve(ROUTES, wiring.build(from_environment()))
