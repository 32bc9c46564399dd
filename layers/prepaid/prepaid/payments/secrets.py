"""A function's secret for Stripe, as it stands in Secrets Manager: {"api_key": "rk_…"}, the webhook's with more.

The key is restricted to what this one function does: docs/stripe.md says to what.
"""

import json


def api_key_from(text: str) -> str:
    """The restricted key."""
    return str(json.loads(text)["api_key"])


def webhook_secrets_from(text: str) -> tuple[str, ...]:
    """What deliveries are signed with, in "webhook_secrets": the current secret first, then the previous one."""
    return tuple(secret for secret in json.loads(text)["webhook_secrets"] if secret)
