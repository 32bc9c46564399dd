"""/portal/purchases/{id}: a purchase's state, and how to pay it while it is pending.

Stripe doesn't redirect after a Pix payment, so the page shows the code itself and checks for the payment: by its
script, or by reloading itself.
"""

import re
from datetime import datetime

from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.core.calendar import civil
from prepaid.core.errors import PurchaseNotFound
from prepaid.core.ids import PURCHASE_ID
from prepaid.core.purchase import Purchase, Voucher
from prepaid.deps import Deps
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.pages import security_headers, session_cookie
from prepaid.portal.qr import qr_code
from prepaid.portal.views import LIVE_VIEWS, RELOADED_VIEWS, view_of
from prepaid.portal.visits import page, signed_in, visit_for
from prepaid.portal_config import PortalConfig
from prepaid.store.dynamodb import Table
from prepaid.store.purchases import read_purchase

SCANNED = "pix"
# A bank's confirmation of a boleto, in working days.
BOLETO_DAYS = 3
BOLETO_NUMBER = re.compile(r"(\d{5})(\d{5})(\d{5})(\d{6})(\d{5})(\d{6})(\d)(\d{14})", re.ASCII)
WEB_ADDRESS = re.compile(r"https?://", re.ASCII)


def show(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal/purchases/{id}. `result` in the query: the result of the payment page; it only selects a text."""
    signed = signed_in(request, deps)
    # Read before the rest: if the payment arrives meanwhile, the balance must not be older than the purchase.
    purchase = _find(deps.table, signed.session.account, request)
    visit = visit_for(signed, deps)
    view, voucher = view_of(purchase, request.now), purchase.voucher
    values = {
        "tab": "buy",
        "here": f"/portal/purchases/{purchase.id}",
        "purchase": purchase,
        "view": view,
        "confirming": view == "open" and request.query.get("result") == "completed",
        "live": view in LIVE_VIEWS,
        "reloaded": view in RELOADED_VIEWS,
        "voucher": voucher,
        "qr": qr_code(voucher.code) if voucher and voucher.method == SCANNED and view == "waiting" else None,
        "ends_today": voucher and _is_same_day(voucher.expires_at, request.now, visit.zone),
        "number_to_pay": _readable(voucher) if voucher else None,
        "voucher_pdf": voucher.pdf if voucher and WEB_ADDRESS.match(voucher.pdf or "") else None,
        "available": visit.account.available,
        "boleto_days": BOLETO_DAYS,
        # Except this purchase, whose state the page shows anyway.
        "pending": [pending_purchase for pending_purchase in visit.pending if pending_purchase.id != purchase.id],
    }
    return page("purchase.html", visit, portal, values)


def show_state(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal/purchases/{id}/state: as JSON, for the page's script."""
    signed = signed_in(request, deps)
    purchase = _find(deps.table, signed.session.account, request)
    headers = {**security_headers(portal), "Content-Type": "application/json"}
    return Response(
        status=200,
        body={"state": view_of(purchase, request.now)},
        headers=headers,
        cookies=(session_cookie(signed.token),),
    )


def _is_same_day(first: datetime, second: datetime, zone: str) -> bool:
    return civil(first, zone).date() == civil(second, zone).date()


def _readable(voucher: Voucher) -> str:
    """The voucher's code; a boleto's number in the groups that banks print."""
    groups = BOLETO_NUMBER.fullmatch(voucher.code) if voucher.method == "boleto" else None
    return "{}.{} {}.{} {}.{} {} {}".format(*groups.groups()) if groups else voucher.code


def _find(table: Table, account_id: str, request: Request) -> Purchase:
    purchase_id = request.path.get("id", "")
    purchase = read_purchase(table, account_id, purchase_id) if PURCHASE_ID.fullmatch(purchase_id) else None
    if purchase is None:
        raise PurchaseNotFound
    return purchase


SHOW = PageRoute(method="GET", path="/portal/purchases/{id}", respond=show)
SHOW_STATE = PageRoute(method="GET", path="/portal/purchases/{id}/state", respond=show_state)
