"""Generates openapi.json from the routes: `python -m prepaid.api.openapi` writes it, `--check` compares it.

No function imports this module, so it doesn't slow down any request.
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from prepaid.api import (
    accounts,
    balances,
    batches,
    catalogs,
    consumptions,
    erasures,
    events,
    grants,
    histories,
    holds,
    manager_codes,
    portal_sessions,
    purchases,
    quotes,
    reversals,
    statements,
    usages,
    webhooks,
)
from prepaid.api.generated import write_or_check
from prepaid.api.http.routes import TEXT, TIME, Header, Parameter, ResponseSchema, Route

FILE = Path("openapi.json")
REF = "#/components/schemas/{model}"
INTEGER = {"type": "integer"}
FAMILIES = (
    consumptions,
    batches,
    holds,
    reversals,
    balances,
    quotes,
    histories,
    statements,
    usages,
    events,
    accounts,
    grants,
    erasures,
    catalogs,
    manager_codes,
    purchases,
    portal_sessions,
    webhooks,
)
ROUTES = tuple(route for family in FAMILIES for route in vars(family).values() if isinstance(route, Route))

# Error codes of every route, and of every route that needs a token.
ALWAYS = {500: ("internal_error",), 503: ("busy",)}
TOKEN_REFUSALS = {401: ("unauthorized",), 403: ("forbidden",)}

# API Gateway's own responses, which no setting of an HTTP API changes:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-jwt.html
GATEWAY = {
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
GATEWAY_TOKEN = {401: "Unauthorized", 403: "Forbidden"}
GATEWAY_REFUSAL = {
    "type": "object",
    "description": "API Gateway's own response, for example to a missing, wrong or insufficient token.",
    "properties": {"message": TEXT},
    "required": ["message"],
}
CHALLENGE = Header(name="WWW-Authenticate", description="The token's error. Sent by API Gateway.")
RETRY_AFTER = Header(
    name="Retry-After",
    description="Seconds to wait before a retry. Not sent with payments_not_configured, nor by API Gateway itself.",
    schema=INTEGER,
)
# Error codes with Retry-After.
RETRIED = frozenset({"busy", "code_locked", "payments_unavailable"})

# Members that certain error codes add to a problem.
PROBLEM_MEMBERS = {
    "errors": {
        "type": "array",
        "description": "invalid_request, feature_retired: each invalid field.",
        "items": {
            "type": "object",
            "properties": {"field": TEXT, "message": TEXT},
            "required": ["field", "message"],
        },
    },
    "needed": {**INTEGER, "description": "insufficient_credits: credits that the request needs."},
    "available": {**INTEGER, "description": "insufficient_credits: credits that the account can spend."},
    "quota_remaining": {**INTEGER, "description": "insufficient_credits: units left of the plan's quota."},
    "renews_at": {
        "anyOf": [TIME, {"type": "null"}],
        "description": "insufficient_credits: when the quota renews; null if a renewal would not help.",
    },
    "suggested_pack": {
        "anyOf": [TEXT, {"type": "null"}],
        "description": "insufficient_credits: the smallest pack on sale that is enough; null if none is.",
    },
    "reversible": {**INTEGER, "description": "already_reversed: units of the charge that are not reversed yet."},
    "capture": {**TEXT, "description": "already_captured: the capture's id."},
    "lapsed_at": {**TIME, "description": "hold_lapsed: when the hold ended."},
    "remaining": {**INTEGER, "description": "exceeds_remaining: credits that remain of the grant."},
    "currency": {"anyOf": [TEXT, {"type": "null"}], "description": "currency_mismatch: the account's currency."},
    "packs": {
        "type": "array",
        "items": TEXT,
        "description": "currency_mismatch: the packs on sale in the account's currency.",
    },
    "current_version": {**INTEGER, "description": "version_conflict: the catalog's version in force."},
    "tries_left": {**INTEGER, "description": "wrong_code: tries left before the code locks."},
}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Prepaid",
            "version": "1",
            "description": "Credits that are bought, granted, spent and expire. Errors are application/problem+json "
            "with a stable `code`. API Gateway itself responds to a missing or wrong token (401, 403), an unknown "
            "route (404, `Not Found`), too many requests (429) and a function that fails or doesn't respond (500, "
            "503), with its own `{message}` as application/json.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _schemas() -> dict[str, Any]:
    bodies = sorted({route.body for route in ROUTES if route.body}, key=lambda body: body.__name__)
    _, requests = models_json_schema([(body, "validation") for body in bodies], ref_template=REF)
    shapes = {response.shape for route in ROUTES for response in route.responses.values() if response.shape}
    responses: dict[str, Any] = {}
    for shape in sorted(shapes, key=lambda shape: shape.__name__):
        schema = TypeAdapter(shape).json_schema(mode="serialization", ref_template=REF)
        responses |= schema.pop("$defs", {})
        responses[shape.__name__] = schema
    return {**requests["$defs"], **responses, "Problem": _problem(), "GatewayRefusal": GATEWAY_REFUSAL}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation_id,
        "summary": route.summary,
        "parameters": [_parameter(parameter) for parameter in route.parameters],
        "responses": _responses(route),
    }
    if route.scopes:
        operation["security"] = [{"token": [scope]} for scope in route.scopes]
    if route.body:
        operation["requestBody"] = {"required": True, "content": _content("application/json", route.body.__name__)}
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _responses(route: Route) -> dict[str, Any]:
    refusals = {**(TOKEN_REFUSALS if route.scopes else {}), **ALWAYS, **route.refusals}
    gateway = {**(GATEWAY_TOKEN if route.scopes else {}), **GATEWAY}
    return {
        **{str(status): _response(response) for status, response in route.responses.items()},
        **{
            str(status): _refusal(status, refusals.get(status, ()), gateway.get(status))
            for status in sorted({*refusals, *gateway})
        },
    }


def _response(response: ResponseSchema) -> dict[str, Any]:
    if response.shape is None:
        return {"description": "Done"}
    content = _content("application/json", response.shape.__name__)
    if response.text_type:
        content[response.text_type] = {"schema": TEXT}
    return {"description": response.shape.__doc__ or "", "content": content, **_headers(response.headers)}


def _refusal(status: int, codes: tuple[str, ...], gateway_message: str | None) -> dict[str, Any]:
    """codes: of our problems with this status. gateway_message: of API Gateway's own response, if there is one."""
    content = _content("application/problem+json", "Problem") if codes else {}
    if gateway_message:
        content |= _content("application/json", "GatewayRefusal")
        content["application/json"]["example"] = {"message": gateway_message}
    headers = (*((CHALLENGE,) if status in GATEWAY_TOKEN else ()), *((RETRY_AFTER,) if RETRIED & set(codes) else ()))
    return {"description": ", ".join(codes) or "Returned by API Gateway only", "content": content, **_headers(headers)}


def _content(media_type: str, model: str) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": REF.format(model=model)}}}


def _headers(headers: tuple[Header, ...]) -> dict[str, Any]:
    if not headers:
        return {}
    return {
        "headers": {
            header.name: {"description": header.description, "required": header.always, "schema": header.schema}
            for header in headers
        }
    }


def _problem() -> dict[str, Any]:
    request_id = {**TEXT, "description": "Quote it to support: every log line of the request carries it."}
    always = {"type": TEXT, "title": TEXT, "status": INTEGER, "detail": TEXT, "code": TEXT}
    return {
        "type": "object",
        "description": "RFC 9457. `code` is stable; some codes add members of their own.",
        "properties": {**always, "request_id": request_id, **PROBLEM_MEMBERS},
        "required": list(always),
        "additionalProperties": True,
    }


if __name__ == "__main__":
    sys.exit(write_or_check(FILE, document()))
