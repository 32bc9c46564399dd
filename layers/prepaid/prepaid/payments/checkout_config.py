"""How customers pay: with which methods, in which mode, and where they return to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutConfig:
    """live: whether real money moves.

    payment_methods: Stripe's names; methods that take reais only are offered for reais only.
    return_url: where the customer returns to from the payment page, with `purchase` and `result` in its query.
    """

    live: bool
    payment_methods: tuple[str, ...]
    return_url: str
