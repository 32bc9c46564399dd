"""What can go wrong with the payment provider, in the tree of core/errors.py.

PrepaidError
├── Refused
│   └── WebhookRejected        a delivery that isn't provably the provider's
├── Unavailable
│   └── PaymentsUnavailable    no useful answer; a repeat may get one
└── PaymentsRefused            a clear no, to be heard again until somebody mends something
"""

from dataclasses import dataclass
from typing import ClassVar

from prepaid.core.errors import PrepaidError, Refused, Unavailable


@dataclass(eq=False)
class WebhookRejected(Refused):
    """A delivery that isn't provably Stripe's, or isn't an event. `detail` says which, and nothing of the content."""

    detail: str
    code: ClassVar[str] = "invalid_webhook"


@dataclass(eq=False)
class PaymentsUnavailable(Unavailable):
    """Stripe didn't answer, or not usefully. Its own retry of the delivery will come."""

    code: ClassVar[str] = "payments_unavailable"


class SessionUnknown(Exception):
    """Stripe has no such checkout session, as far as our key can see. Never leaves use_cases/syncing.py."""


@dataclass(eq=False)
class PaymentsRefused(PrepaidError):
    """Stripe refuses what it is asked, and will until an operator mends it: a key that is wrong or may not do this, an
    amount, currency or way to pay that the account doesn't have. Nothing is lost: the same request goes on afterwards.
    """

    code: ClassVar[str] = "payment_provider_refused"
