"""The environment, read once: what the template tells each function. Names are the template's own."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each is empty in a function that doesn't need it; the template gives every function its own.

    webhook_tolerance_seconds: how far a delivery's signature may be from now, either way.
    live_mode: whether purchases take real money. return_url: where a customer comes back to from paying.
    cursor_secret_name, pepper_secret_name, stripe_secret_name: of secrets in Secrets Manager, never their content.
    """

    table_name: str
    cursor_secret_name: str
    stripe_secret_name: str
    pepper_secret_name: str
    stripe_api_base: str
    live_mode: bool
    payment_methods: tuple[str, ...]
    return_url: str
    webhook_tolerance_seconds: int


def from_environment() -> Settings:
    """What the function was deployed with."""
    return Settings(
        table_name=os.environ["TABLE_NAME"],
        cursor_secret_name=os.environ.get("CURSOR_SECRET_NAME", ""),
        stripe_secret_name=os.environ.get("STRIPE_SECRET_NAME", ""),
        pepper_secret_name=os.environ.get("PEPPER_SECRET_NAME", ""),
        live_mode=os.environ.get("LIVE_MODE", "false") == "true",
        payment_methods=tuple(name for name in os.environ.get("PAYMENT_METHODS", "card").split(",") if name),
        return_url=os.environ.get("RETURN_URL", ""),
        stripe_api_base=os.environ.get("STRIPE_API_BASE", ""),
        webhook_tolerance_seconds=int(os.environ.get("WEBHOOK_TOLERANCE_SECONDS", "300")),
    )
