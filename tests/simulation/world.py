"""A history while it is played: the table, Stripe, machines with clocks of their own, and the faults of their calls.

A request is a frame: one function's whole run, from event in to response out. Its calls are counted, of the database
and of Stripe alike, so that a fault or a rival can be put before exactly one of them. A rival is a frame of its own
inside.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import boto3

from fake_stripe.state import State
from prepaid.core.errors import Busy, PrepaidError
from prepaid.payments.events import MONEY_EVENTS, SESSION_EVENTS
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table
from prepaid.use_cases.debiting import Crowds
from tests.oracle.calendar import instant
from tests.oracle.catalog import Json
from tests.oracle.expectation import must
from tests.oracle.ledger import Ledger
from tests.simulation import answers, stripe_wire
from tests.simulation.frames import Answer, ClientRequest, Context, Frame, Killed, Machine
from tests.simulation.line import attach, quick_client
from tests.simulation.met_faults import DATABASE_FAULTS, DELAYS, STRIPE_FAULTS
from tests.simulation.stage import API_KEY, TABLE, Stage, model_client
from tests.simulation.stage import session as stage_session
from tests.simulation.step import Step
from tests.simulation.steps import LASTING
from tests.simulation.stripe_wire import StripeWire
from tests.simulation.watched_database import WRITES, WatchedDatabase
from tests.simulation.writes.auditor import Auditor
from tests.simulation.writes.commit import Change, KnownPurchase
from tests.support import wire
from tests.support.api import (
    BALANCE,
    BATCH,
    BUY,
    CANCEL,
    CAPTURE,
    CONSUME,
    GRANT,
    MANAGER_SESSION,
    PLACE_HOLD,
    QUOTE,
    RELEASE,
    REVERSE,
    VOID,
)
from tests.support.gateway_events import caller, http_event
from tests.support.in_process import FUNCTION_OF
from tests.support.store_driver import NO_DEADLINE

START = 1_781_614_800_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CALL_MILLISECONDS = 3
FUNCTION_MILLISECONDS = 28_000
CODES = ("274913", "591827", "830461", "604172")
EVENTS = SESSION_EVENTS | MONEY_EVENTS | {"charge.succeeded"}
KEPT_REQUESTS = 60
# The function that serves a step's request, where a step is planned by its machine's clock.
FUNCTION_OF_STEP = {
    "debit": FUNCTION_OF[CONSUME],
    "batch": FUNCTION_OF[BATCH],
    "grant": FUNCTION_OF[GRANT],
    "void": FUNCTION_OF[VOID],
    "hold": FUNCTION_OF[PLACE_HOLD],
    "capture": FUNCTION_OF[CAPTURE],
    "release": FUNCTION_OF[RELEASE],
    "reverse": FUNCTION_OF[REVERSE],
    "balance": FUNCTION_OF[BALANCE],
    "quote": FUNCTION_OF[QUOTE],
    "unlock": FUNCTION_OF[MANAGER_SESSION],
    "buy": FUNCTION_OF[BUY],
    "cancel": FUNCTION_OF[CANCEL],
    "sweep": "expiry_sweep",
}
FUNCTIONS = ("consume", "accounts", "balance_query", "checkout", "purchase_webhook", "expiry_sweep", "reconcile")
ANYBODY = caller()


type Act = Callable[["World", Step], None]


class World:
    """A history from its first step on. act: carries out a step.

    real: whether calls pass through botocore, or take the quick client's way.
    """

    def __init__(self, stage: Stage, seen: Counter[str], act: "Act", *, real: bool = False) -> None:
        self.stage, self.seen, self._act = stage, seen, act
        self.moment = START
        self.draws = 0
        self.frames: list[Frame] = []
        self.database = WatchedDatabase(self)
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
        self.requests: list[tuple[ClientRequest, list[Answer | None]]] = []
        self.refused_keys: set[tuple[str | None, str | None]] = set()
        self.tokens: dict[str, list[str]] = {}
        self.money_moved_moment = -1
        # When Stripe last sent an event of a session, by its id.
        self.session_event_moments: dict[str, int] = {}
        self.lost = 0
        self.broken: Exception | None = None
        self.keys = 0

    def _client(self, *, real: bool) -> Any:
        if not real:
            return quick_client(model_client(), self.database, self._meet_database)
        from prepaid.aws import open_dynamodb  # noqa: PLC0415 - as wiring does

        with mock.patch.object(boto3, "client", stage_session().create_client):
            client = open_dynamodb()
        attach(client, self.database, self._meet_database)
        return client

    # Called by the stage

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
        """A number that was not drawn before."""
        self.draws += 1
        return self.draws

    def is_busy(self, keys: Sequence[tuple[str, str]]) -> bool:
        """Whether others always write where this function wants to, for as long as it runs."""
        step = self.frame.step
        busy = bool(step.get("busy")) and f"ACCOUNT#shop-{step.of}" in {partition for partition, _ in keys}
        if busy and "busy" not in self.frame.met:
            self._met(self.frame, "busy")
        return busy

    def keep_error(self, error: BaseException) -> None:
        """A handler turned this into its response."""
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
            # A handler turns every error into a response. The auditor's error must end the history instead.
            self.broken = self.broken or error
            raise

    # Faults and rivals of calls

    def _before_call(self, *, writes: bool) -> str | None:
        """The fault that this call of the running function meets, after its rivals have acted."""
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
            self.session_event_moments[event["data"]["object"]["id"]] = self.moment

    # Steps

    def run(self, step: Step) -> None:
        """Carry out a step. Raises Broken when the service breaks a rule."""
        self.seen[f"step: {step.kind}"] += 1
        self._act(self, step)

    def nothing(self, step: Step) -> None:
        self.seen[f"nothing to do: {step.kind}"] += 1

    def machine(self, step: Step, function: str) -> Machine:
        place = (function, step.machine)
        known = self.machines.get(place)
        if known is None or step.cold:
            skew = known.skew if known else 0
            known = self.machines[place] = Machine(CatalogCache(self.monotonic), Crowds(self.monotonic), skew)
        return known

    def now(self, step: Step) -> int:
        """By the clock of the machine that a step's request will meet."""
        function = FUNCTION_OF_STEP.get(step.kind, "")
        known = self.machines.get((function, step.machine))
        return self.moment + (known.skew if known else 0)

    def ledger(self, account: str) -> Ledger:
        return self.auditor.ledgers.get(account) or Ledger(account)

    def ask(self, step: Step, request: ClientRequest) -> Answer | None:
        """One request and its checked response; None when it gets none."""
        function = FUNCTION_OF[request.route]
        if step.kind != request.kind:
            step = replace(step, kind=request.kind)
        headers = dict(request.headers)
        if request.body is not None:
            headers["content-type"] = "application/json"
        if request.key:
            headers["idempotency-key"] = request.key
        event = http_event(
            request.route,
            path={"account": request.account, **dict(request.path)} if request.account else None,
            query=dict(request.query) or None,
            headers=headers,
            claims=request.claims or None,
            body=json.dumps(request.body) if request.body is not None else request.details.get("raw"),
        )
        frame = self._frame(step, function, request)
        response = self._run_function(function, frame, event, None)
        if response is None:
            return None
        headers = {name.lower(): value for name, value in response["headers"].items()}
        body = response.get("body", "")
        if body and not headers["content-type"].startswith("text/csv"):
            body = json.loads(body)
        answer = Answer(response["statusCode"], headers, body)
        self.seen[f"answer: {step.kind} {answer.status} {answer.code}".rstrip()] += 1
        if request.account or request.kind not in {"list_accounts", "list_purchases"}:
            self._nobody_elses(request.account, f"{headers} {response.get('body', '')}")
        answers.check(self, frame, answer)
        return answer

    def _frame(self, step: Step, function: str, request: ClientRequest | None) -> Frame:
        """request: None for a schedule."""
        machine = self.machine(step, function)
        account = request.account if request else ""
        return Frame(
            step=step,
            machine=machine,
            account=account or None,
            key=request.key if request else None,
            details=request.details if request else {},
            signature=request.signature if request else (),
            request=request.request if request else None,
            now=self.moment + machine.skew,
            begun_moment=self.moment,
            first_number=self.ledger(account).number if account else 0,
            manager=self.auditor.managers.get(account),
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
        """One run on a schedule, and its result; None when it was stopped or failed."""
        frame = self._frame(step, function, None)
        try:
            return self._run_function(function, frame, {}, calls)
        except Busy:
            must(frame.troubled, f"{function} gave up, and met nothing")
        except PrepaidError as error:
            must(frame.met, f"{function} raised {error!r}, and met nothing")
        return None

    def purchase_of(self, event: Json) -> KnownPurchase | None:
        """The purchase that an event of Stripe's is about, if an event about it has been delivered."""
        about = event["data"]["object"]
        if event["type"] in SESSION_EVENTS:
            return self.auditor.purchases.get((about.get("metadata") or {}).get("prepaid_purchase", ""))
        if event["type"] not in MONEY_EVENTS:
            return None
        sessions = self.stripe.tables.get("checkout.session", {}).values()
        for session in sessions:
            if session["payment_intent"] == about["payment_intent"]:
                return self.auditor.purchases.get(session["metadata"]["prepaid_purchase"])
        return None

    def _nobody_elses(self, account: str, text: str) -> None:
        for other in self.auditor.ledgers:
            must(other == account or other not in text, f"the answer for {account or 'nobody'} names {other}: {text}")
