"""Everything that lives longer than a request, built once and handed to whoever needs it. Reads no request."""

import time
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from prepaid.api.times import floor_to_millisecond
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.secrets import api_key_from, webhook_secrets_from
from prepaid.settings import Settings, from_environment, in_lambda
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table, open_client
from prepaid.store.secrets import Secret

if TYPE_CHECKING:
    from prepaid.payments.sessions import Stripe


@cache
def settings() -> Settings:
    """What this function was deployed with."""
    return from_environment()


@cache
def table() -> Table:
    """The one table."""
    return Table(open_client(), settings().table_name)


@cache
def catalog() -> CatalogCache:
    """The catalog in force."""
    return CatalogCache(table(), time.monotonic)


@cache
def cursor_secret() -> Secret:
    """What signs the cursors of the history."""
    return Secret(settings().cursor_secret_name, time.monotonic)


@cache
def pepper() -> Secret:
    """What is mixed into the managers' codes and isn't in the table."""
    return Secret(settings().pepper_secret_name, time.monotonic)


@cache
def stripe_secret_text() -> Secret:
    """What this function has of Stripe's, as it stands in Secrets Manager."""
    return Secret(settings().stripe_secret_name, time.monotonic)


def stripe_client() -> "Stripe":
    """Stripe, with this function's key as it is now: it may have been rotated."""
    from prepaid.payments.sessions import open_stripe  # noqa: PLC0415 - heavy, and most functions never need it

    return open_stripe(api_key_from(stripe_secret_text()()), settings().stripe_api_base)


def webhook_secrets() -> tuple[str, ...]:
    """What Stripe's deliveries may be signed with now; in the webhook's secret only."""
    return webhook_secrets_from(stripe_secret_text()())


@cache
def checkout_config() -> CheckoutConfig:
    """What buying needs."""
    return CheckoutConfig(
        client=stripe_client,
        live=settings().live_mode,
        payment_methods=settings().payment_methods,
        return_url=settings().return_url,
    )


def now() -> datetime:
    """The time, in the whole milliseconds that the ledger keeps."""
    return floor_to_millisecond(datetime.now(UTC))


# Lambda lends a starting function a whole core, and the first request a fraction of one: connect while it starts.
if in_lambda():
    table()
