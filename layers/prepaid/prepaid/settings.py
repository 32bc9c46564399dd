"""The environment, read once: what the template tells each function. Names are the template's own."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """None stands for what the template doesn't give this function, because it doesn't need it.

    webhook_tolerance_seconds: how far a delivery's signature may be from now, either way.
    live_mode: whether purchases take real money. return_url: where a customer comes back to from paying.
    cursor_secret_name, pepper_secret_name, stripe_secret_name: of secrets in Secrets Manager, never their content.
    """

    table_name: str
    cursor_secret_name: str | None
    stripe_secret_name: str | None
    pepper_secret_name: str | None
    stripe_api_base: str | None
    live_mode: bool
    payment_methods: tuple[str, ...]
    return_url: str | None
    webhook_tolerance_seconds: int


def from_environment() -> Settings:
    """What the function was deployed with. Raises KeyError, ValueError for what the template can't have given."""
    environment = os.environ
    return Settings(
        table_name=environment["TABLE_NAME"],
        cursor_secret_name=environment.get("CURSOR_SECRET_NAME"),
        stripe_secret_name=environment.get("STRIPE_SECRET_NAME"),
        pepper_secret_name=environment.get("PEPPER_SECRET_NAME"),
        stripe_api_base=environment.get("STRIPE_API_BASE"),
        live_mode=environment.get("LIVE_MODE", "false") == "true",
        payment_methods=tuple(name for name in environment.get("PAYMENT_METHODS", "card").split(",") if name),
        return_url=environment.get("RETURN_URL"),
        webhook_tolerance_seconds=int(environment.get("WEBHOOK_TOLERANCE_SECONDS", "300")),
    )
