"""GET /portal: the first screen, with credits, quota, lots, a year of use and the last lines."""

from dataclasses import dataclass

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.core.account import Lot, quota_limits, quota_remaining, quotas_remaining, units_left
from prepaid.core.catalog import Feature
from prepaid.core.entry import Entry
from prepaid.core.offers import offers_in
from prepaid.deps import Deps
from prepaid.portal.ending import ending_soon
from prepaid.portal.lines import is_shown
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.usage import read_usage
from prepaid.portal.visits import Visit, page, visit_of
from prepaid.portal_config import PortalConfig
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import find_entries, read_entries

LAST_LINES = 5
# How many entries are read to find the last lines, because some entries are not shown as lines.
READ_ENTRIES = 20
# How many lots the table lists. It adds up the others.
LISTED_LOTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class UsableFeature:
    """A feature and what is left of it. left: units, None without a limit. from_quota: those that the quota pays."""

    feature: Feature
    left: int | None
    from_quota: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedLot:
    """A lot in the table. reason: why the platform granted the credits; None for credits that were bought."""

    lot: Lot
    reason: str | None


def show(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal."""
    visit = visit_of(request, deps)
    account, catalog = visit.account, visit.catalog
    usable = [
        UsableFeature(
            feature=feature,
            left=units_left(account, feature, catalog),
            from_quota=quota_remaining(account, feature, catalog),
        )
        for feature in catalog.features
        if feature.active
    ]
    quotas = _quotas(visit)
    # For an account that isn't active, the page's frame says that everything has stopped.
    stopped = [
        usable_feature.feature
        for usable_feature in usable
        if usable_feature.left == 0 and account.terms.status == "active"
    ]
    entries = read_entries(deps.table, account.id, first=1, last=account.number, limit=READ_ENTRIES)
    listed = account.lots[:LISTED_LOTS]
    values = {
        "tab": "subscription",
        "here": "/portal",
        "account": account,
        # When the first hold with credits lapses.
        "held_until": min((hold.lapses_at for hold in account.holds if hold.charge.credits), default=None),
        "plan": catalog.plan(account.terms.plan),
        "quotas": quotas,
        "usable": usable,
        "stopped": stopped,
        # Whether the renewal helps a stopped feature (rule 8).
        "renewed": {feature.id for feature in stopped} & {quota["feature"] for quota in quotas},
        "packs_on_sale": bool(offers_in(catalog, account.terms.currency)),
        "manager_contact": visit.profile.manager_contact,
        "ending": ending_soon(account.lots, request.now, visit.zone),
        "lots": _with_reasons(deps.table, account.id, listed, entries),
        "more_lots": account.lots[LISTED_LOTS:],
        "entries": [entry for entry in entries if is_shown(entry)][:LAST_LINES],
        "usage": read_usage(deps, visit),
    }
    return page("subscription.html", visit, portal, values)


def _quotas(visit: Visit) -> list[dict[str, object]]:
    account, catalog = visit.account, visit.catalog
    remaining = quotas_remaining(account, catalog)
    return [
        {
            "feature": feature,
            "limit": limit,
            "used": account.quotas_used.get(feature, 0),
            "remaining": remaining[feature],
        }
        for feature, limit in quota_limits(account, catalog).items()
    ]


def _with_reasons(table: Table, account_id: str, lots: tuple[Lot, ...], entries: tuple[Entry, ...]) -> list[ListedLot]:
    """The lots, with the reasons for those that weren't bought. entries: those that the caller has already read."""
    granted = {lot.number for lot in lots if lot.kind != "purchase"}
    by_number = {entry.number: entry for entry in entries}
    by_number |= find_entries(table, account_id, granted - by_number.keys())
    return [
        ListedLot(lot=lot, reason=by_number[lot.number].description if lot.number in granted else None) for lot in lots
    ]


SHOW = PageRoute(method="GET", path="/portal", respond=show)
