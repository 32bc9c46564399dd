"""A visit: one request by a manager with an open session, and the data that every page shows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.core.account import Account
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import PortalSessionEnded
from prepaid.core.portal import PortalSession
from prepaid.core.purchase import Purchase
from prepaid.deps import Deps
from prepaid.portal.pages import form_token, html, session_cookie, session_token
from prepaid.portal.rendering import render
from prepaid.portal_config import PortalConfig
from prepaid.store.accounts import Profile, read_profile
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import read_tail
from prepaid.store.purchases import NEWEST_PURCHASE, PAGE_PURCHASES, read_purchases
from prepaid.use_cases.entering import session_of
from prepaid.use_cases.reading import account_now

RECENT_PURCHASES = 20
# Purchases in these states are shown although they are not recent: a person may check a payment for a long time.
AWAITED = ("pending", "paid")
# Each view looks for them in so many pages before the recent ones. So a view of an account that buys a lot doesn't read
# all its purchases.
OLDER_PAGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """An open session and its token."""

    token: str
    session: PortalSession
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request with everything that all pages show. newest: the ledger's newest entry. account: the state after it,
    settled at `now`.

    token: the session's. purchases: the recent ones, and those of OLDER_PAGES before them whose money may still arrive,
    newest first.
    """

    token: str
    session: PortalSession
    profile: Profile
    newest: Entry
    account: Account
    catalog: Catalog
    purchases: tuple[Purchase, ...]
    now: datetime

    @property
    def zone(self) -> str:
        return self.account.terms.time_zone

    @property
    def pending(self) -> tuple[Purchase, ...]:
        """The purchases whose money may still arrive: every page shows them."""
        return tuple(purchase for purchase in self.purchases if purchase.state in AWAITED)


def signed_in(request: Request, deps: Deps) -> SignedIn:
    """The open session of a request, for a route that shows no page. Raises PortalSessionEnded, Busy."""
    token = session_token(request)
    if token is None:
        raise PortalSessionEnded
    return SignedIn(token=token, session=session_of(deps.table, token, now=request.now), now=request.now)


def visit_of(request: Request, deps: Deps) -> Visit:
    """The visit of a request. Raises PortalSessionEnded, Busy."""
    return visit_for(signed_in(request, deps), deps)


def visit_for(signed: SignedIn, deps: Deps) -> Visit:
    """The visit in an open session. Raises Busy."""
    table, session, now = deps.table, signed.session, signed.now
    stored = read_profile(table, session.account)
    assert stored is not None, "accounts are never deleted"
    newest = read_tail(table, session.account).entry
    current = account_now(table, newest, catalog=deps.catalog(table), now=now)
    return Visit(
        token=signed.token,
        session=session,
        profile=stored.profile,
        newest=newest,
        account=current.account,
        catalog=current.catalog,
        purchases=_purchases(table, session.account),
        now=now,
    )


def _purchases(table: Table, account: str) -> tuple[Purchase, ...]:
    """The recent purchases, and the somewhat older ones whose money may still arrive."""
    page = recent = read_purchases(table, account, before=NEWEST_PURCHASE, limit=RECENT_PURCHASES)
    older: list[Purchase] = []
    limit = RECENT_PURCHASES
    for _ in range(OLDER_PAGES):
        if len(page) < limit:
            break
        limit = PAGE_PURCHASES
        page = read_purchases(table, account, before=page[-1].id, limit=limit)
        older += (purchase for purchase in page if purchase.state in AWAITED)
    return (*recent, *older)


def page(template: str, visit: Visit, portal: PortalConfig, values: dict[str, Any], *, status: int = 200) -> Response:
    """A page of the visit, inside the frame that all of them share."""
    frame = {
        "visit": visit,
        "account_name": visit.profile.name,
        "zone": visit.zone,
        "status": visit.account.terms.status,
        "active": visit.account.terms.status == "active",
        "return_url": visit.session.return_url,
        "pending": visit.pending,
        "feature_title": lambda feature: visit.catalog.feature_title(feature, visit.session.language),
        "plan_title": lambda plan: visit.catalog.plan_title(plan, visit.session.language),
        "form_token": lambda form: form_token(visit.token, form),
    }
    body = render(template, visit.session.language, visit.zone, {**frame, **values}, portal)
    # Each page extends the cookie's lifetime, as it extends the session.
    return html(body, portal, status=status, cookies=(session_cookie(visit.token),))
