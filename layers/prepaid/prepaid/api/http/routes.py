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

# The deadline of a request: after it, no call to the database, Secrets Manager or Stripe begins. A call that began just
# before it may take seven seconds, and Lambda's time-out must leave time for the 503 after that.
DEADLINE_SECONDS = 3.0
# For functions that call Stripe. If each call takes three seconds, the six calls of a refund leave two seconds for the
# database. Slower calls use up the deadline: the caller gets 503, and Stripe resends the event.
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
class ResponseSchema:
    """A successful response. shape: the type of its JSON; None for no body. text_type: another type that Accept may
    request."""

    shape: type | None
    headers: tuple[Header, ...] = ()
    text_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. path: in API Gateway's notation. scopes: any one of them suffices; empty: no token is needed.

    responses, refusals: by status. refusals: error codes, without those that every route has.
    deadline_seconds: the deadline of a request; None for the function's.
    """

    method: Literal["GET", "POST", "PUT", "PATCH"]
    path: str
    operation_id: str
    summary: str
    scopes: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    body: "type[BaseModel] | None" = None
    responses: Mapping[int, ResponseSchema]
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
# The codes of 409 for requests that only an active account can make.
NOT_ACTIVE = ("account_frozen", "account_closed")
NO_ACCOUNT = {404: ("account_not_found",)}
