"""What selling takes: where the provider is, how people may pay, where they come back to."""

from collections.abc import Callable
from dataclasses import dataclass

from prepaid.payments.secrets import StripeSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """secret: Stripe's, read when needed. api_base: Stripe's address. live: whether real money moves.

    payment_methods: Stripe's names; those that take reais only are offered for reais only.
    return_url: where the customer comes back to, with `purchase` and `result` in its query.
    """

    secret: Callable[[], StripeSecret]
    api_base: str
    live: bool
    payment_methods: tuple[str, ...]
    return_url: str
