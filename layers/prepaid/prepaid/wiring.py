"""Builds, once per process and from the settings, the dependencies that outlive a request."""

import os
import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Never

from prepaid.aws import open_dynamodb, open_event_bridge, open_sqs
from prepaid.core.calendar import floor_to_millisecond
from prepaid.deps import Deps, Outbox, Webhook
from prepaid.payments.errors import PaymentsNotConfigured
from prepaid.payments.secrets import api_key_from, webhook_secrets_from
from prepaid.settings import Settings
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Deadline, Table
from prepaid.store.secrets import Secret, SecretNotSet, Versions, versions_of
from prepaid.use_cases.debiting import Crowds

if TYPE_CHECKING:
    from prepaid.payments.checkout_config import CheckoutConfig
    from prepaid.payments.sessions import Stripe
    from prepaid.portal_config import PortalConfig
    from prepaid.use_cases.approving import CodeSecrets


def build(settings: Settings) -> Deps:
    """A function's dependencies. Called during start-up, when Lambda gives the function a full core."""
    _reseed_after_restore()
    peppers = _versions(settings.pepper_secret_name)
    stripe_secret = _stripe_secret(settings.stripe_secret_name)

    def stripe(deadline: Deadline) -> "Stripe":
        # Read the key on each call, because it may have been rotated.
        from prepaid.payments.sessions import open_stripe  # noqa: PLC0415 - heavy, and most functions don't use it

        assert settings.stripe_api_base is not None
        return open_stripe(api_key_from(stripe_secret(deadline)), settings.stripe_api_base, is_late=deadline.passed)

    def codes(deadline: Deadline) -> "CodeSecrets":
        from prepaid.use_cases.approving import CodeSecrets  # noqa: PLC0415 - most functions don't use it

        return CodeSecrets(peppers=peppers(deadline))

    return Deps(
        # Each request and each piece of a job sets its own deadline. This one has passed: no call is made without one.
        table=Table(client=open_dynamodb(), name=settings.table_name, deadline=Deadline(at=0.0)),
        clock=lambda: floor_to_millisecond(datetime.now(UTC)),
        catalog=CatalogCache(time.monotonic),
        crowds=Crowds(time.monotonic),
        cursor_secrets=_versions(settings.cursor_secret_name),
        codes=codes,
        stripe=stripe,
        webhook_secrets=lambda deadline: webhook_secrets_from(stripe_secret(deadline)),
        webhook_tolerance_seconds=settings.webhook_tolerance_seconds,
        stack=settings.stripe_stack or "",
        event_source=settings.event_source,
        outbox=_outbox(settings),
        webhook=_webhook(settings),
        checkout=_checkout(settings),
        portal=_portal(settings),
        random_bytes=secrets.token_bytes,
    )


def _reseed_after_restore() -> None:
    """Under SnapStart, reseed `random` in each copy of the function: they all start from the same memory.

    Only the pauses between retries use `random`; ids and tokens come from the operating system. Nothing else has to be
    renewed: a starting function opens no connection, and reads neither a secret nor the clock.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        # Lambda's runtime provides this module.
        from snapshot_restore_py import register_after_restore  # type: ignore[import-not-found]  # noqa: PLC0415

        register_after_restore(random.seed)


def _secret(name: str | None) -> Callable[[Deadline], str]:
    """The secret with this name; without a name, a function that raises AssertionError."""
    return Secret(name, time.monotonic) if name is not None else _no_secret


def _versions(name: str | None) -> Callable[[Deadline], Versions]:
    """The secret with this name, which can be rotated; without a name, a function that raises AssertionError."""
    if name is None:
        return _no_secret
    secret = Secret(name, time.monotonic)
    return lambda deadline: Versions(versions_of(secret(deadline)), lambda: versions_of(secret.read_again(deadline)))


def _no_secret(_deadline: Deadline) -> Never:
    raise AssertionError("the template doesn't give this function the secret")


def _outbox(settings: Settings) -> Outbox | None:
    if settings.event_bus_name is None:
        return None
    from prepaid.messaging.bus import put_events  # noqa: PLC0415 - only one function uses it
    from prepaid.messaging.queue import send  # noqa: PLC0415

    bus, queue_url = settings.event_bus_name, settings.webhook_queue_url
    event_bridge = open_event_bridge()
    to_bus = partial(put_events, event_bridge, bus)
    if queue_url is None:
        return Outbox(to_webhook=None, to_bus=to_bus)
    sqs = open_sqs()
    return Outbox(
        to_webhook=lambda event: send(sqs, queue_url, event.account, event.id, event.text),
        to_bus=to_bus,
    )


def _webhook(settings: Settings) -> Webhook | None:
    if settings.webhook_target is None:
        return None
    from prepaid.messaging.queue import hide, send  # noqa: PLC0415 - only one function uses it
    from prepaid.messaging.webhook import post  # noqa: PLC0415

    queue_url, dead_letters_url = settings.webhook_queue_url, settings.webhook_dead_letters_url
    assert queue_url is not None
    assert dead_letters_url is not None
    sqs = open_sqs()
    return Webhook(
        target=settings.webhook_target,
        secret=_secret(settings.webhook_secret_name),
        post=post,
        hide=partial(hide, sqs, queue_url),
        give_up=partial(send, sqs, dead_letters_url),
    )


def _stripe_secret(name: str | None) -> Callable[[Deadline], str]:
    """The secret with this name, as `_secret`; raises PaymentsNotConfigured until somebody has stored a value."""
    read_secret = _secret(name)

    def secret(deadline: Deadline) -> str:
        try:
            return read_secret(deadline)
        except SecretNotSet as error:
            raise PaymentsNotConfigured from error

    return secret


def _checkout(settings: Settings) -> "CheckoutConfig | None":
    if settings.return_url is None or settings.stripe_stack is None:
        return None
    from prepaid.payments.checkout_config import CheckoutConfig  # noqa: PLC0415 - only one function uses it

    return CheckoutConfig(
        live=settings.live_mode,
        stack=settings.stripe_stack,
        payment_methods=settings.payment_methods,
        return_url=settings.return_url,
    )


def _portal(settings: Settings) -> "PortalConfig | None":
    if settings.return_url is None or settings.checkout_origin is None:
        return None
    from prepaid.portal_config import PortalConfig  # noqa: PLC0415 - only one function uses it

    return PortalConfig(
        url=settings.portal_url,
        return_url=settings.return_url,
        return_origins=settings.portal_return_origins,
        checkout_origin=settings.checkout_origin,
        embed_origins=settings.portal_embed_origins,
        accent=settings.portal_accent,
        accent_dark=settings.portal_accent_dark,
        name=settings.portal_name,
        logo=settings.portal_logo,
        logo_dark=settings.portal_logo_dark,
    )
