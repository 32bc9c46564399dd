"""What selling takes: how people may pay, where they come back to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prepaid.payments.sessions import Stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutConfig:
    """client: Stripe's, opened when needed. live: whether real money moves.

    payment_methods: Stripe's names; those that take reais only are offered for reais only.
    return_url: where the customer comes back to, with `purchase` and `result` in its query.
    """

    client: "Callable[[], Stripe]"
    live: bool
    payment_methods: tuple[str, ...]
    return_url: str
