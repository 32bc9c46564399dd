"""Everything that lives longer than a request, built once and handed to whoever needs it. Reads no request."""

import time
from datetime import UTC, datetime
from functools import cache

from prepaid.api.times import floor_to_millisecond
from prepaid.payments.secrets import StripeSecret, stripe_secret_from
from prepaid.payments.shop import Shop
from prepaid.settings import Settings, from_environment, in_lambda
from prepaid.store.catalogue import CurrentCatalogue
from prepaid.store.dynamodb import Table, open_client
from prepaid.store.secrets import Secret


@cache
def settings() -> Settings:
    """What this function was deployed with."""
    return from_environment()


@cache
def table() -> Table:
    """The one table."""
    return Table(open_client(), settings().table_name)


@cache
def catalogue() -> CurrentCatalogue:
    """The catalogue in force."""
    return CurrentCatalogue(table(), time.monotonic)


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
    """Stripe's API key and webhook secrets, as they stand in Secrets Manager."""
    return Secret(settings().stripe_secret_name, time.monotonic)


def stripe_secret() -> StripeSecret:
    """Stripe's API key and webhook secrets, newly parsed: they may have been rotated."""
    return stripe_secret_from(stripe_secret_text()())


@cache
def shop() -> Shop:
    """What buying needs."""
    return Shop(
        secret=stripe_secret,
        api_base=settings().stripe_api_base,
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
