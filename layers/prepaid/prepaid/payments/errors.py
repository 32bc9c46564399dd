"""What can go wrong with the payment provider, in the tree of core/errors.py."""

from dataclasses import dataclass
from typing import ClassVar

from prepaid.core.errors import Refused, Unavailable


@dataclass(eq=False)
class WebhookRejected(Refused):
    """A delivery that isn't provably Stripe's, or isn't an event. `detail` says which, and nothing of the content."""

    detail: str
    code: ClassVar[str] = "invalid_webhook"


@dataclass(eq=False)
class PaymentsUnavailable(Unavailable):
    """Stripe didn't answer, or not usefully. Its own retry of the delivery will come."""

    code: ClassVar[str] = "payments_unavailable"
