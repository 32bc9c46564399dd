"""Everything that lives longer than a request, built once and handed to whoever needs it. Reads no request."""

import time
from datetime import UTC, datetime
from functools import cache

from prepaid.api.times import floor_to_millisecond
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
def stripe_secret() -> Secret:
    """Stripe's API key and webhook secrets."""
    return Secret(settings().stripe_secret_name, time.monotonic)


def now() -> datetime:
    """The time, in the whole milliseconds that the ledger keeps."""
    return floor_to_millisecond(datetime.now(UTC))


# Lambda lends a starting function a whole core, and the first request a fraction of one: connect while it starts.
if in_lambda():
    table()
