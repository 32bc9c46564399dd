"""A function's Stripe secret in Secrets Manager: {"api_key": "rk_…"}; the webhook's also has "webhook_secrets".

Each function's key is restricted to the permissions that docs/stripe.md lists for it.
"""

import json


def api_key_from(text: str) -> str:
    """The restricted key."""
    return str(json.loads(text)["api_key"])


def webhook_secrets_from(text: str) -> tuple[str, ...]:
    """The signing secrets of deliveries, from "webhook_secrets": the current one first, then the previous one."""
    return tuple(secret for secret in json.loads(text)["webhook_secrets"] if secret)
