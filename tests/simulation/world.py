"""A history as it is played: the table, Stripe, machines with clocks of their own, and what a call of theirs meets.

A request is a frame: one function's whole run, from event in to response out. Its calls are counted, of the database
and of Stripe alike, so that a fault or a rival can be put before exactly one of them. A rival is a frame of its own
inside.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fake_stripe.state import State
from prepaid.core.errors import Busy, PrepaidError
from prepaid.payments.events import MONEY_EVENTS, SESSION_EVENTS
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table
from tests.simulation import promises, stripe_wire
from tests.simulation.auditor import Auditor, Change, Deal, Manager
from tests.simulation.bodies import time_text
from tests.simulation.books import Book, Json, must
from tests.simulation.database import Database
from tests.simulation.line import attach, quick_client
from tests.simulation.stage import API_KEY, TABLE, Stage, instant, model_client
from tests.simulation.steps import LASTING, Step
from tests.simulation.stripe_wire import StripeWire
from tests.support import wire
from tests.support.gateway_events import Claims, caller, http_event
from tests.support.store_driver import NO_DEADLINE

START = 1_781_614_800_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CALL_MILLISECONDS = 3
SILENCE_MILLISECONDS = 2_000
SLOW_MILLISECONDS = 15_000
FUNCTION_MILLISECONDS = 28_000
CODES = ("274913", "591827", "830461", "604172")
EVENTS = SESSION_EVENTS | MONEY_EVENTS | {"charge.succeeded"}
WRITES = frozenset({"PutItem", "DeleteItem", "TransactWriteItems"})
KEPT_REQUESTS = 60
FUNCTION_OF = {
    "debit": "consume", "grant": "accounts", "put_account": "accounts", "catalog": "accounts",
    "balance": "balance_query", "history": "balance_query", "code": "checkout", "unlock": "checkout",
    "buy": "checkout", "deliver": "purchase_webhook", "sweep": "expiry_sweep", "reconcile": "reconcile",
}  # fmt: skip
FUNCTIONS = ("consume", "accounts", "balance_query", "checkout", "purchase_webhook", "expiry_sweep", "reconcile")
ACCOUNT = "/v1/accounts/{account}"
ANYBODY = caller()


type Act = Callable[["World", Step], None]


class Killed(BaseException):
    """The function is gone, in the middle of a call. No handler catches it, as none would outlive it."""


@dataclass
class Machine:
    """One of a function's machines: what stays warm on it, and how far its clock is off."""

    catalog: CatalogCache
    skew: int = 0


@dataclass(frozen=True)
class Asked:
    """A request as a client can send it again. signature: what is asked, whatever it travels with."""

    kind: str
    route: str
    account: str
    body: Json | None = None
    key: str = ""
    claims: Claims = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    path: tuple[tuple[str, str], ...] = ()
    asked: Json = field(default_factory=dict)
    signature: tuple[Any, ...] = ()


@dataclass
class Answer:
    status: int
    headers: Json
    body: Any

    @property
    def code(self) -> str:
        """Of a problem."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) and self.status >= 400 else ""


@dataclass
class Frame:
    """A function's run. now: by its machine's clock. first_number: of the account's newest entry at its beginning."""

    step: Step
    machine: Machine
    account: str | None
    key: str | None
    asked: Json
    signature: tuple[Any, ...]
    now: int
    begun_moment: int
    first_number: int
    manager: Manager | None
    calls: int = 0
    writes: int = 0
    silent_until: int = 0
    met: list[str] = field(default_factory=list)
    rivals: int = 0
    rivals_milliseconds: int = 0
    killed: bool = False
    written: set[str] = field(default_factory=set)
    entries: list[tuple[str, int]] = field(default_factory=list)
    error: Exception | None = None
    last_call: int | None = None

    @property
    def instance(self) -> Machine:
        return self.machine

    @property
    def troubled(self) -> bool:
        """Whether it may well have run out of patience: for faults, for rivals, or for one that took long."""
        return bool(self.met) or self.rivals > 3 or self.rivals_milliseconds > 1_000

    @property
    def code_version(self) -> int:
        return self.manager.version if self.manager else 0

    @property
    def claims_to_say(self) -> Json:
        """What the entry of its claim must say of it."""
        return self.asked if self.step.kind == "debit" else {}


class Context:
    """What Lambda hands a handler: how long it may still run, here by the number of calls it may make."""

    aws_request_id = "8a2f1c9e-0000-4000-8000-000000000001"
    function_name = "under-test"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:under-test"

    def __init__(self, world: "World", calls: int | None) -> None:
        self._world, self._calls = world, calls

    def get_remaining_time_in_millis(self) -> int:
        if self._calls is not None and self._world.frame.calls >= self._calls:
            return 0
        return 300_000


class Watched(Database):
    """The database, which tells the auditor of each commit while it is made."""

    def __init__(self, world: "World") -> None:
        super().__init__(TABLE, clock=world.monotonic)
        self._world = world
        self.conflicts = False

    def answer(self, operation: str, request: Json) -> tuple[int, Json]:
        if operation == "Query":
            # Of a partition that holds nothing; a sweep walks through thousands of them.
            partition = request["ExpressionAttributeValues"][":partition"]["S"]
            if partition not in self.tables[TABLE].partitions:
                return 200, {"Items": [], "Count": 0, "ScannedCount": 0}
        if operation not in WRITES:
            return super().answer(operation, request)
        keys = [_key(write) for write in _writes(request)]
        if self.conflicts or self._world.is_busy(keys):
            return self._conflict(operation, request)
        rows = self.tables[TABLE]
        before = [rows.get(key) for key in keys]
        status, body = super().answer(operation, request)
        if status == 200:
            after = [rows.get(key) for key in keys]
            changes: list[Change] = [
                (key, old, new) for key, old, new in zip(keys, before, after, strict=True) if old is not new
            ]
            if changes:
                self._world.committed(changes)
        return status, body

    def _conflict(self, operation: str, request: Json) -> tuple[int, Json]:
        """Somebody else's transaction holds the first item."""
        prefix = "com.amazonaws.dynamodb.v20120810#"
        if operation != "TransactWriteItems":
            return 400, {"__type": prefix + "TransactionConflictException", "message": "in conflict"}
        codes = ["TransactionConflict", *["None"] * (len(request["TransactItems"]) - 1)]
        message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
        reasons = [{"Code": code} for code in codes]
        body = {"__type": prefix + "TransactionCanceledException", "message": message, "CancellationReasons": reasons}
        return 400, body


def _writes(request: Json) -> list[Json]:
    if "TransactItems" in request:
        return [one for write in request["TransactItems"] for one in write.values()]
    return [request]


def _key(write: Json) -> tuple[str, str]:
    named = write.get("Item") or write["Key"]
    return named["PK"]["S"], named["SK"]["S"]


class World:
    """A history from its first step on. act: makes a step happen.

    real: whether calls pass through botocore, or take the quick client's way.
    """

    def __init__(self, stage: Stage, seen: Counter[str], act: "Act", *, real: bool = False) -> None:
        self.stage, self.seen, self._act = stage, seen, act
        self.moment = START
        self.metrics: Counter[str] = Counter()
        self.draws = 0
        self.frames: list[Frame] = []
        self.database = Watched(self)
        self.client = self._client(real=real)
        self.table = Table(client=self.client, name=TABLE, deadline=NO_DEADLINE)
        self.api = stripe_wire.fake_stripe(lambda: self.moment / 1000, API_KEY)
        self.stripe: State = self.api.state
        self.stripe.listeners.append(self._happened)
        self.stripe_wire = StripeWire(self.api, self._meet_stripe)
        self.auditor = Auditor(self, seen)
        self.machines: dict[tuple[str, int], Machine] = {}
        self.events: list[Json] = []
        self.old_events: list[Json] = []
        self.requests: list[tuple[Asked, list[Answer | None]]] = []
        self.refused_keys: set[tuple[str | None, str | None]] = set()
        self.tokens: dict[str, list[str]] = {}
        self.truth_moment = -1
        # When a session last said something of itself.
        self.told_moments: dict[str, int] = {}
        self.lost = 0
        self.broken: Exception | None = None
        self.keys = 0

    def _client(self, *, real: bool) -> Any:
        if not real:
            return quick_client(model_client(), self.database, self._meet_database)
        from prepaid.store.dynamodb import open_client  # noqa: PLC0415 - as wiring does

        client = open_client()
        attach(client, self.database, self._meet_database)
        return client

    # What the stage asks

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def monotonic(self) -> float:
        return self.moment / 1000

    def sleep(self, seconds: float) -> None:
        self.moment += int(seconds * 1000)

    def function_now(self) -> datetime:
        return instant(self.frame.now)

    def draw(self) -> int:
        """A number that nobody drew before."""
        self.draws += 1
        return self.draws

    def is_busy(self, keys: Sequence[tuple[str, str]]) -> bool:
        """Whether others always write where this function wants to, for as long as it runs."""
        step = self.frame.step
        busy = bool(step.get("busy")) and f"ACCOUNT#shop-{step.of}" in {partition for partition, _ in keys}
        if busy and "busy" not in self.frame.met:
            self._met(self.frame, "busy")
        return busy

    def hear(self, error: Exception) -> None:
        """A handler turned this into its answer."""
        self.frame.error = error

    @staticmethod
    def digest(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @staticmethod
    def day(milliseconds: int) -> str:
        return (EPOCH + timedelta(milliseconds=milliseconds)).date().isoformat()

    def committed(self, changes: list[Change]) -> None:
        """The database has just done this, asked by the function that runs."""
        frame = self.frame
        for (partition, sort), _, _ in changes:
            frame.written.add((sort if partition.startswith("ACCOUNT#") else partition).partition("#")[0])
        try:
            self.auditor.commit(frame, changes)
        except Exception as error:
            # A handler turns whatever it meets into an answer; this one is not to be answered.
            self.broken = self.broken or error
            raise

    # What a call meets

    def _before_call(self, *, writes: bool) -> str | None:
        """The fault that this call of the running function meets, after what gets in before it."""
        frame = self.frame
        frame.calls += 1
        frame.writes += writes
        numbers = {frame.calls, -frame.writes} if writes else {frame.calls}
        for call, rival in frame.step.rivals:
            if call in numbers:
                frame.rivals += 1
                self.seen[f"rival: {rival.kind} before a call of {frame.step.kind}"] += 1
                before = self.moment
                self.run(rival)
                frame.rivals_milliseconds += self.moment - before
        self.moment += CALL_MILLISECONDS
        if self.moment - frame.begun_moment > FUNCTION_MILLISECONDS and frame.step.kind not in {"sweep", "reconcile"}:
            self._met(frame, "timed out")
            raise Killed
        for call, fault in frame.step.faults:
            if call in numbers:
                frame.silent_until = frame.calls + LASTING.get(fault, 0)
                if fault not in LASTING:
                    return fault
        return "silent" if frame.calls < frame.silent_until else None

    def _met(self, frame: Frame, fault: str) -> None:
        frame.met.append(fault)
        self.seen[f"fault: {fault} in {frame.step.kind}"] += 1

    def _meet_database(self, operation: str, _call: int) -> wire.Fault | None:
        fault = self._before_call(writes=operation == "TransactWriteItems")
        if fault is None:
            return None
        self._met(self.frame, fault)
        self.moment += DELAYS.get(fault, 0)
        if fault == "conflict" and operation in WRITES:
            return self._conflict
        return DATABASE_FAULTS[fault]

    def _conflict(self, send: wire.Send) -> Any:
        self.database.conflicts = True
        try:
            return send()
        finally:
            self.database.conflicts = False

    def _meet_stripe(self, name: str) -> stripe_wire.Fault | None:
        fault = self._before_call(writes=False)
        if fault is None:
            return None
        self._met(self.frame, f"stripe {fault}")
        self.moment += 2 * DELAYS.get(fault, 0)
        return STRIPE_FAULTS[fault]

    def _happened(self, event: Json) -> None:
        if event["type"] in EVENTS:
            self.events.append(event)
        if event["type"] in SESSION_EVENTS:
            self.told_moments[event["data"]["object"]["id"]] = self.moment

    # Steps

    def run(self, step: Step) -> None:
        """Let a step happen. Raises Broken when a promise doesn't hold."""
        self.seen[f"step: {step.kind}"] += 1
        self._act(self, step)

    def nothing(self, step: Step) -> None:
        self.seen[f"nothing to do: {step.kind}"] += 1

    def machine(self, step: Step, function: str) -> Machine:
        place = (function, step.machine)
        known = self.machines.get(place)
        if known is None or step.cold:
            skew = known.skew if known else 0
            known = self.machines[place] = Machine(CatalogCache(self.monotonic), skew)
        return known

    def now(self, step: Step) -> int:
        """By the clock of the machine that a step's request will meet."""
        function = FUNCTION_OF.get(step.kind, "")
        known = self.machines.get((function, step.machine))
        return self.moment + (known.skew if known else 0)

    def book(self, account: str) -> Book:
        return self.auditor.books.get(account) or Book(account)

    def ask(self, step: Step, asked: Asked) -> Answer | None:
        """One request and its answer, held against the books; None when nobody answers."""
        function = FUNCTION_OF.get(asked.kind) or ("checkout" if "/purchases" in asked.route else "accounts")
        if step.kind != asked.kind:
            step = replace(step, kind=asked.kind)
        headers = dict(asked.headers)
        if asked.body is not None:
            headers["content-type"] = "application/json"
        if asked.key:
            headers["idempotency-key"] = asked.key
        event = http_event(
            asked.route,
            path={"account": asked.account, **dict(asked.path)} if asked.account else None,
            query=dict(asked.query) or None,
            headers=headers,
            claims=asked.claims or None,
            body=json.dumps(asked.body) if asked.body is not None else asked.asked.get("raw"),
        )
        frame = self._frame(step, function, asked.account or None, asked.key, asked.asked, asked.signature)
        response = self._run_function(function, frame, event, None)
        if response is None:
            return None
        headers = {name.lower(): value for name, value in response["headers"].items()}
        body = response.get("body", "")
        if body and not headers["content-type"].startswith("text/csv"):
            body = json.loads(body)
        answer = Answer(response["statusCode"], headers, body)
        self.seen[f"answer: {step.kind} {answer.status} {answer.code}".rstrip()] += 1
        self._nobody_elses(asked.account, f"{headers} {response.get('body', '')}")
        promises.check(self, frame, answer)
        return answer

    def _frame(
        self, step: Step, function: str, account: str | None, key: str | None, asked: Json, signature: tuple[Any, ...]
    ) -> Frame:
        machine = self.machine(step, function)
        return Frame(
            step=step,
            machine=machine,
            account=account,
            key=key,
            asked=asked,
            signature=signature,
            now=self.moment + machine.skew,
            begun_moment=self.moment,
            first_number=self.book(account).number if account else 0,
            manager=self.auditor.managers.get(account or ""),
        )

    def _run_function(self, function: str, frame: Frame, event: Json, calls: int | None) -> Json | None:
        self.frames.append(frame)
        depth = len(self.frames)
        try:
            answer: Json | None = self.stage.handlers[function](event, Context(self, calls))
        except Killed:
            frame.killed = True
            answer = None
        finally:
            del self.frames[depth - 1 :]
        if self.broken:
            raise self.broken
        return answer

    def scheduled(self, step: Step, function: str, calls: int | None) -> Json | None:
        """One run on a schedule, and what it says it did; None when it was stopped or failed."""
        frame = self._frame(step, function, None, None, {}, ())
        try:
            return self._run_function(function, frame, {}, calls)
        except Busy:
            must(frame.troubled, f"{function} gave up, and met nothing")
        except PrepaidError as error:
            must(frame.met, f"{function} raised {error!r}, and met nothing")
        return None

    @staticmethod
    def text(milliseconds: int) -> str:
        """A time as a client writes it."""
        return time_text(milliseconds)

    def deal_of(self, event: Json) -> Deal | None:
        """The purchase that an event of Stripe's is about, if it concerns one that we were told of."""
        about = event["data"]["object"]
        if event["type"] in SESSION_EVENTS:
            return self.auditor.deals.get((about.get("metadata") or {}).get("prepaid_purchase", ""))
        if event["type"] not in MONEY_EVENTS:
            return None
        sessions = self.stripe.tables.get("checkout.session", {}).values()
        for session in sessions:
            if session["payment_intent"] == about["payment_intent"]:
                return self.auditor.deals.get(session["metadata"]["prepaid_purchase"])
        return None

    def _nobody_elses(self, account: str, text: str) -> None:
        for other in self.auditor.books:
            must(other == account or other not in text, f"{account or 'anybody'} is told about {other}: {text}")


def _killed_before(send: Callable[[], Any]) -> Any:
    raise Killed


def _killed_after(send: Callable[[], Any]) -> Any:
    send()
    raise Killed


DELAYS = {
    "lost": SILENCE_MILLISECONDS,
    "silent": SILENCE_MILLISECONDS,
    "slow": SLOW_MILLISECONDS,
}
# None: the call goes through as if nothing had happened, only late.
DATABASE_FAULTS: dict[str, wire.Fault | None] = {
    "lost": wire.answer_lost,
    "silent": wire.no_answer,
    "slow": None,
    "error": wire.refuses("InternalServerError", 500),
    "gateway": wire.answers(502, b"<html>Bad Gateway</html>"),
    "throttled": wire.refuses("ProvisionedThroughputExceededException"),
    "conflict": wire.refuses("ProvisionedThroughputExceededException"),
    "killed_before": _killed_before,
    "killed_after": _killed_after,
}
STRIPE_FAULTS: dict[str, stripe_wire.Fault | None] = {
    "lost": stripe_wire.answer_lost,
    "silent": stripe_wire.no_answer,
    "slow": None,
    "error": stripe_wire.refuses(500),
    "gateway": stripe_wire.refuses(502),
    "throttled": stripe_wire.refuses(429),
    "conflict": stripe_wire.refuses(503),
    "killed_before": _killed_before,
    "killed_after": _killed_after,
}
