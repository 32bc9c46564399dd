"""Sends a request until it is answered: decides what is retried, when, and what the caller gets.

The functions here do no I/O. They are generators that yield steps (send, pause, get a token) and receive the outcomes.
transports.py performs the steps, sync or async, so both clients decide in the same way.
"""

from base64 import b64encode
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
import msgspec

from prepaid_client.calls import Call
from prepaid_client.errors import Refused, Unauthorized, Unavailable, UnexpectedResponse, refusal
from prepaid_client.responses import Keyed
from prepaid_client.tokens import CachedToken, ClientCredentials, TokenResponse

CONNECT_SECONDS = 2.0
TOKEN_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 8.0
# Statuses that are sent before the service does anything. After a 5xx, the request may have taken effect.
NOT_DONE = frozenset({408, 429})
RETRIED = NOT_DONE | {500, 502, 503, 504}
# A retry is refused again until a person has acted.
NOT_RETRIED = frozenset({"code_locked", "payment_provider_refused", "payments_not_configured"})
# Refusals before the service reads the idempotency key. They say nothing about an earlier attempt.
BEFORE_THE_KEY = frozenset({401, 403})
# The request never left this machine.
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)
USER_AGENT = f"prepaid-client/{version('prepaid-client')}"
LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Send:
    """Send a request. seconds: the longest wait for the whole answer. The outcome is a response or an error."""

    request: httpx.Request
    seconds: float


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class NeedToken:
    """Get a token, but not the refused one. The outcome is the token."""

    refused: str | None
    give_up_at: float


type Outcome = httpx.Response | httpx.RequestError
type Steps[T] = Generator[Send | Pause | NeedToken, Any, T]


@dataclass(frozen=True, kw_only=True)
class Service:
    """The service's address and the caller's credentials. deadline: seconds for a request with all its retries."""

    url: str
    credentials: str | ClientCredentials = field(repr=False)
    deadline: float
    clock: Callable[[], float]
    random: Callable[[], float]
    token_cache: CachedToken = field(default_factory=CachedToken)

    def __post_init__(self) -> None:
        addresses = [self.url]
        if isinstance(self.credentials, ClientCredentials):
            addresses.append(self.credentials.token_url)
        for address in addresses:
            parts = urlsplit(address)
            encrypted = parts.scheme == "https" and parts.hostname
            if not encrypted and not (parts.scheme == "http" and is_local(address)):
                raise ValueError(f"{address!r} is no https:// address: tokens would travel in the clear")

    @property
    def is_local(self) -> bool:
        """Whether the service is on this machine."""
        return is_local(self.url)


def exchange[T](call: Call[T], service: Service) -> Steps[T]:
    """Send a request until it is answered, or until the deadline. Raises Refused, Unavailable."""
    give_up_at = service.clock() + service.deadline
    refused_token: str | None = None
    happened = False
    attempt = 0
    while True:
        token: str | None = None
        try:
            token = yield NeedToken(refused_token, give_up_at)
            outcome = yield Send(
                _request(call, service.url, token), _remaining(call.attempt_seconds, give_up_at, service)
            )
            return _read(call, outcome)
        except Unauthorized as error:
            renewable = isinstance(service.credentials, ClientCredentials)
            if token is None or refused_token is not None or not renewable:
                raise _refusal_or_unavailable(error, call, happened=happened) from error
            refused_token = token
            continue
        except Refused as error:
            raise _refusal_or_unavailable(error, call, happened=happened) from error
        except Unavailable as error:
            happened = happened or (call.changes and error.may_have_happened)
            pause = _pause(attempt, error.retry_after, service.random)
            final = isinstance(error, UnexpectedResponse) or (happened and not call.repeatable)
            if final or service.clock() + pause >= give_up_at:
                raise _with_key(error, call, happened=happened) from error
        attempt += 1
        yield Pause(pause)


def request_token(credentials: ClientCredentials, service: Service, give_up_at: float) -> Steps[str]:
    """Request a token, and keep it. Raises Unauthorized, Unavailable."""
    form = {"grant_type": "client_credentials"}
    request = httpx.Request(
        "POST", credentials.token_url, data=form, headers={"User-Agent": USER_AGENT, **_basic(credentials)}
    )
    attempt = 0
    while True:
        asked_at = service.clock()
        try:
            outcome = yield Send(request, _remaining(TOKEN_SECONDS, give_up_at, service))
            return service.token_cache.keep(_token_response(outcome), asked_at)
        except Unavailable as error:
            pause = _pause(attempt, error.retry_after, service.random)
            if service.clock() + pause >= give_up_at:
                raise
        attempt += 1
        yield Pause(pause)


def is_local(address: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(address).hostname or ""
    return host in LOCAL or host.endswith(".localhost")


def _request(call: Call[Any], url: str, token: str) -> httpx.Request:
    headers = {"Accept": "application/json", "User-Agent": USER_AGENT, "Authorization": f"Bearer {token}"}
    return httpx.Request(
        call.method,
        url.rstrip("/") + call.path,
        params=call.query or None,
        headers={**headers, **call.headers},
        content=call.content,
    )


def _read[T](call: Call[T], outcome: Outcome) -> T:
    """The answer in an outcome. Raises Refused, Unavailable, UnexpectedResponse."""
    if isinstance(outcome, httpx.RequestError):
        reason = f"{call.method} {call.path}: no answer ({type(outcome).__name__})"
        raise Unavailable(reason, may_have_happened=not isinstance(outcome, NEVER_SENT))
    reason = f"{call.method} {call.path}: the answer was {outcome.status_code}"
    if outcome.is_success:
        try:
            answer = call.parse(outcome.content)
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise UnexpectedResponse(f"{reason} and not as documented", may_have_happened=True) from error
        replayed = outcome.headers.get("idempotent-replayed") == "true"
        return replace(answer, replayed=True) if replayed and isinstance(answer, Keyed) else answer
    problem, retry_after = _problem(outcome), seconds_asked(outcome)
    code = problem.get("code")
    if outcome.status_code in RETRIED and code not in NOT_RETRIED:
        done = outcome.status_code not in NOT_DONE
        reason = f"{reason} {code}" if code else reason
        raise Unavailable(reason, may_have_happened=done, code=code, retry_after=retry_after)
    if not outcome.is_client_error and code not in NOT_RETRIED:
        raise UnexpectedResponse(reason, may_have_happened=outcome.is_server_error)
    raise refusal(outcome.status_code, problem, retry_after)


def _token_response(outcome: Outcome) -> TokenResponse:
    """The token in an outcome. Raises Unauthorized, Unavailable."""
    if isinstance(outcome, httpx.RequestError):
        raise Unavailable(f"no answer from the token endpoint ({type(outcome).__name__})", may_have_happened=False)
    if outcome.is_success:
        try:
            return msgspec.json.decode(outcome.content, type=TokenResponse)
        except msgspec.MsgspecError as error:
            raise Unauthorized(outcome.status_code, {"detail": "the token endpoint sent no token"}) from error
    if outcome.is_client_error and outcome.status_code not in RETRIED:
        reason = _problem(outcome).get("error", "no reason")
        raise Unauthorized(outcome.status_code, {"detail": f"the token endpoint refused the client: {reason}"})
    raise Unavailable(
        f"the token endpoint's answer was {outcome.status_code}",
        may_have_happened=False,
        retry_after=seconds_asked(outcome),
    )


def _refusal_or_unavailable(error: Refused, call: Call[Any], *, happened: bool) -> Refused | Unavailable:
    """The refusal; or Unavailable, if an earlier attempt may have taken effect and the refusal doesn't deny it."""
    if not happened or error.status not in BEFORE_THE_KEY:
        return error
    return Unavailable(f"{call.method} {call.path}: {error}", may_have_happened=True, key=call.key, code=error.code)


def _with_key(error: Unavailable, call: Call[Any], *, happened: bool) -> Unavailable:
    return type(error)(
        str(error.args[0]),
        may_have_happened=happened,
        key=call.key,
        code=error.code,
        retry_after=error.retry_after,
    )


def _remaining(seconds: float, give_up_at: float, service: Service) -> float:
    return max(0.0, min(seconds, give_up_at - service.clock()))


def _pause(attempt: int, retry_after: float | None, random: Callable[[], float]) -> float:
    """Seconds to wait: the service's Retry-After, plus an exponential backoff with jitter."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 10))
    return (retry_after or 0.0) + longest * (0.5 + random() / 2)


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        problem = msgspec.json.decode(response.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return problem if isinstance(problem, dict) else {}


def seconds_asked(response: httpx.Response) -> float | None:
    """An answer's Retry-After in seconds; None without one, and for a date, which only a proxy would send."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _basic(credentials: ClientCredentials) -> dict[str, str]:
    """HTTP Basic authentication. The id and the secret are form-encoded first (RFC 6749, section 2.3.1)."""
    pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.client_secret)}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
