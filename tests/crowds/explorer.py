"""Every interleaving of a few requests at every call to the database, with lost answers, late calls and crashes.

The requests run the product's own code. A request is a function of the answers that it has got: it is run again from
its start with one more answer, up to its next call. So a node of the search is the table, the replies that each request
has, the calls that are still under way, and the time:

    table 7 · A has [tail 3] · B has [tail 3, lost to 4] · under way: B's row · 0 s

From a node, any request may make its next call, any call under way may arrive, a row may be removed, or time may pass.
A request that isn't run any more was killed. What must hold is checked wherever the table or a result changes.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from botocore.exceptions import EndpointConnectionError

from prepaid.core.catalog import Catalog
from prepaid.core.errors import PrepaidError, Refused
from prepaid.core.ledger import Debit, Grant, apply
from prepaid.store.catalog import first_catalog
from prepaid.store.dynamodb import Deadline, Table
from prepaid.store.items import entry_from_item, key_digest
from prepaid.store.ledger import Appended, append
from prepaid.store.waiting import KeyedDebit
from prepaid.use_cases.debiting import Crowds, append_debit, append_each
from tests.simulation.database import Database
from tests.simulation.line import QuickClient, off_the_wire
from tests.simulation.stage import model_client
from tests.simulation.watched_database import in_conflict

# Five seconds before midnight in a zone eleven hours ahead.
START = datetime(2026, 6, 16, 12, 59, 55, tzinfo=UTC)
DEADLINE_SECONDS = 3.0
TABLE = "crowds"
ACCOUNT = "acme"
MOST_CALLS = 80
SALT = b"0123456789abcdef"

type State = dict[tuple[str, str], Any]


class Suspended(BaseException):
    """A request's next call: it has no reply yet."""

    def __init__(self, operation: str, request: str) -> None:
        self.operation, self.request = operation, request


class Broken(AssertionError):
    """Something that must hold doesn't."""


class Reply(NamedTuple):
    """One answer. status 0: none came. seconds: the time then."""

    status: int
    body: str
    seconds: float


@dataclass(frozen=True)
class Request:
    """A debit, or a grant without a key (quantity negative). now: seconds that its clock is ahead. after: the request
    that was answered before. impatient: whether it may give up at any pause. crowded: whether it knows of a race.
    more: the keys and quantities of a batch's other debits."""

    key: str
    quantity: int = 1
    feature: str = "sticker"
    now: float = 0.0
    after: int | None = None
    impatient: bool = False
    crowded: bool = False
    more: tuple[tuple[str, int], ...] = ()
    catalog: Catalog = field(default_factory=first_catalog)

    @property
    def grants(self) -> bool:
        return self.quantity < 0

    @property
    def debits(self) -> tuple[KeyedDebit, ...]:
        quantities = ((self.key, self.quantity), *self.more)
        return tuple(
            KeyedDebit(key, Debit(actor="app", feature=self.feature, quantity=each)) for key, each in quantities
        )


@dataclass(frozen=True)
class Scenario:
    """lost: answers that get lost, of calls that happen at once, late or never. removed: rows that are gone, at any
    time, but a tombstone after its TTL if a row may arrive late. conflicts: writes that another transaction cancels.
    seconds: that pass once, at any time."""

    name: str
    table: State
    requests: tuple[Request, ...]
    lost: int = 0
    removed: int = 0
    conflicts: int = 0
    seconds: float = 0.0


class Node(NamedTuple):
    """received: for each request, the place of its last reply; -1 before it begins."""

    table: int
    received: tuple[int, ...]
    under_way: tuple[tuple[int, int], ...] = ()
    lost: int = 0
    removed: int = 0
    conflicts: int = 0
    seconds: float = 0.0


class Next(NamedTuple):
    """A request's next call, or its result."""

    call: int | None
    result: Any


class Replaying(QuickClient):
    """A client that answers from what was received, and suspends the request at the call after that."""

    def __init__(self, received: list[Reply], client: Any) -> None:
        super().__init__(client, Database(TABLE), lambda *_: None)
        self.attempts, self.received, self.place = 1, received, 0

    @property
    def seconds(self) -> float:
        return self.received[min(self.place, len(self.received)) - 1].seconds if self.received else 0.0

    def transact_write_items(self, **params: Any) -> Any:
        return self.call("TransactWriteItems", params)

    def take(self, operation: str, request: Any) -> Reply:
        if self.place == len(self.received):
            raise Suspended(operation, json.dumps(request, sort_keys=True))
        self.place += 1
        return self.received[self.place - 1]

    def exchange(self, operation: str, request: Any) -> Any:
        reply = self.take(operation, request)
        if not reply.status:
            raise EndpointConnectionError(endpoint_url="http://database")
        return reply.status, json.loads(reply.body)


def run(request: Request, received: list[Reply], client: Any) -> Any:
    """What the request returns. Raises Suspended at the call after those whose replies it has."""
    line = Replaying(received, client)
    began = line.take("Begin", {}).seconds
    gone = [0.0]

    def sleep(seconds: float) -> None:
        # An answer from the database would have come in time.
        if request.impatient and line.take("Pause", {}).status == 0:
            gone[0] = DEADLINE_SECONDS

    deadline = Deadline(
        at=began + DEADLINE_SECONDS, clock=lambda: line.seconds + gone[0], sleep=sleep, jitter=lambda: 0.5
    )
    table = Table(client=line, name=TABLE, deadline=deadline)  # type: ignore[arg-type]
    now = START + timedelta(seconds=began + request.now)
    crowds = Crowds(lambda: 0.0)
    if request.crowded:
        crowds.note(ACCOUNT)
    try:
        if request.grants:
            grant = Grant(actor="admin", kind="promotion", credits=-request.quantity, validity=12)
            return append(table, ACCOUNT, grant, catalog=request.catalog, now=now)
        shared: dict[str, Any] = {"catalog": request.catalog, "now": now, "salt": SALT, "crowds": crowds}
        if request.more:
            return append_each(table, ACCOUNT, request.debits, **shared)
        [keyed] = request.debits
        return append_debit(table, ACCOUNT, keyed.debit, idempotency_key=keyed.key, **shared)
    except PrepaidError as error:
        return error


class Search:
    """One scenario. nodes: visited. results: what each request may come to."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.client = scenario, model_client()
        self._tables: list[State] = []
        self._table_ids: dict[str, int] = {}
        self._received: list[tuple[int, Reply | None, int]] = [(-1, None, -1)]
        self._received_ids: dict[tuple[int, Reply, int], int] = {}
        self._calls: list[tuple[str, str]] = []
        self._call_ids: dict[tuple[str, str], int] = {}
        self._next: dict[int, Next] = {}
        self._done: dict[tuple[int, int], tuple[int, Reply]] = {}
        self.nodes = 0
        self.results: list[set[str]] = [set() for _ in scenario.requests]

    def explore(self, most: int) -> int:
        """Visit every node. Raises Broken. most: nodes, so that a search that doesn't end fails."""
        first = Node(self._keep(self.scenario.table), (-1,) * len(self.scenario.requests))
        seen, waiting = {first}, [first]
        while waiting:
            node = waiting.pop()
            self.nodes += 1
            assert self.nodes <= most, f"{self.scenario.name}: more than {most} nodes"
            for following in self._following(node):
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
        return self.nodes

    def _following(self, node: Node) -> Iterator[Node]:
        for place in range(len(node.received)):
            yield from self._begun(node, place) if node.received[place] < 0 else self._called(node, place)
        for late in node.under_way:
            table, _ = self._execute(node.table, late[1])
            self._check_write(node, late[0], late[1], table)
            rest = list(node.under_way)
            rest.remove(late)
            yield node._replace(table=table, under_way=tuple(rest))
        if node.removed < self.scenario.removed:
            items = self._tables[node.table]
            for key in (key for key, item in items.items() if self._is_removable(node, key, item)):
                left = {other: item for other, item in items.items() if other != key}
                yield node._replace(table=self._keep(left), removed=node.removed + 1)
        if node.seconds < self.scenario.seconds:
            yield node._replace(seconds=self.scenario.seconds)

    def _is_removable(self, node: Node, key: tuple[str, str], item: Any) -> bool:
        if not key[0].startswith("WAIT#"):
            return False
        return "debit" in item or not self.scenario.lost or int(item["ttl"]["N"]) <= START.timestamp() + node.seconds

    def _begun(self, node: Node, place: int) -> Iterator[Node]:
        """A request begins, once the one that it follows was answered."""
        first = self.scenario.requests[place].after
        if first is None or (node.received[first] >= 0 and self._step(first, node.received[first]).call is None):
            yield self._receive(node, place, Reply(200, "{}", node.seconds))

    def _called(self, node: Node, place: int) -> Iterator[Node]:
        """A request's next call, with all that may become of it and of its answer."""
        call = self._step(place, node.received[place]).call
        if call is None:
            return
        operation, request = self._calls[call]
        none = Reply(0, "", node.seconds)
        if operation == "Pause":
            yield self._receive(node, place, Reply(200, "{}", node.seconds))
            yield self._receive(node, place, none)
            return
        table, answer = self._execute(node.table, call)
        self._check_write(node, place, call, table)
        done = node._replace(table=table)
        yield self._receive(done, place, answer._replace(seconds=node.seconds))
        if node.conflicts < self.scenario.conflicts and operation in ("TransactWriteItems", "PutItem"):
            status, body = in_conflict(operation, json.loads(request))
            cancelled = Reply(status, json.dumps(body, sort_keys=True), node.seconds)
            yield self._receive(node._replace(conflicts=node.conflicts + 1), place, cancelled)
        if node.lost < self.scenario.lost and not self.scenario.requests[place].grants:
            # It happened, it never will, or it may later.
            yield self._receive(done._replace(lost=node.lost + 1), place, none)
            if operation not in ("Query", "GetItem"):
                late = tuple(sorted((*node.under_way, (place, call))))
                yield self._receive(node._replace(lost=node.lost + 1, under_way=late), place, none)

    def _receive(self, node: Node, place: int, reply: Reply) -> Node:
        key = (node.received[place], reply, place)
        if key not in self._received_ids:
            self._received_ids[key] = len(self._received)
            self._received.append((node.received[place], reply, place))
        received_id = self._received_ids[key]
        after = node._replace(received=(*node.received[:place], received_id, *node.received[place + 1 :]))
        step = self._step(place, received_id)
        if step.call is None:
            self._check_result(after, place, step.result)
        return after

    def _answers(self, received_id: int) -> list[Reply]:
        answers: list[Reply] = []
        while received_id > 0:
            received_id, reply, _ = self._received[received_id]
            assert reply
            answers.append(reply)
        return answers[::-1]

    def _step(self, place: int, received_id: int) -> Next:
        if received_id not in self._next:
            answers = self._answers(received_id)
            if len(answers) > MOST_CALLS:
                raise Broken(f"request {place} makes {len(answers)} calls and doesn't end")
            try:
                self._next[received_id] = Next(None, run(self.scenario.requests[place], answers, self.client))
            except Suspended as suspended:
                call = (suspended.operation, suspended.request)
                if call not in self._call_ids:
                    self._call_ids[call] = len(self._calls)
                    self._calls.append(call)
                self._next[received_id] = Next(self._call_ids[call], None)
        return self._next[received_id]

    def _keep(self, table: State) -> int:
        text = json.dumps(sorted(table.items()), sort_keys=True)
        if text not in self._table_ids:
            check_table(table)
            self._table_ids[text] = len(self._tables)
            self._tables.append(table)
        return self._table_ids[text]

    def _execute(self, table: int, call: int) -> tuple[int, Reply]:
        if (table, call) not in self._done:
            operation, request = self._calls[call]
            database = Database(TABLE)
            database.restore(TABLE, self._tables[table])
            status, body = database.answer(operation, json.loads(request))
            after = table if operation in ("Query", "GetItem") else self._keep(database.snapshot(TABLE))
            self._done[table, call] = after, Reply(status, json.dumps(body, sort_keys=True), 0.0)
        return self._done[table, call]

    # ---- What must hold ----

    def _check_write(self, node: Node, place: int, call: int, after: int) -> None:
        """New claims: whose debits were carried, and whether their requests may still be charged."""
        if after == node.table or self._calls[call][0] != "TransactWriteItems":
            return
        before, now = self._tables[node.table], self._tables[after]
        for (partition, sort), item in now.items():
            if (partition, sort) in before or not partition.startswith("CLAIM#"):
                continue
            row = item.get("row", {}).get("S")
            owner = self._owner(node, row) if row else place
            if owner is None:
                continue
            answered = self._outcomes(node, owner).get(partition.removeprefix(f"CLAIM#{ACCOUNT}#"))
            if isinstance(answered, Refused):
                raise Broken(f"request {owner} was refused ({answered!r}), and is charged later")
            left_at = int(row.split("#")[1]) / 1000 - START.timestamp() if row else 0.0
            if row and self._read_rows_at(place, node.received[place]) >= left_at + 10:
                raise Broken(f"request {place} carries a debit that is older than ten seconds")

    def _check_result(self, node: Node, place: int, result: Any) -> None:
        request = self.scenario.requests[place]
        self.results[place].add(result_name(result))
        if isinstance(result, BaseException) and not isinstance(result, PrepaidError):
            raise Broken(f"request {place} failed: {result!r}")
        if request.grants:
            return
        for keyed in request.debits:
            self._check_outcome(node, place, keyed, self._outcomes(node, place)[keyed.key])

    def _check_outcome(self, node: Node, place: int, keyed: KeyedDebit, outcome: Any) -> None:
        claim = self._tables[node.table].get((f"CLAIM#{ACCOUNT}#{keyed.key}", "CLAIM"))
        name = result_name(outcome)
        if name in ("Busy", "InsufficientCredits"):
            self._check_tombstone(node, place)
        if isinstance(outcome, Appended):
            self._check_appended(node, place, keyed, outcome, claim)
        elif name == "InsufficientCredits":
            if claim is not None and self._is_effect_of(claim, place, keyed.key, node):
                raise Broken(f"request {place} was charged and is refused")
            self._check_refusable(node, place, keyed.debit)
        elif name == "IdempotencyKeyReused" and claim is None:
            raise Broken(f"request {place} gets the response of a used key")

    def _check_tombstone(self, node: Node, place: int) -> None:
        """A request that didn't append its debit has put a tombstone in its row's place."""
        row = self._left(place, node.received[place])
        if row and not self.scenario.lost and "debit" in self._tables[node.table].get(row, {}):
            raise Broken(f"request {place} ended with {result_name(self._result(node, place))} and left its row")

    def _check_appended(self, node: Node, place: int, keyed: KeyedDebit, outcome: Appended, claim: Any) -> None:
        entry = outcome.entries[-1]
        if claim is None or int(claim["number"]["N"]) != entry.number or entry.quantity != keyed.debit.quantity:
            raise Broken(f"request {place} answers from entry {entry.number}, and the claim is {claim}")
        if outcome.replayed:
            if not self.scenario.lost and self._is_the_only_one(keyed.key):
                raise Broken(f"request {place} says that it is a replay")
            return
        for other in range(len(node.received)):
            theirs = self._outcomes(node, other).get(keyed.key) if other != place else None
            if isinstance(theirs, Appended) and not theirs.replayed:
                raise Broken(f"requests {place} and {other} both say that they were first")

    def _is_the_only_one(self, key: str) -> bool:
        return sum(keyed.key == key for request in self.scenario.requests for keyed in request.debits) == 1

    def _is_effect_of(self, claim: Any, place: int, key: str, node: Node) -> bool:
        row = claim.get("row", {}).get("S")
        return self._owner(node, row) == place if row else self._is_the_only_one(key)

    def _check_refusable(self, node: Node, place: int, debit: Debit) -> None:
        """At some time since the request's first read, the newest entry refused it."""
        request = self.scenario.requests[place]
        answers = self._answers(node.received[place])
        first = (
            int(json.loads(answers[1].body)["Items"][0]["SK"]["S"].removeprefix("ENTRY#")) if answers[1].status else 1
        )
        now = START + timedelta(seconds=answers[0].seconds + request.now)
        for entry in entries_of(self._tables[node.table]):
            if entry.number >= first:
                try:
                    apply(entry.after, debit, catalog=request.catalog, now=now)
                except Refused:
                    return
        raise Broken(f"request {place} is refused, and was never refusable")

    def _result(self, node: Node, place: int) -> Any:
        return self._step(place, node.received[place]).result if node.received[place] >= 0 else None

    def _outcomes(self, node: Node, place: int) -> dict[str, Any]:
        """What a request has answered, by key. A batch that gives up answers the same for each."""
        result, debits = self._result(node, place), self.scenario.requests[place].debits
        if result is None:
            return {}
        return {keyed.key: result[at] if isinstance(result, tuple) else result for at, keyed in enumerate(debits)}

    def _owner(self, node: Node, row: str) -> int | None:
        owners = [
            place
            for place, received_id in enumerate(node.received)
            if received_id >= 0 and (self._left(place, received_id) or ("", ""))[1] == row
        ]
        return owners[0] if len(owners) == 1 else None

    def _left(self, place: int, received_id: int) -> tuple[str, str] | None:
        """The key of the row that a request has left or tried to leave."""
        while received_id > 0:
            received_id, _, _ = self._received[received_id]
            if (
                received_id > 0
                and (call := self._step(place, received_id).call) is not None
                and self._calls[call][0] == "PutItem"
            ):
                item = json.loads(self._calls[call][1])["Item"]
                return item["PK"]["S"], item["SK"]["S"]
        return None

    def _read_rows_at(self, place: int, received_id: int) -> float:
        """When a request last read the waiting rows."""
        while received_id > 0:
            before, reply, _ = self._received[received_id]
            call = self._step(place, before).call if before > 0 else None
            if reply and call is not None and self._calls[call][0] == "Query" and "WAIT#" in self._calls[call][1]:
                return reply.seconds
            received_id = before
        return 0.0


def result_name(result: Any) -> str:
    if isinstance(result, tuple):
        return ", ".join(map(result_name, result))
    if isinstance(result, Appended):
        return "replayed" if result.replayed else "appended"
    return type(result).__name__


def entries_of(table: State) -> list[Any]:
    rows = sorted(key for key in table if key[0] == f"ACCOUNT#{ACCOUNT}" and key[1].startswith("ENTRY#"))
    return [entry_from_item(off_the_wire(table[key])) for key in rows]


def check_table(table: State) -> None:
    """The ledger has no gaps, and each key one entry and one claim that names it."""
    entries = entries_of(table)
    if [entry.number for entry in entries] != list(range(1, len(entries) + 1)):
        raise Broken("numbers have gaps")
    keyed = {entry.number: entry.key for entry in entries if entry.key}
    if len(set(keyed.values())) < len(keyed):
        raise Broken("a key has two entries")
    claims = {
        int(item["number"]["N"]): key_digest(partition.removeprefix(f"CLAIM#{ACCOUNT}#"))
        for (partition, _), item in table.items()
        if partition.startswith("CLAIM#")
    }
    if claims != keyed:
        raise Broken(f"claims {claims}, entries {keyed}")
    if any(lot.remaining < 0 for entry in entries for lot in entry.after.lots):
        raise Broken("spent twice")
    for earlier, later in pairwise(entries):
        if later.at < earlier.at:
            raise Broken("time runs backwards")


def prepared(act: Callable[[Table], object]) -> State:
    """What a table holds after `act`."""
    database = Database(TABLE)
    client = QuickClient(model_client(), database, lambda *_: None)
    act(Table(client=client, name=TABLE, deadline=Deadline(at=1.0, clock=lambda: 0.0)))  # type: ignore[arg-type]
    return database.snapshot(TABLE)
