"""Requests: API Gateway's event as a Request, and its caller, account and idempotency key."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prepaid.api.http.problems import Forbidden, KeyInvalid, KeyMissing, Malformed, TooLarge, Unauthorized
from prepaid.core.errors import AccountNotFound, InvalidRequest

ACCOUNT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
LIMIT = re.compile(r"[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The client of a verified token. account: the only account that it may access; None for every account.

    scopes: of the token. The gateway has checked them already; handlers use them only if a route accepts two.
    """

    name: str
    account: str | None
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. headers: names in lower case. body: raw bytes. now: the time of the whole request.

    id: the gateway's, in its log, the function's log and every error. domain: the name under which the gateway
    received the request, which the caller can't forge.
    """

    id: str
    method: str
    domain: str
    caller: Caller | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    body: bytes
    now: datetime


def request_from(event: Mapping[str, Any], now: datetime, max_body_bytes: int) -> Request:
    """The request in API Gateway's event. Raises Malformed, TooLarge."""
    context = event.get("requestContext", {})
    method = str(context.get("http", {}).get("method", ""))
    return Request(
        id=request_id_of(event),
        method=method,
        domain=str(context.get("domainName", "")),
        caller=_caller(event),
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        # API Gateway moves cookies out of the headers, each as name=value.
        cookies=tuple(event.get("cookies") or ()),
        body=b"" if method in ("GET", "HEAD") else _raw_body(event, max_body_bytes),
        now=now,
    )


def request_id_of(event: Mapping[str, Any]) -> str:
    """The gateway's id of a request, which callers see in every error; "" without one."""
    return str(event.get("requestContext", {}).get("requestId", ""))


def account_of(request: Request) -> str:
    """The account in the path. Raises AccountNotFound if the id is malformed or the caller may not access it."""
    caller = caller_of(request)
    account = request.path.get("account", "")
    if not ACCOUNT_ID.fullmatch(account) or caller.account not in {None, account}:
        raise AccountNotFound
    return account


def caller_of(request: Request) -> Caller:
    """The caller. Raises Unauthorized for a request without a token."""
    if request.caller is None:
        raise Unauthorized("This request needs a token.")
    return request.caller


def caller_for_every_account(request: Request) -> Caller:
    """A caller whose token isn't bound to one account. Raises Unauthorized, Forbidden."""
    caller = caller_of(request)
    if caller.account is not None:
        raise Forbidden("This token is for one account only.")
    return caller


def idempotency_key_of(request: Request) -> str:
    """The idempotency key of a POST. Raises KeyMissing, KeyInvalid."""
    key = request.headers.get("idempotency-key")
    if not key:
        raise KeyMissing("Send an Idempotency-Key header with every POST.")
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise KeyInvalid("An Idempotency-Key is 1 to 255 visible ASCII characters.")
    return key


def check_query(request: Request, allowed: frozenset[str]) -> None:
    """Reject query parameters that would otherwise be silently ignored. Raises InvalidRequest."""
    unknown = sorted(set(request.query) - allowed)
    if unknown:
        # A name may be any text, even half of a surrogate pair, which a response can't contain.
        names = (name.encode(errors="replace").decode() for name in unknown)
        raise InvalidRequest(tuple((name, "no such parameter") for name in names))


def limit_of(request: Request, most: int) -> int | None:
    """The query parameter `limit`, a whole number from 1 to `most`; None without it. Raises InvalidRequest."""
    text = request.query.get("limit")
    if text is None:
        return None
    if LIMIT.fullmatch(text) and 1 <= int(text) <= most:
        return int(text)
    raise InvalidRequest((("limit", f"must be a whole number from 1 to {most}"),))


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
    # If the claim isn't a string, the token is still bound: to "", which is no account's id.
    account = claims["account_id"]
    return account if isinstance(account, str) else ""


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    # Cognito sends `scope`, other issuers `scp`; the gateway formats a list as "[a b]".
    return frozenset(str(claims.get("scope") or claims.get("scp") or "").strip("[]").replace(",", " ").split())


def _raw_body(event: Mapping[str, Any], max_body_bytes: int) -> bytes:
    text = event.get("body") or ""
    # Base64 is a third longer than its content; don't decode a body that is too large anyway.
    if len(text) > max_body_bytes * 2:
        raise TooLarge(f"A body may have at most {max_body_bytes} bytes.")
    try:
        body = b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except (Base64Error, ValueError):
        raise Malformed("The body is not valid in its encoding.") from None
    if len(body) > max_body_bytes:
        raise TooLarge(f"A body may have at most {max_body_bytes} bytes.")
    return body
