"""What histories are played on: the real handlers in one thread, with every clock, die and secret in our hands.

Nothing waits and nothing is random: the same steps lead to the same table, byte by byte.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.config import Config
from botocore.session import Session, get_session

from prepaid import wiring
from prepaid.api import http, metrics
from prepaid.api import purchases as purchases_api
from prepaid.settings import Settings
from prepaid.store import dynamodb, managers
from prepaid.store.dynamodb import Patience
from tests.simulation.stripe_wire import ADDRESS
from tests.support.apps import load_app

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.simulation.world import World

NAMES = ("accounts", "balance_query", "checkout", "consume", "expiry_sweep", "purchase_webhook", "reconcile")
TABLE = "simulated"
API_KEY = "sk_test_simulated"
WEBHOOK_SECRET = "whsec_simulated"
STRIPE_SECRET = f'{{"api_key": "{API_KEY}", "webhook_secrets": ["{WEBHOOK_SECRET}"]}}'
TOLERANCE_SECONDS = 300
SETTINGS = Settings(
    table_name=TABLE,
    cursor_secret_name="cursor",
    stripe_secret_name="stripe",
    pepper_secret_name="pepper",
    stripe_api_base=ADDRESS,
    live_mode=False,
    payment_methods=("card", "pix", "boleto"),
    return_url="https://shop.example.com/credits",
    webhook_tolerance_seconds=TOLERANCE_SECONDS,
)
# A comparison of codes is meant to be slow; here it is done a million times.
QUICK_SCRYPT = {"n": 2, "r": 1, "p": 1, "maxmem": 2**26}

type LambdaHandler = Callable[[dict[str, Any], Any], dict[str, Any]]


class Stage:
    """handlers: by function. world: the history that is being played; None between two of them."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.apps = {name: load_app(name) for name in NAMES}
        self.handlers: dict[str, LambdaHandler] = {name: app.handler for name, app in self.apps.items()}

    @property
    def here(self) -> "World":
        """The history that is being played."""
        assert self.world is not None
        return self.world

    @contextmanager
    def set(self) -> Iterator[None]:
        """For the length of a with block the handlers live in the histories that are played here."""
        fixed: list[tuple[object, str, object]] = [
            (wiring, "settings", lambda: SETTINGS),
            (wiring, "table", lambda: self.here.table),
            (wiring, "catalog", lambda: self.here.frame.instance.catalog),
            (wiring, "cursor_secret", lambda: lambda: "cursor secret"),
            (wiring, "pepper", lambda: lambda: "pepper"),
            (wiring, "stripe_secret_text", lambda: lambda: STRIPE_SECRET),
            (wiring, "datetime", SimpleNamespace(now=lambda _: self.here.function_now())),
            (http, "Patience", self._patience),
            (http, "_tell", lambda error, _about: self.here.hear(error)),
            (metrics, "_publish", self._publish),
            (managers, "secrets", SimpleNamespace(token_bytes=self._bytes, token_urlsafe=self._hex)),
            (purchases_api, "secrets", SimpleNamespace(token_hex=self._hex)),
            (managers, "SCRYPT", QUICK_SCRYPT),
            (dynamodb, "get_session", session),
        ]
        apps = [app for app in self.apps.values() if hasattr(app, "Patience")]
        fixed += [(app, "Patience", self._patience) for app in apps]
        with ExitStack() as stack:
            for target, name, value in fixed:
                stack.enter_context(mock.patch.object(target, name, value))
            stack.enter_context(mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)))
            wiring.checkout_config.cache_clear()
            loggers = [http.logger, *(app.logger for app in self.apps.values() if hasattr(app, "logger"))]
            for logger in loggers:
                logger.setLevel("CRITICAL")
            yield
            for logger in loggers:
                logger.setLevel("INFO")
            wiring.checkout_config.cache_clear()

    def _patience(self, *, seconds: float) -> Patience:
        world = self.here
        return Patience(seconds=seconds, clock=world.monotonic, sleep=world.sleep, dice=lambda: 0.5)

    def _publish(self, name: str, _unit: str, value: int) -> None:
        if value:
            self.here.metrics[name] += value

    def _bytes(self, length: int) -> bytes:
        return hashlib.sha256(f"{self.here.draw()}".encode()).digest()[:length]

    def _hex(self, length: int) -> str:
        return self._bytes(length).hex()


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
