"""GET /portal: credits, quota, lots and the last lines: what the manager sees first."""

from datetime import timedelta

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.core.account import quota_limit, quota_remaining, units_left
from prepaid.deps import Deps
from prepaid.portal.pages import PageRoute
from prepaid.portal.visits import page, visit_of
from prepaid.store.ledger import read_entries

LAST_LINES = 5
# Lots that end within this time get a warning.
SOON = timedelta(days=30)


def show(request: Request, deps: Deps) -> Response:
    """GET /portal."""
    assert deps.portal is not None
    visit = visit_of(request, deps)
    account, catalog = visit.account, visit.catalog
    language = visit.session.language
    limit = quota_limit(account, catalog)
    quota = {
        "feature": catalog.quota_feature.id if catalog.quota_feature else None,
        "limit": limit,
        "used": account.quota_used,
        "remaining": quota_remaining(account, catalog),
        "renews_at": account.quota_renews_at,
    }
    usable = [(feature, units_left(account, feature, catalog)) for feature in catalog.features if feature.active]
    ending = [lot for lot in account.lots if lot.expires_at <= request.now + SOON]
    values = {
        "tab": "subscription",
        "here": "/portal",
        "account": account,
        # Always 0: the service has no holds.
        "held": 0,
        "quota": quota if limit else None,
        "usable": usable,
        "stopped": [catalog.feature_title(feature.id, language) for feature, left in usable if left == 0],
        "ending": ending,
        "entries": read_entries(deps.table, account.id, first=1, last=account.number, limit=LAST_LINES),
    }
    return page("subscription.html", visit, deps.portal, values)


SHOW = PageRoute(method="GET", path="/portal", function=show)
