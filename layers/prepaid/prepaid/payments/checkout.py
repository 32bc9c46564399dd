"""Payment pages: a Stripe Checkout Session for a recorded purchase, the same one however often it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import stripe

from prepaid.core.purchase import Purchase
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.sessions import answering
from prepaid.payments.webhook import METADATA_ACCOUNT, METADATA_PURCHASE

# How long a customer may take to pay a voucher; the page itself lives a day.
BOLETO_DAYS = 3
PIX_SECONDS = 86_400
# One manager's code opens one purchase at a time: a customer has far fewer in the day that a purchase can go on.
MAX_SESSIONS = 100
CLOCKS_DIFFER = timedelta(hours=1)
LOCALES = {"pt-BR": "pt-BR", "en": "en", "es": "es"}
WORDS = {"pt-BR": "créditos", "en": "credits", "es": "créditos"}


@dataclass(frozen=True, slots=True)
class Page:
    """A checkout session and its address."""

    session: str
    url: str


class CustomerGone(Exception):
    """Stripe doesn't know the customer any more: deleted by hand, or of the other mode."""


def create_customer(
    client: stripe.StripeClient, account_id: str, name: str, *, now: datetime, instead_of: str = ""
) -> str:
    """The account's customer at Stripe, or one instead of another; asked twice, the same.

    Raises PaymentsRefused, PaymentsUnavailable.
    """
    asked = sha256(f"{name}\n{instead_of}".encode()).hexdigest()[:16]

    def create(key: str) -> str:
        parameters: Any = {"name": name, "metadata": {METADATA_ACCOUNT: account_id}}
        return client.v1.customers.create(parameters, {"idempotency_key": key}).id

    with answering():
        # A second customer of an account would do no harm: the store keeps one of them.
        return _once(create, f"customer-{account_id}-{asked}", made_before=lambda: None, now=now)


def create_page(
    client: stripe.StripeClient, purchase: Purchase, *, customer: str, shop: CheckoutConfig, now: datetime
) -> Page:
    """The payment page of a purchase. Its key derives from the purchase, so a retried function makes no second one.

    Raises CustomerGone, PaymentsRefused, PaymentsUnavailable.
    """

    def create(key: str) -> Page:
        try:
            parameters: Any = _parameters(purchase, customer, shop)
            return _page(client.v1.checkout.sessions.create(parameters, {"idempotency_key": key}))
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing" and error.param == "customer":
                raise CustomerGone from error
            raise

    with answering():
        return _once(
            create,
            # For another customer it is another request: the one for a customer who is gone made no page.
            f"checkout-{purchase.id}-{customer}",
            made_before=lambda: _page_made_before(client, purchase, customer),
            now=now,
        )


def _once[Made](
    create: Callable[[str], Made], key: str, *, made_before: Callable[[], Made | None], now: datetime
) -> Made:
    """What is created under an idempotency key, also when Stripe answers the key with nothing but an old no.

    For a day Stripe repeats a key's first answer, be it an error that was mended since, and refuses other parameters,
    as after a deploy with another return address. That first request has come to its end, so what it made can be found;
    when it made nothing another key is as good.
    """
    try:
        return create(key)
    except stripe.StripeError as error:
        if not _is_used_up(error):
            raise
    return made_before() or create(f"{key}-{int(now.timestamp())}")


def _is_used_up(error: stripe.StripeError) -> bool:
    if isinstance(error, stripe.IdempotencyError):
        return True
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    return headers.get("idempotent-replayed") == "true"


def _page_made_before(client: stripe.StripeClient, purchase: Purchase, customer: str) -> Page | None:
    """The page that the purchase has at Stripe already."""
    since = int((purchase.created_at - CLOCKS_DIFFER).timestamp())
    found = client.v1.checkout.sessions.list({"customer": customer, "created": {"gte": since}, "limit": MAX_SESSIONS})
    return next((_page(session) for session in found.data if session.client_reference_id == purchase.id), None)


def _page(session: stripe.checkout.Session) -> Page:
    return Page(session.id, session.url or "")


def _parameters(purchase: Purchase, customer: str, shop: CheckoutConfig) -> dict[str, Any]:
    methods = [name for name in shop.payment_methods if purchase.currency == "brl" or name not in OPTIONS]
    metadata = {METADATA_ACCOUNT: purchase.account, METADATA_PURCHASE: purchase.id}
    separator = "&" if "?" in shop.return_url else "?"
    back = f"{shop.return_url}{separator}purchase={purchase.id}&result="
    return {
        "mode": "payment",
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": purchase.currency,
                    "unit_amount": purchase.amount,
                    "product_data": {"name": f"{purchase.credits} {WORDS[purchase.language]}"},
                },
            }
        ],
        "allowed_payment_method_types": methods,
        "payment_method_options": {name: OPTIONS[name] for name in methods if name in OPTIONS},
        # What is paid must be what was recorded: nothing on the page may change it.
        "allow_promotion_codes": False,
        "adaptive_pricing": {"enabled": False},
        "client_reference_id": purchase.id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "customer": customer,
        "locale": LOCALES[purchase.language],
        "success_url": f"{back}paid",
        "cancel_url": f"{back}cancelled",
    }


OPTIONS: dict[str, dict[str, int]] = {
    "boleto": {"expires_after_days": BOLETO_DAYS},
    "pix": {"expires_after_seconds": PIX_SECONDS},
}
