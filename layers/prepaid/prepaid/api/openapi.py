"""openapi.json, made from the routes' own types: `python -m prepaid.api.openapi` writes it, `--check` compares it.

Not imported by any function: the contract costs no request a millisecond.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from prepaid.api import answers, requests
from prepaid.api.histories import MAX_LIMIT
from prepaid.core.entry import EntryType

FILE = Path("openapi.json")
REF = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter or header."""

    name: str
    where: str = "query"
    required: bool = False
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: what opens it, what it takes and gives, and how it refuses (status -> codes)."""

    method: str
    path: str
    summary: str
    scope: str | None
    other_scopes: tuple[str, ...] = ()
    answers: dict[int, type | None]
    body: type[BaseModel] | None = None
    parameters: tuple[Parameter, ...] = ()
    refusals: Mapping[int, tuple[str, ...]]


TEXT: dict[str, Any] = {"type": "string"}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
KEY = Parameter(
    name="Idempotency-Key",
    where="header",
    required=True,
    schema={"type": "string", "pattern": "^[!-~]{1,255}$"},
)
IF_MATCH = Parameter(
    name="If-Match",
    where="header",
    required=True,
    schema={"type": "string", "pattern": '^"?[1-9][0-9]{0,8}"?$'},
)
KEY_REFUSALS = ("idempotency_key_missing", "idempotency_key_invalid")
BODY_REFUSALS = {413: ("body_too_large",), 415: ("unsupported_media_type",), 422: ("invalid_request",)}
TOKEN_REFUSALS = {401: ("unauthorized",), 403: ("forbidden",)}
ALWAYS = {500: ("internal_error",), 503: ("busy",)}
# Refusals that say when to ask again.
WAITING = {429, 503}
MISSING = {404: ("account_not_found",)}

# API Gateway checks the token before any function runs, and lets nobody change how it says no.
GATEWAY_REFUSAL: dict[str, Any] = {
    "type": "object",
    "description": "API Gateway's own answer to a missing, wrong or insufficient token.",
    "properties": {"message": TEXT},
    "required": ["message"],
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="post",
        path="/v1/accounts/{account}/consumptions",
        summary="Spend credits: the plan's quota first where it applies, then lots, all or nothing",
        scope="prepaid/consume",
        body=requests.ConsumptionRequest,
        answers={201: answers.ConsumptionAnswer},
        parameters=(KEY,),
        refusals={
            400: (*KEY_REFUSALS, "malformed_body"),
            402: ("insufficient_credits",),
            409: ("idempotency_key_reused",),
            **MISSING,
            **BODY_REFUSALS,
        },
    ),
    Route(
        method="get",
        path="/v1/accounts/{account}/balance",
        summary="What the account can spend, now or at a time since it was opened",
        scope="prepaid/read",
        answers={200: answers.BalanceAnswer},
        parameters=(Parameter(name="at", schema=TIME),),
        refusals={**MISSING, 422: ("invalid_request",)},
    ),
    Route(
        method="get",
        path="/v1/accounts/{account}/history",
        summary="What happened, newest first, as JSON or as CSV (Accept: text/csv, next page in Next-Cursor)",
        scope="prepaid/read",
        answers={200: answers.HistoryAnswer},
        parameters=(
            Parameter(name="type", schema={"type": "string", "enum": list(get_args(EntryType))}),
            Parameter(name="feature", schema=TEXT),
            Parameter(name="source", schema={"type": "string", "enum": ["quota", "credits", "both"]}),
            Parameter(name="from", schema=TIME),
            Parameter(name="to", schema=TIME),
            Parameter(name="limit", schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
            Parameter(name="cursor", schema=TEXT),
        ),
        refusals={400: ("invalid_cursor",), **MISSING, 422: ("invalid_request",)},
    ),
    Route(
        method="put",
        path="/v1/accounts/{account}",
        summary="Open an account, or change it from now on",
        scope="prepaid/admin",
        body=requests.AccountRequest,
        answers={200: answers.AccountAnswer, 201: answers.AccountAnswer},
        refusals={400: ("malformed_body",), **MISSING, **BODY_REFUSALS},
    ),
    Route(
        method="get",
        path="/v1/accounts/{account}",
        summary="An account's terms and profile",
        scope="prepaid/read",
        answers={200: answers.AccountAnswer},
        refusals=MISSING,
    ),
    Route(
        method="post",
        path="/v1/accounts/{account}/grants",
        summary="Give credits, with a reason",
        scope="prepaid/admin",
        body=requests.GrantRequest,
        answers={201: answers.GrantAnswer},
        parameters=(KEY,),
        refusals={
            400: (*KEY_REFUSALS, "malformed_body"),
            409: ("idempotency_key_reused", "too_many_lots"),
            **MISSING,
            **BODY_REFUSALS,
        },
    ),
    Route(
        method="get",
        path="/v1/packs",
        summary="Packs on sale",
        scope="prepaid/read",
        answers={200: answers.PacksAnswer},
        refusals={},
    ),
    Route(
        method="get",
        path="/v1/catalog",
        summary="The catalog in force",
        scope="prepaid/read",
        answers={200: answers.CatalogAnswer},
        refusals={},
    ),
    Route(
        method="put",
        path="/v1/catalog",
        summary="Put the next version of the catalog in force",
        scope="prepaid/admin",
        body=requests.CatalogRequest,
        answers={200: answers.CatalogAnswer},
        parameters=(IF_MATCH,),
        refusals={400: ("malformed_body",), 412: ("version_conflict",), 428: ("if_match_missing",), **BODY_REFUSALS},
    ),
    Route(
        method="put",
        path="/v1/accounts/{account}/manager-code",
        summary="Set the manager's code; sessions that the old one opened end",
        scope="prepaid/admin",
        other_scopes=("prepaid/buy",),
        body=requests.ManagerCodeRequest,
        answers={204: None},
        refusals={
            400: ("malformed_body",),
            403: ("forbidden", "wrong_code"),
            **MISSING,
            **BODY_REFUSALS,
            429: ("code_locked",),
        },
    ),
    Route(
        method="post",
        path="/v1/accounts/{account}/manager-sessions",
        summary="Open ten minutes in which one purchase may be made",
        scope="prepaid/buy",
        body=requests.ManagerSessionRequest,
        answers={201: answers.ManagerSessionAnswer},
        parameters=(KEY,),
        refusals={
            400: (*KEY_REFUSALS, "malformed_body"),
            403: ("forbidden", "wrong_code"),
            409: ("idempotency_key_reused",),
            **MISSING,
            **BODY_REFUSALS,
            429: ("code_locked",),
        },
    ),
    Route(
        method="post",
        path="/v1/accounts/{account}/purchases",
        summary="Record a purchase and make its payment page",
        scope="prepaid/buy",
        body=requests.PurchaseRequest,
        answers={201: answers.PurchaseAnswer},
        parameters=(KEY, Parameter(name="Manager-Session", where="header", required=True, schema=TEXT)),
        refusals={
            400: (*KEY_REFUSALS, "malformed_body"),
            403: ("forbidden", "manager_session_invalid"),
            409: ("idempotency_key_reused", "purchase_lapsed"),
            **MISSING,
            **BODY_REFUSALS,
            502: ("payment_provider_refused",),
            503: ("busy", "payments_unavailable"),
        },
    ),
    Route(
        method="get",
        path="/v1/accounts/{account}/purchases",
        summary="Purchases, newest first",
        scope="prepaid/read",
        answers={200: answers.PurchasesAnswer},
        parameters=(Parameter(name="cursor", schema=TEXT),),
        refusals={**MISSING, 422: ("invalid_request",)},
    ),
    Route(
        method="get",
        path="/v1/accounts/{account}/purchases/{id}",
        summary="A purchase",
        scope="prepaid/read",
        answers={200: answers.PurchaseAnswer},
        refusals={404: ("account_not_found", "purchase_not_found")},
    ),
    Route(
        method="post",
        path="/v1/webhooks/stripe",
        summary="Stripe's deliveries, signed over the raw body",
        scope=None,
        answers={200: answers.ReceivedAnswer},
        parameters=(Parameter(name="Stripe-Signature", where="header", required=True, schema=TEXT),),
        refusals={
            400: ("invalid_webhook", "malformed_body"),
            413: ("body_too_large",),
            502: ("payment_provider_refused",),
            503: ("busy", "payments_unavailable"),
        },
    ),
)


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    bodies = {route.body for route in ROUTES if route.body}
    _, request_schemas = models_json_schema(
        [(body, "validation") for body in sorted(bodies, key=lambda body: body.__name__)], ref_template=REF
    )
    shapes = {shape.__name__: shape for route in ROUTES for shape in route.answers.values() if shape}
    answer_schemas: dict[str, Any] = {}
    for name, shape in sorted(shapes.items()):
        schema = TypeAdapter(shape).json_schema(ref_template=REF)
        answer_schemas |= schema.pop("$defs", {})
        answer_schemas[name] = schema
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Prepaid",
            "version": "1",
            "description": "Credits that are bought, granted, spent and expire. "
            "Refusals are application/problem+json with a stable `code`. API Gateway itself answers a missing or wrong "
            "token (401, 403) and an unknown route (404) with its own `{message}`.",
        },
        "paths": paths,
        "components": {
            "schemas": {
                **request_schemas["$defs"],
                **answer_schemas,
                "Problem": _problem_schema(),
                "GatewayRefusal": GATEWAY_REFUSAL,
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": parameter.name, "in": parameter.where, "required": parameter.required, "schema": parameter.schema}
        for parameter in route.parameters
    ]
    if "{account}" in route.path:
        pattern = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
        parameters.insert(0, {"name": "account", "in": "path", "required": True, "schema": pattern})
    operation: dict[str, Any] = {"summary": route.summary, "parameters": parameters, "responses": _responses(route)}
    if "{id}" in route.path:
        parameters.insert(1, {"name": "id", "in": "path", "required": True, "schema": TEXT})
    if route.scope:
        operation["security"] = [{"token": [scope]} for scope in (route.scope, *route.other_scopes)]
    if route.body:
        content = {"application/json": {"schema": {"$ref": REF.format(model=route.body.__name__)}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, shape in route.answers.items():
        if shape is None:
            responses[str(status)] = {"description": "Done"}
            continue
        content: dict[str, Any] = {"application/json": {"schema": {"$ref": REF.format(model=shape.__name__)}}}
        if shape is answers.HistoryAnswer:
            content["text/csv"] = {"schema": {"type": "string"}}
        responses[str(status)] = {"description": shape.__doc__ or "", "content": content}
        if headers := _headers(route, shape):
            responses[str(status)]["headers"] = headers
    refusals = {**(TOKEN_REFUSALS if route.scope else {}), **ALWAYS, **route.refusals}
    for status, codes in sorted(refusals.items()):
        content = {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}}
        if status in TOKEN_REFUSALS:
            content["application/json"] = {"schema": {"$ref": REF.format(model="GatewayRefusal")}}
        responses[str(status)] = {"description": ", ".join(codes), "content": content}
        if status in WAITING:
            responses[str(status)]["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer"}}}
    return responses


def _headers(route: Route, shape: type) -> dict[str, Any]:
    """What an answer says beside its body."""
    if KEY in route.parameters:
        return {"Idempotent-Replayed": {"description": "When the key came before", "schema": {"const": "true"}}}
    if shape is answers.CatalogAnswer:
        return {"ETag": {"required": True, "schema": IF_MATCH.schema}}
    if shape is answers.HistoryAnswer:
        return {"Next-Cursor": {"description": "The next page's, beside CSV", "schema": TEXT}}
    return {}


def _problem_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "RFC 9457. `code` is stable; some codes bring members of their own.",
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "code": TEXT,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"field": TEXT, "message": TEXT},
                    "required": ["field", "message"],
                },
            },
        },
        "required": ["type", "title", "status", "detail", "code"],
        "additionalProperties": True,
    }


def main() -> int:
    """Write the file, or with --check say whether it is up to date."""
    text = json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("openapi.json is stale: run 'python -m prepaid.api.openapi'\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
