"""The payment provider's errors, within the tree of core/errors.py.

PrepaidError
├── Refused
│   └── WebhookRejected        a delivery without proof that the provider sent it
├── Unavailable
│   └── PaymentsUnavailable    no usable response; a retry may get one
├── PaymentsNotConfigured      nobody has stored this function's Stripe key or signing secret yet
└── PaymentsRefused            a permanent rejection; a retry gets the same until an operator fixes the cause
"""

from dataclasses import dataclass
from typing import ClassVar

from prepaid.core.errors import PrepaidError, Refused, Unavailable


@dataclass(eq=False)
class WebhookRejected(Refused):
    """A delivery without proof that Stripe sent it, or that isn't an event. `detail` says why, without its content."""

    detail: str
    code: ClassVar[str] = "invalid_webhook"


@dataclass(eq=False)
class PaymentsUnavailable(Unavailable):
    """Stripe didn't respond, or its response wasn't usable. Stripe itself retries a webhook delivery."""

    code: ClassVar[str] = "payments_unavailable"


@dataclass(eq=False)
class PaymentsNotConfigured(PrepaidError):
    """Nobody has stored the key or the signing secret yet, so Stripe is not called. The same request succeeds later."""

    code: ClassVar[str] = "payments_not_configured"


class SessionUnknown(Exception):
    """Stripe knows no such checkout session for our key. Never leaves use_cases/syncing.py."""


@dataclass(eq=False)
class PaymentsRefused(PrepaidError):
    """Stripe rejects the request until an operator fixes the cause: a wrong key, a missing permission, or an amount,
    currency or payment method that the Stripe account doesn't support. Nothing is lost: a retry then succeeds.
    """

    code: ClassVar[str] = "payment_provider_refused"
