"""Builds what lives longer than a request, once per process, from the settings. Reads no request."""

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prepaid.core.calendar import floor_to_millisecond
from prepaid.deps import Deps
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.secrets import api_key_from, webhook_secrets_from
from prepaid.settings import Settings
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Deadline, Table, open_client
from prepaid.store.secrets import Secret
from prepaid.use_cases.approving import CodeSecrets

if TYPE_CHECKING:
    from prepaid.payments.sessions import Stripe


def build(settings: Settings) -> Deps:
    """What a function needs. Called while it starts: Lambda lends a starting function a whole core."""
    pepper = Secret(settings.pepper_secret_name, time.monotonic)
    stripe_secret = Secret(settings.stripe_secret_name, time.monotonic)

    def stripe() -> "Stripe":
        # The key as it is now: it may have been rotated.
        from prepaid.payments.sessions import open_stripe  # noqa: PLC0415 - heavy, and most functions never need it

        return open_stripe(api_key_from(stripe_secret()), settings.stripe_api_base)

    return Deps(
        # Each request and each piece of a job gets a deadline of its own; without one, nothing is tried.
        table=Table(client=open_client(), name=settings.table_name, deadline=Deadline(at=0.0)),
        clock=lambda: floor_to_millisecond(datetime.now(UTC)),
        catalog=CatalogCache(time.monotonic),
        cursor_secret=Secret(settings.cursor_secret_name, time.monotonic),
        codes=lambda: CodeSecrets(pepper=pepper()),
        stripe=stripe,
        webhook_secrets=lambda: webhook_secrets_from(stripe_secret()),
        webhook_tolerance_seconds=settings.webhook_tolerance_seconds,
        checkout=CheckoutConfig(
            live=settings.live_mode, payment_methods=settings.payment_methods, return_url=settings.return_url
        ),
        random_bytes=secrets.token_bytes,
    )
