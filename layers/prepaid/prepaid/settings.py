"""The environment, read once: what the template tells each function. Names are the template's own."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each is empty in a function that doesn't need it; the template gives every function its own.

    webhook_tolerance_seconds: how far a delivery's signature may be from now, either way.
    cursor_secret_name, stripe_secret_name: names of secrets in Secrets Manager, never their content.
    """

    table_name: str
    cursor_secret_name: str
    stripe_secret_name: str
    stripe_api_base: str
    webhook_tolerance_seconds: int


def from_environment() -> Settings:
    """What the function was deployed with."""
    return Settings(
        table_name=os.environ["TABLE_NAME"],
        cursor_secret_name=os.environ.get("CURSOR_SECRET_NAME", ""),
        stripe_secret_name=os.environ.get("STRIPE_SECRET_NAME", ""),
        stripe_api_base=os.environ.get("STRIPE_API_BASE", ""),
        webhook_tolerance_seconds=int(os.environ.get("WEBHOOK_TOLERANCE_SECONDS", "300")),
    )


def in_lambda() -> bool:
    """Whether this process was started by Lambda."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ
