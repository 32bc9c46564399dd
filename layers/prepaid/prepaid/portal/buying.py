"""/portal/buy: the packs side by side, and the form that leads to the payment page.

The form carries a nonce. The purchase's idempotency key derives from the nonce and the pack: a double click makes one
purchase; going back and choosing another pack makes another. The manager session that opened together with the portal
session approves one purchase; after that, the form asks for the manager's code.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from prepaid.api.http.problems import problem_response
from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.core.errors import (
    AccountClosed,
    AccountFrozen,
    Busy,
    CodeLocked,
    CurrencyMismatch,
    IdempotencyKeyReused,
    InvalidRequest,
    PurchaseNotResumable,
    SessionInvalid,
    WrongCode,
)
from prepaid.core.lasting import Duration, lasts
from prepaid.core.offers import Offer, offers_in
from prepaid.core.purchase import Purchase
from prepaid.deps import Deps
from prepaid.payments.errors import PaymentsNotConfigured, PaymentsRefused, PaymentsUnavailable
from prepaid.portal.lines import THIS_PAGE
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.pages import check_form_token, form_of, form_token, redirect, typed_code
from prepaid.portal.views import unfinished
from prepaid.portal.visits import SignedIn, Visit, page, signed_in, visit_for, visit_of
from prepaid.portal_config import PortalConfig
from prepaid.store.ledger import read_tail
from prepaid.use_cases import buying
from prepaid.use_cases.approving import open_session, require_session
from prepaid.use_cases.entering import first_manager_session
from prepaid.use_cases.reporting import recent_use

NONCE_BYTES = 16
MAX_MISSING = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A pack as the page shows it. lasts: how long, at the account's recent use; None when unknown.

    covers: whether it is the smallest pack that covers the missing credits. beyond: whether its credits would expire
    before they are used. open: a purchase of the same pack whose payment isn't finished.
    """

    offer: Offer
    covers: bool
    lasts: Duration | None
    beyond: bool
    open: Purchase | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a purchase didn't begin. reason: the name of its text. pack: the chosen pack."""

    reason: str
    status: int
    pack: str
    tries_left: int | None = None
    locked_until: datetime | None = None
    # A retry of a purchase that is recorded already needs no code.
    recorded: bool = False


def show(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal/buy: the packs. `missing` in the query: the credits that a refusal named."""
    missing = request.query.get("missing", "")
    credits = int(missing) if missing.isascii() and missing.isdecimal() and len(missing) <= len(str(MAX_MISSING)) else 0
    return _packs(visit_of(request, deps), deps, portal, nonce=_new_nonce(deps), missing=credits)


def buy(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """POST /portal/buy: records the purchase and leads to its payment page."""
    fields = form_of(request, portal)
    signed = signed_in(request, deps)
    check_form_token(fields, signed.token, _form(fields.get("nonce", "")))
    try:
        purchase = _purchase(signed, fields, deps, f"{portal.url or f'https://{request.domain}'}/portal/purchases")
    except FAILURES as error:
        return _packs_again(error, signed, fields, deps, portal)
    if purchase.state == "open" and purchase.checkout_url:
        return redirect(purchase.checkout_url, portal)
    # A second click after the payment.
    return redirect(f"/portal/purchases/{purchase.id}", portal)


def _purchase(signed: SignedIn, fields: Mapping[str, str], deps: Deps, purchases_url: str) -> Purchase:
    """The form's purchase, begun now or by an earlier click. Raises FAILURES."""
    assert deps.checkout is not None
    nonce, pack = fields.get("nonce", ""), fields.get("pack", "")
    order = buying.Order(
        account=signed.session.account,
        pack=pack,
        idempotency_key=_key(signed.token, "purchase", nonce, pack),
        manager_session=_manager_session(signed, fields, deps),
        requested_by=THIS_PAGE,
        language=signed.session.language,
    )
    return buying.buy(
        deps.table,
        order,
        catalog=lambda: deps.catalog(deps.table),
        client=lambda: deps.stripe(deps.table.deadline),
        checkout=replace(deps.checkout, purchases_url=purchases_url),
        random_bytes=deps.random_bytes,
        now=signed.now,
    ).purchase


def _packs_again(
    error: Exception, signed: SignedIn, fields: Mapping[str, str], deps: Deps, portal: PortalConfig
) -> Response:
    """The packs again, with the error. With the same nonce, the next click continues the same purchase."""
    pack, nonce = fields.get("pack", ""), fields.get("nonce", "")
    headers: dict[str, str] = {}
    reported: Exception | None = None
    match error:
        case _NoCode():
            failure = Failure(reason="code_six_digits", status=422, pack=pack)
        case WrongCode():
            failure = Failure(reason="code_wrong", status=403, pack=pack, tries_left=error.tries_left)
        case CodeLocked():
            until = signed.now + timedelta(seconds=error.retry_after_seconds)
            failure = Failure(reason="code_locked", status=429, pack=pack, locked_until=until)
            headers = {"Retry-After": str(error.retry_after_seconds)}
        case SessionInvalid() | IdempotencyKeyReused():
            failure = Failure(reason="code_needed", status=403, pack=pack)
            # The manager session that this form's code opened has ended.
            nonce = _new_nonce(deps) if "code" in fields else nonce
        case InvalidRequest() | CurrencyMismatch():
            failure = Failure(reason="pack_gone", status=422, pack=pack)
        case AccountFrozen() | AccountClosed():
            # The page's frame states it.
            failure = Failure(reason="code_stopped", status=409, pack=pack)
        case PurchaseNotResumable():
            failure, nonce = Failure(reason="order_old", status=409, pack=pack), _new_nonce(deps)
        case PaymentsNotConfigured():
            failure, reported = Failure(reason="not_configured", status=503, pack=pack), error
        case _:
            problem, reported = problem_response(error), error
            headers = {name: value for name, value in problem.headers.items() if name == "Retry-After"}
            failure = Failure(reason="payments", status=problem.status, pack=pack, recorded=not isinstance(error, Busy))
    page = _packs(visit_for(signed, deps), deps, portal, nonce=nonce, failure=failure)
    return replace(page, headers={**page.headers, **headers}, error=reported)


class _NoCode(Exception):
    """The typed text can't be a code."""


FAILURES = (
    _NoCode,
    AccountFrozen,
    AccountClosed,
    WrongCode,
    CodeLocked,
    SessionInvalid,
    IdempotencyKeyReused,
    InvalidRequest,
    CurrencyMismatch,
    PurchaseNotResumable,
    PaymentsUnavailable,
    PaymentsNotConfigured,
    PaymentsRefused,
    Busy,
)


def _manager_session(signed: SignedIn, fields: Mapping[str, str], deps: Deps) -> str:
    """The token of the manager session that approves the purchase. Raises _NoCode, and the same as open_session."""
    if "code" not in fields:
        return first_manager_session(signed.token)
    code = typed_code(fields)
    if code is None:
        raise _NoCode
    # A double click opens one session.
    key = _key(signed.token, "session", fields["nonce"], fields.get("pack", ""))
    account = signed.session.account
    terms = read_tail(deps.table, account).entry.after.terms
    return open_session(deps.table, account, terms, code, key, deps.codes(deps.table.deadline), now=signed.now).token


def _key(token: str, use: str, nonce: str, pack: str) -> str:
    """An idempotency key of the form. Only the holder of the page's session can make it."""
    return f"portal-{hmac.digest(token.encode(), f'{use}\n{nonce}\n{pack}'.encode(), 'sha256').hex()}"


def _form(nonce: str) -> str:
    return f"buy\n{nonce}"


def _new_nonce(deps: Deps) -> str:
    return deps.random_bytes(NONCE_BYTES).hex()


def _packs(
    visit: Visit, deps: Deps, portal: PortalConfig, *, nonce: str, missing: int = 0, failure: Failure | None = None
) -> Response:
    """The page of the packs, with the error of the last try."""
    needed = visit.account.owed + missing
    catalog, currency = visit.catalog, visit.account.terms.currency
    covering = catalog.smallest_pack_covering(needed, currency) if needed else None
    per_day = recent_use(deps.table, visit.newest, now=visit.now)
    values = {
        "tab": "buy",
        "here": "/portal/buy",
        "choices": [
            _choice(offer, visit, per_day, covers=offer.pack == covering, owed=visit.account.owed)
            for offer in offers_in(catalog, currency)
        ],
        "owed": visit.account.owed,
        "missing": missing,
        "covering": covering,
        "nonce": nonce,
        "token": form_token(visit.token, _form(nonce)),
        "code_needed": not ((failure and failure.recorded) or _has_first_session(visit, deps)),
        "failure": failure,
        "manager_contact": visit.profile.manager_contact,
    }
    return page("buy.html", visit, portal, values, status=failure.status if failure else 200)


def _choice(offer: Offer, visit: Visit, per_day: Fraction | None, *, covers: bool, owed: int) -> Choice:
    usable = max(0, offer.pack.credits - owed)
    duration = lasts(usable, per_day, offer.pack.valid_months) if per_day and usable else None
    return Choice(
        offer=offer,
        covers=covers,
        lasts=duration,
        beyond=bool(per_day and usable and duration is None),
        open=unfinished(visit.purchases, offer.pack.id, visit.now),
    )


def _has_first_session(visit: Visit, deps: Deps) -> bool:
    """Whether the manager session that opened with the portal session can still approve a purchase."""
    try:
        session = require_session(deps.table, visit.account.id, first_manager_session(visit.token), now=visit.now)
    except SessionInvalid:
        return False
    return session.purchase is None


SHOW = PageRoute(method="GET", path="/portal/buy", respond=show)
BUY = PageRoute(method="POST", path="/portal/buy", respond=buy)
