"""API Gateway's HTTP API events, payload 2.0, as its documentation shows them; and what it accepts as a response.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

type Event = dict[str, Any]
type Claims = Mapping[str, str]

# API Gateway's id of every request here.
REQUEST_ID = "JKJaXmPLvHcESHA="

# No log line may hold this.
TOKEN = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0LW9mLXRoZS1jYWxsZXI.c2lnbmF0dXJl"


@dataclass(frozen=True)
class Context:
    """The context that Lambda gives a handler beside the event."""

    aws_request_id: str = "8a2f1c9e-0000-4000-8000-000000000001"
    function_name: str = "under-test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:under-test"
    remaining: int = 10_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


def caller(
    name: str = "service-client", account: str | None = None, scope: str = "prepaid/consume prepaid/read"
) -> Claims:
    """The claims of a verified token; bound to one account when it names one."""
    claims = {"client_id": name, "sub": name, "token_use": "access", "scope": scope}
    return claims | ({"account_id": account} if account is not None else {})


ANYBODY = caller()
BUYER = caller("storefront-client", scope="prepaid/read prepaid/buy")
ADMIN = caller("admin-client", scope="prepaid/admin prepaid/read")


def http_event(
    route: str,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    claims: Claims | None = ANYBODY,
    body: str | bytes | None = None,
) -> Event:
    """The event that API Gateway makes of a request. A body of bytes is base64, as for types that aren't text."""
    method, _, pattern = route.partition(" ")
    raw_path = pattern
    for name, value in (path or {}).items():
        raw_path = raw_path.replace(f"{{{name}}}", quote(value, safe="", errors="replace"))
    event: Event = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": raw_path,
        "rawQueryString": urlencode(query or {}, errors="replace"),
        "headers": {"host": "api.example.com", "x-forwarded-for": "203.0.113.7", **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "domainName": "api.example.com",
            "http": {
                "method": method,
                "path": raw_path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.9.1",
            },
            "requestId": REQUEST_ID,
            "routeKey": route,
            "stage": "$default",
            "time": "16/Jun/2026:13:00:00 +0000",
            "timeEpoch": 1781614800000,
        },
        "isBase64Encoded": isinstance(body, bytes),
    }
    if claims is not None:
        event["headers"]["authorization"] = f"Bearer {TOKEN}"
        event["requestContext"]["authorizer"] = {"jwt": {"claims": dict(claims), "scopes": None}}
    if path:
        event["pathParameters"] = dict(path)
    if query:
        event["queryStringParameters"] = dict(query)
    if body is not None:
        event["body"] = b64encode(body).decode() if isinstance(body, bytes) else body
    return event


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
