"""Payment pages: one Stripe Checkout Session per recorded purchase, even if the request is retried."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import stripe

from prepaid.core.languages import language_file
from prepaid.core.purchase import Purchase
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.events import METADATA_ACCOUNT, METADATA_PURCHASE, METADATA_STACK
from prepaid.payments.sessions import MISSING, translate_errors

# How long a customer has to pay a voucher; the page itself expires after a day.
BOLETO_DAYS = 3
PIX_SECONDS = 86_400
# The most sessions of a customer to search. Each purchase needs the manager's code, so a customer starts far fewer
# within the day in which a purchase can be resumed.
MAX_SESSIONS = 100
CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CheckoutPage:
    """A checkout session and its address."""

    session: str
    url: str


class CustomerGone(Exception):
    """The customer doesn't exist at Stripe: deleted by hand, or created in the other mode (live or test)."""


def read_page_status(client: stripe.StripeClient, session: str) -> str:
    """Whether a payment page is open, complete or expired. Raises PaymentsRefused, PaymentsUnavailable."""
    with translate_errors():
        return client.v1.checkout.sessions.retrieve(session).status or ""


def close_page(client: stripe.StripeClient, session: str) -> str:
    """Close a payment page. Returns its new status: expired, or complete if the customer was faster.

    Raises PaymentsRefused, PaymentsUnavailable.
    """
    with translate_errors():
        try:
            return client.v1.checkout.sessions.expire(session).status or ""
        except stripe.InvalidRequestError:
            # Stripe closes open pages only.
            status = client.v1.checkout.sessions.retrieve(session).status or ""
            if status == "open":
                raise
            return status


def create_customer(
    client: stripe.StripeClient, account_id: str, name: str, *, now: datetime, instead_of: str = ""
) -> str:
    """Create the account's customer at Stripe and return its id; a retry returns the same id.

    instead_of: the customer to replace; "" when there is none. Raises PaymentsRefused, PaymentsUnavailable.
    """
    digest = sha256(f"{name}\n{instead_of}".encode()).hexdigest()[:16]

    def create(key: str) -> str:
        parameters: Any = {"name": name, "metadata": {METADATA_ACCOUNT: account_id}}
        return client.v1.customers.create(parameters, {"idempotency_key": key}).id

    with translate_errors():
        # A second customer of an account would do no harm: the store keeps only one.
        return _create_once(create, f"customer-{account_id}-{digest}", find_existing=lambda: None, now=now)


def create_page(
    client: stripe.StripeClient, purchase: Purchase, *, customer: str, config: CheckoutConfig, now: datetime
) -> CheckoutPage:
    """The payment page of a purchase. Its idempotency key derives from the purchase, so a retry makes no second page.

    Raises CustomerGone, PaymentsRefused, PaymentsUnavailable.
    """

    def create(key: str) -> CheckoutPage:
        try:
            parameters: Any = _parameters(purchase, customer, config)
            return _page(client.v1.checkout.sessions.create(parameters, {"idempotency_key": key}))
        except stripe.InvalidRequestError as error:
            if error.code == MISSING and error.param == "customer":
                raise CustomerGone from error
            raise

    with translate_errors():
        return _create_once(
            create,
            # The key names the customer: after a request for a customer who no longer exists, another one needs a new
            # key.
            f"checkout-{purchase.id}-{customer}",
            find_existing=lambda: _find_page(client, purchase, customer),
            now=now,
        )


def _create_once[T](create: Callable[[str], T], key: str, *, find_existing: Callable[[], T | None], now: datetime) -> T:
    """Create under an idempotency key; recover when Stripe only replays an earlier error for it.

    For a day, Stripe replays a key's first response, even an error whose cause has been fixed, and rejects other
    parameters, for example after a deployment with another return URL. That first request has finished, so
    `find_existing` finds what it created; if it created nothing, a new key is safe.
    """
    try:
        return create(key)
    except stripe.StripeError as error:
        if not _is_used_up(error):
            raise
    return find_existing() or create(f"{key}-{int(now.timestamp())}")


def _is_used_up(error: stripe.StripeError) -> bool:
    if isinstance(error, stripe.IdempotencyError):
        return True
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return headers.get("idempotent-replayed") == "true"


def _find_page(client: stripe.StripeClient, purchase: Purchase, customer: str) -> CheckoutPage | None:
    """The page that an earlier request created for the purchase at Stripe, or None."""
    since = int((purchase.created_at - CLOCKS_DIFFER).timestamp())
    sessions = client.v1.checkout.sessions.list(
        {"customer": customer, "created": {"gte": since}, "limit": MAX_SESSIONS}
    )
    return next((_page(session) for session in sessions.data if session.client_reference_id == purchase.id), None)


def _page(session: stripe.checkout.Session) -> CheckoutPage:
    return CheckoutPage(session.id, session.url or "")


def _parameters(purchase: Purchase, customer: str, config: CheckoutConfig) -> dict[str, Any]:
    methods = [name for name in config.payment_methods if purchase.currency == "brl" or name not in OPTIONS]
    metadata = {METADATA_ACCOUNT: purchase.account, METADATA_PURCHASE: purchase.id, METADATA_STACK: config.stack}
    return_url, language = _way_back(purchase, config), language_file(purchase.language)
    return {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": purchase.currency,
                    "unit_amount": purchase.amount,
                    "product_data": {"name": language.product.format(credits=purchase.credits)},
                },
            }
        ],
        "allowed_payment_method_types": methods,
        "payment_method_options": {name: OPTIONS[name] for name in methods if name in OPTIONS},
        # The amount paid must equal the amount recorded: nothing on the page may change it.
        "allow_promotion_codes": False,
        "adaptive_pricing": {"enabled": False},
        "client_reference_id": purchase.id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "customer": customer,
        "locale": language.payment_locale,
        # Stripe also uses this address after a customer chose a boleto, which isn't paid yet.
        "success_url": f"{return_url}completed",
        "cancel_url": f"{return_url}cancelled",
    }


def _way_back(purchase: Purchase, config: CheckoutConfig) -> str:
    """The address to which the payment page leads back, without the result at its end."""
    if config.purchases_url is not None:
        return f"{config.purchases_url}/{purchase.id}?result="
    separator = "&" if "?" in config.return_url else "?"
    return f"{config.return_url}{separator}purchase={purchase.id}&result="


OPTIONS: dict[str, dict[str, int]] = {
    "boleto": {"expires_after_days": BOLETO_DAYS},
    "pix": {"expires_after_seconds": PIX_SECONDS},
}
