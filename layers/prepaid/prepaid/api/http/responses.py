"""Responses, and their conversion to API Gateway's format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """body: a JSON value, or text with its content type in the headers; None for no body."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def created(body: Any, *, replayed: bool) -> Response:
    """The response to a POST that took effect, now or in an earlier request with its key."""
    return Response(status=201, body=body, headers={"Idempotent-Replayed": "true"} if replayed else {})


def to_gateway(response: Response) -> dict[str, Any]:
    """The response in API Gateway's format (payload 2.0)."""
    headers = {"Cache-Control": "no-store", **response.headers}
    if response.body is None:
        return {"statusCode": response.status, "headers": headers}
    if isinstance(response.body, str):
        return {"statusCode": response.status, "headers": headers, "body": response.body}
    return {
        "statusCode": response.status,
        "headers": {"Content-Type": "application/json", **headers},
        "body": json.dumps(response.body, separators=(",", ":"), ensure_ascii=False),
    }
