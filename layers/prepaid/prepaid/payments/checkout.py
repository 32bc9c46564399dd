"""Payment pages: a Stripe Checkout Session for a recorded purchase, the same one however often it is asked for."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import stripe

from prepaid.core.purchase import Purchase
from prepaid.payments.sessions import answering
from prepaid.payments.shop import Shop
from prepaid.payments.webhook import ACCOUNT_POINTER, PURCHASE_POINTER

# How long a customer may take to pay a voucher; the page itself lives a day.
BOLETO_DAYS = 3
PIX_SECONDS = 86_400
LOCALES = {"pt-BR": "pt-BR", "en": "en", "es": "es"}
WORDS = {"pt-BR": "créditos", "en": "credits", "es": "créditos"}


@dataclass(frozen=True, slots=True)
class Page:
    """A checkout session and its address."""

    session: str
    url: str


class CustomerGone(Exception):
    """Stripe doesn't know the customer any more: deleted by hand, or of the other mode."""


def create_customer(client: stripe.StripeClient, account_id: str, name: str, *, instead_of: str = "") -> str:
    """The account's customer at Stripe, or one instead of another; asked twice, the same.

    Raises PaymentsUnavailable.
    """
    asked = sha256(f"{name}\n{instead_of}".encode()).hexdigest()[:16]
    with answering():
        customer = client.v1.customers.create(
            {"name": name, "metadata": {ACCOUNT_POINTER: account_id}},
            {"idempotency_key": f"customer-{account_id}-{asked}"},
        )
        return customer.id


def create_page(client: stripe.StripeClient, purchase: Purchase, *, customer: str, shop: Shop) -> Page:
    """The payment page of a purchase. Its key derives from the purchase, so a retried function makes no second one.

    Raises CustomerGone, PaymentsUnavailable.
    """
    with answering():
        try:
            session = client.v1.checkout.sessions.create(
                _parameters(purchase, customer, shop),  # type: ignore[arg-type]
                # For another customer it is another request: the one for a customer who is gone made no page.
                {"idempotency_key": f"checkout-{purchase.id}-{customer}"},
            )
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing" and error.param == "customer":
                raise CustomerGone from error
            raise
        return Page(session.id, session.url or "")


def _parameters(purchase: Purchase, customer: str, shop: Shop) -> dict[str, Any]:
    methods = [name for name in shop.payment_methods if purchase.currency == "brl" or name not in OPTIONS]
    metadata = {ACCOUNT_POINTER: purchase.account, PURCHASE_POINTER: purchase.id}
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
