"""The manager's code and the sessions it opens (semantics 10)."""

from collections.abc import Callable

from prepaid.api.http import Request, Response, account_of, body_of, caller_of, idempotency_key_of
from prepaid.api.problems import Forbidden
from prepaid.api.requests import ManagerCodeRequest, ManagerSessionRequest
from prepaid.api.times import rfc3339
from prepaid.core.manager_code import check_new_code
from prepaid.store.accounts import read_account
from prepaid.store.dynamodb import Table
from prepaid.store.managers import change_code, open_session

ADMIN_SCOPE = "prepaid/admin"


def put_code(request: Request, table: Table, pepper: Callable[[], str]) -> Response:
    """PUT /v1/accounts/{account}/manager-code: an administrator sets it, others change it with the current one."""
    account_id = account_of(request)
    asked = body_of(request, ManagerCodeRequest)
    if asked.current_code is None and ADMIN_SCOPE not in caller_of(request).scopes:
        raise Forbidden("Send current_code, or ask an administrator to set a new one.")
    check_new_code(asked.code)
    read_account(table, account_id, request.patience)
    change_code(table, account_id, asked.code, asked.current_code, pepper(), now=request.now, patience=request.patience)
    return Response(status=204)


def post_session(request: Request, table: Table, pepper: Callable[[], str]) -> Response:
    """POST /v1/accounts/{account}/manager-sessions: ten minutes for one purchase. Each one is a new session: a key is
    required as everywhere, but a token is shown only once, so a repeat opens another."""
    account_id = account_of(request)
    idempotency_key_of(request)
    asked = body_of(request, ManagerSessionRequest)
    read_account(table, account_id, request.patience)
    token, session = open_session(table, account_id, asked.code, pepper(), now=request.now, patience=request.patience)
    return Response(status=201, body={"manager_session": token, "expires_at": rfc3339(session.expires_at)})
