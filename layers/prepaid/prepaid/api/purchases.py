"""Buying a pack, and showing purchases."""

from prepaid.api.answers import new_purchase_answer, purchase_answer
from prepaid.api.http import Request, Response, account_of, body_of, check_query, created, idempotency_key_of
from prepaid.api.requests import PurchaseRequest
from prepaid.core.errors import InvalidRequest, PurchaseNotFound
from prepaid.core.ids import PURCHASE_ID, PURCHASE_PREFIX
from prepaid.deps import Deps
from prepaid.store.accounts import read_account
from prepaid.store.purchases import read_purchase, read_purchases
from prepaid.use_cases import buying

PAGE = 50
# Sorts after every purchase's id: hexadecimal digits end at f.
NEWEST = f"{PURCHASE_PREFIX}g"


def buy(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/purchases with Manager-Session: the purchase and its page, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    asked = body_of(request, PurchaseRequest)
    bought = buying.buy(
        deps.table,
        buying.Order(
            account=account_id,
            pack=asked.pack,
            idempotency_key=key,
            manager_session=request.headers.get("manager-session", ""),
        ),
        catalog=lambda: deps.catalog(deps.table),
        client=deps.stripe,
        checkout=deps.checkout,
        random_bytes=deps.random_bytes,
        now=request.now,
    )
    return created(new_purchase_answer(bought.purchase), replayed=bought.replayed)


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
    return Response(status=200, body=purchase_answer(purchase))


def show_all(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/purchases: newest first; `cursor` goes on below a purchase."""
    account_id = account_of(request)
    check_query(request, frozenset({"cursor"}))
    cursor = request.query.get("cursor", NEWEST)
    if "cursor" in request.query and not PURCHASE_ID.fullmatch(cursor):
        raise InvalidRequest((("cursor", "is not one of ours"),))
    read_account(deps.table, account_id)
    purchases = read_purchases(deps.table, account_id, before=cursor, limit=PAGE)
    next_cursor = purchases[-1].id if len(purchases) == PAGE else None
    body = {"purchases": [purchase_answer(purchase) for purchase in purchases], "next_cursor": next_cursor}
    return Response(status=200, body=body)
