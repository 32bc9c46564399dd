"""POST /v1/accounts/{account}/portal-sessions: a one-time link to the account's subscription page."""

from typing import Annotated, TypedDict
from urllib.parse import urlsplit

from pydantic import StringConstraints

from prepaid.api.http.bodies import Body, body_of
from prepaid.api.http.requests import Request, account_of, idempotency_key_of
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    NO_ACCOUNT,
    REPLAYED,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.errors import InvalidRequest
from prepaid.core.languages import Language
from prepaid.deps import Deps
from prepaid.portal_config import PortalConfig
from prepaid.store.accounts import read_account
from prepaid.store.items import portal_link_request_hash
from prepaid.use_cases.entering import LinkRequest, make_link


class PortalSessionRequest(Body):
    """return_url: where the page leads back to; default: the stack's ReturnUrl. language: default: the account's."""

    return_url: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    language: Language | None = None


class PortalSessionResponse(TypedDict):
    """A link for one use. It expires at `expires_at`; the session that it opens lasts longer."""

    url: str
    expires_at: Time


def post(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/portal-sessions: a one-time link to the account's page, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, PortalSessionRequest)
    assert deps.portal is not None
    if body.return_url is not None:
        _check_return_url(body.return_url, deps.portal)
    _, profile = read_account(deps.table, account_id)
    link_request = LinkRequest(
        language=body.language or profile.language,
        return_url=body.return_url or deps.portal.return_url,
        request_hash=portal_link_request_hash(body.language, body.return_url),
    )
    link = make_link(deps.table, account_id, key, link_request, deps.codes(deps.table.deadline), now=request.now)
    # The Host header may name any site; the gateway's own name can't be forged.
    base = deps.portal.url or f"https://{request.domain}"
    response: PortalSessionResponse = {
        "url": f"{base}/portal/enter/{link.token}",
        "expires_at": rfc3339(link.expires_at),
    }
    return created(response, replayed=link.replayed)


def _check_return_url(return_url: str, portal: PortalConfig) -> None:
    """Reject a return_url at a site that the deployer hasn't listed: anyone could make the page lead anywhere."""
    allowed = sorted({_origin(portal.return_url), *portal.return_origins})
    # Browsers read a backslash as a slash and skip control characters, which changes the site that an address names.
    plain = return_url.isascii() and return_url.isprintable() and not set(return_url) & {" ", "\\"}
    if not plain or _origin(return_url) not in allowed:
        raise InvalidRequest((("return_url", f"must be an address at {' or '.join(allowed)}"),))


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


POST = Route(
    method="POST",
    path="/v1/accounts/{account}/portal-sessions",
    operation_id="createPortalSession",
    summary="Make a one-time link to the account's subscription page",
    scopes=("prepaid/buy",),
    parameters=(ACCOUNT, KEY),
    body=PortalSessionRequest,
    responses={201: ResponseSchema(PortalSessionResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        409: ("idempotency_key_reused",),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
    },
    function=post,
)
