"""Buying: a purchase is recorded, then its payment page is made; killed in between, the same key goes on."""

import re
import secrets
from datetime import timedelta

from prepaid.api.answers import new_purchase_answer, purchase_answer
from prepaid.api.http import Request, Response, account_of, body_of, check_query, created, idempotency_key_of
from prepaid.api.requests import PurchaseRequest
from prepaid.core.errors import InvalidRequest, PurchaseLapsed, PurchaseNotFound, SessionInvalid
from prepaid.core.purchase import Purchase, begin, opened
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.store.accounts import read_account
from prepaid.store.catalog import CatalogCache
from prepaid.store.customers import read_customer, save_customer
from prepaid.store.dynamodb import ConditionFailed, Table, attempts, persist
from prepaid.store.items import milliseconds
from prepaid.store.ledger import CLAIM
from prepaid.store.managers import require_session
from prepaid.store.purchases import (
    find_purchase_by_key,
    read_purchase,
    read_purchases,
    record_purchase,
    save_page,
)

PURCHASE_ID = re.compile(r"pur_[0-9a-f]{20}", re.ASCII)
PAGE = 50
# Stripe forgets a key after a day; from then on asking again could make a second page for one purchase.
CONTINUE_WITHIN = timedelta(hours=23)


def buy(request: Request, table: Table, catalog: CatalogCache, shop: CheckoutConfig) -> Response:
    """POST /v1/accounts/{account}/purchases with Manager-Session: the purchase and its page, once for the key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    asked = body_of(request, PurchaseRequest)
    _, profile = read_account(table, account_id, request.patience)
    purchase, begun_before = _begun(request, table, catalog, shop, account_id, key, asked.pack, profile.language)
    if purchase.checkout_url is None:
        purchase = _with_page(request, table, shop, purchase, profile.name)
    return created(new_purchase_answer(purchase), replayed=begun_before)


def show(request: Request, table: Table) -> Response:
    """GET /v1/accounts/{account}/purchases/{id}."""
    account_id = account_of(request)
    read_account(table, account_id, request.patience)
    purchase_id = request.path.get("id", "")
    if not PURCHASE_ID.fullmatch(purchase_id):
        raise PurchaseNotFound
    purchase = persist(request.patience, read_purchase, table, account_id, purchase_id)
    if purchase is None:
        raise PurchaseNotFound
    return Response(status=200, body=purchase_answer(purchase))


def show_all(request: Request, table: Table) -> Response:
    """GET /v1/accounts/{account}/purchases: newest first; `cursor` goes on below a purchase."""
    account_id = account_of(request)
    check_query(request, frozenset({"cursor"}))
    cursor = request.query.get("cursor", "pur_g")
    if "cursor" in request.query and not PURCHASE_ID.fullmatch(cursor):
        raise InvalidRequest((("cursor", "is not one of ours"),))
    read_account(table, account_id, request.patience)
    purchases = persist(request.patience, read_purchases, table, account_id, before=cursor, limit=PAGE)
    next_cursor = purchases[-1].id if len(purchases) == PAGE else None
    body = {"purchases": [purchase_answer(purchase) for purchase in purchases], "next_cursor": next_cursor}
    return Response(status=200, body=body)


def _begun(
    request: Request,
    table: Table,
    catalog: CatalogCache,
    shop: CheckoutConfig,
    account_id: str,
    key: str,
    pack_id: str,
    language: str,
) -> tuple[Purchase, bool]:
    """The recorded purchase of this key, and whether it had been recorded before."""
    for _ in attempts(request.patience):
        # A repeat is recognised before code, catalog or anything else is looked at (rule 5).
        earlier = persist(request.patience, find_purchase_by_key, table, account_id, key, pack_id)
        if earlier:
            return earlier, True
        token = request.headers.get("manager-session", "")
        session = require_session(table, account_id, token, now=request.now, patience=request.patience)
        pack = catalog(request.patience).pack_on_sale(pack_id)
        purchase_id = f"pur_{milliseconds(request.now):012x}{secrets.token_hex(4)}"
        purchase = begin(purchase_id, account_id, pack, language=language, live=shop.live, now=request.now)
        try:
            return persist(request.patience, record_purchase, table, purchase, key, session), False
        except ConditionFailed as failed:
            # Lost on the claim: the same key, at the same time or our own lost answer. Else the session was used, or
            # ended by a change of the code.
            if CLAIM not in failed.existing:
                raise SessionInvalid from failed
    raise AssertionError("attempts() ends by raising")


def _with_page(request: Request, table: Table, shop: CheckoutConfig, purchase: Purchase, name: str) -> Purchase:
    """The purchase with its payment page, made now or by whoever was here before."""
    from prepaid.payments.checkout import CustomerGone, create_customer, create_page  # noqa: PLC0415 - heavy, rare

    if request.now - purchase.created_at > CONTINUE_WITHIN:
        raise PurchaseLapsed
    client = shop.client()
    customer = persist(request.patience, read_customer, table, purchase.account)
    if customer is None:
        made = create_customer(client, purchase.account, name, now=request.now)
        customer = persist(request.patience, save_customer, table, purchase.account, made)
    try:
        page = create_page(client, purchase, customer=customer, shop=shop, now=request.now)
    except CustomerGone:
        made = create_customer(client, purchase.account, name, now=request.now, instead_of=customer)
        customer = persist(request.patience, save_customer, table, purchase.account, made, instead_of=customer)
        page = create_page(client, purchase, customer=customer, shop=shop, now=request.now)
    if not page.url:
        # Made before, and over or paid already: its events tell the rest.
        raise PurchaseLapsed
    return _keep_page(request, table, purchase, page.session, page.url)


def _keep_page(request: Request, table: Table, purchase: Purchase, session: str, url: str) -> Purchase:
    """The purchase with its page, written unless somebody was quicker."""
    for _ in attempts(request.patience):
        if purchase.session not in (None, session):
            # An event told of a page that nobody has heard of. Somebody may be paying there: a second one would be paid
            # for nothing.
            raise PurchaseLapsed
        try:
            with_page = opened(purchase, session, url, request.now)
            persist(request.patience, save_page, table, with_page)
            return with_page
        except ConditionFailed:
            # An event or the same request elsewhere was quicker; what it wrote must stay.
            current = persist(request.patience, read_purchase, table, purchase.account, purchase.id)
            assert current is not None
            if current.checkout_url is not None:
                return current
            purchase = current
    raise AssertionError("attempts() ends by raising")
