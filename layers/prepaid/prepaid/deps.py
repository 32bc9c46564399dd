"""The dependencies of every function: wiring.py builds them once per process and each handler receives them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Deadline, Table, within, within_at_most
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
    """The platform's webhook and its queue. target: its address. secret: the text of its secret, as in Deps.

    post: sends a text with headers to the address. hide: makes the message with this receipt wait for some seconds.
    give_up: stores an account's event, its id and its text in the dead letters.
    """

    target: str
    secret: Callable[[Deadline], str]
    post: "Callable[[str, str, Mapping[str, str]], Reply]"
    hide: Callable[[str, int], None]
    give_up: Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """table: has the deadline of the current request or piece of work. clock: returns the time, in whole milliseconds.

    Secrets and Stripe's client are functions of a deadline, after which they begin no call. A secret is read on first
    use, and again after some minutes.
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
    cursor_secrets: Callable[[Deadline], Versions]
    codes: "Callable[[Deadline], CodeSecrets]"
    stripe: "Callable[[Deadline], Stripe]"
    webhook_secrets: Callable[[Deadline], tuple[str, ...]]
    webhook_tolerance_seconds: int
    stack: str
    event_source: str
    outbox: Outbox | None
    webhook: Webhook | None
    checkout: "CheckoutConfig | None"
    portal: "PortalConfig | None"
    random_bytes: Callable[[int], bytes]


def with_deadline(deps: Deps, seconds: float) -> Deps:
    """The same dependencies with a deadline `seconds` from now, for one request. Set once, when the request arrives."""
    return replace(deps, table=within(deps.table, seconds))


def with_earlier_deadline(deps: Deps, seconds: float) -> Deps:
    """The same dependencies with a deadline `seconds` from now, or their own deadline if that is sooner."""
    return replace(deps, table=within_at_most(deps.table, seconds))
