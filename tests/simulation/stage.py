"""The stage on which histories are played: the real handlers in one thread, with clocks, random numbers and secrets of
the simulation.

Nothing waits and nothing is random: the same steps lead to the same table, byte by byte.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.config import Config
from botocore.session import Session, get_session

from prepaid import telemetry
from prepaid.core.calendar import floor_to_millisecond
from prepaid.deps import Deps
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.sessions import open_stripe
from prepaid.store.dynamodb import Deadline
from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases.approving import CodeSecrets
from tests.simulation.stripe_wire import ADDRESS
from tests.support.apps import load_app, silenced
from tests.support.functions import portal_at
from tests.support.store_driver import QUICK_DIGEST

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.simulation.world import World

NAMES = (
    "accounts",
    "balance_query",
    "checkout",
    "consume",
    "erasures",
    "expiry_sweep",
    "purchase_webhook",
    "reconcile",
)
TABLE = "simulated"
API_KEY = "sk_test_simulated"
WEBHOOK_SECRET = "whsec_simulated"
TOLERANCE_SECONDS = 300
CHECKOUT = CheckoutConfig(
    live=False,
    stack="simulated",
    payment_methods=("card", "pix", "boleto"),
    return_url="https://shop.example.com/credits",
)

type LambdaHandler = Callable[[dict[str, Any], Any], dict[str, Any]]


def last_first[A, B](act: Callable[[A], B], arguments: Iterable[A]) -> list[B]:
    """The results in the order of the arguments, computed from the last one on."""
    return [act(argument) for argument in reversed(list(arguments))][::-1]


class Stage:
    """handlers: by function. world: the history that is being played; None between two of them."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.apps = {name: load_app(name) for name in NAMES}
        self.handlers: dict[str, LambdaHandler] = {name: partial(self._handle, name) for name in self.apps}

    @property
    def here(self) -> "World":
        """The history that is being played."""
        assert self.world is not None
        return self.world

    @contextmanager
    def set(self) -> Iterator[None]:
        """Within the with block the handlers work in the histories that are played here."""
        log = logging.getLogger(telemetry.logger.name)
        log.addFilter(self._keep_error)
        try:
            # Refusals are checked by their responses.
            with silenced("WARNING"), mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)):
                yield
        finally:
            log.removeFilter(self._keep_error)

    def _handle(self, name: str, event: dict[str, Any], context: Any) -> dict[str, Any]:
        # Threads would make a history unrepeatable. A sweep may meet a page's accounts in any order.
        limits = {"spread": last_first} if name == "expiry_sweep" else {}
        answer: dict[str, Any] = self.apps[name].make_handler(self._deps(), **limits)(event, context)
        return answer

    def _deps(self) -> Deps:
        world = self.here
        deadline = Deadline(at=0.0, clock=world.monotonic, sleep=world.sleep, jitter=lambda: 0.5)
        return Deps(
            table=replace(world.table, deadline=deadline),
            clock=lambda: floor_to_millisecond(world.function_now()),
            catalog=world.frame.instance.catalog,
            crowds=world.frame.instance.crowds,
            cursor_secrets=lambda _: Versions(versions_of("cursor secret")),
            codes=lambda _: CodeSecrets(
                peppers=Versions(versions_of("pepper")), random_bytes=self._bytes, slow_digest=QUICK_DIGEST
            ),
            stripe=lambda deadline: open_stripe(API_KEY, ADDRESS, is_late=deadline.passed),
            webhook_secrets=lambda _: (WEBHOOK_SECRET,),
            webhook_tolerance_seconds=TOLERANCE_SECONDS,
            stack=CHECKOUT.stack,
            event_source="prepaid/test",
            outbox=None,
            webhook=None,
            portal=portal_at("https://api.example.com", return_url=CHECKOUT.return_url),
            checkout=CHECKOUT,
            random_bytes=self._bytes,
        )

    def _keep_error(self, record: logging.LogRecord) -> bool:
        """Keep the error that a handler turns into its response; log nothing."""
        if record.exc_info and record.exc_info[1]:
            self.here.keep_error(record.exc_info[1])
        return False

    def _bytes(self, length: int) -> bytes:
        return hashlib.sha256(f"{self.here.draw()}".encode()).digest()[:length]


@cache
def session() -> Session:
    """Reads the model of DynamoDB's API once."""
    opened = get_session()
    opened.set_config_variable("region", "us-east-1")
    return opened


@cache
def model_client() -> "DynamoDBClient":
    """A real client, for its errors only."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 2})
    return session().create_client("dynamodb", config=config)  # type: ignore[return-value]
