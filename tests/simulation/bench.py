"""Runs the real handlers over a database, a Stripe and a webhook in memory; each call can meet a fault.

Every invocation is a cold start, nothing waits, and the clock stands still unless a fault moves it.
"""

import hashlib
import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

from botocore.retries import quota

from fake_stripe.api import Api
from fake_stripe.state import PREFIXES, State
from prepaid.aws import open_dynamodb
from prepaid.core.calendar import floor_to_millisecond
from prepaid.core.errors import Unavailable
from prepaid.deps import Deps
from prepaid.payments.checkout_config import CheckoutConfig
from prepaid.payments.secrets import api_key_from, webhook_secrets_from
from prepaid.payments.sessions import open_stripe
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Deadline, Table
from prepaid.store.secrets import Secret, Versions, versions_of
from prepaid.use_cases.approving import CodeSecrets
from prepaid.use_cases.debiting import Crowds
from tests.simulation.database import Answer, Snapshot
from tests.simulation.line import attach, off_the_wire, quick_client
from tests.simulation.outside import SECRET as WEBHOOK_SECRET
from tests.simulation.outside import Outside
from tests.simulation.stripe_wire import ADDRESS, StripeWire, reached
from tests.support.apps import load_app, silenced
from tests.support.functions import NAMES, STACK, Functions, portal_at
from tests.support.in_process import Service
from tests.support.store_driver import NO_DEADLINE, QUICK_DIGEST, Stored
from tests.support.stripe_purchases import CURRENT_SECRET, Storefront
from tests.support.whole_table import WholeDatabase

TABLE = "ledger"
STRIPE_KEY = "rk_test_b3nch"
START = datetime(2026, 6, 16, 13, 0, tzinfo=UTC)
PLENTY_MILLISECONDS = 900_000
ENVIRONMENT = {
    "TABLE_NAME": TABLE,
    "CURSOR_SECRET_NAME": "cursor",
    "PEPPER_SECRET_NAME": "pepper",
    "STRIPE_SECRET_NAME": "stripe",
    "STRIPE_API_BASE": ADDRESS,
    "STRIPE_STACK": STACK,
    "PAYMENT_METHODS": "card,pix,boleto",
    "RETURN_URL": "https://shop.example.com/credits",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}

SECRETS = {
    "cursor": "cursor secret",
    "pepper": "pepper",
    "stripe": json.dumps({"api_key": STRIPE_KEY, "webhook_secrets": [CURRENT_SECRET]}),
    "webhook": json.dumps({"secrets": [WEBHOOK_SECRET]}),
}

# A fault of a call. It gets a function that sends the call, may call it, and returns what the wire below returned.
type Meet = Callable[[Callable[[], Any]], Any]


def no_fault(_number: int, _call: str) -> None:
    """Every call passes."""


@dataclass
class SecretsManager:
    """Holds the functions' secrets. met: called before each read of one."""

    texts: Mapping[str, str]
    met: Callable[[], None] = lambda: None

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        self.met()
        return {"SecretString": self.texts[SecretId]}


class Killed(BaseException):
    """The function's process ended here."""


@dataclass
class Context:
    """Lambda's, with a clock that a fault can let run out."""

    bench: "Bench"
    aws_request_id: str = "8a2f1c9e-0000-4000-8000-000000000001"
    function_name: str = "under-test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:under-test"

    def get_remaining_time_in_millis(self) -> int:
        return self.bench.remaining_milliseconds


class Refusing(WholeDatabase):
    """A database that on request cancels the next transaction, as if it conflicted with another one."""

    cancelled_for = ""

    def answer(self, operation: str, request: dict[str, Any]) -> tuple[int, Answer]:
        code, self.cancelled_for = self.cancelled_for, ""
        if not code:
            return super().answer(operation, request)
        kind = "com.amazonaws.dynamodb.v20120810#"
        if operation != "TransactWriteItems":
            return 400, {"__type": f"{kind}{code}Exception", "message": "injected"}
        others = [{"Code": "None"}] * (len(request["TransactItems"]) - 1)
        reasons = [{"Code": code, "Message": "injected"}, *others]
        return 400, {"__type": f"{kind}TransactionCanceledException", "CancellationReasons": reasons}


@dataclass(frozen=True)
class Saved:
    """Everything that outlives a function's process, from which a cell starts again."""

    items: Snapshot
    stripe: bytes
    outside: tuple[Any, ...]
    now: datetime
    draws: int


class Bench:
    """calls: the watched invocations' calls to the database, Stripe and others. meet: the fault of the n-th of them."""

    def __init__(self, client: Any, retries: quota.RetryQuota, *, quick: bool) -> None:
        self.database = Refusing(TABLE)
        self.calls: list[str] = []
        # How many calls had been made when each invocation ended.
        self.ended_at: list[int] = []
        self.meet: Callable[[int, str], Meet | None] = no_fault
        self.watched = False
        # The fault of every further call of this invocation.
        self.from_here: Callable[[str], Meet] | None = None
        # Whether this invocation was killed: its further calls have no effect.
        self.killed = False
        self.remaining_milliseconds = PLENTY_MILLISECONDS
        self.now = START
        # How far the functions' clock is ahead of everybody else's.
        self.skew = timedelta()
        self.monotonic = 0.0
        self._draws = 0
        self._numbers: Counter[str] = Counter()
        self.state = State(now=self._seconds, new_id=self._new_id, public_url=ADDRESS)
        self.api = Api(self.state, {STRIPE_KEY: None})
        self.outside = Outside(self._pass)
        self.secrets = SecretsManager(SECRETS)
        self.wire = StripeWire(self.api, lambda call: partial(self._pass, f"stripe {call}"))
        self.client, self.retries = client, retries
        if quick:
            self.client = quick_client(client, self.database, self._plan)
        else:
            attach(client, self.database, self._plan)
        deadline = Deadline(at=0.0, clock=lambda: self.monotonic, sleep=self._sleep, jitter=lambda: 0.5)
        self.table = Table(client=self.client, name=TABLE, deadline=deadline)
        # The test's own calls have no deadline; each request of a function gets one.
        self.service = Service(replace(self.table, deadline=NO_DEADLINE), self._functions())
        self.storefront = Storefront(self.service, SimpleNamespace(state=self.state, url=ADDRESS), self)  # type: ignore[arg-type]

    def invoke[T](self, act: Callable[[], T]) -> T | None:
        """One invocation in a new process: what `act` returns; None when it was killed."""
        self.forget()
        try:
            return act()
        except Killed:
            return None
        except Unavailable:
            # Only the scheduled functions let these out; Lambda counts the run as failed.
            return None
        finally:
            self.ended_at.append(len(self.calls))
            self.from_here, self.killed = None, False
            self.remaining_milliseconds = PLENTY_MILLISECONDS

    def forget(self) -> None:
        """Clear what a new process doesn't have."""
        self.service.functions.deps.update({name: self._deps() for name in NAMES})
        self.retries.release(quota.RetryQuota.INITIAL_CAPACITY)

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Calls of other processes meet no fault and aren't counted."""
        kept = self.watched, self.from_here, self.remaining_milliseconds
        self.watched, self.from_here, self.remaining_milliseconds = False, None, PLENTY_MILLISECONDS
        yield
        self.watched, self.from_here, self.remaining_milliseconds = kept

    def _plan(self, operation: str, _: int) -> Meet | None:
        return partial(self._pass, operation) if self.watched else None

    def _pass(self, call: str, send: Callable[[], Any]) -> Any:
        if not self.watched:
            return send()
        if self.killed:
            raise Killed
        self.calls.append(call)
        met = self.from_here(call) if self.from_here else self.meet(len(self.calls), call)
        try:
            return met(send) if met else send()
        except Killed:
            self.killed = True
            raise

    def items(self) -> Stored:
        """What is stored, as boto would show it."""
        return {key: off_the_wire(item) for key, item in self.database.snapshot(TABLE).items()}

    def save(self) -> Saved:
        """The state, to start from again."""
        stripe = self.state.tables, self.state.baskets, self.api.idempotency.saved(), self._numbers
        return Saved(self.database.snapshot(TABLE), pickle.dumps(stripe), self.outside.save(), self.now, self._draws)

    def load(self, saved: Saved) -> None:
        """Start again from a saved state."""
        self.database.restore(TABLE, saved.items)
        tables, baskets, kept, numbers = pickle.loads(saved.stripe)  # noqa: S301 - our own, a moment ago
        self.state.tables, self.state.baskets = tables, baskets
        self.api.idempotency.restore(kept)
        self._numbers, self.now = numbers, saved.now
        self.outside.load(saved.outside)
        self.calls.clear()
        self.ended_at.clear()
        self.watched, self.skew, self.meet, self.secrets.met = False, timedelta(), no_fault, lambda: None
        self._draws = saved.draws

    def _functions(self) -> Functions:
        """Each function in its own process, with empty caches."""
        return Functions(apps(), {name: self._deps() for name in NAMES})

    def _versions(self, name: str) -> Callable[[Deadline], Versions]:
        secret = self._secret(name)
        return lambda deadline: Versions(
            versions_of(secret(deadline)), lambda: versions_of(secret.read_again(deadline))
        )

    def _secret(self, name: str) -> Secret:
        return Secret(name, lambda: self.monotonic)

    def _deps(self) -> Deps:
        peppers, stripe_secret = self._versions("pepper"), self._secret("stripe")
        return Deps(
            table=self.table,
            clock=lambda: floor_to_millisecond(self.now + self.skew),
            catalog=CatalogCache(lambda: self.monotonic),
            crowds=Crowds(lambda: self.monotonic),
            cursor_secrets=self._versions("cursor"),
            codes=lambda deadline: CodeSecrets(
                peppers=peppers(deadline), random_bytes=self.draw, slow_digest=QUICK_DIGEST
            ),
            stripe=lambda deadline: open_stripe(
                api_key_from(stripe_secret(deadline)), ADDRESS, is_late=deadline.passed
            ),
            webhook_secrets=lambda deadline: webhook_secrets_from(stripe_secret(deadline)),
            webhook_tolerance_seconds=300,
            stack=STACK,
            event_source="prepaid/test",
            outbox=self.outside.outbox(),
            webhook=self.outside.webhook(self._secret("webhook")),
            portal=portal_at("https://api.example.com", return_url="https://shop.example.com/credits"),
            checkout=CheckoutConfig(
                live=False,
                stack=STACK,
                payment_methods=("card", "pix", "boleto"),
                return_url="https://shop.example.com/credits",
            ),
            random_bytes=self.draw,
        )

    def draw(self, length: int) -> bytes:
        """Random enough for a salt or an id, and the same in every run."""
        self._draws += 1
        return hashlib.sha256(str(self._draws).encode()).digest()[:length]

    def _seconds(self) -> float:
        return self.now.timestamp()

    def _sleep(self, seconds: float) -> None:
        self.monotonic += seconds

    def _new_id(self, kind: str) -> str:
        self._numbers[kind] += 1
        return f"{PREFIXES[kind]}_{self._numbers[kind]:024d}"


@contextmanager
def opened_bench(*, quick: bool = False) -> Iterator[Bench]:
    """The bench, with the handlers on it for the length of a with block. quick: without botocore's own work."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict("os.environ", ENVIRONMENT))
        retries = quota.RetryQuota()
        # A client after many failures stops trying again; every function here is a new one.
        with mock.patch("botocore.retries.standard.quota.RetryQuota", return_value=retries):
            client = open_dynamodb()
        bench = Bench(client, retries, quick=quick)
        # The database's client is there: what opens another one reads a secret.
        stack.enter_context(mock.patch("boto3.client", return_value=bench.secrets))
        # Nor does it have what other tests of this process have cached.
        bench.forget()
        stack.enter_context(mock.patch("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)))
        stack.enter_context(reached(bench.wire))
        stack.enter_context(silenced())
        try:
            yield bench
        finally:
            bench.forget()
            client.close()


@cache
def apps() -> dict[str, ModuleType]:
    """Each function's file, loaded by its path as Lambda does."""
    return {name: load_app(name) for name in NAMES}
