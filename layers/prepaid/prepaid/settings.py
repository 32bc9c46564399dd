"""The settings that the template passes to each function in environment variables, with the same names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSettings:
    """The subscription page's addresses.

    url: of the page, without a path; "" for the API's own address. return_url: the way back to the platform.
    return_origins: where else a link may lead back to. checkout_origin: of the payment pages.
    embed_origins: the sites that may show the page in a frame.
    """

    url: str
    return_url: str
    return_origins: tuple[str, ...]
    checkout_origin: str
    embed_origins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A setting is None if the template doesn't set it, because the function doesn't need it.

    webhook_tolerance_seconds: the largest difference between a delivery's signature time and now, in either direction.
    live_mode: whether purchases take real money. return_url: where the customer returns to after paying.
    cursor_secret_name, pepper_secret_name, stripe_secret_name: names of secrets in Secrets Manager, not their values.
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
    portal: PortalSettings | None


def from_environment() -> Settings:
    """The deployed function's settings. Raises KeyError or ValueError for a missing or invalid variable."""
    environment = os.environ
    return Settings(
        table_name=environment["TABLE_NAME"],
        cursor_secret_name=environment.get("CURSOR_SECRET_NAME"),
        stripe_secret_name=environment.get("STRIPE_SECRET_NAME"),
        pepper_secret_name=environment.get("PEPPER_SECRET_NAME"),
        stripe_api_base=environment.get("STRIPE_API_BASE"),
        live_mode=environment.get("LIVE_MODE", "false") == "true",
        payment_methods=_listed(environment.get("PAYMENT_METHODS", "card")),
        return_url=environment.get("RETURN_URL"),
        webhook_tolerance_seconds=int(environment.get("WEBHOOK_TOLERANCE_SECONDS", "300")),
        portal=_portal(environment),
    )


def _portal(environment: Mapping[str, str]) -> PortalSettings | None:
    if "CHECKOUT_ORIGIN" not in environment:
        return None
    return PortalSettings(
        url=environment.get("PORTAL_URL", ""),
        return_url=environment["RETURN_URL"],
        return_origins=_listed(environment.get("PORTAL_RETURN_ORIGINS", "")),
        checkout_origin=environment["CHECKOUT_ORIGIN"],
        embed_origins=_listed(environment.get("PORTAL_EMBED_ORIGINS", "")),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)
