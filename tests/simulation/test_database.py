"""The database in memory against two others: random requests, right and wrong ones, answers and stored items compared.

MODEL_OPERATIONS=100000 is the full run (`make model`); the number here is for every change.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from prepaid.aws import open_dynamodb
from tests.simulation.database import MAX_PAGE_BYTES, Answer, Database
from tests.simulation.line import attach, off_the_wire, quick_client
from tests.simulation.play import play_seed
from tests.simulation.random_requests import PARTITIONS, SORTS, Asker, Call, Request
from tests.simulation.stage import TABLE as SIMULATED
from tests.simulation.stage import Stage
from tests.simulation.stored_items import canonical_number
from tests.support.template import table_schema

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OPERATIONS = int(os.environ.get("MODEL_OPERATIONS", "3000"))
# Workers share the emulators.
TABLE = f"model-{os.getpid()}"
SEEDS = (1, 2)
# Histories with many purchases and refunds.
HISTORIES = (7, 16)
LENGTH = 500
HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Date": "20260616T130000Z",
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260616/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}  # fmt: skip

type Reply = tuple[int, Answer]


class Emulator:
    """Another database, called without a client that would correct the requests."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc)

    def close(self) -> None:
        """The connection; the next request opens another."""
        self._connection.close()

    def answer(self, operation: str, request: Request) -> Reply:
        headers = {**HEADERS, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        self._connection.request("POST", "/", json.dumps(request).encode(), headers)
        answered = self._connection.getresponse()
        return answered.status, json.loads(answered.read())

    def asked_for(self, operation: str, request: Request, reply: Reply) -> bool:
        """Whether it gets the request: a database that accepts an invalid request would hold other items afterwards."""
        return True

    def agrees(self, request: Request, model: Reply, reply: Reply) -> bool:
        return normal(model) == normal(reply)


class DynamoDBLocal(Emulator):
    """AWS's own. Where it and AWS's documentation differ, the model keeps to the documentation."""

    def agrees(self, request: Request, model: Reply, reply: Reply) -> bool:
        refused, message = normal(reply), str(model[1].get("message"))
        if "multiple operations on one item" in message or "expression can not be null" in message:
            # Documented: refused whatever the conditions and keys. It looks at those first.
            return refused[0] == 400 and refused[1]["type"] in {"ValidationException", "TransactionCanceledException"}
        if "ExclusiveStartKey" in request and "has exceeded the limit" in message:
            # It goes on after a key that no item can have, or finds another fault in it.
            return refused[0] in {200, 400}
        if "KeyConditionExpression" in request and model[0] == 200:
            return self._agrees_on_a_page(request, model, reply)
        return super().agrees(request, model, reply)

    def _agrees_on_a_page(self, request: Request, model: Reply, reply: Reply) -> bool:
        """As documented, a page may name a next one that is empty. This database knows when the last key was read, and
        then refuses to continue there."""
        ours, theirs = normal(model), normal(reply)
        if theirs[0] == 400 and "starting key does not match the range key" in reply[1].get("Message", ""):
            return ours[1]["Count"] == 0 or not request.get("ScanIndexForward", True)
        if "LastEvaluatedKey" not in theirs[1] and ours[1]["Count"] == request.get("Limit"):
            ours[1].pop("LastEvaluatedKey", None)
        return ours == theirs


class MiniStack(Emulator):
    """It accepts many malformed requests, so it gets well-formed ones only; and no token twice, because it treats a
    retry as another request when it has trimmed a number of the first."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._tokens: set[str] = set()

    def asked_for(self, operation: str, request: Request, reply: Reply) -> bool:
        status, body = reply
        token = request.get("ClientRequestToken", "")
        if token in self._tokens:
            return False
        self._tokens |= {token} - {""}
        if status == 200:
            return True
        reasons = [reason["Code"] for reason in body.get("CancellationReasons", ())]
        return not body["__type"].endswith("ValidationException") and "ValidationError" not in reasons

    def agrees(self, request: Request, model: Reply, reply: Reply) -> bool:
        # Its begins_with refuses the request where the attribute isn't a text, instead of not holding.
        if model[0] != 200 and "operator or function: begins_with" in reply[1].get("message", ""):
            return True
        # If there are two errors, either may be reported.
        if "missing-table" in request.values():
            return reply[0] == model[0]
        if len(json.dumps(model[1])) > MAX_PAGE_BYTES and "LastEvaluatedKey" in model[1]:
            return self._agrees_on_a_full_page(request, model, reply)
        return super().agrees(request, model, reply)

    def _agrees_on_a_full_page(self, request: Request, model: Reply, reply: Reply) -> bool:
        """It ends a page before the item that fills the megabyte; AWS's own ends it after."""
        status, page = model
        shorter = page["Items"][:-1]
        last = {name: shorter[-1][name] for name in ("PK", "SK")} if shorter else None
        one_short = {"Items": shorter, "Count": len(shorter), "ScannedCount": len(shorter), "LastEvaluatedKey": last}
        return any(super(MiniStack, self).agrees(request, (status, body), reply) for body in (page, one_short))


@pytest.fixture
def emulators(dynamodb_local: str, ministack: str) -> Iterator[dict[str, Emulator]]:
    """Both, with the same empty table."""
    with closing(DynamoDBLocal(dynamodb_local)) as local, closing(MiniStack(ministack)) as emulated:
        both = {"DynamoDB Local": local, "MiniStack": emulated}
        for emulator in both.values():
            emulator.answer("DeleteTable", {"TableName": TABLE})
            assert emulator.answer("CreateTable", {"TableName": TABLE, **table_schema()})[0] == 200
        yield both


@pytest.mark.parametrize("seed", SEEDS)
def test_three_databases_respond_and_store_alike(seed: int, emulators: dict[str, Emulator]) -> None:
    model, asker = Database(TABLE), Asker(seed, TABLE)
    counts = dict.fromkeys(emulators, 0)
    for number in range(OPERATIONS // len(SEEDS)):
        operation, request = asker.next()
        reply = model.answer(operation, json.loads(json.dumps(request)))
        if reply[0] == 200:
            asker.learn(operation, request, reply[1])
        for name, other in emulators.items():
            if other.asked_for(operation, request, reply):
                counts[name] += 1
                theirs = other.answer(operation, request)
                assert other.agrees(request, reply, theirs), shown(number, name, (operation, request), reply, theirs)

    for name, other in emulators.items():
        assert contents(other) == contents(model), f"{name} stores something else"
        assert counts[name] > OPERATIONS // len(SEEDS) // 2


@pytest.mark.parametrize("seed", HISTORIES)
def test_the_services_own_calls_get_equal_responses(
    seed: int, emulators: dict[str, Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = requests_of_a_history(seed, monkeypatch)
    for other in emulators.values():
        other.close()
    model = Database(TABLE)

    for number, (operation, request) in enumerate(requests):
        reply = model.answer(operation, json.loads(json.dumps(request)))
        for name, other in emulators.items():
            if other.asked_for(operation, request, reply):
                theirs = other.answer(operation, request)
                assert other.agrees(request, reply, theirs), shown(number, name, (operation, request), reply, theirs)

    assert {operation for operation, _ in requests} >= {
        "GetItem",
        "Query",
        "PutItem",
        "DeleteItem",
        "TransactWriteItems",
    }
    assert len(requests) > 1000
    keys = [{"PK": {"S": partition}, "SK": {"S": sort}} for partition, sort in model.snapshot(TABLE)]
    for name, other in emulators.items():
        assert read_all(other, keys) == read_all(model, keys), f"{name} stores something else"


def requests_of_a_history(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """What reaches the database while one history of the simulation is played; what its faults hold back does not."""
    requests: list[Call] = []
    answer = Database.answer

    def recorded(self: Database, operation: str, request: Request) -> Reply:
        text = json.dumps(request).replace(f'"TableName": "{SIMULATED}"', f'"TableName": "{TABLE}"')
        requests.append((operation, json.loads(text)))
        return answer(self, operation, request)

    with monkeypatch.context() as patched:
        patched.setattr(Database, "answer", recorded)
        stage = Stage()
        with stage.set():
            assert play_seed(stage, seed, LENGTH, Counter()) is None
    return requests


def test_a_cancelled_transaction_does_not_use_up_its_token(emulators: dict[str, Emulator]) -> None:
    # MiniStack thinks it does; botocore draws a new one for each call, so nothing here depends on it.
    put: Request = {"TableName": TABLE, "Item": {"PK": {"S": "a"}, "SK": {"S": "b"}}}
    lost = {**put, "ConditionExpression": "attribute_exists(PK)"}
    requests = [{"ClientRequestToken": "one", "TransactItems": [{"Put": write}]} for write in (lost, put)]

    for database in (Database(TABLE), emulators["DynamoDB Local"]):
        assert [database.answer("TransactWriteItems", request)[0] for request in requests] == [400, 200]


def test_a_token_is_forgotten_after_ten_minutes() -> None:
    now = [0.0]
    database = Database(TABLE, clock=lambda: now[0])
    item = {"PK": {"S": "a"}, "SK": {"S": "b"}}
    put = {"ClientRequestToken": "one", "TransactItems": [{"Put": {"TableName": TABLE, "Item": item}}]}
    database.answer("TransactWriteItems", put)
    database.answer("DeleteItem", {"TableName": TABLE, "Key": item})

    now[0] = 599.0
    database.answer("TransactWriteItems", put)
    before = database.snapshot(TABLE)
    now[0] = 600.0
    database.answer("TransactWriteItems", put)

    assert (before, database.snapshot(TABLE)) == ({}, {("a", "b"): item})


def test_unmodelled_parameters_are_errors() -> None:
    key = {"PK": {"S": "a"}, "SK": {"S": "b"}}
    requests: list[Call] = [
        ("UpdateItem", {"TableName": TABLE, "Key": key}),
        ("UpdateItem", {"TableName": TABLE, "Key": key, "UpdateExpression": "ADD revision :one"}),
        ("GetItem", {"TableName": TABLE, "Key": key}),
        ("GetItem", {"TableName": TABLE, "Key": key, "ConsistentRead": True, "ProjectionExpression": "PK"}),
        ("DeleteItem", {"TableName": TABLE, "Key": key, "ConditionExpression": "size(body) = :a"}),
        ("DeleteItem", {"TableName": TABLE, "Key": key, "ConditionExpression": "a.b = :a"}),
    ]
    database = Database(TABLE)

    for operation, request in requests:
        with pytest.raises(NotImplementedError):
            database.answer(operation, request)


def test_both_clients_get_the_same_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    real, quick = open_dynamodb(), open_dynamodb()
    databases = Database(TABLE), Database(TABLE)
    attach(real, databases[0])
    quick = quick_client(quick, databases[1])
    asker, answered = Asker(3, TABLE), set()
    for number in range(1500):
        operation, params = asker.next()
        request = off_the_wire(params)
        try:
            ours = outcome(real, operation, request)
        except (ParamValidationError, ValueError):
            # The service never sends these.
            continue
        assert outcome(quick, operation, request) == ours, f"{number}: {operation} {request}"
        answered.add((operation, ours[0]))

    assert databases[0].snapshot(TABLE) == databases[1].snapshot(TABLE)
    assert len(answered) >= 9


def outcome(client: "DynamoDBClient", operation: str, request: Request) -> tuple[str, Any]:
    """What a caller of this client sees: the answer, or the error's name, code and details."""
    name = {"GetItem": "get_item", "PutItem": "put_item", "DeleteItem": "delete_item", "Query": "query"}
    call = getattr(client, name.get(operation, "transact_write_items"))
    try:
        answer = call(**request)
    except ClientError as error:
        response: Any = error.response
        details = {name: response.get(name) for name in ("Item", "CancellationReasons")}
        return type(error).__name__, (response["Error"], details, response["ResponseMetadata"]["HTTPStatusCode"])
    return "answer", {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def normal(reply: Reply) -> Reply:
    """A response without what may differ: wording, the order of a set, and the notation of a number within a list."""
    status, body = reply
    if status == 200:
        return status, settled({name: value for name, value in body.items() if name != "ConsumedCapacity"})
    reasons = [(reason["Code"], settled(reason.get("Item"))) for reason in body.get("CancellationReasons", ())]
    return status, {"type": body["__type"].rpartition("#")[2], "item": settled(body.get("Item")), "reasons": reasons}


def settled(value: Any) -> Any:
    """DynamoDB Local gives back numbers inside lists and maps as they were written; documented is to trim them all."""
    if isinstance(value, list):
        return [settled(member) for member in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(kind, content)] = value.items()
        if kind == "N":
            return {"N": canonical_number(content)}
        if kind in {"SS", "NS", "BS"}:
            return {kind: sorted(map(canonical_number, content) if kind == "NS" else content)}
    return {name: settled(member) for name, member in value.items()}


def contents(database: Emulator | Database) -> list[Any]:
    """All items, read by key."""
    return read_all(
        database, [{"PK": {"S": partition}, "SK": {"S": sort}} for partition in PARTITIONS for sort in SORTS]
    )


def read_all(database: Emulator | Database, keys: list[Request]) -> list[Any]:
    """The items of these keys."""
    requests = [{"TableName": TABLE, "Key": key, "ConsistentRead": True} for key in keys]
    return [normal(database.answer("GetItem", request)) for request in requests]


def shown(number: int, name: str, call: Call, *reply: Reply) -> str:
    lines = (f"request {number}: {name} says something else", *call, "the model:", *reply)
    return "\n".join(line if isinstance(line, str) else json.dumps(line)[:2000] for line in lines)
