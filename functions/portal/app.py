"""The subscription page, for reading: it can't buy, grant, or read the pepper."""

from prepaid import wiring
from prepaid.api.http.routes import PAGE_DEADLINE_SECONDS
from prepaid.api.http.serving import LambdaHandler, serve
from prepaid.deps import Deps
from prepaid.portal import asset_files, buying, elsewhere, entering, history, purchases, reports, subscription
from prepaid.settings import from_environment

PAGES = (
    asset_files.SHOW,
    entering.SHOW_CODE_FORM,
    entering.SHOW_CODE_FORM_HEAD,
    entering.LEAVE,
    entering.CHANGE_LANGUAGE,
    subscription.SHOW,
    buying.SHOW,
    purchases.SHOW,
    purchases.SHOW_STATE,
    history.SHOW,
    reports.SHOW,
)
ROUTES = (*PAGES, *elsewhere.routes_around(PAGES))


def make_handler(deps: Deps) -> LambdaHandler:
    """The function's Lambda handler."""
    return serve(ROUTES, deps, deadline_seconds=PAGE_DEADLINE_SECONDS)


handler = make_handler(wiring.build(from_environment()))
