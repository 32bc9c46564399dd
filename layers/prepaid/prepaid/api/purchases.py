"""/v1/accounts/{account}/purchases: buying a pack and showing purchases."""

from dataclasses import replace
from typing import Literal, TypedDict, cast, get_args

from prepaid.api.http.bodies import Body, Slug, body_of
from prepaid.api.http.cursors import read_cursor, sign_cursor
from prepaid.api.http.requests import (
    Request,
    account_of,
    caller_for_every_account,
    caller_of,
    check_query,
    idempotency_key_of,
)
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    NO_ACCOUNT,
    NOT_ACTIVE,
    REPLAYED,
    Parameter,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.errors import InvalidRequest, PurchaseNotFound
from prepaid.core.ids import PURCHASE_ID
from prepaid.core.purchase import Purchase, PurchaseState
from prepaid.deps import Deps
from prepaid.store.accounts import read_account
from prepaid.store.dynamodb import Table
from prepaid.store.purchases import NEWEST_PURCHASE, read_purchase, read_purchases, read_purchases_in
from prepaid.use_cases import buying, cancelling

LISTING, BY_STATE = "purchases", "purchases by state"
# Reads for one page of an account when few purchases match.
MAX_READS = 5
PAGE = 50


class PurchaseRequest(Body):
    """A pack to buy."""

    pack: Slug


class VoucherResponse(TypedDict):
    """What the customer pays a pending purchase with. code: Pix copia e cola, or a boleto's number. pdf: the boleto."""

    method: Literal["pix", "boleto"]
    code: str
    expires_at: Time
    pdf: str | None


class PurchaseResponse(TypedDict):
    """A purchase. amount, refunded_amount, disputed_amount: minor units of the currency. voucher: while pending."""

    id: str
    state: str
    checkout_url: str | None
    voucher: VoucherResponse | None
    pack: str
    credits: int
    amount: int
    currency: str
    valid_months: int
    lot: str | None
    expires_at: Time | None
    refunded_amount: int
    disputed_amount: int
    revoked_credits: int
    created_at: Time


class ListedPurchaseResponse(PurchaseResponse):
    """A purchase with its account."""

    account: str


class ListedPurchasesResponse(TypedDict):
    """A page of purchases of all accounts, newest first. next_cursor: null on the last page.

    A page may have few purchases or none and still have a next page: continue until next_cursor is null.
    """

    purchases: list[ListedPurchaseResponse]
    next_cursor: str | None


class PurchasesResponse(TypedDict):
    """A page of purchases, newest first. next_cursor: null on the last page."""

    purchases: list[PurchaseResponse]
    next_cursor: str | None


def buy(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/purchases with Manager-Session: the purchase and its page, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, PurchaseRequest)
    assert deps.checkout is not None
    bought = buying.buy(
        deps.table,
        buying.Order(
            account=account_id,
            pack=body.pack,
            idempotency_key=key,
            manager_session=request.headers.get("manager-session", ""),
            requested_by=caller_of(request).name,
        ),
        catalog=lambda: deps.catalog(deps.table),
        client=lambda: deps.stripe(deps.table.deadline),
        checkout=deps.checkout,
        random_bytes=deps.random_bytes,
        now=request.now,
    )
    return created(new_purchase_response(bought.purchase), replayed=bought.replayed)


def cancel(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/purchases/{id}/cancel: cancel an open purchase and close its page, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    purchase_id = request.path.get("id", "")
    if not PURCHASE_ID.fullmatch(purchase_id):
        read_account(deps.table, account_id)
        raise PurchaseNotFound
    cancelled = cancelling.cancel(
        deps.table,
        cancelling.Cancellation(account=account_id, purchase=purchase_id, idempotency_key=key),
        client=lambda: deps.stripe(deps.table.deadline),
        now=request.now,
    )
    # As it was when it was cancelled: a payment that arrives later is still granted.
    when_cancelled = replace(cancelled.purchase, state="cancelled", lots=(), refunded=0, disputed=0, revoked=0)
    headers = {"Idempotent-Replayed": "true"} if cancelled.replayed else {}
    return Response(status=200, body=purchase_response(when_cancelled), headers=headers)


def show(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/purchases/{id}."""
    account_id = account_of(request)
    read_account(deps.table, account_id)
    purchase_id = request.path.get("id", "")
    if not PURCHASE_ID.fullmatch(purchase_id):
        raise PurchaseNotFound
    purchase = read_purchase(deps.table, account_id, purchase_id)
    if purchase is None:
        raise PurchaseNotFound
    return Response(status=200, body=purchase_response(purchase))


def show_all(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/purchases: newest first, page by page."""
    account_id = account_of(request)
    check_query(request, frozenset({"cursor", "state"}))
    state = _state(request.query["state"]) if "state" in request.query else None
    filters, before = {"state": state} if state else {}, NEWEST_PURCHASE
    if "cursor" in request.query:
        before = read_cursor(
            request.query["cursor"], LISTING, account_id, filters, deps.cursor_secrets(deps.table.deadline)
        )
    read_account(deps.table, account_id)
    page, last = _page_of(deps.table, account_id, state, before)
    next_cursor = (
        sign_cursor(last, LISTING, account_id, filters, deps.cursor_secrets(deps.table.deadline)) if last else None
    )
    body: PurchasesResponse = {
        "purchases": [purchase_response(purchase) for purchase in page],
        "next_cursor": next_cursor,
    }
    return Response(status=200, body=body)


def show_by_state(request: Request, deps: Deps) -> Response:
    """GET /v1/purchases?state=: the purchases of all accounts in this state, newest first, page by page."""
    caller_for_every_account(request)
    check_query(request, frozenset({"state", "cursor"}))
    state, before = _state(request.query.get("state", "")), NEWEST_PURCHASE
    if "cursor" in request.query:
        before = read_cursor(
            request.query["cursor"], BY_STATE, "", {"state": state}, deps.cursor_secrets(deps.table.deadline)
        )
    purchases, last = read_purchases_in(deps.table, state, before=before, limit=PAGE)
    next_cursor = (
        sign_cursor(last, BY_STATE, "", {"state": state}, deps.cursor_secrets(deps.table.deadline)) if last else None
    )
    body: ListedPurchasesResponse = {
        "purchases": [{**purchase_response(purchase), "account": purchase.account} for purchase in purchases],
        "next_cursor": next_cursor,
    }
    return Response(status=200, body=body)


def _page_of(
    table: Table, account_id: str, state: PurchaseState | None, before: str
) -> tuple[list[Purchase], str | None]:
    """A page of an account's purchases with ids below `before`, and the last id read if there may be more."""
    matching: list[Purchase] = []
    for _ in range(MAX_READS):
        # One more than a page shows whether there is a next page.
        purchases = read_purchases(table, account_id, before=before, limit=PAGE + 1)
        for purchase in purchases[:PAGE]:
            before = purchase.id
            if state in {None, purchase.state}:
                matching.append(purchase)
            if len(matching) == PAGE:
                break
        has_more = bool(purchases) and purchases[-1].id < before
        if len(matching) == PAGE or not has_more:
            return matching, before if has_more else None
    return matching, before


def _state(text: str) -> PurchaseState:
    for state in get_args(PurchaseState):
        if text == state:
            return cast("PurchaseState", state)
    raise InvalidRequest((("state", f"must be one of {', '.join(get_args(PurchaseState))}"),))


def purchase_response(purchase: Purchase) -> PurchaseResponse:
    """A purchase in its current state."""
    return {
        "id": purchase.id,
        "state": purchase.state,
        "checkout_url": purchase.checkout_url,
        "voucher": _voucher_response(purchase),
        "pack": purchase.pack,
        "credits": purchase.credits,
        "amount": purchase.amount,
        "currency": purchase.currency,
        "valid_months": purchase.valid_months,
        # The newest lot: credits restored after their expiry return in another lot.
        "lot": purchase.lots[-1].id if purchase.granted else None,
        "expires_at": rfc3339(purchase.lots[-1].expires_at) if purchase.granted else None,
        "refunded_amount": purchase.refunded,
        "disputed_amount": purchase.disputed,
        "revoked_credits": purchase.revoked,
        "created_at": rfc3339(purchase.created_at),
    }


def _voucher_response(purchase: Purchase) -> VoucherResponse | None:
    voucher = purchase.voucher
    if voucher is None or purchase.state != "pending":
        return None
    return {
        "method": voucher.method,
        "code": voucher.code,
        "expires_at": rfc3339(voucher.expires_at),
        "pdf": voucher.pdf,
    }


def new_purchase_response(purchase: Purchase) -> PurchaseResponse:
    """The response to a purchase request: the purchase when its page was new, so that a replay returns the same."""
    opened = replace(purchase, state="open", lots=(), refunded=0, disputed=0, revoked=0)
    return purchase_response(opened)


STATE = {"type": "string", "enum": list(get_args(PurchaseState))}
BUY = Route(
    method="POST",
    path="/v1/accounts/{account}/purchases",
    operation_id="buyPack",
    summary="Record a purchase and create its payment page",
    scopes=("prepaid/buy",),
    parameters=(
        ACCOUNT,
        KEY,
        Parameter(
            name="Manager-Session",
            where="header",
            required=True,
            description="`manager_session` of an open, unused session.",
        ),
    ),
    body=PurchaseRequest,
    responses={201: ResponseSchema(PurchaseResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        403: ("forbidden", "manager_session_invalid"),
        409: ("idempotency_key_reused", "purchase_not_resumable", "currency_mismatch", *NOT_ACTIVE),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
        502: ("payment_provider_refused",),
        503: ("busy", "payments_unavailable", "payments_not_configured"),
    },
    function=buy,
)
CANCEL = Route(
    method="POST",
    path="/v1/accounts/{account}/purchases/{id}/cancel",
    operation_id="cancelPurchase",
    summary="Cancel an open purchase and close its payment page",
    scopes=("prepaid/buy",),
    parameters=(
        ACCOUNT,
        Parameter(name="id", where="path", required=True, description="The purchase's id."),
        KEY,
    ),
    responses={200: ResponseSchema(PurchaseResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        404: ("account_not_found", "purchase_not_found"),
        409: ("idempotency_key_reused", "purchase_not_cancellable"),
        413: ("body_too_large",),
        502: ("payment_provider_refused",),
        503: ("busy", "payments_unavailable", "payments_not_configured"),
    },
    function=cancel,
)
SHOW_ALL = Route(
    method="GET",
    path="/v1/accounts/{account}/purchases",
    operation_id="listPurchases",
    summary="Purchases, newest first",
    scopes=("prepaid/read",),
    parameters=(
        ACCOUNT,
        Parameter(name="state", description="Only purchases in this state.", schema=STATE),
        Parameter(
            name="cursor",
            description="`next_cursor` of the previous page, with the same state; default: the newest purchases.",
        ),
    ),
    responses={200: ResponseSchema(PurchasesResponse)},
    refusals={400: ("invalid_cursor",), **NO_ACCOUNT, 422: ("invalid_request",)},
    function=show_all,
)
SHOW_BY_STATE = Route(
    method="GET",
    path="/v1/purchases",
    operation_id="listPurchasesByState",
    summary="Purchases of all accounts in one state, newest first",
    scopes=("prepaid/admin",),
    parameters=(
        Parameter(name="state", required=True, description="The state.", schema=STATE),
        Parameter(name="cursor", description="`next_cursor` of the previous page, with the same state."),
    ),
    responses={200: ResponseSchema(ListedPurchasesResponse)},
    refusals={400: ("invalid_cursor",), 422: ("invalid_request",)},
    function=show_by_state,
)
SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}/purchases/{id}",
    operation_id="getPurchase",
    summary="A purchase",
    scopes=("prepaid/read",),
    parameters=(ACCOUNT, Parameter(name="id", where="path", required=True, description="The purchase's id.")),
    responses={200: ResponseSchema(PurchaseResponse)},
    refusals={404: ("account_not_found", "purchase_not_found")},
    function=show,
)
