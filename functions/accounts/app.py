"""Administration: accounts, grants, the catalog and the events of all accounts."""

from prepaid import wiring
from prepaid.api import accounts
from prepaid.api.http.routes import Route
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.settings import from_environment

ROUTES = (
    accounts.PUT,
    accounts.PATCH,
    accounts.SHOW,
    accounts.SHOW_ALL,
)


def more_routes() -> tuple[Route, ...]:
    """The routes that the first request for one of them loads."""
    from prepaid.api import catalogs, events, grants  # noqa: PLC0415 - a change of an account doesn't need them

    return (
        grants.GRANT,
        grants.VOID,
        catalogs.SHOW_PACKS,
        catalogs.SHOW_CATALOG,
        catalogs.PUT_CATALOG,
        events.FEED,
    )


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps, more=more_routes)


handler = make_handler(wiring.build(from_environment()))
