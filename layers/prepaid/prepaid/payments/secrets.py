"""A function's Stripe secret in Secrets Manager: {"api_key": "rk_…"}; the webhook's also has "webhook_secrets".

Each function's key is restricted to the permissions that docs/stripe.md lists for it.
"""

import json

from prepaid.payments.errors import PaymentsNotConfigured


def api_key_from(text: str) -> str:
    """The restricted key. Raises PaymentsNotConfigured while it is empty."""
    key = str(json.loads(text)["api_key"])
    if not key:
        raise PaymentsNotConfigured
    return key


def webhook_secrets_from(text: str) -> tuple[str, ...]:
    """The signing secrets of deliveries, from "webhook_secrets": the current one first, then the previous one.

    Raises PaymentsNotConfigured while there is none.
    """
    secrets = tuple(secret for secret in json.loads(text)["webhook_secrets"] if secret)
    if not secrets:
        raise PaymentsNotConfigured
    return secrets
