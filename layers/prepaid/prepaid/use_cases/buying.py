"""Buying: record a purchase, then create its payment page (rule 11). A retry with the key resumes at either step."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prepaid.core.account import require_active
from prepaid.core.catalog import Catalog
from prepaid.core.errors import Busy, PurchaseNotResumable, SessionInvalid
from prepaid.core.ids import purchase_id
from prepaid.core.purchase import Purchase, new_purchase, with_page
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.store.accounts import read_account
from prepaid.store.customers import read_customer, save_customer
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.ledger import CLAIM
from prepaid.store.purchases import find_purchase_by_key, read_purchase, record_purchase, save_purchase
from prepaid.use_cases.approving import require_session

if TYPE_CHECKING:
    from prepaid.payments.sessions import Stripe

# Stripe forgets a key after a day. From then on, a retry could create a second page for a purchase.
CONTINUE_WITHIN = timedelta(hours=23)
ID_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request to buy: the pack, the idempotency key, the token of the manager's session, and the calling client.

    language: of the payment page; None for the account's.
    """

    account: str
    pack: str
    idempotency_key: str
    manager_session: str
    requested_by: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase with its page. replayed: whether an earlier request with the key recorded it."""

    purchase: Purchase
    replayed: bool


def buy(
    table: Table,
    order: Order,
    *,
    catalog: Callable[[], Catalog],
    client: "Callable[[], Stripe]",
    checkout: CheckoutConfig,
    random_bytes: Callable[[int], bytes],
    now: datetime,
) -> Bought:
    """Record the purchase and create its payment page, once per key.

    Raises AccountNotFound, IdempotencyKeyReused, AccountFrozen, AccountClosed, SessionInvalid, InvalidRequest for a
    pack that isn't on sale, CurrencyMismatch, PurchaseNotResumable, PaymentsNotConfigured, PaymentsRefused,
    PaymentsUnavailable, Busy.
    """
    terms, profile = read_account(table, order.account)
    # A retry is recognized before the session, the catalog or anything else is checked (rule 5).
    purchase = find_purchase_by_key(table, order.account, order.idempotency_key, order.pack)
    replayed = purchase is not None
    if purchase is None or purchase.checkout_url is None:
        # Also for a purchase that was recorded before the account was frozen: it doesn't get its page now.
        require_active(terms)
    # Before anything is recorded: without a key at Stripe, no purchase begins.
    stripe = client() if purchase is None else None
    if purchase is None:
        session = require_session(table, order.account, order.manager_session, now=now)
        pack = catalog().pack_on_sale(order.pack, terms.currency)
        new_id = purchase_id(now, random_bytes(ID_BYTES).hex())
        new = new_purchase(
            new_id,
            order.account,
            pack,
            language=order.language or profile.language,
            live=checkout.live,
            requested_by=order.requested_by,
            now=now,
        )
        try:
            purchase = record_purchase(table, new, order.idempotency_key, session)
        except ConditionFailed as failed:
            if CLAIM not in failed.existing:
                # Another purchase used the session, or a change of the code ended it.
                raise SessionInvalid from failed
            # A concurrent request with the same key, or this request's own write with its reply lost.
            purchase = find_purchase_by_key(table, order.account, order.idempotency_key, order.pack)
            assert purchase is not None, "claim and purchase are written together and never deleted"
            replayed = True
    if purchase.checkout_url is None:
        purchase = _make_page(table, purchase, stripe or client(), checkout, profile.name, now)
    return Bought(purchase, replayed)


def _make_page(
    table: Table, purchase: Purchase, client: "Stripe", checkout: CheckoutConfig, name: str, now: datetime
) -> Purchase:
    """The purchase with its payment page, created now or by an earlier request."""
    from prepaid.payments.checkout import CustomerGone, create_customer, create_page  # noqa: PLC0415 - heavy, rare

    if now - purchase.created_at > CONTINUE_WITHIN:
        raise PurchaseNotResumable
    customer = read_customer(table, purchase.account)
    if customer is None:
        created = create_customer(client, purchase.account, name, now=now)
        customer = save_customer(table, purchase.account, created)
    try:
        page = create_page(client, purchase, customer=customer, config=checkout, now=now)
    except CustomerGone:
        created = create_customer(client, purchase.account, name, now=now, instead_of=customer)
        customer = save_customer(table, purchase.account, created, instead_of=customer)
        page = create_page(client, purchase, customer=customer, config=checkout, now=now)
    if not page.url:
        # An earlier request created the page, and it is expired or paid already: events update the purchase.
        raise PurchaseNotResumable
    return _keep_page(table, purchase, page.session, page.url, now)


def _keep_page(table: Table, purchase: Purchase, session: str, url: str, now: datetime) -> Purchase:
    """The purchase with its page, stored unless another request stored it first. Raises PurchaseNotResumable, Busy."""
    for _ in attempts(table.deadline):
        if purchase.session not in (None, session):
            # An event named a page that this service never returned. The customer may be paying there, and could pay
            # twice with a second page.
            raise PurchaseNotResumable
        try:
            opened = with_page(purchase, session, url, now)
            save_purchase(table, opened)
            return opened
        except ConditionFailed:
            # An event, or a concurrent retry of the request, wrote first; its write must stay.
            current = read_purchase(table, purchase.account, purchase.id)
            assert current is not None, "purchases are never deleted"
            if current.checkout_url is not None:
                return current
            purchase = current
    raise Busy
