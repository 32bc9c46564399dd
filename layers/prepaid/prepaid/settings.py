"""The settings that the template passes to each function in environment variables, with the same names."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A setting is None if the template doesn't set it, because the function doesn't need it.

    webhook_tolerance_seconds: the largest difference between a delivery's signature time and now, in either direction.
    live_mode: whether purchases take real money. return_url: where the customer returns to after paying.
    stripe_stack: the name of this stack in the metadata of its sessions at Stripe.
    portal_url: the address of the subscription page, "" for the API's own. portal_return_origins: the sites besides
    return_url's that the page may lead back to. portal_embed_origins: the sites that may show the page in a frame.
    checkout_origin: the site of the payment pages. portal_accent, portal_accent_dark: the platform's colour, such
    as #14614b, or "". portal_name, portal_logo, portal_logo_dark: the platform's name and the addresses of its logo,
    or "". verify_whole_days: the days between two scheduled whole passes of the verifier.
    cursor_secret_name, pepper_secret_name, stripe_secret_name: names of secrets in Secrets Manager, not their values.
    """

    table_name: str
    cursor_secret_name: str | None
    stripe_secret_name: str | None
    pepper_secret_name: str | None
    stripe_api_base: str | None
    stripe_stack: str | None
    live_mode: bool
    payment_methods: tuple[str, ...]
    return_url: str | None
    webhook_tolerance_seconds: int
    portal_url: str
    portal_return_origins: tuple[str, ...]
    portal_embed_origins: tuple[str, ...]
    checkout_origin: str | None
    portal_accent: str
    portal_accent_dark: str
    portal_name: str
    portal_logo: str
    portal_logo_dark: str
    verify_whole_days: int


def from_environment() -> Settings:
    """The deployed function's settings. Raises KeyError or ValueError for a missing or invalid variable."""
    environment = os.environ
    return Settings(
        table_name=environment["TABLE_NAME"],
        cursor_secret_name=environment.get("CURSOR_SECRET_NAME"),
        stripe_secret_name=environment.get("STRIPE_SECRET_NAME"),
        pepper_secret_name=environment.get("PEPPER_SECRET_NAME"),
        stripe_api_base=environment.get("STRIPE_API_BASE"),
        stripe_stack=environment.get("STRIPE_STACK"),
        live_mode=environment.get("LIVE_MODE", "false") == "true",
        payment_methods=_listed(environment.get("PAYMENT_METHODS", "card")),
        return_url=environment.get("RETURN_URL"),
        webhook_tolerance_seconds=int(environment.get("WEBHOOK_TOLERANCE_SECONDS", "300")),
        portal_url=environment.get("PORTAL_URL", ""),
        portal_return_origins=_listed(environment.get("PORTAL_RETURN_ORIGINS", "")),
        portal_embed_origins=_listed(environment.get("PORTAL_EMBED_ORIGINS", "")),
        checkout_origin=environment.get("CHECKOUT_ORIGIN"),
        portal_accent=environment.get("PORTAL_ACCENT", ""),
        portal_accent_dark=environment.get("PORTAL_ACCENT_DARK", ""),
        portal_name=environment.get("PORTAL_NAME", ""),
        portal_logo=environment.get("PORTAL_LOGO", ""),
        portal_logo_dark=environment.get("PORTAL_LOGO_DARK", ""),
        verify_whole_days=int(environment.get("VERIFY_WHOLE_DAYS", "7")),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)
