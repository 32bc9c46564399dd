"""How customers pay: the payment methods, the mode, and the page they return to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutConfig:
    """How this stack sells. live: whether purchases take real money. stack: its name in the metadata of its sessions.

    payment_methods: Stripe's names; methods that accept only reais are offered only for packs in reais.
    return_url: where the customer returns to from the payment page; `purchase` and `result` are added to its query.
    purchases_url: replaces return_url for purchases on the subscription page: the address under which it shows them.
    """

    live: bool
    stack: str
    payment_methods: tuple[str, ...]
    return_url: str
    purchases_url: str | None = None
