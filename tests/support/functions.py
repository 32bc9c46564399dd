"""The functions at one table, each with the dependencies that its deployment gives it. A test may change them."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import ModuleType
from typing import Any

from prepaid.deps import Deps, Outbox
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.sessions import open_stripe
from prepaid.portal_config import PortalConfig
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Deadline, Table
from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases.approving import CodeSecrets
from prepaid.use_cases.debiting import Crowds
from tests.support.store_driver import QUICK_DIGEST

NAMES = (
    "accounts",
    "balance_query",
    "checkout",
    "consume",
    "deliver",
    "erasures",
    "expiry_sweep",
    "portal",
    "publish",
    "purchase_webhook",
    "reconcile",
    "verify",
)
TOLERANCE_SECONDS = 300
# The name of the tests' stack at Stripe.
STACK = "111122223333/sa-east-1/prepaid-test"

# moto isn't safe under threads, and tests/support/iam_rights.py knows only the thread of the test.
IN_ONE_THREAD: Mapping[str, dict[str, Any]] = {"expiry_sweep": {"spread": map}}

type AnyHandler = Callable[[Any, Any], dict[str, Any]]


@dataclass
class Functions(Mapping[str, AnyHandler]):
    """Handlers by function. deps, limits: what each works with, from the next request on."""

    apps: Mapping[str, ModuleType]
    deps: dict[str, Deps]
    limits: dict[str, dict[str, Any]] = field(default_factory=dict)

    def change(self, *names: str, **changes: Any) -> None:
        """Give functions (all, unless named) other dependencies."""
        for name in names or NAMES:
            self.deps[name] = replace(self.deps[name], **changes)

    def __getitem__(self, name: str) -> AnyHandler:
        limits = IN_ONE_THREAD.get(name, {}) | self.limits.get(name, {})
        handler: AnyHandler = self.apps[name].make_handler(self.deps[name], **limits)
        return handler

    def __iter__(self) -> Iterator[str]:
        return iter(self.apps)

    def __len__(self) -> int:
        return len(self.apps)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the template and its secrets give the functions. stripe_keys: of the functions that may call Stripe."""

    stripe_url: str
    stripe_keys: Mapping[str, str]
    webhook_secrets: tuple[str, ...]
    cursor_secret: str
    pepper: str
    return_url: str

    def at(self, apps: Mapping[str, ModuleType], table: Table, clock: Callable[[], datetime]) -> Functions:
        """The functions at this table and time. All of them share one copy of the catalog, as one process would."""
        catalog = CatalogCache(time.monotonic)
        return Functions(apps, {name: self._deps(name, table, clock, catalog) for name in NAMES})

    def _deps(self, name: str, table: Table, clock: Callable[[], datetime], catalog: CatalogCache) -> Deps:
        return Deps(
            table=table,
            clock=clock,
            catalog=catalog,
            crowds=Crowds(time.monotonic),
            cursor_secrets=lambda _: Versions(versions_of(self.cursor_secret)),
            codes=lambda _: CodeSecrets(peppers=Versions(versions_of(self.pepper)), slow_digest=QUICK_DIGEST),
            stripe=lambda deadline: open_stripe(self.stripe_keys[name], self.stripe_url, is_late=deadline.passed),
            webhook_secrets=lambda _: self.webhook_secrets,
            webhook_tolerance_seconds=TOLERANCE_SECONDS,
            stack=STACK,
            event_source=f"prepaid/{STACK}",
            outbox=Outbox(to_webhook=lambda _: None, to_bus=lambda _: None),
            webhook=None,
            checkout=CheckoutConfig(
                live=False, stack=STACK, payment_methods=("card", "pix", "boleto"), return_url=self.return_url
            ),
            portal=portal_at("", return_url=self.return_url),
            random_bytes=secrets.token_bytes,
        )


def portal_at(url: str, *, return_url: str) -> PortalConfig:
    """The page's parameters for this address, with the defaults for everything else."""
    return PortalConfig(
        url=url,
        return_url=return_url,
        return_origins=(),
        checkout_origin="https://checkout.example.com",
        embed_origins=(),
        accent="",
        accent_dark="",
        name="",
        logo="",
        logo_dark="",
    )


def quick(codes: Callable[[Deadline], CodeSecrets]) -> Callable[[Deadline], CodeSecrets]:
    """The same codes with a fast hash."""
    return lambda deadline: replace(codes(deadline), slow_digest=QUICK_DIGEST)
