"""The Route type: a route's contract for openapi.json, and the function that serves it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from prepaid.api.http.problems import problem_response
from prepaid.api.http.requests import ACCOUNT_ID, IDEMPOTENCY_KEY, Request, request_id_of
from prepaid.api.http.responses import Response
from prepaid.deps import Deps

if TYPE_CHECKING:
    from pydantic import BaseModel

# The deadline of a request. After it no call begins: to the database, Secrets Manager or Stripe. One that began just
# before it may run for seven seconds, and then the 503 must reach the caller before Lambda stops the function.
DEADLINE_SECONDS = 3.0
# For functions that call Stripe. If each of Stripe's calls takes three seconds, the six of a refund leave two seconds
# for the database. Slower calls use up the deadline: the caller gets 503, and Stripe sends the event again.
STRIPE_DEADLINE_SECONDS = 20.0
# For the page, whose reports and files read up to a month of entries.
PAGE_DEADLINE_SECONDS = 10.0

TEXT: Mapping[str, Any] = {"type": "string"}
TIME: Mapping[str, Any] = {"type": "string", "format": "date-time"}
DAY_OR_TIME: Mapping[str, Any] = {"anyOf": [TIME, {"type": "string", "format": "date"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the path or query, or a request header. schema: JSON Schema."""

    name: str
    where: Literal["path", "query", "header"] = "query"
    required: bool = False
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A response header. always: whether every response of its status has it. schema: JSON Schema."""

    name: str
    description: str
    always: bool = False
    schema: Mapping[str, Any] = field(default_factory=lambda: TEXT)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response. shape: of its JSON; None for no body. text_type: another type that Accept may request."""

    shape: type | None
    headers: tuple[Header, ...] = ()
    text_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. path: in API Gateway's notation. scopes: any one of them suffices; empty: no token is needed.

    answers, refusals: by status; refusals contain error codes, without those of every route.
    deadline_seconds: for a request; None for its function's.
    """

    method: Literal["GET", "POST", "PUT", "PATCH"]
    path: str
    operation_id: str
    summary: str
    scopes: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    body: "type[BaseModel] | None" = None
    answers: Mapping[int, Answer]
    refusals: Mapping[int, tuple[str, ...]]
    function: Callable[[Request, Deps], Response]
    deadline_seconds: float | None = None

    @property
    def key(self) -> str:
        """The route's key in API Gateway's events: method and path."""
        return f"{self.method} {self.path}"

    def refuse(self, error: Exception, event: Mapping[str, Any], _deps: Deps) -> Response:
        """The response to an error: a problem."""
        return problem_response(error, request_id_of(event))


ACCOUNT = Parameter(
    name="account",
    where="path",
    required=True,
    description="The account's id.",
    schema={"type": "string", "pattern": f"^{ACCOUNT_ID.pattern}$"},
)
KEY = Parameter(
    name="Idempotency-Key",
    where="header",
    required=True,
    description="Identifies this request within the account, permanently. A retry sends the same key and body.",
    schema={"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
)
REPLAYED = Header(
    name="Idempotent-Replayed",
    description="Sent if an earlier request with this key took effect; this is that request's response.",
    schema={"const": "true"},
)

KEY_REFUSALS = ("idempotency_key_missing", "idempotency_key_invalid")
BODY_REFUSALS = {413: ("body_too_large",), 415: ("unsupported_media_type",), 422: ("invalid_request",)}
# The 409 of what only an active account does.
NOT_ACTIVE = ("account_frozen", "account_closed")
NO_ACCOUNT = {404: ("account_not_found",)}
