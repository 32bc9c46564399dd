"""What lets us talk to Stripe, and lets us know it is Stripe that talks to us."""

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StripeSecret:
    """api_key: restricted to what the functions do. webhook_secrets: the current one first, then the previous one."""

    api_key: str
    webhook_secrets: tuple[str, ...]


def stripe_secret_from(text: str) -> StripeSecret:
    """The secret as it stands in Secrets Manager: {"api_key": "rk_…", "webhook_secrets": ["whsec_…", …]}."""
    value = json.loads(text)
    return StripeSecret(value["api_key"], tuple(secret for secret in value["webhook_secrets"] if secret))
