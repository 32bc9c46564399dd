"""The dependencies of every function: wiring.py builds them once per process and each handler receives them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table, within
from prepaid.store.secrets import Versions
from prepaid.use_cases.debiting import Crowds

if TYPE_CHECKING:
    from prepaid.messaging.bus import SentEvent
    from prepaid.messaging.webhook import Reply
    from prepaid.payments.checkout_config import CheckoutConfig
    from prepaid.payments.sessions import Stripe
    from prepaid.portal_config import PortalConfig
    from prepaid.use_cases.approving import CodeSecrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Where events go. to_webhook: queues one event; None without a webhook. to_bus: puts at most ten on the bus.

    Both raise unless everything was accepted.
    """

    to_webhook: "Callable[[SentEvent], None] | None"
    to_bus: "Callable[[Sequence[SentEvent]], None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The platform's webhook and its queue. target: its address. secret: the text of its secret.

    post: sends a text with headers to the address. hide: makes the message with this receipt wait for some seconds.
    give_up: stores an account's event, its id and its text in the dead letters.
    """

    target: str
    secret: Callable[[], str]
    post: "Callable[[str, str, Mapping[str, str]], Reply]"
    hide: Callable[[str, int], None]
    give_up: Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """table: has the deadline of the current request or piece of work. clock: returns the time, in whole milliseconds.

    Secrets are functions: each reads its secret on first use, and again after some minutes.
    webhook_tolerance_seconds: the largest difference between a delivery's signature time and now, in either direction.
    stack: the name of this stack in the metadata of its sessions at Stripe; "" in a function that reads no payments.
    event_source: its name in events; "" in a function without events.
    outbox: None in a function that publishes nothing. webhook: None in a function that delivers nothing.
    checkout: how customers pay; None in a function that sells nothing. portal: None in a function without pages.
    """

    table: Table
    clock: Callable[[], datetime]
    catalog: CatalogCache
    crowds: Crowds
    cursor_secrets: Callable[[], Versions]
    codes: "Callable[[], CodeSecrets]"
    stripe: "Callable[[], Stripe]"
    webhook_secrets: Callable[[], tuple[str, ...]]
    webhook_tolerance_seconds: int
    stack: str
    event_source: str
    outbox: Outbox | None
    webhook: Webhook | None
    checkout: "CheckoutConfig | None"
    portal: "PortalConfig | None"
    random_bytes: Callable[[int], bytes]


def with_deadline(deps: Deps, seconds: float) -> Deps:
    """The same dependencies with a deadline `seconds` from now, for one request."""
    return replace(deps, table=within(deps.table, seconds))
