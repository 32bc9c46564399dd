"""The parts of a fake that its HTTP routes use."""

from dataclasses import dataclass

from fake_stripe.api import Api
from fake_stripe.state import State
from fake_stripe.webhooks import Webhooks


@dataclass(frozen=True)
class Fake:
    """One fake: its state, its REST API, and its webhook deliveries."""

    state: State
    api: Api
    webhooks: Webhooks
