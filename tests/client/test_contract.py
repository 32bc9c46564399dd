"""The client has a method for each operation of openapi.json, with its parameters, members and error codes."""

import dataclasses
import inspect
import re
import types
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from prepaid_client import AsyncPrepaid, BatchItem, Catalog, Prepaid, calls, errors, responses
from prepaid_client.binding import Operation, ServiceOperation
from prepaid_client.client import Account, AccountMethods, AsyncAccount, ServiceMethods
from prepaid_client.errors import BY_CODE
from tests.support.contract import document

# What Stripe calls, and no program of a platform.
NOT_FOR_CLIENTS = {"receiveStripeEvent"}
# The codes that the client retries, and reports as Unavailable at its deadline.
RETRIED = {"busy", "internal_error", "payments_unavailable"}
A, T = "acme", datetime(2026, 11, 3, tzinfo=UTC)
TEXTS: Any = {"customer": "c", "reference": "r", "description": "d"}
CATALOG = Catalog(version=3, features=(), plans=(), packs=())
# Arguments that name all there is.
ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "consume": ((A, "sticker", 2), {"key": "k", **TEXTS}),
    "find_consumption": ((A, "k"), {}),
    "get_consumption": ((A, "con_1"), {}),
    "consume_batch": ((A, [BatchItem(idempotency_key="k", feature="sticker", **TEXTS)]), {}),
    "place_hold": ((A, "sticker", 2), {"key": "k", "ttl_seconds": 60, **TEXTS}),
    "capture_hold": ((A, "hold_1", 1), {"key": "k"}),
    "release_hold": ((A, "hold_1"), {"key": "k"}),
    "get_hold": ((A, "hold_1"), {}),
    "reverse_charge": ((A, "con_1", 1), {"reason": "r", "key": "k"}),
    "get_balance": ((A,), {"at": T}),
    "quote": ((A, "sticker", 2), {}),
    "get_history": (
        (A,),
        {
            "type": "hold",
            "feature": "sticker",
            "source": "quota",
            "customer": "c",
            "reference": "r",
            "from_": "2026-11-01",
            "to": T,
            "limit": 5,
            "cursor": "x",
        },
    ),
    "get_statement": ((A, "2026-11"), {}),
    "get_usage": ((A,), {"from_": "2026-11-01", "to": T, "by": "day"}),
    "list_events_of_account": ((A,), {"after": 41, "limit": 5}),
    "list_events": ((), {"after": "2026-11-03T00:00:00.000#", "limit": 5}),
    "put_account": (
        (A,),
        {
            "name": "n",
            "plan": "none",
            "ai_enabled": True,
            "quota_anchor_day": 1,
            "time_zone": "UTC",
            "language": "en",
            "low_credit_threshold": 1,
            "manager_contact": "m",
            "currency": "brl",
            "status": "active",
        },
    ),
    "get_account": ((A,), {}),
    "list_accounts": ((), {"limit": 5, "cursor": "x"}),
    "grant_credits": ((A, 5), {"reason": "r", "key": "k", "expires_at": T, "valid_months": 1}),
    "void_grant": ((A, "gra_1", 1), {"reason": "r", "key": "k"}),
    "erase": ((A, "c"), {"key": "k"}),
    "list_packs": ((), {}),
    "get_catalog": ((), {}),
    "put_catalog": ((CATALOG,), {"allow_cheaper_small_packs": True}),
    "put_manager_code": ((A, "274913"), {"current_code": "271828"}),
    "open_manager_session": ((A, "274913"), {"key": "k"}),
    "buy_pack": ((A, "credits-100"), {"manager_session": "s", "key": "k"}),
    "get_purchase": ((A, "pur_1"), {}),
    "cancel_purchase": ((A, "pur_1"), {"key": "k"}),
    "list_purchases": ((A,), {"state": "open", "cursor": "x"}),
    "list_purchases_by_state": (("open",), {"cursor": "x"}),
    "create_portal_session": ((A,), {"key": "k", "return_url": "https://shop.example.com/", "language": "en"}),
}
ARGUMENTS["patch_account"] = ARGUMENTS["put_account"]


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """By operationId: method, path and the operation."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] not in NOT_FOR_CLIENTS
    }


def methods() -> dict[str, Any]:
    """The functions of calls.py that are methods, by name; without those that only ask for another format."""
    found = {**vars(AccountMethods), **vars(ServiceMethods)}
    return {
        name: method.build
        for name, method in found.items()
        if isinstance(method, Operation | ServiceOperation) and not name.endswith("_csv")
    }


def snake_case(operation_id: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", operation_id)


def test_each_operation_has_a_method_of_its_name_and_the_reverse() -> None:
    assert set(methods()) == {snake_case(operation_id) for operation_id in operations()}


def test_each_method_sends_the_function_of_its_name() -> None:
    assert {name: build.__name__ for name, build in methods().items()} == {name: name for name in methods()}


def test_the_sync_and_the_async_client_have_the_same_methods() -> None:
    def public(*classes: type) -> set[str]:
        return {name for kind in classes for name in dir(kind) if not name.startswith("_")}

    assert public(Prepaid, Account) == public(AsyncPrepaid, AsyncAccount)


@pytest.mark.parametrize("operation_id", sorted(operations()))
def test_a_method_can_send_all_that_its_operation_takes(operation_id: str) -> None:
    method, path, operation = operations()[operation_id]
    arguments, named = ARGUMENTS[snake_case(operation_id)]

    call = getattr(calls, snake_case(operation_id))(*arguments, **named)

    parameters = operation["parameters"]
    assert call.method == method
    assert re.fullmatch(re.sub(r"\{[a-z]+\}", "[^/]+", path), call.path)
    assert set(call.query) == {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert {parameter["name"] for parameter in parameters if parameter["in"] == "header"} == set(call.headers) - {
        "Content-Type"
    }
    assert set(msgspec.json.decode(call.content) if call.content else {}) == body_members(operation)


def body_members(operation: dict[str, Any]) -> set[str]:
    if "requestBody" not in operation:
        return set()
    return set(schema_of(operation["requestBody"]["content"]["application/json"]["schema"])["properties"])


def schema_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference names."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


@pytest.mark.parametrize("operation_id", sorted(operations()))
def test_an_answer_has_the_members_of_its_schema(operation_id: str) -> None:
    _, _, operation = operations()[operation_id]
    arguments, named = ARGUMENTS[snake_case(operation_id)]
    call = getattr(calls, snake_case(operation_id))(*arguments, **named)
    contents = [
        response.get("content", {}) for status, response in operation["responses"].items() if status.startswith("2")
    ]

    for content in contents:
        if not content:
            assert call.shape is type(None)
        elif operation_id == "consumeBatch":
            # Its results are told apart by their status: test_spending.py.
            assert call.shape is responses.Batch
        else:
            check_shape(call.shape, content["application/json"]["schema"], operation_id)


def check_shape(shape: Any, schema: dict[str, Any], where: str) -> None:
    """Fail when a type and a schema differ in a member, in its type or in whether it may be null or missing."""
    schema = schema_of(schema)
    if dataclasses.is_dataclass(shape):
        hints = get_type_hints(shape)
        known = {field.name: field for field in dataclasses.fields(shape) if field.name != "replayed"}
        assert set(known) == set(schema["properties"]), where
        for name, field in known.items():
            optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
            assert optional == (name not in schema.get("required", ())), f"{where}.{name}"
            check_member(hints[name], schema["properties"][name], f"{where}.{name}", optional=optional)
        return
    check_member(shape, schema, where, optional=False)


def check_member(shape: Any, schema: dict[str, Any], where: str, *, optional: bool) -> None:
    schema = schema_of(schema)
    kinds = schema.get("anyOf", [schema])
    nullable = {"type": "null"} in kinds
    kinds = [kind for kind in kinds if kind != {"type": "null"}]
    if get_origin(shape) in (Union, types.UnionType):
        inner = [kind for kind in get_args(shape) if kind is not type(None)]
        assert nullable or optional, where
        assert len(inner) == 1, where
        check_member(inner[0], kinds[0], where, optional=False)
        return
    assert not nullable, where
    [kind] = kinds
    if get_origin(shape) is tuple:
        assert kind["type"] == "array", where
        check_shape(get_args(shape)[0], kind["items"], where)
    elif get_origin(shape) is Mapping:
        values = kind.get("additionalProperties")
        check_shape(get_args(shape)[1], values if isinstance(values, dict) else {"type": "string"}, where)
    elif dataclasses.is_dataclass(shape):
        check_shape(shape, kind, where)
    else:
        assert shape is scalar_of(schema_of(kind)), where


def scalar_of(schema: dict[str, Any]) -> type:
    if schema.get("format") == "date-time":
        return datetime
    return {"string": str, "integer": int, "boolean": bool}[schema["type"]]


def test_a_method_shows_its_arguments_and_its_contract() -> None:
    shown = inspect.signature(Account.consume)

    assert list(shown.parameters) == ["account", "feature", "quantity", "key", "texts"]
    assert str(Account.consume.__doc__).startswith("Charge once for `key`")


def test_errors_read_members_that_the_contract_has() -> None:
    read = set(re.findall(r"""problem(?:\.get\(|\[)"(\w+)\"""", inspect.getsource(errors)))

    assert len(read) > 12
    assert read - {"message"} <= set(document()["components"]["schemas"]["Problem"]["properties"])


def test_each_code_of_the_contract_has_its_error_and_the_reverse() -> None:
    codes = {
        code
        for _, _, operation in operations().values()
        for status, response in operation["responses"].items()
        if int(status) >= 400 and "application/problem+json" in response["content"]
        for code in response["description"].split(", ")
    }

    assert codes - RETRIED == set(BY_CODE)
    assert codes >= RETRIED
