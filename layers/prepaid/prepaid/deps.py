"""What every function works with: built once per process by wiring.py, handed to each handler."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table, within

if TYPE_CHECKING:
    from prepaid.payments.checkout_config import CheckoutConfig
    from prepaid.payments.sessions import Stripe
    from prepaid.use_cases.approving import CodeSecrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """table: with the deadline of the request or the piece of work in hand. clock: the time now, whole milliseconds.

    Secrets are functions: each reads its secret when it is first needed, and again after some minutes.
    webhook_tolerance_seconds: how far a delivery's signature may be from now, either way.
    checkout: how customers pay; None in a function that sells nothing.
    """

    table: Table
    clock: Callable[[], datetime]
    catalog: CatalogCache
    cursor_secret: Callable[[], str]
    codes: "Callable[[], CodeSecrets]"
    stripe: "Callable[[], Stripe]"
    webhook_secrets: Callable[[], tuple[str, ...]]
    webhook_tolerance_seconds: int
    checkout: "CheckoutConfig | None"
    random_bytes: Callable[[int], bytes]


def with_deadline(deps: Deps, seconds: float) -> Deps:
    """The same for one request, which must be answered within so many seconds."""
    return replace(deps, table=within(deps.table, seconds))
