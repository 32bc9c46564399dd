"""/v1/accounts/{account}/manager-code and manager-sessions: the manager's code and its sessions (rule 10)."""

from typing import Annotated, TypedDict

from pydantic import StringConstraints

from prepaid.api.http.bodies import Body, body_of, with_message
from prepaid.api.http.problems import Forbidden
from prepaid.api.http.requests import Request, account_of, caller_of, idempotency_key_of
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    NO_ACCOUNT,
    NOT_ACTIVE,
    REPLAYED,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.manager_code import check_new_code
from prepaid.deps import Deps
from prepaid.store.accounts import read_account
from prepaid.use_cases.approving import change_code, open_session

ADMIN_SCOPE = "prepaid/admin"

# Text, so that leading zeros count; ASCII digits only.
type Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$"), with_message("must be 6 digits, as text")]


class ManagerCodeRequest(Body):
    """A new code for the manager."""

    code: Code
    current_code: Code | None = None


class ManagerSessionRequest(Body):
    """The manager's code."""

    code: Code


class ManagerSessionResponse(TypedDict):
    """A session's token, which only the caller keeps."""

    manager_session: str
    expires_at: Time


def put_code(request: Request, deps: Deps) -> Response:
    """PUT /v1/accounts/{account}/manager-code: an administrator sets the code; others need the current one.

    An administrator's retry gets the same response. With current_code the new code must differ, so a retry fails.
    """
    account_id = account_of(request)
    body = body_of(request, ManagerCodeRequest)
    if body.current_code is None and ADMIN_SCOPE not in caller_of(request).scopes:
        raise Forbidden("Send current_code, or ask an administrator to set a new one.")
    check_new_code(body.code)
    read_account(deps.table, account_id)
    change_code(deps.table, account_id, body.code, body.current_code, deps.codes(deps.table.deadline), now=request.now)
    return Response(status=204)


def post_session(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/manager-sessions: a session of ten minutes for one purchase, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, ManagerSessionRequest)
    terms, _ = read_account(deps.table, account_id)
    opened = open_session(
        deps.table, account_id, terms, body.code, key, deps.codes(deps.table.deadline), now=request.now
    )
    response: ManagerSessionResponse = {
        "manager_session": opened.token,
        "expires_at": rfc3339(opened.session.expires_at),
    }
    return created(response, replayed=opened.replayed)


PUT_CODE = Route(
    method="PUT",
    path="/v1/accounts/{account}/manager-code",
    operation_id="putManagerCode",
    summary="Set the manager's code and end the sessions that the old code opened",
    scopes=(ADMIN_SCOPE, "prepaid/buy"),
    parameters=(ACCOUNT,),
    body=ManagerCodeRequest,
    responses={204: ResponseSchema(None)},
    refusals={
        400: ("malformed_body",),
        403: ("forbidden", "wrong_code"),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
        429: ("code_locked",),
    },
    function=put_code,
)
POST_SESSION = Route(
    method="POST",
    path="/v1/accounts/{account}/manager-sessions",
    operation_id="openManagerSession",
    summary="Open a session of ten minutes for one purchase",
    scopes=("prepaid/buy",),
    parameters=(ACCOUNT, KEY),
    body=ManagerSessionRequest,
    responses={201: ResponseSchema(ManagerSessionResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        403: ("forbidden", "wrong_code"),
        409: ("idempotency_key_reused", *NOT_ACTIVE),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
        429: ("code_locked",),
    },
    function=post_session,
)
