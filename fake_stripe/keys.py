"""API keys: secret keys have every permission, restricted keys only those they list."""

import base64
import binascii
from collections.abc import Mapping

from fake_stripe.errors import StripeError

# The permissions of a restricted key that lists none: create sessions and customers, read everything, no refunds.
SELLING = {
    "balance_transaction": "read", "charge": "read", "checkout_session": "write", "customer": "write",
    "dispute": "read", "event": "read", "payment_intent": "read", "price": "read", "product": "read",
    "refund": "read",
}  # fmt: skip
RESOURCES = tuple(SELLING)


def parse(text: str) -> tuple[str, dict[str, str] | None]:
    """Parse `rk_test_x=checkout_session:write,event:read`. Returns the key and its permissions; None means all."""
    key, equals, grants = text.partition("=")
    if not key.startswith(("sk_test_", "rk_test_")) or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"{key[:12]}: an API key starts with sk_test_ or rk_test_")
    if key.startswith("sk_"):
        return key, None
    if not equals:
        return key, dict(SELLING)
    permissions: dict[str, str] = {}
    for grant in filter(None, grants.split(",")):
        resource, _, level = grant.partition(":")
        if resource not in RESOURCES or level not in {"read", "write"}:
            raise ValueError(f"{grant}: a permission is one of {', '.join(RESOURCES)}, then :read or :write")
        permissions[resource] = level
    return key, permissions


def presented(header: str | None) -> str | None:
    """Return the key in an Authorization header: a bearer token, or the user name of basic authentication."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def authenticate(header: str | None, keys: Mapping[str, dict[str, str] | None]) -> str:
    key = presented(header)
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, "
            "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
        raise StripeError(message, status=401)
    if key not in keys:
        raise StripeError(f"Invalid API Key provided: {masked(key)}", status=401)
    return key


def authorize(key: str, permissions: dict[str, str] | None, resource: str, level: str) -> None:
    granted = "write" if permissions is None else permissions.get(resource, "")
    if granted in {level, "write"}:
        return
    raise StripeError(
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint. "
        f"Having the 'rak_{resource}_{level}' permission would allow this request to continue.",
        status=403,
    )


def masked(key: str) -> str:
    return f"{key[:8]}{'*' * 12}{key[-4:]}" if len(key) > 16 else f"{key[:8]}{'*' * 8}"  # noqa: PLR2004
