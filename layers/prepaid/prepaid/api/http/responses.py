"""Responses, and their conversion to API Gateway's format."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response. body: a JSON value, a dataclass of such values, or text with its content type in the headers; None
    for no body. cookies: those to set.

    error: the cause of a failed response, for the log; None if there is none, or if the caller caused it.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    error: Exception | None = None


def created(body: Any, *, replayed: bool) -> Response:
    """The response to a POST that took effect, now or in an earlier request with its key."""
    return Response(status=201, body=body, headers={"Idempotent-Replayed": "true"} if replayed else {})


def done(body: Any, *, replayed: bool) -> Response:
    """The response to a POST that creates no resource; otherwise as `created`."""
    return Response(status=200, body=body, headers={"Idempotent-Replayed": "true"} if replayed else {})


def to_gateway(response: Response) -> dict[str, Any]:
    """The response in API Gateway's format (payload 2.0)."""
    answer: dict[str, Any] = {
        "statusCode": response.status,
        "headers": {"Cache-Control": "no-store", **response.headers},
    }
    if response.cookies:
        answer["cookies"] = list(response.cookies)
    if isinstance(response.body, str):
        answer["body"] = response.body
    elif response.body is not None:
        answer["headers"] = {"Content-Type": "application/json", **answer["headers"]}
        answer["body"] = json.dumps(response.body, separators=(",", ":"), ensure_ascii=False, default=asdict)
    return answer
