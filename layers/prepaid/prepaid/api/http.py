"""From API Gateway's event to a handler, and from its answer or refusal back.

API Gateway has matched the route and verified the token already, so finding the handler is one look in a table.
"""

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ValidationError

from prepaid.api.metrics import count
from prepaid.api.problems import (
    Forbidden,
    KeyInvalid,
    KeyMissing,
    Malformed,
    RouteNotFound,
    TooLarge,
    Unauthorized,
    UnsupportedType,
    problem_of,
)
from prepaid.core.errors import AccountNotFound, InvalidRequest, Refused, Unavailable
from prepaid.deps import Deps, with_deadline
from prepaid.payments.errors import PaymentsRefused

MAX_BODY_BYTES = 64 * 1024
# A body can be wrong in thousands of places; nobody reads more than the first.
MAX_ERRORS = 20
ACCOUNT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
# The deadline of a request. When it passes, a call to the database may still be under way for six seconds; then the 503
# must reach the caller before Lambda stops the function.
DEADLINE_SECONDS = 3.0
# For functions that call Stripe, which may take some seconds a call.
STRIPE_DEADLINE_SECONDS = 10.0

logger = Logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a verified token speaks for. account: the only account it may touch; None for any.

    scopes: what the token may do. The gateway has checked the route's; they matter where a route takes two.
    """

    name: str
    account: str | None
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. headers: names in lower case. body: raw bytes. now: the one instant it counts with."""

    caller: Caller | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """body: a JSON value, or text with its content type among the headers; None for an empty one."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


type Handler = Callable[[Request, Deps], Response]
type LambdaHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def serve(
    routes: Mapping[str, Handler],
    deps: Deps,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> LambdaHandler:
    """A Lambda handler for API Gateway's HTTP API events (payload 2.0): routes by route key, refusals as problems."""

    def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        route = str(event.get("routeKey", ""))
        logger.append_keys(request_id=getattr(context, "aws_request_id", None), route=route)
        try:
            request = request_from(event, deps.clock(), max_body_bytes)
            response = routes.get(route, _no_such_route)(request, with_deadline(deps, deadline_seconds))
            logger.info("answered", extra={"status": response.status})
        except Exception as error:  # noqa: BLE001 - the last place before the caller: whatever it is, it gets an answer
            status, headers, body = problem_of(error)
            headers = {"Content-Type": "application/problem+json", **headers}
            response = Response(status=status, body=body, headers=headers)
            _tell(error, {"status": status, "code": body["code"]})
        return to_gateway(response)

    return handle


def _tell(error: Exception, about: dict[str, Any]) -> None:
    """A line for the log: a refusal is everyday, trouble elsewhere names its cause, a bug is counted for the alarm."""
    if isinstance(error, Refused):
        logger.info("refused", extra=about)
    elif isinstance(error, Unavailable):
        logger.warning("unavailable", extra=about, exc_info=error)
    elif isinstance(error, PaymentsRefused):
        logger.error("payment provider refused", extra=about, exc_info=error)
        count("PaymentProviderRefusals", 1)
    else:
        logger.error("failed", extra=about, exc_info=error)
        count("InternalErrors", 1)


def request_from(event: Mapping[str, Any], now: datetime, max_body_bytes: int) -> Request:
    """What API Gateway's event says. Raises Malformed, TooLarge."""
    return Request(
        caller=_caller(event),
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=b"" if _method(event) == "GET" else _raw_body(event, max_body_bytes),
        now=now,
    )


def account_of(request: Request) -> str:
    """The account that the path names and the caller may touch; anything else is as good as missing."""
    caller = caller_of(request)
    account = request.path.get("account", "")
    if not ACCOUNT_ID.fullmatch(account) or caller.account not in {None, account}:
        raise AccountNotFound
    return account


def caller_of(request: Request) -> Caller:
    """Who is calling. Raises Unauthorized when the gateway let an anonymous request through."""
    if request.caller is None:
        raise Unauthorized("This needs a token.")
    return request.caller


def caller_for_every_account(request: Request) -> Caller:
    """A caller whose token isn't bound to one account. Raises Unauthorized, Forbidden."""
    caller = caller_of(request)
    if caller.account is not None:
        raise Forbidden("This token is for one account only.")
    return caller


def idempotency_key_of(request: Request) -> str:
    """The key that makes a POST repeatable. Raises KeyMissing, KeyInvalid."""
    key = request.headers.get("idempotency-key")
    if not key:
        raise KeyMissing("Send an Idempotency-Key header with every POST.")
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise KeyInvalid("An Idempotency-Key is 1 to 255 visible ASCII characters.")
    return key


def body_of[M: BaseModel](request: Request, model: type[M]) -> M:
    """The JSON body as `model`. Raises UnsupportedType, Malformed, InvalidRequest naming every wrong field."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise UnsupportedType("Send the body as Content-Type: application/json.")
    try:
        # Pydantic would let the last of two equal names win; who reads the other one would see another request.
        json.loads(request.body.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON, or names a field twice.") from None
    try:
        return model.model_validate_json(request.body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        if any(problem["type"] == "json_invalid" for problem in problems):
            raise Malformed("The body is not JSON.") from None
        raise InvalidRequest(
            tuple(
                (".".join(map(str, problem["loc"])) or "body", problem["msg"].removeprefix("Value error, "))
                for problem in problems
            )
        ) from None


def created(body: Any, *, replayed: bool) -> Response:
    """The answer to a POST that had its effect, now or when its key came first."""
    return Response(status=201, body=body, headers={"Idempotent-Replayed": "true"} if replayed else {})


def check_query(request: Request, allowed: frozenset[str]) -> None:
    """Refuse query parameters that would otherwise be silently ignored. Raises InvalidRequest."""
    unknown = sorted(set(request.query) - allowed)
    if unknown:
        # A name may be any text, half a surrogate pair too, which no answer can hold.
        names = (name.encode(errors="replace").decode() for name in unknown)
        raise InvalidRequest(tuple((name, "no such parameter") for name in names))


def to_gateway(response: Response) -> dict[str, Any]:
    """The answer as API Gateway takes it."""
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


def _no_such_route(_request: Request, _deps: Deps) -> Response:
    raise RouteNotFound("There is nothing here.")


def _caller(event: Mapping[str, Any]) -> Caller | None:
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    claims = authorizer.get("jwt", {}).get("claims")
    if not claims:
        return None
    return Caller(
        name=claims.get("client_id") or claims.get("sub") or "unknown",
        account=_bound_to(claims),
        scopes=_scopes(claims),
    )


def _bound_to(claims: Mapping[str, Any]) -> str | None:
    if "account_id" not in claims:
        return None
    # Whatever else than a name stands there, the token is bound: to no account that anybody has.
    account = claims["account_id"]
    return account if isinstance(account, str) else ""


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    # Cognito says `scope`, others `scp`; the gateway hands a list over as "[a b]".
    return frozenset(str(claims.get("scope") or claims.get("scp") or "").strip("[]").replace(",", " ").split())


def _method(event: Mapping[str, Any]) -> str:
    return str(event.get("requestContext", {}).get("http", {}).get("method", ""))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name twice")
    return names


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _raw_body(event: Mapping[str, Any], max_body_bytes: int) -> bytes:
    text = event.get("body") or ""
    # Base64 is a third longer than what it holds; don't decode what is too large anyway.
    if len(text) > max_body_bytes * 2:
        raise TooLarge(f"A body may have {max_body_bytes} bytes.")
    try:
        body = b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except (Base64Error, ValueError):
        raise Malformed("The body is not what its encoding says.") from None
    if len(body) > max_body_bytes:
        raise TooLarge(f"A body may have {max_body_bytes} bytes.")
    return body
